"""The image loaders: what ships, and tiny folders laid out as the public ones."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

from idlib.data import DataError, image_files, images
from idlib.data.checksums import combined_checksum, file_checksum
from idlib.data.image_files import verified_images
from idlib.data.sources import SPLITS
from idlib.data.splits import choose, proportional_quotas

ROOT = Path(__file__).parents[2]
SIZES = {"train": 3000, "validation": 680, "test": 3669}
SOURCE = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="module")
def embedded():
    return images.load("embedded")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def write_image(path: Path, seed: int, size=(40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pet(tmp_path):
    """Three classes in torchvision's Pet layout: 24 trainval and 6 test images."""
    root = tmp_path / "pet"
    base = root / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    breeds = ["Abyssinian", "american_bulldog", "Egyptian_Mau"]
    for split, count in (("trainval", 8), ("test", 2)):
        lines = []
        for label, breed in enumerate(breeds, 1):
            for i in range(count):
                name = f"{breed}_{i + (100 if split == 'test' else 0)}"
                write_image(base / "images" / f"{name}.jpg", seed=len(lines) + 100 * count)
                lines.append(f"{name} {label} 1 1\n")
        (base / "annotations" / f"{split}.txt").write_text("".join(lines))
    return root


@pytest.fixture
def folder(tmp_path):
    """Two classes in ImageFolder layout: 3 train, 2 validation and 1 test image in each."""
    root = tmp_path / "folder"
    for split, count in (("train", 3), ("validation", 2), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                write_image(root / split / name / f"{i}.png", seed=100 * label + 10 * count + i)
    return root


def snapshot(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


# ---- what ships


def test_embedded_has_the_sizes_of_the_pet_split_and_balanced_classes(embedded):
    assert {name: len(split) for name, split in embedded.splits.items()} == SIZES
    assert len(embedded.classes) == 10
    for split in embedded.splits.values():
        counts = Counter(split.labels.tolist())
        assert len(counts) == 10
        assert max(counts.values()) - min(counts.values()) <= 1


def test_embedded_images_occur_once(embedded):
    every = torch.cat([split.images for split in embedded.splits.values()]).flatten(1)
    assert len(torch.unique(every, dim=0)) == sum(SIZES.values())


def test_embedded_rows_name_their_origin():
    files = {"train": "train", "validation": "train", "test": "test"}
    paths = []
    for split, file in files.items():
        table = pq.read_table(images.FASHION_MNIST / f"{split}.parquet")
        names = [row["path"] for row in table["image"].to_pylist()]
        assert all(name.startswith(f"{file}/") for name in names)
        paths += names
    assert len(set(paths)) == sum(SIZES.values())


def test_embedded_is_normalised_by_the_train_split(embedded):
    train = embedded.splits["train"].images.double()
    pixels = train * images.EMBEDDED_STD + images.EMBEDDED_MEAN
    assert pixels.min() > -1e-6 and pixels.max() < 1 + 1e-6
    assert images.EMBEDDED_MEAN == pytest.approx(pixels.mean().item(), abs=5e-5)
    assert images.EMBEDDED_STD == pytest.approx(pixels.std().item(), abs=5e-5)


def test_embedded_checksums_are_those_of_the_files(embedded):
    for name, checksum in embedded.checksums.items():
        content = (images.FASHION_MNIST / f"{name}.parquet").read_bytes()
        assert checksum == hashlib.sha256(content).hexdigest()
    assert sum(p.stat().st_size for p in images.FASHION_MNIST.iterdir()) < 6 * 2**20


def test_a_loader_fetches_whole_batches(embedded):
    split = embedded.splits["validation"]
    loader = DataLoader(split, batch_size=300, collate_fn=images.collate)
    batches = list(loader)
    assert [len(b["label"]) for b in batches] == [300, 300, 80]
    assert torch.equal(torch.cat([b["image"] for b in batches]), split.images)
    part = next(iter(DataLoader(Subset(split, [3, 1]), batch_size=2, collate_fn=images.collate)))
    assert torch.equal(part["image"], split.images[[3, 1]])


def test_a_larger_embedded_size_has_three_equal_channels(embedded):
    large = images.load("embedded", image_size=56, splits=["validation"])
    assert large.channels == 3
    assert large.checksums["validation"] == embedded.checksums["validation"]
    batch = large.splits["validation"].batch([0, 1])["image"]
    assert batch.shape == (2, 3, 56, 56)
    assert torch.equal(batch[:, 0], batch[:, 2])
    small = torch.nn.functional.avg_pool2d(batch[:, :1], 2)
    assert (small - embedded.splits["validation"].images[:2]).abs().mean() < 0.2
    same = images.load("embedded", image_size=28, splits=["validation"])
    assert same.channels == 1


def test_smaller_sizes_keep_the_classes_in_proportion(embedded):
    small = images.load("embedded", sizes={"train": 100})
    assert Counter(small.splits["train"].labels.tolist()) == dict.fromkeys(range(10), 10)
    assert len(small.splits["validation"]) == 680
    assert small.checksums == embedded.checksums


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


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(images.FASHION_MNIST, tmp_path / "embedded"))


def publish(root: Path, name: str) -> None:
    """Writes CHECKSUMS for what is there now."""
    lines = (root / "CHECKSUMS").read_text().splitlines()
    new = f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}"
    (root / "CHECKSUMS").write_text(
        "\n".join(new if line.endswith(name) else line for line in lines)
    )


