"""Image files: what their values mean, and proof, before anything is trained, that all can be read.

Models take eight bits of red, green and blue, whatever a file holds.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from idlib.data import checksums
from idlib.data.errors import DataError
from idlib.files import digest_of, replacing

NOTES = {  # what a user may not expect of an image, by name
    "16 bits": "have 16 bits, of which the upper eight count (white is 65,535)",
    "transparent": "are partly transparent, which is left out: the colours beneath count",
}
"""What a note means, as it is said of images."""


class UnknownRange(ValueError):
    """An image whose values do not say what is black and what is white."""


class Verified(NamedTuple):
    """The sha256 of an image file, and a name of :data:`NOTES` or ``""``."""

    checksum: str
    note: str


def rgb(image: Image.Image) -> Image.Image:
    """An image as RGB.

    Of 16-bit grey values the upper eight bits count, as Pillow takes those of 16-bit colour
    (converting them itself it would clip at 255). Transparency is left out, as torchvision's
    folders of images do. All other modes are Pillow's own conversion.

    Raises:
        UnknownRange: floating-point or 32-bit values.

    >>> grey = Image.fromarray(np.array([[0, 255, 32768, 65535]], np.uint16))
    >>> np.asarray(rgb(grey))[0, :, 0].tolist()
    [0, 0, 128, 255]
    """
    if _has_16_bits(image):
        upper = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(upper.astype(np.uint8))
    if image.mode in ("F", "I"):
        kind = "floating-point" if image.mode == "F" else "32-bit"
        raise UnknownRange(
            f"has {kind} values, of which nothing says what is black and what is white: save it "
            "with 8 bits a channel, or as grey of 16 bits"
        )
    if image.mode == "P" and "transparency" in image.info:  # else Pillow warns of each
        image = image.convert("RGBA")
    return image.convert("RGB")


def note(image: Image.Image) -> str:
    """The name in ``NOTES`` of what is unusual about an image that :func:`rgb` takes, or ``""``."""
    if _has_16_bits(image):
        return "16 bits"
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        return "transparent" if alpha.min() < 255 else ""
    return ""


def verified_images(paths: Sequence[Path], cache: Path) -> list[Verified]:
    """The sha256 of each image file, all of them decoded once to prove that they can be used.

    What was verified is kept in ``cache/checksums.json`` by size and time of change, so that the
    next call reads only files that are new or changed.

    Raises:
        DataError: at a file that is missing, unreadable, no whole image, or one whose values do
            not say what is black; the message names it and its index in ``paths``.
    """
    store = cache / "checksums.json"
    known = _load_cache(store)
    stamps = [_stamp(path, i) for i, path in enumerate(paths)]
    keys = [os.path.abspath(path) for path in paths]
    new = [i for i, key in enumerate(keys) if known.get(key, [])[:2] != stamps[i]]
    if new:
        verified = {}
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            results = pool.map(lambda i: _verify(paths[i], i), new)
            hidden = None if len(new) > 100 else True
            bar = tqdm(
                results, "verifying images", len(new), unit="file", leave=False, disable=hidden
            )
            try:
                for i, result in zip(new, bar, strict=True):
                    verified[keys[i]] = [*stamps[i], *result]
            except DataError:
                pool.shutdown(cancel_futures=True)
                raise
        known = _load_cache(store) | verified  # another process may have written meanwhile
        _save_cache(store, known)
    return [Verified(*known[key][2:]) for key in keys]


def _has_16_bits(image: Image.Image) -> bool:
    # Older versions of Pillow open 16-bit PNG with mode I, and all do so with PGM.
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def _verify(path: Path, index: int) -> Verified:
    content = checksums.read(path)
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.mode not in ("RGB", "L"):  # those are taken as they are
                rgb(image)
            return Verified(hashlib.sha256(content).hexdigest(), note(image))
    except UnknownRange as error:
        raise DataError(f"image {index}, {path}, {error}") from error
    except Exception as error:  # decoders raise many kinds
        raise DataError(
            f"image {index}, {path}, is corrupt, or of a kind that cannot be read ({error}); "
            "replace this file with a whole copy"
        ) from error


def _stamp(path: Path, index: int) -> list[int]:
    """Size in bytes and time of change in nanoseconds."""
    try:
        info = path.stat()
    except OSError as error:
        raise DataError(
            f"image {index}, {path}, cannot be read ({error.strerror}); restore the file, "
            "or remove the folder and let it be made again"
        ) from error
    return [info.st_size, info.st_mtime_ns]


def _load_cache(store: Path) -> dict[str, list[Any]]:
    """What was verified, by path; nothing where the cache is not what was written."""
    try:
        known = json.loads(store.read_text())
        return known["files"] if known["sha256"] == digest_of(known["files"]) else {}
    except (OSError, ValueError, TypeError, KeyError):  # the files are verified again
        return {}


def _save_cache(store: Path, known: dict[str, list[Any]]) -> None:
    with suppress(OSError), replacing(store) as temporary:  # else the next call verifies again
        text = json.dumps({"sha256": digest_of(known), "files": known}, indent=0, sort_keys=True)
        temporary.write_text(text)
