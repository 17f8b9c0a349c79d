"""Checksums that identify data by content, wherever it lies, and files verified by them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from idlib import files
from idlib.data.errors import DataError

RESTORE = "restore it from the repository or install the package again"


def read(path: Path, remedy: str = "restore it, or mend its permissions") -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it is missing or unreadable; the message ends with the remedy.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); {remedy}") from error


def published(folder: Path) -> dict[str, str]:
    """The sha256 of each file that ``folder/CHECKSUMS`` lists, by its path in the folder.

    Raises:
        DataError: if the list is missing or unreadable.
    """
    path = folder / "CHECKSUMS"
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return {name: checksum for checksum, name in (line.split() for line in lines)}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is missing or unreadable ({error}); {RESTORE}") from error


def verified(folder: Path, name: str) -> tuple[bytes, str]:
    """The bytes of ``folder/name`` and their sha256, which is the one that CHECKSUMS lists.

    Raises:
        DataError: the file is missing or unreadable, or its sha256 another; both are named.
    """
    path, expected = folder / name, published(folder).get(name, "listed in CHECKSUMS")
    content = read(path, RESTORE)
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != expected:
        raise DataError(
            f"{path} is not the file that was published: its sha256 should be {expected} and is "
            f"{checksum}; {RESTORE}"
        )
    return content, checksum


def file_checksum(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal.

    Raises:
        DataError: if the file is missing or unreadable.
    """
    try:
        return files.sha256(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); restore it, or mend its permissions"
        ) from error


def combined_checksum(names: Sequence[str], labels: Sequence[int], files: Sequence[str]) -> str:
    """One sha256 of many files: of their sorted relative names, labels and checksums.

    >>> combined_checksum(["a", "b"], [0, 1], ["x", "y"]) == combined_checksum(
    ...     ["b", "a"], [1, 0], ["y", "x"])
    True
    """
    lines = sorted(f"{n}\t{y}\t{f}\n" for n, y, f in zip(names, labels, files, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def content_checksum(rows: Sequence[Any]) -> str:
    """One sha256 of the values of rows, whatever file holds them."""
    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
