"""Residual networks of torchvision for images, with dropout after every ReLU."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


class NarrowResNet(ResNet):  # type: ignore[misc]  # torchvision has no types
    """torchvision's ResNet with one basic block a stage, ``width`` channels in the first.

    For small images: a 3 × 3 stem of stride 2, no pooling after it, and a head without bias.
    """

    def __init__(self, width: int, channels: int, classes: int) -> None:
        self._width = width
        super().__init__(BasicBlock, [1, 1, 1, 1])
        self.conv1 = nn.Conv2d(channels, width, kernel_size=3, stride=2, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Identity()
        self.fc = nn.Linear(8 * width, classes, bias=False)

    def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> Any:
        if planes == 64:  # the first stage: torchvision has set 64 channels by then
            self.inplanes = self._width
        return super()._make_layer(block, planes * self._width // 64, *args, **kwargs)


def add_dropout(model: nn.Module, p: float) -> None:
    """Put dropout after every ReLU module of ``model``, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(p)))
