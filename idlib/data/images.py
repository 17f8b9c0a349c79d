"""Images of the image task: Fashion-MNIST embedded, Oxford-IIIT Pet, or a folder on disk.

>>> data = load("embedded", splits=("validation",))
>>> batch = data.splits["validation"].batch([0, 1, 2])
>>> batch["image"].shape, batch["label"].dtype
(torch.Size([3, 1, 28, 28]), torch.int64)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from idlib.data import image_folders, sources, tables
from idlib.data.batching import Batch
from idlib.data.checksums import RESTORE, combined_checksum
from idlib.data.errors import DataError
from idlib.data.image_files import NOTES, rgb, verified_images
from idlib.data.loaded import LoadedData, RawSplit, account
from idlib.data.sources import CACHE, HUB_ROOT, SPLITS, Source, how_to_set
from idlib.data.splits import sample

FASHION_MNIST = Path(__file__).parent / "embedded" / "fashion_mnist"
EMBEDDED_SIZE = 28  # pixels
EMBEDDED_MEAN, EMBEDDED_STD = 0.2844, 0.3528  # of the train split's pixels in [0, 1]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HUB_SIZE = 224  # pixels


class MemoryImages(Dataset[Batch]):
    """Greyscale images held as one tensor, normalised once.

    Args:
        images: float32 [N, 1, H, W], normalised.
        labels: int64 [N].
        image_size: None leaves H × W and one channel; another size makes every fetched batch that
            large (bilinear) with the channel repeated to 3.
    """

    def __init__(self, images: Tensor, labels: Tensor, image_size: int | None = None) -> None:
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

    __getitems__ = batch  # what a DataLoader fetches


class FileImages(Dataset[Batch]):
    """Images read from files when they are asked for.

    Args:
        paths: one file an image.
        labels: one class index an image.
        transform: RGB PIL image -> float32 [3, H, W], normalised.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int],
        transform: Callable[[Image.Image], Tensor],
    ) -> None:
        self.paths, self.transform = list(paths), transform
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """``image`` float32 [B, 3, H, W] and ``label`` int64 [B] of these indices."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        images = torch.stack([self._image(i) for i in rows.tolist()])
        return {"image": images, "label": self.labels[rows]}

    __getitems__ = batch  # what a DataLoader fetches

    def _image(self, index: int) -> Tensor:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                return self.transform(rgb(image))
        except Exception as error:  # decoders raise many kinds
            raise DataError(f"image {index}, {path}, can no longer be read ({error})") from error


def collate(batch: Batch) -> Batch:
    """The ``collate_fn`` of a DataLoader over these splits, which fetches batches whole."""
    return batch


@dataclass(frozen=True)
class ImageData(LoadedData[MemoryImages | FileImages]):
    """One image data set; no image is dropped: one that cannot be used is an error.

    Attributes:
        classes: class names; a label is an index into them.
        channels: 1 or 3.
    """

    classes: tuple[str, ...]
    channels: int


def load(
    source: str,
    *,
    root: str | Path | None = None,
    image_size: int | None = None,
    splits: Sequence[str] = SPLITS,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = CACHE,
) -> ImageData:
    """The image data of one source, verified before anything is trained on it.

    Args:
        source: ``embedded`` (Fashion-MNIST in the Pet split's sizes, one channel), ``hub``
            (Oxford-IIIT Pet through torchvision, fetched into ``root`` if it is not there) or
            ``path`` (a folder already on disk: torchvision's Pet layout or an ImageFolder).
        root: see :class:`idlib.data.sources.Source`, as for ``cache``.
        image_size: height and width in pixels; None is the source's own, 28 or 224. Embedded
            images of another size are repeated to 3 channels, so that any ResNet takes them.
        splits: which splits to load.
        sizes: fewer items of a split than there are, the classes in proportion. A split not named
            stays whole.
        cache: of the checksums of files that were verified before.

    Raises:
        DataError: data or arguments that cannot be used; the message names the file.
    """
    sizes = dict(sizes or {})
    origin = sources.checked(source, root, cache, holding="images", splits=[*splits, *sizes])
    own_size = EMBEDDED_SIZE if source == "embedded" else HUB_SIZE
    if image_size is not None and image_size < 1:
        raise DataError(
            f"image_size is {image_size}, but must be at least 1 pixel; "
            + how_to_set("image_size", own_size)
        )
    read = _read_embedded if source == "embedded" else _read_files
    return read(origin, image_size or own_size, splits, sizes)


def _read_files(
    source: Source, image_size: int, splits: Sequence[str], sizes: Mapping[str, int]
) -> ImageData:
    from torchvision import transforms  # which takes its time to import

    transform = transforms.Compose(
        [
            transforms.Resize(round(image_size * 256 / 224)),
            transforms.CenterCrop(image_size),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    folder = image_folders.list_images(source.root or HUB_ROOT, download=source.kind == "hub")
    loaded: dict[str, MemoryImages | FileImages] = {}
    raw: dict[str, RawSplit[str]] = {}
    for split in splits:
        items = folder.splits[split]
        files = verified_images([folder.root / name for name in items.names], source.cache)
        checksum = combined_checksum(items.names, items.labels, [file.checksum for file in files])
        raw[split] = RawSplit(split, "images", str(folder.root), checksum, len(files), {})
        for note, meaning in NOTES.items():
            pairs = zip(items.names, files, strict=True)
            raw[split].note(
                [name for name, file in pairs if file.note == note], f"images {meaning}"
            )
        kept = items.subset(sample(split, items.names, sizes.get(split), items.labels))
        paths = [folder.root / name for name in kept.names]
        loaded[split] = FileImages(paths, kept.labels, transform)
    return ImageData(source.kind, loaded, *account(raw), folder.classes, channels=3)


def _read_embedded(
    source: Source, image_size: int, splits: Sequence[str], sizes: Mapping[str, int]
) -> ImageData:
    resize = None if image_size == EMBEDDED_SIZE else image_size
    loaded: dict[str, MemoryImages | FileImages] = {}
    raw: dict[str, RawSplit[str]] = {}
    classes: tuple[str, ...] = ()
    for split in splits:
        table = tables.read_embedded(split, ("image", "label"), source.root or FASHION_MNIST)
        raw[split] = RawSplit(split, "images", table.file, table.checksum, len(table.rows), {})
        classes = table.names.get("label", ())
        labels = [row["label"] for row in table.rows]
        if not set(labels) <= set(range(len(classes))):
            raise DataError(
                f"{table.file} has labels outside its {len(classes)} classes; {RESTORE}"
            )
        pixels = np.stack([_decoded(table, index) for index in range(len(labels))])
        names = [row["image"]["path"] for row in table.rows]
        kept = sample(split, names, sizes.get(split), labels)
        images = torch.from_numpy(pixels)[kept].unsqueeze(1).float().div_(255)  # [N, 1, 28, 28]
        images.sub_(EMBEDDED_MEAN).div_(EMBEDDED_STD)
        loaded[split] = MemoryImages(images, torch.tensor(labels)[kept], resize)
    channels = 1 if resize is None else 3
    return ImageData(source.kind, loaded, *account(raw), classes, channels)


def _decoded(table: tables.Table, index: int) -> np.ndarray:
    """The pixels of an embedded image, uint8 [28, 28]."""
    row = table.rows[index]["image"]
    try:
        with Image.open(io.BytesIO(row["bytes"])) as image:
            if image.size != (EMBEDDED_SIZE, EMBEDDED_SIZE):
                raise ValueError(f"{image.size[0]} x {image.size[1]} pixels")
            return np.asarray(image)
    except Exception as error:  # decoders raise many kinds
        raise DataError(
            f"image {index} ({row['path']}) of {table.file} is corrupt ({error}); {RESTORE}"
        ) from error