def test_a_changed_byte_is_found(copy):
    path = copy / "test.parquet"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    expected, found = images.load("embedded").checksums["test"], hashlib.sha256(content).hexdigest()
    before = snapshot(copy)
    with pytest.raises(DataError, match=f"test.parquet.*{expected}.*{found}.*restore it"):
        images.load("embedded", root=copy)
    assert snapshot(copy) == before


def test_a_truncated_table_with_a_matching_checksum_is_found(copy):
    path = copy / "validation.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    publish(copy, path.name)
    with pytest.raises(DataError, match="validation.parquet is no parquet table"):
        images.load("embedded", root=copy)


def rewrite(path: Path, change) -> None:
    table = pq.read_table(path)
    pq.write_table(change(table), path)
    publish(path.parent, path.name)


def small_png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("damage", [lambda png: png[:100], lambda png: small_png()])
def test_a_corrupt_embedded_image_is_named(copy, damage):
    def corrupt(table):
        rows = table["image"].to_pylist()
        rows[7]["bytes"] = damage(rows[7]["bytes"])
        return table.from_pydict({"image": rows, "label": table["label"]}, schema=table.schema)

    rewrite(copy / "train.parquet", corrupt)
    with pytest.raises(DataError, match=r"image 7 \(train/\d+.png\) of .*train.parquet is corrupt"):
        images.load("embedded", root=copy)


def test_a_label_without_a_class_is_found(copy):
    def relabel(table):
        labels = table["label"].to_pylist()
        labels[0] = 10
        return table.from_pydict({"image": table["image"], "label": labels}, schema=table.schema)

    rewrite(copy / "train.parquet", relabel)
    with pytest.raises(DataError, match="labels outside its 10 classes"):
        images.load("embedded", root=copy)


@pytest.mark.parametrize("name", ["train.parquet", "CHECKSUMS"])
def test_a_missing_embedded_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(DataError, match=f"{name}.*restore it"):
        images.load("embedded", root=copy)


def test_a_file_that_checksums_does_not_list_is_refused(copy):
    (copy / "CHECKSUMS").write_text("")
    with pytest.raises(DataError, match="listed in CHECKSUMS"):
        images.load("embedded", root=copy)


# ---- folders


@pytest.mark.parametrize("source", ["path", "hub"])
def test_pet_layout(pet, cache, source):
    before = snapshot(pet)
    data = images.load(source, root=pet, image_size=16, cache=cache)
    assert data.classes == ("Abyssinian", "American Bulldog", "Egyptian Mau")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 20,
        "validation": 4,
        "test": 6,
    }
    # 24 × 680 / 3680 = 4.4 items, at least one of each class
    assert set(data.splits["validation"].labels.tolist()) == {0, 1, 2}
    train, validation = (set(data.splits[s].paths) for s in ("train", "validation"))
    assert not train & validation and len(train | validation) == 24
    batch = data.splits["train"].batch([0, 5])
    assert batch["image"].shape == (2, 3, 16, 16) and batch["image"].dtype == torch.float32
    assert batch["label"].dtype == torch.int64
    alone = data.splits["train"].batch([5])
    assert torch.equal(batch["image"][1], alone["image"][0]) and batch["label"][1] == alone["label"]
    assert snapshot(pet) == before


