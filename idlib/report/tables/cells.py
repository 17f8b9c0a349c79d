"""What tables are made of: records grouped by where they come from, and numbers as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from idlib.records import Record
from idlib.report.comparisons import by_cell, signed, task_of
from idlib.report.names import METHOD_NAMES, Cell
from idlib.report.published import NOT_STATED
from idlib.report.statistics import Interval

NOTHING = "–"
BUILD, EVIDENCE, REPORT, PAPER = "this build", "recorded evidence", "earlier report", "paper"
# A small p over the items of a test set says nothing of models of another seed.
P_SEEDS, P_ITEMS = "p over seeds", "p over items, of these models alone"
ONE_DATASET = "the data set"  # where a folder holds one, and nobody named it

Measure = Callable[[Record], "float | None"]
BySeed = Mapping[int, Record]


class Group(NamedTuple):
    """Records of one origin by cell, and how many seeds they have in all."""

    cells: dict[Cell, dict[int, Record]]
    n_seeds: int

    @property
    def records(self) -> list[Record]:
        """All of them."""
        return [record for runs in self.cells.values() for record in runs.values()]


class Groups(NamedTuple):
    """The task of a table's records (``default`` without any), and their groups by label."""

    task: str
    by_label: dict[str, Group]


def grouped(
    records: Iterable[Record], evidence: Iterable[Record] | None, default: str = "images"
) -> Groups:
    """Records by source of the row and cell, the source labelled with profile and seeds.

    Raises:
        ValueError: records of several tasks, or two for one cell and seed.
    """
    given = {BUILD: list(records), EVIDENCE: list(evidence or ())}
    task = task_of([record for part in given.values() for record in part])
    groups: dict[str, Group] = {}
    for name, part in given.items():
        if part:
            n = len({r.asked.seed for r in part})
            profiles = ", ".join(sorted({r.asked.profile for r in part}))
            label = f"{name} ({profiles}, {n} seed{'' if n == 1 else 's'})"
            groups[label] = Group(by_cell(part), n)
    return Groups(task or default, groups)


def by_dataset(
    records: Iterable[Record], evidence: Iterable[Record]
) -> dict[str, tuple[list[Record], list[Record]]]:
    """The records of a build and those of the evidence, by the name of their data set."""
    found: dict[str, tuple[list[Record], list[Record]]] = {}
    for place, part in enumerate((records, evidence)):
        for record in part:
            name = record.asked.settings.get("dataset") or ONE_DATASET
            found.setdefault(name, ([], []))[place].append(record)
    return dict(sorted(found.items()))


def models_by_cell(
    groups: Mapping[str, Group],
    columns: Mapping[str, tuple[int, float]],
    ours: Callable[[BySeed, int], str],
    reported: Mapping[str, Callable[[Cell], str]] | None = None,
) -> pd.DataFrame:
    """Rows {intra-distillation, baseline} × source, a column for each (round, smoothing).

    Args:
        groups: our rows.
        columns: round and smoothing by the column's label.
        ours: text of a cell's runs, given the number of seeds of its row.
        reported: further rows by their label: text of a cell in others' tables.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for method in ("id", "baseline"):
        cells = {label: Cell(method, *where) for label, where in columns.items()}
        for name, group in groups.items():
            rows[METHOD_NAMES[method], name] = {
                label: ours(group.cells.get(cell, {}), group.n_seeds)
                for label, cell in cells.items()
            }
        for name, text in (reported or {}).items():
            rows[METHOD_NAMES[method], name] = {label: text(c) for label, c in cells.items()}
    return indexed(rows)


def by_measure(
    groups: Mapping[str, Group],
    cells: Mapping[str, Cell],
    columns: Mapping[str, tuple[Measure, str]],
) -> pd.DataFrame:
    """Rows cell × source, columns measures; rows that hold nothing are left out."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for label, cell in cells.items():
        for name, group in groups.items():
            if runs := group.cells.get(cell):
                rows[label, name] = {
                    column: summary(runs, measure, group.n_seeds, form)
                    for column, (measure, form) in columns.items()
                }
    return indexed(rows, columns=list(columns))


def indexed(
    rows: Mapping[tuple[str, str], dict[str, str]],
    names: tuple[str, str] = ("model", "from"),
    columns: list[str] | None = None,
) -> pd.DataFrame:
    """A table of these rows; without any it is empty, with the columns where they are named."""
    index = pd.MultiIndex.from_tuples(list(rows) or [("", "")], names=names)
    table = pd.DataFrame(list(rows.values()) or [{}], index=index, columns=columns)
    return table if rows else table.iloc[:0]


def metric(name: str, scale: float = 1.0) -> Measure:
    """The measure of a metric, times ``scale``; ``None`` where a record lacks it."""

    def measure(record: Record) -> float | None:
        value = record.measured.metrics.get(name)
        return None if value is None else scale * value

    return measure


def summary(runs: BySeed, measure: Measure, n_seeds: int, form: str = ".3f") -> str:
    """Mean ± standard deviation over seeds; the number alone where there is one."""
    values = [v for v in (measure(runs[seed]) for seed in sorted(runs)) if v is not None]
    if not values:
        return NOTHING
    text = f"{np.mean(values):{form}}"
    if len(values) > 1:
        decimals = len(text.partition(".")[2])
        text += f" ± {np.std(values, ddof=1):{form if 'e' in text else f',.{decimals}f'}}"
    return text if len(values) == n_seeds else f"{text} (n = {len(values)})"


def published(value: float | None, form: str, scale: float = 1.0) -> str:
    """Somebody's figure as text, or that it is not stated."""
    return NOT_STATED if value is None else f"{scale * value:{form}}"


def bounds(interval: Interval | None, name: str) -> str:
    """The bounds of an interval of differences in a metric."""
    if interval is None or not interval.bounded:
        return NOTHING
    return f"{signed(interval.low, name)} to {signed(interval.high, name)}"


def ratio(value: float, base: float | None) -> str:
    """``value / base`` as text."""
    return f"{value / base:.2f}" if base else NOTHING
