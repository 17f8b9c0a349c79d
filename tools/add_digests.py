"""Add the digest to records that were written before records had one.

    python tools/add_digests.py records

Nothing else in a record changes: its signature is checked first, and of a record that has a digest
already nothing is touched. What the digest then protects is what stood in the file at this moment;
that it was so since the run rests on the history of the repository.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from idlib.records import Record, Store, paths


def add_digests(folder: Path) -> list[Path]:
    """Rewrite the records of ``folder`` that have no digest, and return their paths."""
    rewritten, store = [], Store(folder, also=())
    for path in paths(folder):
        payload = json.loads(path.read_text(encoding="utf-8"))
        if "digest" in payload:
            continue
        record = Record.model_validate(payload)
        if record.signature != record.asked.signature:
            raise SystemExit(f"{path}: its signature is not that of what it says was asked")
        rewritten.append(store.save(record))
    return rewritten


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: a digest was added to {len(add_digests(Path(name)))} records")
