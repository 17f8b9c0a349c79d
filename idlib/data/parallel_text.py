"""Sentence pairs as their sources hold them: parquet tables, aligned text files, or the hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from idlib.data import rows
from idlib.data.errors import DataError

LANGUAGES = ("de", "en")  # source, target
SPELLINGS = {  # of a split in the names of text files
    "train": ("train",),
    "validation": ("validation", "valid", "dev"),
    "test": ("test",),
}

HUB = "bbaaaa/iwslt14-de-en-preprocess"
HUB_REVISION = "refs/convert/parquet"  # the repository itself holds a script, which no longer loads

# What Unicode takes for the end of a line: inside a text it would break files of one text a line.
_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


@dataclass(frozen=True)
class ParallelText:
    """The pairs of one split, in the order of their source, none left out.

    Attributes:
        sources: texts of one line each; empty where the source has none.
        targets: their translations.
        files: names of what holds the sources and the targets.
        checksum: sha256 of the content as it was read, independent of where it lies.
    """

    sources: list[str]
    targets: list[str]
    files: tuple[str, str]
    checksum: str

    def place(self, index: int, side: int) -> str:
        """``file:line`` of a text (``side`` 0 is the source, 1 the target), counted from 1.

        In a table it is the row.
        """
        return f"{self.files[side]}:{index + 1}"


def read_embedded(root: Path, names: Sequence[str]) -> dict[str, ParallelText]:
    """Splits of the embedded pairs, their files verified against ``root/CHECKSUMS``.

    Raises:
        DataError: if a file is missing, not the one that was published, or no table of pairs.
    """
    found = {}
    for name in names:
        table = rows.read_embedded(f"translation/{name}", ["translation"], root)
        found[name] = ParallelText(*_pairs(table), (table.file,) * 2, table.checksum)
    return found


def read_hub(root: Path | None, names: Sequence[str], cache: Path) -> dict[str, ParallelText]:
    """Splits of IWSLT'14 German-English (160,239, 7,283 and 6,750 pairs) through ``datasets``.

    Args:
        root: a folder that holds parquet files laid out as the hub's (``de-en/train/0000.parquet``
            or ``train/0000.parquet``); any other folder is where the download is kept.
        names: which splits.
        cache: what ``datasets`` makes from such parquet files is kept in ``cache/datasets``.

    Raises:
        DataError: if it can be neither found nor fetched, or lacks a split or the schema.
    """
    loaded = rows.read_hub(HUB, HUB_REVISION, names, ["translation"], root=root, cache=cache)
    found = {}
    for name, table in loaded.items():
        pairs = _pairs(table)
        checksum = rows.content_checksum(list(zip(*pairs, strict=True)))
        found[name] = ParallelText(*pairs, (table.file,) * 2, checksum)
    return found


def read_path(root: Path, names: Sequence[str]) -> dict[str, ParallelText]:
    """Splits of a folder of aligned text files (UTF-8): lines of one number translate each other.

    A line ends with a line feed and nothing else, so that no other character can shift the rest.

    Raises:
        DataError: if a file is missing or unreadable, is no UTF-8 (the line is named), or source
            and target have different numbers of lines.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder; it should hold train.de, train.en and so on")
    found = {}
    for name in names:
        paths = [_text_file(root, name, language) for language in LANGUAGES]
        if paths[0].stem != paths[1].stem:
            raise DataError(f"{paths[0]} and {paths[1]} have different names; which do belong?")
        contents = [_read(path) for path in paths]
        lines = [_lines(path, content) for path, content in zip(paths, contents, strict=True)]
        if len(lines[0]) != len(lines[1]):
            raise DataError(
                f"{paths[0]} has {len(lines[0])} lines and {paths[1]} has {len(lines[1])}, so "
                "which translates which is unknown; mend the files"
            )
        sums = "".join(hashlib.sha256(content).hexdigest() for content in contents)
        checksum = hashlib.sha256(sums.encode()).hexdigest()
        found[name] = ParallelText(*lines, (str(paths[0]), str(paths[1])), checksum)
    return found


def _one_line(text: str | None) -> str:
    return _BREAKS.sub(" ", text or "").strip()


def _pairs(table: rows.Table) -> tuple[list[str], list[str]]:
    try:
        found = [row["translation"] for row in table.rows]
        sources, targets = ([_one_line(pair[side]) for pair in found] for side in LANGUAGES)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{table.file} has no column translation of texts de and en ({error})"
        ) from error
    return sources, targets


def _text_file(root: Path, name: str, language: str) -> Path:
    paths = [root / f"{stem}.{language}" for stem in SPELLINGS[name]]
    there = [path for path in paths if path.exists()]
    if not there:
        names = " or ".join(path.name for path in paths)
        raise DataError(f"{root} has no {names}, the {language} side of split {name}")
    if len(there) > 1:
        names = " and ".join(path.name for path in there)
        raise DataError(f"{root} has {names}; keep one of them as split {name}")
    return there[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error


def _lines(path: Path, content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line} is no UTF-8 (byte {content[error.start]:#04x}: {error.reason}); "
            "convert the file to UTF-8"
        ) from error
    lines = text.split("\n")
    if lines[-1] == "":  # after the last line feed, or in an empty file
        lines.pop()
    return [_one_line(line) for line in lines]
