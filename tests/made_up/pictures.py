"""Small images in folders, laid out as torchvision's Oxford-IIIT Pet or as an ImageFolder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

BREEDS = ("Abyssinian", "american_bulldog", "Egyptian_Mau")
PET_COUNTS = {"trainval": 8, "test": 2}  # images of each breed
COUNTS = {"train": 3, "validation": 2, "test": 1}  # images of each class of an ImageFolder


def write_image(path: Path, seed: int, size: tuple[int, int] = (40, 30)) -> Path:
    """Random pixels, as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_pet(root: Path) -> Path:
    """Three classes in torchvision's Pet layout: 24 trainval and 6 test images."""
    base = root / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for split, count in PET_COUNTS.items():
        first = 100 if split == "test" else 0
        lines = [
            (f"{breed}_{first + i}", label)
            for label, breed in enumerate(BREEDS, 1)
            for i in range(count)
        ]
        for number, (name, _) in enumerate(lines):
            write_image(base / "images" / f"{name}.jpg", seed=number + 100 * count)
        text = "".join(f"{name} {label} 1 1\n" for name, label in lines)
        (base / "annotations" / f"{split}.txt").write_text(text)
    return root


def write_image_folder(root: Path) -> Path:
    """Two classes: 3 train, 2 validation and 1 test image in each."""
    for split, count in COUNTS.items():
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                write_image(root / split / name / f"{i}.png", seed=100 * label + 10 * count + i)
    return root