def test_pet_layout_is_found_from_inside(pet, cache):
    outer = images.load("path", root=pet, cache=cache)
    inner = images.load("path", root=pet / "oxford-iiit-pet", cache=cache)
    assert inner.checksums == outer.checksums
    assert outer.splits["test"].batch([0])["image"].shape == (1, 3, 224, 224)


def test_checksums_tell_content_and_not_location(pet, tmp_path, cache):
    first = images.load("path", root=pet, cache=cache).checksums
    moved = Path(shutil.move(pet, tmp_path / "elsewhere"))
    assert images.load("path", root=moved, cache=cache).checksums == first
    write_image(moved / "oxford-iiit-pet/images/Abyssinian_100.jpg", seed=12345)
    changed = images.load("path", root=moved, cache=cache).checksums
    assert changed["test"] != first["test"] and changed["train"] == first["train"]


def test_image_folder_layout(folder, cache):
    data = images.load("path", root=folder, image_size=16, cache=cache)
    assert data.classes == ("cat", "dog")
    assert [len(data.splits[s]) for s in SPLITS] == [6, 4, 2]
    assert data.splits["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    small = images.load("path", root=folder, image_size=16, sizes={"train": 2}, cache=cache)
    assert small.splits["train"].labels.tolist() == [0, 1]
    assert small.checksums == data.checksums


def test_folder_images_are_normalised_as_for_imagenet(folder, cache):
    grey = Image.new("L", (64, 64), 128)  # grey becomes RGB
    grey.save(folder / "train/cat/0.png")
    data = images.load("path", root=folder, image_size=16, cache=cache)
    (image,) = data.splits["train"].batch([0])["image"]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = [(128 / 255 - m) / s for m, s in zip(mean, std, strict=True)]
    assert image.mean((1, 2)).tolist() == pytest.approx(expected, abs=1e-5)
    assert image.std() < 1  # constant in each channel


def saved(path: Path, image: Image.Image, **more) -> Path:
    image.save(path, **more)
    return path


GREYS = np.array([[0, 255, 256, 32768], [40000, 65279, 65280, 65535]], np.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pgm"])
def test_16_bit_greys_are_scaled_by_their_range(folder, cache, name):
    """As Pillow scales 16-bit colour, by the upper eight bits; clipped they would be white."""
    path = folder / "train/cat" / name
    if name == "a.pgm":
        path.write_bytes(b"P5 4 2 65535\n" + GREYS.astype(">u2").tobytes())
    else:
        Image.fromarray(GREYS).save(path)
    with Image.open(path) as image:
        found = np.asarray(image_files.rgb(image))
    assert np.array_equal(found, np.repeat(GREYS[..., None] // 256, 3, axis=2))
    data = images.load("path", root=folder, image_size=8, cache=cache)
    data.splits["train"].batch(range(7))
    (line,) = data.report
    assert line.startswith("train: 1 of 7 images have 16 bits") and line.endswith(f"cat/{name}")


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_of_no_known_range_are_refused_by_name(folder, cache, kind):
    path = saved(folder / "train/dog/1.tiff", Image.fromarray(np.eye(4, dtype=kind)))
    number = sorted(p.name for p in (folder / "train/dog").iterdir()).index("1.tiff") + 3
    with pytest.raises(DataError, match=rf"image {number}, {path}, .*: save it with 8 bits"):
        images.load("path", root=folder, cache=cache)


def test_eight_bits_stay_as_they_are(tmp_path):
    """Whatever the mode: as Pillow converts them, with no warning of a palette's transparency."""
    values = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    colour = Image.fromarray(values)
    palette = colour.quantize(8)
    alpha = colour.copy()
    alpha.putalpha(Image.fromarray(values[..., 0]))
    kinds = {
        "rgb.png": (colour, {}),
        "l.png": (colour.convert("L"), {}),
        "1.png": (colour.convert("1"), {}),
        "cmyk.tiff": (colour.convert("CMYK"), {}),
        "ycc.jpg": (colour, {}),
        "p.png": (palette, {}),
        "p.gif": (palette, {"transparency": 0}),
        "pa.png": (palette, {"transparency": bytes(range(0, 240, 30))}),
        "la.png": (alpha.convert("LA"), {}),
        "rgba.png": (alpha, {}),
    }
    transparent = set()
    for name, (image, more) in kinds.items():
        with Image.open(saved(tmp_path / name, image, **more)) as read:
            if image_files.note(read):
                transparent.add(name)
            found = np.asarray(image_files.rgb(read))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert np.array_equal(found, np.asarray(read.convert("RGB"))), name
    assert transparent == {"p.gif", "pa.png", "la.png", "rgba.png"}


def test_transparency_that_is_left_out_is_said(folder, cache):
    whole, partly = Image.new("RGBA", (8, 8), "red"), Image.new("RGBA", (8, 8), (9, 9, 9, 0))
    whole.save(folder / "train/cat/0.png")
    partly.save(folder / "test/dog/0.png")
    for _ in range(2):  # also where the files were verified before
        (line,) = images.load("path", root=folder, cache=cache).report
        assert line.startswith("test: 1 of 2 images are partly transparent")
        assert line.endswith("test/dog/0.png")


def test_hub_reads_a_folder_that_is_there_by_the_default_root(pet, monkeypatch):
    monkeypatch.chdir(pet)
    (pet / ".idlib/data").mkdir(parents=True)
    shutil.move("oxford-iiit-pet", ".idlib/data/oxford-iiit-pet")
    assert len(images.load("hub").splits["test"]) == 6
    assert (pet / ".idlib/checksums.json").exists()


# ---- folders, damaged


def test_neither_layout_names_both(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match="oxford-iiit-pet/images.*train, validation and test.*pict"):
        images.load("path", root=tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist; it needs either"):
        images.load("path", root=tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file cannot be read"):
        images.load("path", root=tmp_path / "file")


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


def test_unreadable_folder(folder, cache):
    folder.chmod(0)
    try:
        with without_rights(), pytest.raises(DataError, match="cannot be read.*permissions"):
            images.load("path", root=folder, cache=cache)
    finally:
        folder.chmod(0o755)


def test_unreadable_file(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, 0)
    path.chmod(0)
    with without_rights(), pytest.raises(DataError, match="a.png cannot be read"):
        file_checksum(path)
    with pytest.raises(DataError, match="b.png cannot be read"):
        file_checksum(tmp_path / "b.png")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_corrupt_file_is_found_before_training(folder, cache, damage):
    path = folder / "train/dog/1.png"
    content = {"truncated": path.read_bytes()[:500], "text": b"no image", "empty": b""}[damage]
    path.write_bytes(content)
    before = snapshot(folder)
    with pytest.raises(DataError, match="image 4, .*train/dog/1.png, is corrupt"):
        images.load("path", root=folder, cache=cache)
    assert snapshot(folder) == before and not cache.exists()


def test_a_file_that_spoils_later_is_named(folder, cache):
    data = images.load("path", root=folder, image_size=16, cache=cache)
    (folder / "test/dog/0.png").unlink()
    with pytest.raises(DataError, match="image 1, .*test/dog/0.png, can no longer be read"):
        data.splits["test"].batch([0, 1])


def test_a_missing_pet_image_is_named(pet, cache):
    (pet / "oxford-iiit-pet/images/Abyssinian_101.jpg").unlink()
    with pytest.raises(DataError, match="image 1, .*Abyssinian_101.jpg, cannot be read"):
        images.load("hub", root=pet, cache=cache)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test.txt lists no image"),
        ("Abyssinian_100 9 1 1\n", "classes that trainval.txt has not"),
        ("Abyssinian_100\n", "does not hold Oxford-IIIT Pet"),
        (None, "does not hold Oxford-IIIT Pet"),
    ],
)
def test_a_damaged_pet_list(pet, cache, text, message):
    path = pet / "oxford-iiit-pet/annotations/test.txt"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=message):
        images.load("path", root=pet, cache=cache)


def test_image_folders_must_have_the_same_classes(folder, cache):
    (folder / "test/dog").rename(folder / "test/wolf")
    with pytest.raises(DataError, match="different classes: dog, wolf"):
        images.load("path", root=folder, cache=cache)
    shutil.rmtree(folder / "validation/cat")
    (folder / "validation/cat").mkdir()
    with pytest.raises(DataError, match="validation is no folder of images by class"):
        images.load("path", root=folder, cache=cache)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "cloud"}, "unknown source 'cloud'; choose one of embedded, hub, path"),
        ({"source": "path"}, 'source "path" needs root'),
        ({"source": "embedded", "splits": ["dev"]}, "unknown split 'dev'"),
        ({"source": "embedded", "sizes": {"dev": 3}}, "unknown split 'dev'"),
        ({"source": "embedded", "sizes": {"train": 3001}}, "train has 3000 items, so 3001"),
        ({"source": "embedded", "image_size": 0}, "image_size is 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        images.load(**arguments)


# ---- checksums and splits


def test_verified_files_are_not_read_again(tmp_path, cache):
    path = tmp_path / "a.png"
    write_image(path, 0)
    (first,) = verified_images([path], cache=cache)
    assert first == (file_checksum(path), "")
    info = path.stat()
    path.write_bytes(bytes(info.st_size))  # same size and time, other content: kept
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert verified_images([path], cache=cache) == [first]
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    with pytest.raises(DataError, match="a.png, is corrupt"):
        verified_images([path], cache=cache)
    assert [p.name for p in cache.iterdir()] == ["checksums.json"]


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"x": 1})])
def test_a_damaged_cache_is_made_again(tmp_path, cache, text):
    path = tmp_path / "a.png"
    write_image(path, 0)
    cache.mkdir()
    (cache / "checksums.json").write_text(text)
    assert verified_images([path], cache=cache) == [(file_checksum(path), "")]
    assert list(json.loads((cache / "checksums.json").read_text())["files"]) == [str(path)]


