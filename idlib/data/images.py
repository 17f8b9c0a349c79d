"""Images of the image task: Fashion-MNIST embedded, Oxford-IIIT Pet, or a folder on disk.

>>> data = load("embedded", splits=("validation",))
>>> batch = data.splits["validation"].batch([0, 1, 2])
>>> batch["image"].shape, batch["label"].dtype
(torch.Size([3, 1, 28, 28]), torch.int64)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, default_collate

from idlib.data import checksums, limits, pixels, tables
from idlib.data.errors import DataError
from idlib.data.limits import SPLITS
from idlib.data.splits import choose, proportional_quotas

SOURCES = ("embedded", "hub", "path")

EMBEDDED = Path(__file__).parent / "embedded" / "fashion_mnist"
EMBEDDED_SIZE = 28  # pixels
EMBEDDED_MEAN, EMBEDDED_STD = 0.2844, 0.3528  # of the train split's pixels in [0, 1]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HUB_ROOT = Path(".idlib/data")
HUB_SIZE = 224  # pixels
SAMPLE_SEED = 1  # of the smaller samples that `sizes` asks for
NAMED = 5  # images that the report names for each reason

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class ImageData:
    """The splits of one image data set and what a model and a record need to know of it.

    Attributes:
        source: ``embedded``, ``hub`` or ``path``.
        splits: data sets by name (``train``, ``validation``, ``test``).
        classes: class names; a label is an index into them.
        channels: 1 or 3.
        image_size: height and width, pixels.
        checksums: sha256 of each loaded split's content, independent of where it lies.
        mean: what was subtracted, by channel, from pixels in [0, 1].
        std: what they were then divided by, by channel.
        report: lines of text on images that are taken otherwise than they look.
        dropped: always empty: an image that cannot be used is an error.
    """

    source: str
    splits: dict[str, MemoryImages | FileImages]
    classes: tuple[str, ...]
    channels: int
    image_size: int
    checksums: dict[str, str]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    report: list[str] = field(default_factory=list)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)


class MemoryImages(Dataset):
    """Greyscale images held as one tensor, normalised once.

    Args:
        images: float32 [N, 1, H, W], normalised.
        labels: int64 [N].
        image_size: None leaves H × W and one channel; another size makes every fetched batch that
            large (bilinear) with the channel repeated to 3.
    """

    def __init__(self, images: Tensor, labels: Tensor, image_size: int | None = None):
        self.images, self.labels, self.image_size = images, labels, image_size

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """``image`` float32 [B, C, H, W] and ``label`` int64 [B] of these indices."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        images = self.images[rows]  # [B, 1, H, W]
        if self.image_size is not None:
            size = (self.image_size, self.image_size)
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False)
            images = images.repeat(1, 3, 1, 1)  # [B, 3, size, size]
        return {"image": images, "label": self.labels[rows]}

    __getitems__ = batch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        one = self.batch([index])
        return one["image"][0], one["label"][0]


