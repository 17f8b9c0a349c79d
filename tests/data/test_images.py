"""The images of every source: what ships, and small folders laid out as the public ones."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from made_up.pictures import write_image, write_image_folder, write_pet
from made_up.tables import publish, sha256
from PIL import Image
from torch.utils.data import DataLoader

from idlib.data import DataError, images
from idlib.data.checksums import combined_checksum, file_checksum
from idlib.data.images import EMBEDDED_MEAN, EMBEDDED_STD, FASHION_MNIST

ROOT = Path(__file__).parents[2]
SIZES = {"train": 3000, "validation": 680, "test": 3669}
SOURCE = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="module")
def embedded():
    return images.load("embedded")


@pytest.fixture
def pet(tmp_path):
    return write_pet(tmp_path / "pet")


@pytest.fixture
def folder(tmp_path):
    return write_image_folder(tmp_path / "folder")


def load(root: Path, source: str = "path", **more):
    asked = {"image_size": 16, **more}
    return images.load(source, root=root, cache=root.with_name("cache"), **asked)


def snapshot(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): sha256(p) for p in root.rglob("*") if p.is_file()}


# ---- what ships


def test_embedded_has_the_sizes_of_the_pet_split_and_balanced_classes(embedded):
    assert {name: len(split) for name, split in embedded.splits.items()} == SIZES
    assert len(embedded.classes) == 10
    for split in embedded.splits.values():
        counts = Counter(split.labels.tolist())
        assert len(counts) == 10
        assert max(counts.values()) - min(counts.values()) <= 1


def test_embedded_images_occur_once_and_name_their_origin(embedded):
    every = torch.cat([split.images for split in embedded.splits.values()]).flatten(1)
    assert len(torch.unique(every, dim=0)) == sum(SIZES.values())
    paths = []
    for split, file in {"train": "train", "validation": "train", "test": "test"}.items():
        rows = pq.read_table(FASHION_MNIST / f"{split}.parquet")["image"].to_pylist()
        names = [row["path"] for row in rows]
        assert all(name.startswith(f"{file}/") for name in names)
        paths += names
    assert len(set(paths)) == sum(SIZES.values())
    with Image.open(io.BytesIO(rows[0]["bytes"])) as image:  # ordinary images
        assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))
    assert sum(p.stat().st_size for p in FASHION_MNIST.iterdir()) < 6 * 2**20


def test_embedded_is_normalised_by_the_train_split(embedded):
    pixels = embedded.splits["train"].images.double() * EMBEDDED_STD + EMBEDDED_MEAN
    assert pixels.min() > -1e-6 and pixels.max() < 1 + 1e-6
    assert pytest.approx(pixels.mean().item(), abs=5e-5) == EMBEDDED_MEAN
    assert pytest.approx(pixels.std().item(), abs=5e-5) == EMBEDDED_STD


def test_a_loader_fetches_whole_batches(embedded):
    split = embedded.splits["validation"]
    batches = list(DataLoader(split, batch_size=300, collate_fn=images.collate))
    assert [len(b["label"]) for b in batches] == [300, 300, 80]
    assert torch.equal(torch.cat([b["image"] for b in batches]), split.images)
    assert torch.equal(torch.cat([b["label"] for b in batches]), split.labels)
    assert split.images.dtype == torch.float32 and split.labels.dtype == torch.int64


def test_a_larger_embedded_size_has_three_equal_channels(embedded):
    large = images.load("embedded", image_size=56, splits=["validation"])
    assert large.channels == 3 and list(large.splits) == ["validation"]
    assert large.checksums["validation"] == embedded.checksums["validation"]
    batch = large.splits["validation"].batch([0, 1])["image"]
    assert batch.shape == (2, 3, 56, 56)
    assert torch.equal(batch[:, 0], batch[:, 2])
    small = torch.nn.functional.avg_pool2d(batch[:, :1], 2)
    assert (small - embedded.splits["validation"].images[:2]).abs().mean() < 0.2
    assert images.load("embedded", image_size=28, splits=["validation"]).channels == 1


def test_smaller_sizes_keep_the_classes_in_proportion(embedded):
    small = images.load("embedded", sizes={"train": 100})
    assert Counter(small.splits["train"].labels.tolist()) == dict.fromkeys(range(10), 10)
    assert len(small.splits["validation"]) == 680


@pytest.mark.slow
@pytest.mark.skipif(not SOURCE.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_tool_makes_the_same_files_twice(tmp_path):
    tool = [sys.executable, "tools/make_fashion_mnist.py", "--out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.Popen([*tool, tmp_path / name], cwd=ROOT, env=environment)
        for name in ("one", "two")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")
    shipped, made = (images.load("embedded", root=r) for r in (None, tmp_path / "one"))
    for split in SIZES:
        assert torch.equal(made.splits[split].images, shipped.splits[split].images)
        assert torch.equal(made.splits[split].labels, shipped.splits[split].labels)


# ---- what ships, damaged


def small_png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    return file.getvalue()


def with_row(root: Path, index: int, change) -> Path:
    """The embedded test split with another row, its checksum listed."""
    table = pq.read_table(FASHION_MNIST / "test.parquet")
    rows = table.to_pylist()
    change(rows[index])
    root.mkdir()
    pq.write_table(table.from_pylist(rows, schema=table.schema), root / "test.parquet")
    return publish(root)


@pytest.mark.parametrize("damage", [lambda png: png[:100], lambda png: small_png()])
def test_a_corrupt_embedded_image_is_named(tmp_path, damage):
    root = with_row(
        tmp_path / "x", 7, lambda row: row["image"].update(bytes=damage(row["image"]["bytes"]))
    )
    with pytest.raises(DataError, match=r"image 7 \(test/\d+.png\) of .*test.parquet is corrupt"):
        images.load("embedded", root=root, splits=["test"])


def test_a_label_without_a_class_is_found(tmp_path):
    root = with_row(tmp_path / "x", 0, lambda row: row.update(label=10))
    with pytest.raises(DataError, match="labels outside its 10 classes"):
        images.load("embedded", root=root, splits=["test"])


# ---- folders


@pytest.mark.parametrize("source", ["path", "hub"])
def test_pet_layout(pet, source):
    before = snapshot(pet)
    data = load(pet, source)
    assert data.classes == ("Abyssinian", "American Bulldog", "Egyptian Mau") and data.channels == 3
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 20, "validation": 4, "test": 6}
    # 24 × 680 / 3680 = 4.4 items, at least one of each class
    assert set(data.splits["validation"].labels.tolist()) == {0, 1, 2}
    train, validation = (set(data.splits[s].paths) for s in ("train", "validation"))
    assert not train & validation and len(train | validation) == 24
    batch = data.splits["train"].batch([0, 5])
    assert batch["image"].shape == (2, 3, 16, 16) and batch["image"].dtype == torch.float32
    assert batch["label"].dtype == torch.int64
    assert snapshot(pet) == before


def test_pet_layout_is_found_from_inside_and_by_the_default_root(pet, monkeypatch):
    outer = load(pet)
    inner = images.load("path", root=pet / "oxford-iiit-pet", cache=pet)
    assert inner.checksums == outer.checksums
    assert inner.splits["test"].batch([0])["image"].shape == (1, 3, 224, 224)
    monkeypatch.chdir(pet)
    (pet / ".idlib/data").mkdir(parents=True)
    shutil.move("oxford-iiit-pet", ".idlib/data/oxford-iiit-pet")
    assert images.load("hub").checksums == outer.checksums
    assert (pet / ".idlib/checksums.json").exists()


def test_checksums_are_of_content(pet):
    first = load(pet).checksums
    write_image(pet / "oxford-iiit-pet/images/Abyssinian_100.jpg", seed=12345)
    changed = load(pet).checksums
    assert changed["test"] != first["test"] and changed["train"] == first["train"]
    base = combined_checksum(["a", "b"], [0, 1], ["x", "y"])
    assert base != combined_checksum(["a", "c"], [0, 1], ["x", "y"])
    assert base != combined_checksum(["a", "b"], [0, 2], ["x", "y"])
    assert base != combined_checksum(["a", "b"], [0, 1], ["x", "z"])


def test_image_folder_layout(folder):
    data = load(folder)
    assert data.classes == ("cat", "dog")
    assert [len(data.splits[s]) for s in ("train", "validation", "test")] == [6, 4, 2]
    assert data.splits["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert load(folder, sizes={"train": 2}).splits["train"].labels.tolist() == [0, 1]


def test_folder_images_are_normalised_as_for_imagenet(folder):
    Image.new("L", (64, 64), 128).save(folder / "train/cat/0.png")  # grey becomes RGB
    (image,) = load(folder).splits["train"].batch([0])["image"]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = [(128 / 255 - m) / s for m, s in zip(mean, std, strict=True)]
    assert image.mean((1, 2)).tolist() == pytest.approx(expected, abs=1e-5)
    assert image.std() < 1  # constant in each channel


def test_what_is_unusual_is_said(folder):
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(folder / "train/cat/a.png")
    Image.new("RGBA", (8, 8), "red").save(folder / "train/cat/0.png")  # not transparent
    Image.new("RGBA", (8, 8), (9, 9, 9, 0)).save(folder / "test/dog/0.png")
    for _ in range(2):  # also where the files were verified before
        first, second = load(folder).report
        assert first.startswith("train: 1 of 7 images have 16 bits") and first.endswith("cat/a.png")
        assert second.startswith("test: 1 of 2 images are partly transparent")
        assert second.endswith("test/dog/0.png")


# ---- folders, damaged


@contextlib.contextmanager
def without_rights():
    """Root may read everything, so it becomes nobody for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_folders_that_cannot_be_read(tmp_path, folder):
    (tmp_path / "odd/pictures").mkdir(parents=True)
    with pytest.raises(DataError, match="oxford-iiit-pet/images.*train, validation and test.*pict"):
        load(tmp_path / "odd")
    with pytest.raises(DataError, match="nowhere does not exist; it needs either"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file cannot be read"):
        load(tmp_path / "file")
    folder.chmod(0)
    try:
        with without_rights(), pytest.raises(DataError, match="cannot be read.*permissions"):
            load(folder)
    finally:
        folder.chmod(0o755)


def test_unreadable_file(tmp_path):
    path = write_image(tmp_path / "a.png", 0)
    path.chmod(0)
    with without_rights(), pytest.raises(DataError, match="a.png cannot be read"):
        file_checksum(path)
    with pytest.raises(DataError, match="b.png cannot be read"):
        file_checksum(tmp_path / "b.png")


def test_a_corrupt_file_is_found_before_training_and_later(folder):
    (folder / "train/dog/1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="image 4, .*train/dog/1.png, is corrupt"):
        load(folder)
    data = load(folder, splits=["test"])
    (folder / "test/dog/0.png").unlink()
    with pytest.raises(DataError, match="image 1, .*test/dog/0.png, can no longer be read"):
        data.splits["test"].batch([0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test.txt lists no image"),
        ("Abyssinian_100 9 1 1\n", "classes that trainval.txt has not"),
        ("Abyssinian_100\n", "does not hold Oxford-IIIT Pet"),
        (None, "does not hold Oxford-IIIT Pet"),
        ("Abyssinian_105 1 1 1\n", "image 0, .*Abyssinian_105.jpg, cannot be read"),
    ],
)
def test_a_damaged_pet_list(pet, text, message):
    path = pet / "oxford-iiit-pet/annotations/test.txt"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=message):
        load(pet)


def test_image_folders_must_have_the_same_classes(folder):
    (folder / "test/dog").rename(folder / "test/wolf")
    with pytest.raises(DataError, match="different classes: dog, wolf"):
        load(folder)
    shutil.rmtree(folder / "validation/cat")
    (folder / "validation/cat").mkdir()
    with pytest.raises(DataError, match="validation is no folder of images by class"):
        load(folder)


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"splits": ["dev"]}, "unknown split 'dev'"), ({"image_size": 0}, "image_size is 0")],
)
def test_bad_arguments(folder, asked, message):
    with pytest.raises(DataError, match=message):
        load(folder, **asked)
