"""A user's folders of images: all of them are read, or an error names the one that cannot be."""

from __future__ import annotations

import os
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_up.anything import folder
from made_up.pictures import write_image, write_image_folder, write_pet
from PIL import Image

from idlib.data import images
from idlib.data.errors import DataError

SPLITS = ("train", "validation", "test")
ODD_NAMES = (b" ", b"a b", b"\xc3\xa4", b"\xff", b"-x", b"a\nb", b".", b"x" * 200, b"%s", b"CON")
names = st.one_of(
    st.sampled_from(ODD_NAMES),
    st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & set(b"/\x00")),
)
modes = st.sampled_from(["RGB", "L", "1", "RGBA", "LA", "P", "CMYK", "I;16", "F", "I", "YCbCr"])


def png(width: int, height: int) -> bytes:
    """The head of an image that says how large it is, and has next to nothing behind it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\x00" * 10))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def read_all(root: Path) -> images.ImageData | None:
    """The data with each image fetched, or None where there was an error that names the folder."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd files that it reads
            data = images.load("path", root=root, image_size=8, cache=root.parent / "cache")
            for split in data.splits.values():
                if len(split):
                    assert split.batch(range(len(split)))["image"].isfinite().all()
    except DataError as error:
        assert str(root) in str(error), error
        return None
    return data


@given(st.data())
def test_files_and_folders_of_any_name_are_read_or_named(data) -> None:
    with folder() as parent:
        root = parent / "images"
        made = write_image(parent / "one.png", 1, (9, 7))
        classes = data.draw(st.lists(names, min_size=1, max_size=3, unique=True))
        suffix = data.draw(st.sampled_from([b".png", b".PNG", b".jpg", b".txt", b""]))
        others = data.draw(st.lists(names, max_size=3, unique=True))
        count = {}
        for split in SPLITS:
            count[split] = len(classes)
            for name in classes:
                path = os.path.join(os.fsencode(root / split), b"c" + name)
                os.makedirs(path, exist_ok=True)
                shutil.copyfile(made, os.path.join(path, b"0.png"))
                for other in others:
                    shutil.copyfile(made, os.path.join(path, b"i" + other + suffix))
                    count[split] += bool(suffix) and suffix != b".txt"
        held = read_all(root)
        try:
            for name in [*classes, *(others if suffix else [])]:
                name.decode()
        except UnicodeDecodeError:
            return
        assert held is not None
        assert {name: len(split) for name, split in held.splits.items()} == count


@given(st.data())
def test_a_file_of_anything_is_an_image_or_named(data) -> None:
    with folder() as parent:
        root = write_image_folder(parent / "images")
        path = data.draw(st.sampled_from(sorted(root.rglob("*.png"))))
        content = path.read_bytes()
        what = data.draw(st.sampled_from(["bytes", "flip", "cut", "size", "mode", "gone"]))
        if what == "bytes":
            path.write_bytes(data.draw(st.binary(max_size=60)))
        elif what == "flip":
            place = data.draw(st.integers(0, len(content) - 1))
            changed = bytearray(content)
            changed[place] ^= data.draw(st.integers(1, 255))
            path.write_bytes(bytes(changed))
        elif what == "cut":
            path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        elif what == "size":
            sides = st.sampled_from([0, 1, 2, 5000, 60_000, 2**31 - 1])
            path.write_bytes(png(data.draw(sides), data.draw(sides)))
        elif what == "mode":
            size = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
            mode = data.draw(modes)
            image = Image.fromarray(np.zeros(size, np.uint16 if mode == "I;16" else np.uint8))
            image = image if mode == "I;16" else image.convert(mode)
            image.save(path, "TIFF")  # which takes all modes; nothing goes by the suffix
        else:
            path.unlink()
            kind = data.draw(st.sampled_from(["gone", "folder", "link", "empty class"]))
            if kind == "folder":
                path.mkdir()
            elif kind == "link":
                path.symlink_to(parent / "nowhere")
            elif kind == "empty class":
                shutil.rmtree(path.parent)
                path.parent.mkdir()
        held = read_all(root)
        if held is not None:
            there = {split: len(list((root / split).rglob("*.png"))) for split in SPLITS}
            there[path.parent.parent.name] -= path.is_dir()
            assert {name: len(split) for name, split in held.splits.items()} == there


@given(st.data())
def test_lists_of_pets_of_anything_end_in_data_or_a_named_error(data) -> None:
    with folder() as parent:
        root = write_pet(parent / "pets")
        listed = (
            root
            / "oxford-iiit-pet/annotations"
            / data.draw(st.sampled_from(["trainval.txt", "test.txt"]))
        )
        content = listed.read_bytes()
        lines = content.splitlines()
        number = data.draw(st.integers(0, len(lines) - 1))
        line = data.draw(
            st.one_of(
                st.binary(max_size=20),
                st.sampled_from(
                    [b"", b"/etc/passwd 1 1 1", b"../../x 1 1 1", b"a_1 0 1 1", b"a_1 -1 1 1"]
                    + [b"a_1 9999999999 1 1", lines[0], lines[0].split()[0], b"\xff_1 1 1 1"]
                ),
            )
        )
        every = [*lines[:number], line, *lines[number + 1 :]]
        if data.draw(st.booleans()):
            every = every[: data.draw(st.integers(0, len(every)))]
        listed.write_bytes(b"\n".join(every) + b"\n")
        held = read_all(root)
        if held is not None:
            total = sum(len(split) for split in held.splits.values())
            files = ("trainval.txt", "test.txt")
            texts = [(listed.parent / name).read_text().split("\n") for name in files]
            assert total == sum(bool(line.strip()) for text in texts for line in text)
            assert all(len(split) for split in held.splits.values())
