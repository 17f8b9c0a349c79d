"""Image classification: a torchvision ResNet with dropout after every ReLU.

The settings are those of the earlier report on Oxford-IIIT Pet (ResNet-50 with ImageNet weights,
80 epochs of batch 60). On the embedded Fashion-MNIST the smaller profiles train a narrow ResNet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import ResNet50_Weights, resnet50
from torchvision.models.resnet import BasicBlock, ResNet

from idlib.data import images
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics.calibration import fit_temperature
from idlib.tasks.base import Batch, Task
from idlib.training.settings import Settings, SettingsError

EMBEDDED_EPOCHS = 60  # cap of the paper profile on the embedded data
EVALUATION_BATCH = 500
SHRINKS = {"resnet50": 32, "narrow": 16}  # so many pixels, and fewer, become one


class ImageSettings(Settings):
    """Settings of the image task; the defaults are the earlier report's."""

    architecture: Literal["resnet50", "narrow"] = "resnet50"
    pretrained: bool = True
    width: int = Field(64, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    image_size: int = Field(224, ge=8)
    examples: dict[str, int] = Field(default_factory=dict)
    workers: int = Field(0, ge=0, le=1024)
    lr_head: None = None  # all of the network is new

    # Batch norm in `stack` would see the K copies as one batch; see audit A11.
    mode: Literal["stack", "loop"] = "loop"
    epochs: int = Field(80, ge=1)
    batch_size: int = Field(60, ge=1)
    lr_peak: float = Field(1e-3, gt=0)
    lr_initial: float = Field(2e-5, ge=0)
    warmup: int = Field(50, ge=0)
    weight_decay: float = Field(1e-3, ge=0)
    sensitivity_batch: int = Field(60, ge=1)


_NARROW = {"architecture": "narrow", "pretrained": False, "width": 16, "image_size": 28}


class ImageTask(Task):
    """Fashion-MNIST, Oxford-IIIT Pet, or a folder of images."""

    name = "images"
    revision = 1
    schema = ImageSettings
    profiles = {
        "paper": {"threads": 8, "workers": 8},
        "medium": {**_NARROW, "epochs": 30},
        "small": {**_NARROW, "epochs": 10},
        "smoke": {
            **_NARROW,
            "epochs": 2,
            "warmup": 2,
            "examples": {"train": 240, "validation": 120, "test": 120},
        },
    }

    smoothing = (0.0, 0.1)  # the earlier report's two

    @classmethod
    def adapt(cls, settings: ImageSettings, source: str) -> ImageSettings:
        """Embedded data come without ImageNet weights, and need no more than 60 epochs."""
        if source != "embedded":
            return settings
        epochs = min(settings.epochs, EMBEDDED_EPOCHS)
        return settings.model_copy(update={"pretrained": False, "epochs": epochs})

    @property
    def data(self) -> images.ImageData:
        """The three splits."""
        root = None if self.root is None else str(self.root)
        sizes = tuple(sorted(self.settings.examples.items()))
        return _load(self.source, root, self.settings.image_size, sizes)

    @property
    def checksums(self) -> dict[str, str]:
        """Sha256 of each split's content."""
        return self.data.checksums

    def check(self) -> None:
        """Refuse images of one channel for ResNet-50, and a batch that batch norm cannot take.

        Raises:
            SettingsError: naming the setting and what it can be.
        """
        s, channels = self.settings, self.data.channels
        if s.architecture == "resnet50" and channels != 3:
            raise SettingsError(
                f"setting architecture = 'resnet50': it takes images of 3 channels, and these have "
                f"{channels}; set architecture to narrow, or image_size to another than "
                f"{images.EMBEDDED_SIZE}, for which the channel is repeated"
            )
        if s.image_size <= SHRINKS[s.architecture] and self._smallest_batch() == 1:
            raise SettingsError(
                f"setting image_size = {s.image_size}: {s.architecture} makes one pixel of it, and "
                "batch norm needs two values, but some update runs a single image; set image_size "
                f"above {SHRINKS[s.architecture]}, or batch_size or micro_batch to another number"
            )

    def model(self) -> nn.Module:
        """A fresh ResNet, in the channels-last layout.

        Raises:
            SettingsError: the settings do not fit the images, or ImageNet's weights are not there.
        """
        self.check()
        classes, channels = len(self.data.classes), self.data.channels
        if self.settings.architecture == "resnet50":
            model = _resnet50(self.settings.pretrained)
            model.fc = nn.Linear(model.fc.in_features, classes, bias=False)
        else:
            model = NarrowResNet(self.settings.width, channels, classes)
        add_dropout(model, self.settings.dropout)
        return model.to(memory_format=torch.channels_last)

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """All training images once, in a random order; the last update may be smaller."""
        order = torch.randperm(len(self.data.splits["train"]), generator=generator)
        return [part.tolist() for part in order.split(self.settings.batch_size)]

    def batches(self, indices: list[list[int]], split: str = "train") -> Iterator[Batch]:
        """Batches ``image`` [B, C, H, W] and ``label`` [B]."""
        loader = DataLoader(
            self.data.splits[split],
            batch_sampler=indices,
            collate_fn=images.collate,
            num_workers=self.settings.workers,
            generator=torch.Generator(),  # else it would draw from the one that makes dropout
        )
        return iter(loader)

    def forward(self, model: nn.Module) -> Callable[[Batch], Tensor]:
        """From a batch to logits [B, C]."""
        return lambda batch: model(batch["image"])

    def targets(self, batch: Batch) -> Target:
        """The labels; every image counts."""
        return Target(batch["label"])

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """``nll`` (nats) and ``accuracy`` (a fraction) of one pass."""
        return _metrics(*self._logits(model, split))

    def test(self, model: nn.Module) -> tuple[dict[str, float], dict[str, list[float]]]:
        """NLL and accuracy of validation and test, as they are and after temperature scaling.

        Beside them the temperature, fitted on validation, and each test image's NLL.
        """
        found = {split: self._logits(model, split) for split in ("validation", "test")}
        temperature = fit_temperature(*found["validation"])
        metrics = {"calibration/temperature": temperature}
        for split, (logits, labels) in found.items():
            plain, scaled = _metrics(logits, labels), _metrics(logits / temperature, labels)
            metrics |= {f"{split}/{name}": value for name, value in plain.items()}
            metrics |= {f"{split}/{name}/calibrated": value for name, value in scaled.items()}
        items = cross_entropy(*found["test"])
        return metrics, {"test/nll/items": [round(value, 4) for value in items.tolist()]}

    def sensitivity_batches(self) -> Iterable[Batch]:
        """All training images in their fixed order, 60 a batch as in the earlier report."""
        order = torch.arange(len(self.data.splits["train"]))
        return self.batches(
            [part.tolist() for part in order.split(self.settings.sensitivity_batch)]
        )

    def layer(self, parameter: str) -> str:
        """Torchvision's four stages, and what stands before and after them."""
        first = parameter.split(".")[0]
        return {"conv1": "stem", "bn1": "stem", "fc": "head"}.get(first, first)

    def _smallest_batch(self) -> int:
        """Images in the smallest forward pass of training."""
        s, count = self.settings, len(self.data.splits["train"])
        updates = min(s.batch_size, count), count % s.batch_size
        slices = [
            size % (s.micro_batch or size) or s.micro_batch or size for size in updates if size
        ]
        return min(slices) * (s.passes if s.mode == "stack" else 1)

    @torch.no_grad()
    def _logits(self, model: nn.Module, split: str) -> tuple[Tensor, Tensor]:
        """Logits ``[N, C]`` (float64) and labels ``[N]`` of a whole split, on the CPU."""
        device, forward = next(model.parameters()).device, self.forward(model)
        order = torch.arange(len(self.data.splits[split])).split(EVALUATION_BATCH)
        logits, labels = [], []
        for batch in self.batches([part.tolist() for part in order], split):
            labels.append(batch["label"])
            batch = {name: value.to(device) for name, value in batch.items()}
            logits.append(forward(batch).cpu().double())
        return torch.cat(logits), torch.cat(labels)


class NarrowResNet(ResNet):
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

    def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
        if planes == 64:  # the first stage: torchvision has set 64 channels by then
            self.inplanes = self._width
        return super()._make_layer(block, planes * self._width // 64, *args, **kwargs)


def _resnet50(pretrained: bool) -> ResNet:
    weights = ResNet50_Weights.IMAGENET1K_V1 if pretrained else None
    try:
        return resnet50(weights=weights)
    except (OSError, RuntimeError) as error:  # the network's, the disk's, or of a damaged file
        raise SettingsError(
            f"setting pretrained = True: ImageNet's weights cannot be fetched ({error}); put "
            f"{weights.url} into {torch.hub.get_dir()}/checkpoints, or set pretrained to False"
        ) from error


def add_dropout(model: nn.Module, p: float) -> None:
    """Put dropout after every ReLU module of ``model``, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(p)))


def _metrics(logits: Tensor, labels: Tensor) -> dict[str, float]:
    return {
        "nll": cross_entropy(logits, labels).mean().item(),
        "accuracy": (logits.argmax(-1) == labels).double().mean().item(),
    }


@lru_cache(maxsize=4)
def _load(
    source: str, root: str | None, image_size: int, sizes: tuple[tuple[str, int], ...]
) -> images.ImageData:
    where = None if root is None else Path(root)
    return images.load(source, root=where, image_size=image_size, sizes=dict(sizes))
