"""Image data sets in folders: torchvision's Oxford-IIIT Pet layout, or an ImageFolder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from idlib.data import hub
from idlib.data.errors import DataError
from idlib.data.sources import SPLITS
from idlib.data.splits import hold_out

PET_SEED = 20220523  # of the split of the Pet trainval list
PET_VALIDATION = 680 / 3680  # the earlier report's 3,000 / 680

_LAYOUTS = (
    "either oxford-iiit-pet/images and oxford-iiit-pet/annotations (trainval.txt, test.txt), as "
    "torchvision lays it out, or the folders train, validation and test with one folder of images "
    "a class in each"
)


@dataclass(frozen=True)
class Items:
    """The images of one split: names relative to the root, and class indices."""

    names: Sequence[str]
    labels: Sequence[int]

    def subset(self, indices: Sequence[int]) -> Items:
        """These images."""
        return Items([self.names[i] for i in indices], [self.labels[i] for i in indices])


@dataclass(frozen=True)
class Folder:
    """An image data set on disk: its root, its classes and the items of each split."""

    root: Path
    classes: tuple[str, ...]
    splits: dict[str, Items]


def list_images(root: Path, *, download: bool = False) -> Folder:
    """The images below ``root``, whichever of the two layouts it has.

    Args:
        root: the folder.
        download: fetch Oxford-IIIT Pet into it first, through torchvision, if it is not there.

    Raises:
        DataError: a missing or unreadable folder, neither layout, or lists that do not fit.
    """
    found = _pet(root, download=True) if download else _on_disk(root)
    for name in (name for items in found.splits.values() for name in items.names):
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{root} has {name!r}, whose name is no UTF-8; rename it") from error
    return found


def _on_disk(root: Path) -> Folder:
    entries = _entries(root)
    if "oxford-iiit-pet" in entries:
        return _pet(root)
    if {"images", "annotations"} <= entries and root.resolve().name == "oxford-iiit-pet":
        return _pet(root.resolve().parent)
    if set(SPLITS) <= entries:
        return _image_folder(root)
    raise DataError(
        f"{root} has neither layout that can be read: it needs {_LAYOUTS}; it holds "
        f"{', '.join(sorted(entries)[:6]) or 'nothing'}"
    )


def _entries(root: Path) -> set[str]:
    try:
        return set(os.listdir(root))
    except FileNotFoundError:
        raise DataError(f"the folder {root} does not exist; it needs {_LAYOUTS}") from None
    except OSError as error:
        raise DataError(
            f"the folder {root} cannot be read ({error.strerror}); mend its permissions or name "
            "another folder"
        ) from error


def _pet(root: Path, download: bool = False) -> Folder:
    from torchvision.datasets import OxfordIIITPet  # which takes its time to import

    base = root / "oxford-iiit-pet"
    try:
        with hub.time_limit():
            lists = {
                split: OxfordIIITPet(root, split=split, download=download)
                for split in ("trainval", "test")
            }
    except Exception as error:  # torchvision's own, the network's, the archive's, the list's
        advice = (
            f"fetch {' and '.join(address for address, _ in OxfordIIITPet._RESOURCES)} by hand "
            f"into {base} and unpack them there, or use the source embedded"
            if download
            else "restore its folders images and annotations with trainval.txt and test.txt"
        )
        raise DataError(f"{base} does not hold Oxford-IIIT Pet ({error}); {advice}") from error
    for name, pet in lists.items():
        for path in pet._images:
            if path.parent != base / "images" or "\0" in path.name:
                raise DataError(
                    f"{base}/annotations/{name}.txt lists {path.stem!r}, which names no file of "
                    "its folder images; restore it"
                )
    items = {
        name: Items([path.relative_to(root).as_posix() for path in pet._images], list(pet._labels))
        for name, pet in lists.items()
    }
    classes = tuple(lists["trainval"].classes)
    for name, listed in items.items():
        if not listed.names:
            raise DataError(f"{base}/annotations/{name}.txt lists no image; restore it")
        if not 0 <= min(listed.labels) <= max(listed.labels) < len(classes):
            raise DataError(
                f"{base}/annotations/{name}.txt has classes that trainval.txt has not; restore both"
            )
    both = items["trainval"]
    # Drawn by file name alone, so that the split is the same wherever the folder lies.
    count = round(len(both.names) * PET_VALIDATION)
    train, validation = map(both.subset, hold_out(both.names, count, PET_SEED, both.labels))
    splits = {"train": train, "validation": validation, "test": items["test"]}
    return Folder(root, classes, splits)


def _image_folder(root: Path) -> Folder:
    from torchvision.datasets import ImageFolder

    splits: dict[str, Items] = {}
    classes: list[str] = []
    for name in SPLITS:
        try:
            listed = ImageFolder(root / name)
        except OSError as error:  # no class folder, an empty one, or no permission
            raise DataError(
                f"{root / name} is no folder of images by class ({error}); it needs one folder a "
                "class with at least one image in each"
            ) from error
        classes = classes or listed.classes
        if listed.classes != classes:
            odd = sorted(set(listed.classes) ^ set(classes))
            raise DataError(
                f"{root / name} and {root / 'train'} have different classes: {', '.join(odd[:6])}; "
                "give every split the same class folders"
            )
        splits[name] = Items(
            [Path(path).relative_to(root).as_posix() for path, _ in listed.samples],
            [label for _, label in listed.samples],
        )
    return Folder(root, tuple(classes), splits)
