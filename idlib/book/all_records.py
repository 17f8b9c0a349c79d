"""What the page of all records shows: one row for each, which leads to the record itself."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from idlib.experiments.registered import Evidence
from idlib.records import COMMITTED_STORE, EVIDENCE_STORE, WORKING_STORE, Store
from idlib.report.frame import frame
from idlib.report.links import run_name

COLUMNS = ("signature", "task", "method", "round", "smoothing", "seed", "profile", "source")
FOUND = {WORKING_STORE: "made here", COMMITTED_STORE: "earlier", EVIDENCE_STORE: "evidence"}
RUN = "registered as"  # by this name the page's script finds the column
FILES = "records"  # folder of the files beside the page; the extension record_links fills it


def records(store: Store, found: Evidence) -> pd.DataFrame:
    """All records of a store, the runs that each answers, and the folder that it was found in.

    Args:
        store: where to look.
        found: the records of the protocol's runs.
    """
    runs = runs_by_signature(found)
    stored = store.all()
    where = {one.record.signature: FOUND.get(one.where, str(one.where)) for one in stored}
    table = frame(one.record for one in stored).reindex(columns=[*COLUMNS])
    signatures = table["signature"]
    registered = signatures.map(lambda one: "; ".join(runs.get(one, ())))
    return table.assign(**{RUN: registered, "from": signatures.map(where)})


def runs_by_signature(found: Evidence) -> dict[str, list[str]]:
    """The registered runs that each record answers, by its signature."""
    runs: dict[str, list[str]] = {}
    for study, cells in found.records.items():
        for cell, by_seed in cells.items():
            for record in by_seed.values():
                runs.setdefault(record.signature, []).append(run_name(study, cell))
    return runs


def shown(table: pd.DataFrame) -> Styler:
    """The table for the page: the signature leads to the file, which the book copies."""

    def linked(signature: object) -> str:
        text = escape(str(signature))
        return f'<a href="{FILES}/{text}.json">{text}</a>'

    formats: dict[Any, str | Callable[[object], str] | None] = {
        "signature": linked,
        "smoothing": "{:g}",
    }
    style = table.style.hide(axis="index").set_table_attributes('class="records-table"')
    return style.format(formats, escape="html")
