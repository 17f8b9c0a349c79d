"""Writes tables whose bytes depend on their rows and on pyarrow alone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from libreoffice_help.classification import APPLICATIONS
from libreoffice_help.entities import TAGS

_STRING = (pa.string(), {"dtype": "string", "_type": "Value"})
_FLAG = (pa.bool_(), {"dtype": "bool", "_type": "Value"})
_NUMBER = (pa.int64(), {"dtype": "int64", "_type": "Value"})
_OFFSET = (pa.int32(), {"dtype": "int32", "_type": "Value"})


def _classes(names: Sequence[str]) -> tuple[pa.DataType, dict]:
    return pa.int64(), {"names": list(names), "_type": "ClassLabel"}


def _list(field: tuple[pa.DataType, dict]) -> tuple[pa.DataType, dict]:
    return pa.list_(field[0]), {"feature": field[1], "_type": "Sequence"}


def _struct(fields: Mapping[str, tuple[pa.DataType, dict]]) -> tuple[pa.DataType, dict]:
    return (
        pa.struct([(name, kind) for name, (kind, _) in fields.items()]),
        {name: feature for name, (_, feature) in fields.items()},
    )


# Columns of each task: Arrow type, and the feature as the public data sets describe it.
COLUMNS = {
    "translation": {
        "translation": (
            _struct({"de": _STRING, "en": _STRING})[0],
            {"languages": ["de", "en"], "_type": "Translation"},
        )
    },
    "tagging": {
        "id": _STRING,
        "tokens": _list(_STRING),
        "ner_tags": _list(_classes(TAGS)),
        "spaces": _list(_FLAG),
        "parallel": _FLAG,
    },
    "answering": {
        "id": _STRING,
        "context": _STRING,
        "question": _STRING,
        "answers": _struct({"text": _list(_STRING), "answer_start": _list(_OFFSET)}),
        "parallel": _FLAG,
    },
    "application": {"sentence": _STRING, "label": _classes(APPLICATIONS), "idx": _NUMBER},
    "heading": {
        "sentence1": _STRING,
        "sentence2": _STRING,
        "label": _classes(("does not belong", "belongs")),
        "idx": _NUMBER,
    },
}


def write_table(path: Path, rows: Sequence[Mapping], task: str) -> None:
    """One parquet file in the public data sets' manner; its folder is made."""
    features = {name: feature for name, (_, feature) in COLUMNS[task].items()}
    schema = pa.schema(
        [(name, kind) for name, (kind, _) in COLUMNS[task].items()],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist(list(rows), schema=schema),
        path,
        compression="zstd",
        compression_level=19,
        row_group_size=max(1, len(rows)),
    )


def write_checksums(folder: Path) -> None:
    """``CHECKSUMS``: the sha256 of every other file of the folder, by its path in it."""
    names = [name for name in _names(folder) if name != "CHECKSUMS"]
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / "CHECKSUMS").write_text("".join(lines), encoding="utf-8")


def move_over(made: Path, out: Path) -> None:
    """Puts the files of one folder in the place of another's, each of them whole at any time."""
    names = _names(made)
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(made / name, out / name)
    for name in set(_names(out)) - set(names):
        (out / name).unlink()


def _names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)
