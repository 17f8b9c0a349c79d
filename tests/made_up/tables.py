"""Writers of tables in the forms that the loaders read, and of the checksums beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = Mapping[str, Any]


def write_table(
    path: Path, rows: Sequence[Row], names: Mapping[str, Sequence[str]] | None = None
) -> Path:
    """Rows as ``.jsonl``, one object a line, or as ``.parquet``.

    With ``names`` the classes of some columns are named in parquet as ``datasets`` names them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return path
    table = pa.Table.from_pylist(list(rows))
    if names:
        columns = zip(table.column_names, table.schema.types, strict=True)
        features = {column: _feature(kind, names.get(column)) for column, kind in columns}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path)
    return path


def _feature(kind: pa.DataType, names: Sequence[str] | None) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type, names), "_type": "List"}
    if names:
        return {"names": list(names), "_type": "ClassLabel"}
    return {"dtype": str(kind), "_type": "Value"}


def change_row(path: Path, index: int, **values: Any) -> Path:
    """Put other values into one row of a ``.jsonl`` table."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[index] |= values
    return write_table(path, rows)


def publish(root: Path) -> Path:
    """Write the checksums of all tables below ``root`` beside them."""
    paths = sorted(root.rglob("*.parquet"))
    lines = (f"{sha256(path)}  {path.relative_to(root)}\n" for path in paths)
    (root / "CHECKSUMS").write_text("".join(lines))
    return root


def sha256(path: Path) -> str:
    """Of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