class FileImages(Dataset):
    """Images read from files when they are asked for.

    Args:
        paths: one file an image.
        labels: one class index an image.
        transform: RGB PIL image -> float32 [3, H, W], normalised.
    """

    def __init__(
        self, paths: Sequence[Path], labels: Sequence[int], transform: Callable[[Any], Tensor]
    ):
        self.paths, self.transform = list(paths), transform
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """``image`` float32 [B, 3, H, W] and ``label`` int64 [B] of these indices."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return {
            "image": torch.stack([self._image(i) for i in rows.tolist()]),
            "label": self.labels[rows],
        }

    __getitems__ = batch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._image(index), self.labels[index]

    def _image(self, index: int) -> Tensor:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                return self.transform(pixels.rgb(image))
        except Exception as error:  # decoders raise many kinds
            raise DataError(f"image {index}, {path}, can no longer be read ({error})") from error


def collate(batch: Batch | list[tuple[Tensor, Tensor]]) -> Batch:
    """The ``collate_fn`` of a DataLoader over these splits: batches are fetched whole.

    A list of ``(image, label)`` pairs, as a plain data set gives them, becomes the same dict.
    """
    if isinstance(batch, Mapping):
        return dict(batch)
    images, labels = default_collate(batch)
    return {"image": images, "label": labels}


def load(
    source: str,
    *,
    root: str | Path | None = None,
    image_size: int | None = None,
    splits: Sequence[str] = SPLITS,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = checksums.CACHE,
) -> ImageData:
    """The image data of one source, verified before anything is trained on it.

    Args:
        source: ``embedded`` (Fashion-MNIST in the Pet split's sizes, one channel), ``hub``
            (Oxford-IIIT Pet through torchvision, fetched into ``root`` if it is not there) or
            ``path`` (a folder already on disk: torchvision's Pet layout or an ImageFolder).
        root: the folder of ``path`` and ``hub`` (there ``.idlib/data`` if None); for ``embedded``
            another place of the embedded files.
        image_size: height and width in pixels; None is the source's own, 28 or 224. Embedded
            images of another size are repeated to 3 channels, so that any ResNet takes them.
        splits: which splits to load.
        sizes: fewer items of a split than there are, the classes in proportion. A split not named
            stays whole.
        cache: folder of the checksums of files on disk that were verified before.

    Raises:
        DataError: an unknown source or split, a missing or unreadable folder, a corrupt image, or
            a checksum that does not match; the message names the file and what to do.
    """
    if source not in SOURCES:
        raise DataError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    limits.check_splits([*splits, *(sizes or {})])
    if image_size is not None and image_size < 1:
        raise DataError(
            f"image_size is {image_size}, but must be at least 1 pixel; "
            + limits.how("image_size", EMBEDDED_SIZE if source == "embedded" else HUB_SIZE)
        )
    if source == "embedded":
        return _load_embedded(Path(root or EMBEDDED).expanduser(), image_size, splits, sizes or {})
    if source == "path" and root is None:
        raise DataError('source "path" needs root, the folder that holds the images')
    # Only folders need torchvision, which takes its time to import.
    from idlib.data import folders

    found = folders.find(Path(root or HUB_ROOT).expanduser(), download=source == "hub")
    return _load_files(source, found, image_size or HUB_SIZE, splits, sizes or {}, Path(cache))


def _load_files(source, found, image_size, names, sizes, cache) -> ImageData:
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.Resize(round(image_size * 256 / 224)),
            transforms.CenterCrop(image_size),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    loaded, sums, report = {}, {}, []
    for name in names:
        items = found.splits[name]
        files = checksums.verified_images([found.root / n for n in items.names], cache=cache)
        plain = [file.checksum for file in files]
        sums[name] = checksums.combined_checksum(items.names, items.labels, plain)
        report += _unusual(name, items.names, [file.note for file in files])
        kept = _sample(items.names, items.labels, sizes.get(name), name)
        loaded[name] = FileImages(
            [found.root / items.names[i] for i in kept], [items.labels[i] for i in kept], transform
        )
    return ImageData(
        source, loaded, found.classes, 3, image_size, sums, IMAGENET_MEAN, IMAGENET_STD, report
    )


def _unusual(split: str, names: Sequence[str], notes: Sequence[str]) -> list[str]:
    """A line for each note that images of a split have, with the first of them."""
    lines = []
    for note, said in pixels.NOTES.items():
        own = [name for name, its in zip(names, notes, strict=True) if its == note]
        if own:
            some = ", ".join(own[:NAMED]) + (", …" if len(own) > NAMED else "")
            lines.append(f"{split}: {len(own)} of {len(names)} images {said}: {some}")
    return lines


def _load_embedded(root, image_size, names, sizes) -> ImageData:
    published = tables.published(root)
    resize = None if image_size in (None, EMBEDDED_SIZE) else image_size
    channels = 1 if resize is None else 3
    loaded, sums, classes = {}, {}, ()
    for name in names:
        path = root / f"{name}.parquet"
        content, sums[name] = tables.verified(path, published)
        pixels, labels, paths, classes = tables.decode_images(path, content, EMBEDDED_SIZE)
        kept = _sample(paths, labels.tolist(), sizes.get(name), name)
        images = torch.from_numpy(pixels)[kept].unsqueeze(1).float().div_(255)  # [N, 1, 28, 28]
        images.sub_(EMBEDDED_MEAN).div_(EMBEDDED_STD)
        loaded[name] = MemoryImages(images, torch.from_numpy(labels)[kept], resize)
    return ImageData(
        "embedded",
        loaded,
        classes,
        channels,
        image_size or EMBEDDED_SIZE,
        sums,
        (EMBEDDED_MEAN,) * channels,
        (EMBEDDED_STD,) * channels,
    )


def _sample(names, labels, size, split) -> list[int]:
    if size is None:
        return list(range(len(names)))
    limits.check_size(split, size, len(names))
    return choose(names, labels, proportional_quotas(labels, size), SAMPLE_SEED)
