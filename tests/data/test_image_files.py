"""Image files: what their values mean, and the cache of those that were verified."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
from made_up.pictures import write_image
from PIL import Image

from idlib.data import DataError, image_files
from idlib.data.checksums import file_checksum
from idlib.data.image_files import verified_images

GREYS = np.array([[0, 255, 256, 32768], [40000, 65279, 65280, 65535]], np.uint16)
FLOATS = Image.fromarray(np.eye(4, dtype=np.float32))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "a.png", 0)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pgm"])
def test_16_bit_greys_are_scaled_by_their_range(tmp_path, cache, name):
    """As Pillow scales 16-bit colour, by the upper eight bits; clipped they would be white."""
    path = tmp_path / name
    if name == "a.pgm":
        path.write_bytes(b"P5 4 2 65535\n" + GREYS.astype(">u2").tobytes())
    else:
        Image.fromarray(GREYS).save(path)
    with Image.open(path) as image:
        pixels = np.asarray(image_files.rgb(image))
    assert np.array_equal(pixels, np.repeat(GREYS[..., None] // 256, 3, axis=2))
    assert verified_images([path], cache) == [(file_checksum(path), "16 bits")]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_of_no_known_range_are_refused_by_name(image, cache, kind):
    path = image.with_suffix(".tiff")
    Image.fromarray(np.eye(4, dtype=kind)).save(path)
    with pytest.raises(DataError, match=rf"image 1, {path}, .*: save it with 8 bits"):
        verified_images([image, path], cache)


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
        image.save(tmp_path / name, **more)
        with Image.open(tmp_path / name) as read:
            if image_files.note(read):
                transparent.add(name)
            pixels = np.asarray(image_files.rgb(read))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert np.array_equal(pixels, np.asarray(read.convert("RGB"))), name
    assert transparent == {"p.gif", "pa.png", "la.png", "rgba.png"}


# ---- the cache of what was verified


def test_verified_files_are_not_read_again(image, cache):
    (first,) = verified_images([image], cache)
    assert first == (file_checksum(image), "")
    info = image.stat()
    image.write_bytes(bytes(info.st_size))  # same size and time, other content: kept
    os.utime(image, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert verified_images([image], cache) == [first]
    os.utime(image, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    with pytest.raises(DataError, match="a.png, is corrupt"):
        verified_images([image], cache)
    assert [p.name for p in cache.iterdir()] == ["checksums.json"]


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"x": 1})])
def test_a_damaged_cache_is_made_again(image, cache, text):
    cache.mkdir()
    (cache / "checksums.json").write_text(text)
    assert verified_images([image], cache) == [(file_checksum(image), "")]
    assert list(json.loads((cache / "checksums.json").read_text())["files"]) == [str(image)]


def test_a_cache_with_another_checksum_is_not_believed(image, cache):
    store = cache / "checksums.json"
    ((checksum, _),) = verified_images([image], cache)
    store.write_text(store.read_text().replace(checksum[:8], "0" * 8))
    assert verified_images([image], cache) == [(checksum, "")]


def test_what_an_older_version_verified_is_verified_again(tmp_path, cache):
    """It took images of no known range."""
    path = tmp_path / "a.tiff"
    FLOATS.save(path)
    info = path.stat()
    cache.mkdir()
    known = {str(path): [info.st_size, info.st_mtime_ns, file_checksum(path)]}
    (cache / "checksums.json").write_text(json.dumps(known))
    with pytest.raises(DataError, match="a.tiff, has floating-point values"):
        verified_images([path], cache)


def test_a_cache_that_cannot_be_written_costs_only_time(image, tmp_path):
    (tmp_path / "file").write_text("")
    assert verified_images([image], tmp_path / "file") == [(file_checksum(image), "")]


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_corrupt_file_is_found(image, cache, damage):
    other = write_image(image.with_name("b.png"), 1)
    content = {"truncated": other.read_bytes()[:500], "text": b"no image", "empty": b""}[damage]
    other.write_bytes(content)
    with pytest.raises(DataError, match="image 1, .*b.png, is corrupt"):
        verified_images([image, other], cache)
    assert other.read_bytes() == content and not cache.exists()


def test_a_missing_file_is_named(image, cache):
    with pytest.raises(DataError, match="image 1, .*b.png, cannot be read"):
        verified_images([image, image.with_name("b.png")], cache)
