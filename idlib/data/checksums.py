"""Checksums that identify data by content, wherever it lies."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm.auto import tqdm

from idlib.data import pixels
from idlib.data.errors import DataError
from idlib.files import replacing

CACHE = Path(".idlib")


class Verified(NamedTuple):
    """The sha256 of an image file, and a name of :data:`idlib.data.pixels.NOTES` or ``""``."""

    checksum: str
    note: str


def file_checksum(path: str | Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal.

    Raises:
        DataError: if the file is missing or unreadable.
    """
    return hashlib.sha256(_read(Path(path))).hexdigest()


def combined_checksum(names: Sequence[str], labels: Sequence[int], files: Sequence[str]) -> str:
    """One sha256 of many files: of their sorted relative names, labels and checksums.

    >>> combined_checksum(["a", "b"], [0, 1], ["x", "y"]) == combined_checksum(
    ...     ["b", "a"], [1, 0], ["y", "x"])
    True
    """
    lines = sorted(f"{n}\t{y}\t{f}\n" for n, y, f in zip(names, labels, files, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verified_images(paths: Sequence[Path], *, cache: Path = CACHE) -> list[Verified]:
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
    fresh = [
        i
        for i, (key, stamp) in enumerate(zip(keys, stamps, strict=True))
        if known.get(key, [])[:2] != stamp
    ]
    if fresh:
        found = {}
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            sums = pool.map(lambda i: _verify(paths[i], i), fresh)
            bar = tqdm(
                zip(fresh, sums, strict=True),
                total=len(fresh),
                desc="verifying images",
                unit="file",
                leave=False,
                disable=None if len(fresh) > 100 else True,
            )
            try:
                for i, verified in bar:
                    found[keys[i]] = [*stamps[i], *verified]
            except DataError:
                pool.shutdown(cancel_futures=True)
                raise
        known = _load_cache(store) | found  # another process may have written meanwhile
        _save_cache(store, known)
    return [Verified(*known[key][2:]) for key in keys]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is missing; restore it, or choose another source") from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); mend its permissions"
        ) from error


def _verify(path: Path, index: int) -> Verified:
    content = _read(path)
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.mode not in ("RGB", "L"):  # those are taken as they are
                pixels.rgb(image)
            note = pixels.note(image)
    except pixels.UnknownRange as error:
        raise DataError(f"image {index}, {path}, {error}") from error
    except Exception as error:  # decoders raise many kinds
        raise DataError(
            f"image {index}, {path}, is corrupt, or of a kind that cannot be read ({error}); "
            "replace this file with a whole copy"
        ) from error
    return Verified(hashlib.sha256(content).hexdigest(), note)


def _stamp(path: Path, index: int) -> list[int]:
    try:
        info = path.stat()
    except OSError as error:
        raise DataError(
            f"image {index}, {path}, cannot be read ({error.strerror}); restore the file, "
            "or remove the folder and let it be made again"
        ) from error
    return [info.st_size, info.st_mtime_ns]


def _load_cache(store: Path) -> dict[str, list]:
    """What was verified, by path; nothing where the cache is not what was written."""
    try:
        known = json.loads(store.read_text())
        return known["files"] if known["sha256"] == _digest(known["files"]) else {}
    except (OSError, ValueError, TypeError, KeyError):  # the files are verified again
        return {}


def _save_cache(store: Path, known: dict[str, list]) -> None:
    with suppress(OSError), replacing(store) as temporary:  # else the next call verifies again
        text = json.dumps({"sha256": _digest(known), "files": known}, indent=0, sort_keys=True)
        temporary.write_text(text)


def _digest(known: dict[str, list]) -> str:
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