def test_a_cache_with_another_checksum_is_not_believed(tmp_path, cache):
    path, store = tmp_path / "a.png", cache / "checksums.json"
    write_image(path, 0)
    ((checksum, _),) = verified_images([path], cache=cache)
    store.write_text(store.read_text().replace(checksum[:8], "0" * 8))
    assert verified_images([path], cache=cache) == [(checksum, "")]


def test_what_an_older_version_verified_is_verified_again(tmp_path, cache):
    """It took images of no known range."""
    path = saved(tmp_path / "a.tiff", Image.fromarray(np.eye(4, dtype=np.float32)))
    info = path.stat()
    cache.mkdir()
    known = {str(path): [info.st_size, info.st_mtime_ns, file_checksum(path)]}
    (cache / "checksums.json").write_text(json.dumps(known))
    with pytest.raises(DataError, match="a.tiff, has floating-point values"):
        verified_images([path], cache=cache)


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, 0)
    (tmp_path / "file").write_text("")
    assert verified_images([path], cache=tmp_path / "file") == [(file_checksum(path), "")]


def test_combined_checksum_depends_on_names_labels_and_content():
    base = combined_checksum(["a", "b"], [0, 1], ["x", "y"])
    assert base != combined_checksum(["a", "c"], [0, 1], ["x", "y"])
    assert base != combined_checksum(["a", "b"], [0, 2], ["x", "y"])
    assert base != combined_checksum(["a", "b"], [0, 1], ["x", "z"])


def test_the_pet_split_has_the_reports_sizes():
    labels = [i % 37 for i in range(3680)]
    quotas = proportional_quotas(labels, 680)
    assert sum(quotas.values()) == 680 and set(quotas.values()) == {18, 19}


def test_a_draw_depends_on_seed_and_names_only():
    names, labels = [f"n{i}" for i in range(50)], [i % 2 for i in range(50)]
    quotas = {0: 6, 1: 5}
    one = {names[i] for i in choose(names, labels, quotas, seed=1)}
    back = names[::-1], labels[::-1]
    assert one == {back[0][i] for i in choose(*back, quotas, seed=1)}
    assert one != {names[i] for i in choose(names, labels, quotas, seed=2)}
    with pytest.raises(ValueError, match="class 0 has 25 items, fewer than the 26"):
        choose(names, labels, {0: 26}, seed=1)


def test_png_bytes_are_ordinary_images():
    row = pq.read_table(images.FASHION_MNIST / "test.parquet")["image"][0].as_py()
    with Image.open(io.BytesIO(row["bytes"])) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))
