"""The committed records as one archive: the files, a table of them, a schema and a data card."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from idlib.book.all_records import RUN, runs_by_signature
from idlib.experiments.registered import Evidence, evidence
from idlib.files import replacing
from idlib.records import (
    COMMITTED_STORE,
    EVIDENCE_STORE,
    MANIFEST,
    Record,
    RecordError,
    Store,
    StoredRecord,
    path_of,
)
from idlib.report.frame import frame

BESIDE = ("protocol.yaml", "LICENSE", "CITATION.cff")  # files of the project that go with records
CARD = "README.md"


def write(out: Path, root: Path = Path(), found: Evidence | None = None) -> int:
    """Write the archive; return how many records it holds. The same records give the same bytes.

    Args:
        out: the file, replaced as a whole.
        root: of the project.
        found: the records of the protocol's runs; by default those of ``root``.

    Raises:
        RecordError: there are no records, or one of them cannot be read; the message names it.
        OSError: the file cannot be written; the message says why.
    """
    folders = [root / COMMITTED_STORE, root / EVIDENCE_STORE]
    stored = Store(folders[0], also=folders[1:]).all()
    if not stored:
        raise RecordError(f"{folders[0]} has no records: give the command in the project's folder")
    if found is None:
        found = evidence(folder=folders[1])
    newest = max(datetime.fromisoformat(one.record.origin.created) for one in stored)
    with replacing(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _files(root, stored, found):
            entry = zipfile.ZipInfo(name, newest.timetuple()[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return len(stored)


def _files(root: Path, stored: list[StoredRecord], found: Evidence) -> Iterator[tuple[str, bytes]]:
    rows = table(root, stored, found)
    yield CARD, card(rows, [one.record for one in stored]).encode()
    yield "records.csv", rows.to_csv(index=False).encode()
    yield "schema.json", (json.dumps(schema(), indent=1, ensure_ascii=False) + "\n").encode()
    for name in BESIDE:
        if (root / name).is_file():
            yield name, (root / name).read_bytes()
    others = [root / COMMITTED_STORE / MANIFEST, *(root / COMMITTED_STORE / "bench").glob("*.json")]
    for path in sorted([*(root / name for name in rows["file"]), *filter(Path.is_file, others)]):
        yield path.relative_to(root).as_posix(), path.read_bytes()


def table(root: Path, stored: list[StoredRecord], found: Evidence) -> pd.DataFrame:
    """One row for each record: where it lies, what was asked, all metrics, and where it was made.

    Args:
        root: of the project.
        stored: the records and their folders.
        found: the records of the protocol's runs.
    """
    by_signature = {one.record.signature: one for one in stored}
    rows = frame(one.record for one in stored)
    origins = [by_signature[signature].record.origin for signature in rows["signature"]]
    files = [path_of(*by_signature[s]).relative_to(root).as_posix() for s in rows["signature"]]
    runs = runs_by_signature(found)
    first = pd.DataFrame(
        {
            "file": files,
            "signature": rows["signature"],
            RUN: ["; ".join(runs.get(s, ())) for s in rows["signature"]],
        }
    )
    last = pd.DataFrame(
        [(o.device, o.commit, o.created, o.protocol) for o in origins],
        columns=["device", "commit", "created", "protocol"],
    )
    return pd.concat([first, last, rows.drop(columns="signature")], axis=1)


def schema() -> dict[str, Any]:
    """JSON Schema of a record's file."""
    described = Record.model_json_schema()
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    described["properties"]["digest"] = {
        "description": "SHA-256 of what was measured, its cost and its origin.",
        "type": "string",
    }
    return described


def card(rows: pd.DataFrame, records: list[Record]) -> str:
    """The data card, its counts filled in.

    Args:
        rows: of :func:`table`.
        records: the same records.
    """
    kinds = rows.groupby(["task", "profile", "method"]).size().rename("records").reset_index()
    made = sorted(one.origin.created for one in records)
    registered = rows["file"].str.startswith(EVIDENCE_STORE.as_posix())
    text = (resources.files("idlib.book") / "data_card.md").read_text(encoding="utf-8")
    return Template(text).substitute(
        records=len(rows),
        first=made[0][:10],
        last=made[-1][:10],
        evidence=int(registered.sum()),
        earlier=int((~registered).sum()),
        counts=kinds.to_markdown(index=False),
        devices=", ".join(sorted(set(rows["device"]))),
        versions=", ".join(sorted({one.origin.versions.get("torch", "?") for one in records})),
    )
