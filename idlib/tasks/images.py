"""Image classification: a torchvision ResNet with dropout after every ReLU.

The settings are those of the earlier report on Oxford-IIIT Pet (ResNet-50 with ImageNet weights,
80 epochs of batch 60). On the embedded Fashion-MNIST the smaller profiles train a narrow ResNet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import ResNet50_Weights, resnet50

from idlib.data import hub, images
from idlib.method.choices import Mode
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics.calibration import fit_temperature
from idlib.models.resnet import NarrowResNet, add_dropout
from idlib.tasks.base import Curves, Metrics, Task, TaskSettings, in_order
from idlib.training.settings import SettingsError
from idlib.training.trainable import Batch

EMBEDDED_EPOCHS = 60  # cap of the paper profile on the embedded data
EVALUATION_BATCH = 500
# Side in pixels up to which an image becomes a single pixel of the last stage.
DOWNSAMPLING = {"resnet50": 32, "narrow": 16}


class ImageSettings(TaskSettings):
    """Settings of the image task; the defaults are the earlier report's."""

    architecture: Literal["resnet50", "narrow"] = "resnet50"
    pretrained: bool = True
    width: int = Field(64, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    image_size: int = Field(224, ge=8)
    workers: int = Field(0, ge=0, le=1024)
    lr_head: None = None  # all of the network is new

    # Batch norm in `stack` would see the K copies as one batch; see audit A11.
    mode: Mode = "loop"
    epochs: int = Field(80, ge=1)
    batch_size: int = Field(60, ge=1)
    lr_peak: float = Field(1e-3, gt=0)
    lr_initial: float = Field(2e-5, ge=0)
    warmup: int = Field(50, ge=0)
    weight_decay: float = Field(1e-3, ge=0)
    sensitivity_batch: int = Field(60, ge=1)


_NARROW = {"architecture": "narrow", "pretrained": False, "width": 16, "image_size": 28}
_ON_CPU = {**_NARROW, "dropout_bits": 16}


class ImageTask(Task[ImageSettings, images.ImageData]):
    """Fashion-MNIST, Oxford-IIIT Pet, or a folder of images."""

    name = "images"
    revision = 2
    schema = ImageSettings
    profiles = {
        "paper": {"threads": 8, "workers": 8},
        "large": {**_NARROW, "width": 64, "epochs": 30},
        "medium": {**_ON_CPU, "epochs": 30},
        "small": {**_ON_CPU, "epochs": 10},
        "smoke": {
            **_ON_CPU,
            "epochs": 2,
            "warmup": 2,
            "examples": {"train": 240, "validation": 120, "test": 120},
        },
    }
    load = staticmethod(images.load)
    loaded_by = ("image_size",)
    smoothing = (0.0, 0.1)  # the earlier report's two

    @classmethod
    def adapt(cls, settings: ImageSettings, source: str) -> ImageSettings:
        """Embedded data come without ImageNet weights, and need no more than 60 epochs."""
        if source != "embedded":
            return settings
        epochs = min(settings.epochs, EMBEDDED_EPOCHS)
        return settings.model_copy(update={"pretrained": False, "epochs": epochs})

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
        most = DOWNSAMPLING[s.architecture]
        if s.image_size <= most and self._smallest_batch() == 1:
            raise SettingsError(
                f"setting image_size = {s.image_size}: {s.architecture} makes one pixel of it, and "
                "batch norm needs two values, but some update runs a single image; set image_size "
                f"above {most}, or batch_size or micro_batch to another number"
            )

    def _smallest_batch(self) -> int:
        """Images in the smallest forward pass of training."""
        s = self.settings
        count = len(self.data.splits["train"])
        updates = {min(s.batch_size, count), count % s.batch_size} - {0}
        smallest = min(len(in_order(size, s.micro_batch or size)[-1]) for size in updates)
        return smallest * (s.passes if s.mode == "stack" else 1)

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """All training images once, in a random order; the last update may be smaller."""
        order = torch.randperm(len(self.data.splits["train"]), generator=generator).tolist()
        places = in_order(len(order), self.settings.batch_size)
        return [[order[place] for place in part] for part in places]

    def batches(self, indices: list[list[int]], split: str = "train") -> Iterator[Batch]:
        """Batches ``image`` [B, C, H, W] and ``label`` [B]."""
        loader = DataLoader(
            self.data.splits[split],
            batch_sampler=indices,
            collate_fn=images.collate,  # type: ignore[arg-type]  # batches are fetched whole
            num_workers=self.settings.workers,
            generator=torch.Generator(),  # else it would draw from the one that makes dropout
        )
        return iter(loader)

    def evaluation_batches(self, split: str) -> list[list[int]]:
        """All images of a split in their order."""
        return in_order(len(self.data.splits[split]), EVALUATION_BATCH)

    def model(self) -> nn.Module:
        """A fresh ResNet, in the channels-last layout.

        Raises:
            SettingsError: the settings do not fit the images, or ImageNet's weights are not there.
        """
        self.check()
        s, classes = self.settings, len(self.data.classes)
        model: nn.Module
        if s.architecture == "resnet50":
            model = _resnet50(s.pretrained, classes)
        else:
            model = NarrowResNet(s.width, self.data.channels, classes)
        add_dropout(model, s.dropout)
        return model.to(memory_format=torch.channels_last)

    def forward(self, model: nn.Module) -> Callable[[Batch], Tensor]:
        """From a batch to logits [B, C]."""
        return lambda batch: model(batch["image"])

    def targets(self, batch: Batch) -> Target:
        """The labels; every image counts."""
        return Target(batch["label"])

    def layer(self, parameter: str) -> str:
        """Torchvision's four stages, and what stands before and after them."""
        first = parameter.split(".")[0]
        return {"conv1": "stem", "bn1": "stem", "fc": "head"}.get(first, first)

    def evaluate(self, model: nn.Module, split: str) -> Metrics:
        """``nll`` (nats) and ``accuracy`` (a fraction) of one pass."""
        return _metrics(*self._logits(model, split))

    def test(self, model: nn.Module) -> tuple[Metrics, Curves]:
        """NLL and accuracy of validation and test, as they are and after temperature scaling.

        Beside them the temperature, fitted on validation, and each test image's NLL.
        """
        outputs = {split: self._logits(model, split) for split in ("validation", "test")}
        temperature = fit_temperature(*outputs["validation"])
        metrics = {"calibration/temperature": temperature}
        for split, (logits, labels) in outputs.items():
            plain, scaled = _metrics(logits, labels), _metrics(logits / temperature, labels)
            metrics |= {f"{split}/{name}": value for name, value in plain.items()}
            metrics |= {f"{split}/{name}/calibrated": value for name, value in scaled.items()}
        losses = cross_entropy(*outputs["test"]).tolist()
        return metrics, {"test/nll/items": [round(loss, 4) for loss in losses]}

    def _logits(self, model: nn.Module, split: str) -> tuple[Tensor, Tensor]:
        """Logits ``[N, C]`` (float64) and labels ``[N]`` of a whole split, on the CPU."""
        logits, labels = [], []
        for _, batch, predicted in self.predictions(model, split):
            logits.append(predicted.cpu().double())
            labels.append(batch["label"].cpu())
        return torch.cat(logits), torch.cat(labels)


def _resnet50(pretrained: bool, classes: int) -> nn.Module:
    weights = ResNet50_Weights.IMAGENET1K_V1
    try:
        with hub.time_limit():
            model = resnet50(weights=weights if pretrained else None)
    except (OSError, RuntimeError) as error:  # the network's, the disk's, or of a damaged file
        raise SettingsError(
            f"setting pretrained = True: ImageNet's weights cannot be fetched ({error}); put "
            f"{weights.url} into {torch.hub.get_dir()}/checkpoints, or set pretrained to False"
        ) from error
    model.fc = nn.Linear(model.fc.in_features, classes, bias=False)
    network: nn.Module = model  # torchvision has no types
    return network


def _metrics(logits: Tensor, labels: Tensor) -> Metrics:
    return {
        "nll": cross_entropy(logits, labels).mean().item(),
        "accuracy": (logits.argmax(-1) == labels).double().mean().item(),
    }
