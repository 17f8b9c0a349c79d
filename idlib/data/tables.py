"""Tables of rows as their sources hold them: what ships, the hub's parquet, files on disk.

One split of one configuration (a language, a data set) is one table. What the columns mean is the
business of the task's module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idlib.data import checksums, hub
from idlib.data.errors import DataError
from idlib.data.sources import HUB_ROOT, Source

Row = dict[str, Any]

SUFFIXES = (".parquet", ".jsonl")  # of the tables that a user's folder may hold


@dataclass(frozen=True)
class Table:
    """The rows of one split, in the order of their source, none left out.

    Attributes:
        rows: one mapping from column to value each.
        file: what holds them, for messages.
        checksum: sha256 of the content as it was read, independent of where it lies.
        names: names of the classes, for each column that the source gives them for.
    """

    rows: list[Row]
    file: str
    checksum: str
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def place(self, index: int) -> str:
        """``file:row`` of a row, counted from 1."""
        return f"{self.file}:{index + 1}"


def read(
    source: Source, task: str, name: str, columns: Sequence[str], optional: Sequence[str] = ()
) -> Table:
    """A table of a task that is embedded, or that lies in a user's folder.

    Args:
        source: ``embedded`` or ``path``.
        task: folder of the embedded tables.
        name: path of the table without its suffix: ``en/train``.
        columns: what every row must have.
        optional: what a user's rows may lack.

    Raises:
        DataError: the table is missing, unreadable, not what was published, or lacks a column.
    """
    if source.kind == "path":
        return read_path(source.folder, name, columns)
    return read_embedded(f"{task}/{name}", [*columns, *optional], source.folder)


def read_embedded(name: str, columns: Sequence[str], folder: Path) -> Table:
    """An embedded table, ``tagging/en/train`` for one, verified against ``folder/CHECKSUMS``.

    Raises:
        DataError: if it is missing, not the one that was published, or lacks a column.
    """
    content, checksum = checksums.verified(folder, f"{name}.parquet")
    return _parquet(folder / f"{name}.parquet", content, columns, checksum)


def read_path(folder: Path, name: str, columns: Sequence[str]) -> Table:
    """The table ``name`` of a folder: ``name.parquet``, or ``name.jsonl`` with one row a line.

    Raises:
        DataError: if there is none or both, or it is unreadable or lacks a column.
    """
    there = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").exists()]
    if len(there) != 1:
        what, joined = ("both", " and ") if there else ("no", " or ")
        names = joined.join(f"{name}{suffix}" for suffix in SUFFIXES)
        raise DataError(f"{folder} has {what} {names}; it needs one of them")
    path = there[0]
    content = checksums.read(path)
    checksum = hashlib.sha256(content).hexdigest()
    if path.suffix == ".parquet":
        return _parquet(path, content, columns, checksum)
    return Table(_lines(path, content, columns), str(path), checksum)


def read_hub(
    source: Source,
    repository: str,
    revision: str,
    splits: Sequence[str],
    columns: Sequence[str],
    config: str | None = None,
) -> dict[str, Table]:
    """Splits of a data set through ``datasets``, from the hub or from a folder laid out as it.

    Args:
        source: its root is a folder that holds parquet files laid out as the hub's
            (``<config>/train/*.parquet`` or ``<config>/train*.parquet``); any other folder is where
            the download is kept. Without a root it is the one of the repository's name in
            ``.idlib/data``, if it holds them. What ``datasets`` makes from such parquet files is
            kept in the ``datasets`` folder of the source's cache.
        repository: name on the hub.
        revision: branch, tag or commit there.
        splits: which splits.
        columns: what every row must have.
        config: the data set's configuration; in a folder, the folder of that name.

    Raises:
        DataError: if it is neither there nor can be fetched, or lacks a split or a column.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError('source "hub" needs the package datasets; install it') from error
    folder = hub_folder(source, repository)
    local = _parquet_folder(folder, config)
    where = str(local or repository)
    asked: dict[str, Any] = {"name": config, "revision": revision}
    if local:
        asked = {"data_files": _split_files(local, splits)}
    cache = source.cache / "datasets" if local else source.root or HUB_ROOT
    silent = ""
    try:
        with nullcontext("") if local else hub.asked() as silent:
            loaded = datasets.load_dataset(where, cache_dir=str(cache), **asked)
    except Exception as error:  # it raises many kinds
        if local:
            advice = f"restore its files from {repository}, revision {revision}"
        else:
            where += f" ({config})" if config else ""
            advice = (
                f"where there is no network, put its parquet files (revision {revision}; "
                f"train*.parquet or train/*.parquet and so on) into {folder / (config or '')} and "
                "try again, or take the embedded data (--source embedded)"
            )
        reason = silent or " ".join(str(error).split())
        raise DataError(f"{where} cannot be loaded ({reason}); {advice}") from error
    tables = {}
    for name in splits:
        if name not in loaded:
            raise DataError(f"{where} has no split {name}; it has {', '.join(sorted(loaded))}")
        file = f"{where}/{name}" if local or not config else f"{where}/{config}/{name}"
        tables[name] = _table(loaded[name].with_format("arrow")[:], columns, file)
    return tables


def hub_folder(source: Source, repository: str) -> Path:
    """Where parquet files of a repository are looked for before the hub is asked."""
    return source.root or HUB_ROOT / repository.rpartition("/")[2]


def _parquet(path: Path, content: bytes, columns: Sequence[str], checksum: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except Exception as error:  # pyarrow raises many kinds, and some of several lines
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is no parquet table ({reason}); restore it") from error
    return _table(table, columns, str(path), checksum)


def _table(arrow: Any, columns: Sequence[str], file: str, checksum: str | None = None) -> Table:
    """A table of pyarrow as rows; without another checksum that of their content."""
    _check_columns(arrow.column_names, columns, file)
    try:
        rows = arrow.to_pylist()
    except Exception as error:  # texts that are no UTF-8, dates that Python has not
        reason = " ".join(str(error).split())
        raise DataError(f"{file} has a value that cannot be read ({reason}); mend it") from error
    checksum = checksum or checksums.content_checksum(rows)
    return Table(rows, file, checksum, _class_names(arrow.schema))


def _check_columns(there: Sequence[str], columns: Sequence[str], where: str) -> None:
    if lacking := [name for name in columns if name not in there]:
        raise DataError(
            f"{where} has no column {', '.join(lacking)}; it has {', '.join(there) or 'none'}"
        )


def _class_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """Class names by column, from the description that ``datasets`` writes into parquet."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"].items()
    except (AttributeError, KeyError, TypeError, ValueError):  # not written by it
        return {}
    names = {}
    for column, feature in features:
        inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
        own = inner.get("names") if isinstance(inner, dict) else None
        if isinstance(own, list) and all(isinstance(name, str) for name in own):
            names[column] = tuple(own)
    return names


def _lines(path: Path, content: bytes, columns: Sequence[str]) -> list[Row]:
    # Not pyarrow.json: it makes all numbers of a column one type, and 1 and 1.0 differ as labels.
    rows = []
    for number, line in enumerate(content.rstrip().splitlines(), 1):
        try:
            row = json.loads(line)
            if rb"\ud" in line.lower():  # half a character, which JSON may hold, and no text
                json.dumps(row, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
            raise DataError(f"{path}:{number} is no JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number} is no JSON object of named columns")
        _check_columns(list(row), columns, f"{path}:{number}")
        rows.append(row)
    return rows


def _parquet_folder(root: Path, config: str | None) -> Path | None:
    """The folder below ``root`` that holds parquet files laid out as the hub's, if there is one.

    Where a configuration is asked for, those of others below ``root`` are not taken for it.
    """
    shapes = ["train/*.parquet", "train*.parquet"]
    shapes += ["test/*.parquet", "test*.parquet"]  # a language that has only a test set
    if config is None:
        shapes += ["*/train/*.parquet", "*/train*.parquet"]
    for folder in (root / config, root) if config else (root,):
        if any(True for shape in shapes for _ in folder.glob(shape)):
            return folder
    return None


def _split_files(folder: Path, splits: Sequence[str]) -> dict[str, list[str]] | None:
    """The files that are named after exactly these splits, if each has some.

    Without them ``datasets`` goes by the first word of a name, and takes files of
    ``validation_matched`` and ``validation_mismatched`` for one split.
    """
    files = {}
    for split in splits:
        shapes = (f"{split}/*.parquet", f"{split}.parquet", f"{split}-*.parquet")
        paths = [path for shape in shapes for path in folder.glob(shape)]
        files[split] = sorted(path.relative_to(folder).as_posix() for path in paths)
    return files if all(files.values()) else None
