"""Tables of what every model reached, ours beside the earlier report's and the paper's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import pandas as pd

from idlib.records import Record
from idlib.report.comparisons import Runs, difference, signed
from idlib.report.names import (
    BLEU,
    CELLS,
    F1_OTHERS,
    F1_PARALLEL,
    METHOD_NAMES,
    NLL,
    SMOOTHINGS,
    STD,
    STD_NORMALIZED,
    Cell,
    Metric,
    role,
    title,
    written,
)
from idlib.report.published import NOT_STATED, PAPER_STATED, REPORT_IMAGES, REPORTED
from idlib.report.tables.cells import (
    NOTHING,
    P_ITEMS,
    PAPER,
    REPORT,
    BySeed,
    Groups,
    bounds,
    by_measure,
    grouped,
    metric,
    models_by_cell,
    published,
    summary,
)


def nll_table(records: Iterable[Record], evidence: Iterable[Record] | None = None) -> pd.DataFrame:
    """Test NLL (nats) of the image models, the earlier report's eight and those of later rounds."""
    groups = grouped(records, evidence)
    return models_by_cell(
        groups.by_label,
        _report_columns(groups),
        lambda runs, n: summary(runs, metric(NLL), n),
        {
            REPORT: lambda cell: published(REPORT_IMAGES[NLL].get(cell), ".3f"),
            PAPER: lambda cell: NOT_STATED,
        },
    )


def sensitivity_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None
) -> pd.DataFrame:
    """Balance of parameter sensitivity of the eight image models at the selected checkpoint.

    First the std × 1000, raw / normalised by each batch's loss, in the earlier report's shape;
    then two figures that do not change with the size of gradients: std/mean and Gini.
    """
    groups = grouped(records, evidence)
    columns = _report_columns(groups)
    names = (STD, STD_NORMALIZED)

    def raw_and_normalised(runs: BySeed, n: int) -> str:
        parts = [summary(runs, metric(name, 1000.0), n, "#.3g") for name in names]
        return NOTHING if parts == [NOTHING, NOTHING] else " / ".join(parts)

    def reported(cell: Cell) -> str:
        parts = [published(REPORT_IMAGES[name].get(cell), "#.3g", 1000.0) for name in names]
        return NOT_STATED if NOT_STATED in parts else " / ".join(parts)

    others = {REPORT: reported, PAPER: lambda cell: NOT_STATED}
    tables = {
        "std × 1000, raw / normalised": models_by_cell(
            groups.by_label, columns, raw_and_normalised, others
        ),
        "std / mean": models_by_cell(
            groups.by_label,
            columns,
            lambda runs, n: summary(runs, metric("sensitivity/cv"), n, ".2f"),
        ),
        "Gini coefficient": models_by_cell(
            groups.by_label, columns, lambda runs, n: summary(runs, metric("sensitivity/gini"), n)
        ),
    }
    return pd.concat(tables, names=["measure"]).fillna(NOTHING)


def calibration_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None
) -> pd.DataFrame:
    """Test NLL (nats) before and after a temperature fitted on validation, and accuracy."""
    groups = grouped(records, evidence).by_label
    found = {cell for group in groups.values() for cell in group.cells}
    cells = {cell.full_label: cell for cell in sorted(found, key=_order)}
    columns = {
        "test NLL": (metric(NLL), ".3f"),
        "temperature": (metric("calibration/temperature"), ".2f"),
        "test NLL after temperature": (metric("test/nll/calibrated"), ".3f"),
        "test accuracy, %": (metric("test/accuracy", 100.0), ".1f"),
    }
    return by_measure(groups, cells, columns)


def score_table(
    records: Iterable[Record],
    evidence: Iterable[Record] | None = None,
    metric_name: str = BLEU,
    task: str = "translation",
) -> pd.DataFrame:
    """A score of baseline and intra-distillation teachers, and their difference.

    The interval over items is the bootstrap's, of the mean over seeds (for SacreBLEU the paired
    one, with its p, which is of these trained models on other test items and says nothing of
    other seeds); the interval over seeds is Student's t. What the paper and the earlier
    report state of this score stands below. ``task`` is the records' own; it has to be named
    only where there may be none.
    """
    groups, how = grouped(records, evidence, task), written(metric_name)
    pair = tuple(Cell(method, 0, SMOOTHINGS[groups.task][0]) for method in ("id", "baseline"))
    rows: dict[str, dict[str, str]] = {}
    for name, group in groups.by_label.items():
        line = Runs(group.records, groups.task).line(difference("", *pair), metric_name, None)
        measure = metric(metric_name, how.scale)
        rows[name] = {
            **{
                METHOD_NAMES[cell.method]: summary(
                    group.cells.get(cell, {}), measure, group.n_seeds, how.form
                )
                for cell in reversed(pair)
            },
            "difference": NOTHING
            if line.interval is None
            else signed(line.interval.mean, metric_name),
            "95 % interval over items": bounds(line.items, metric_name),
            P_ITEMS: NOTHING if line.items_p is None else f"{line.items_p:.2g}",
            "95 % interval over seeds": bounds(line.interval, metric_name),
        }
    for name, table in _stated(groups.task, metric_name).items():
        stated = all(cell in table for cell in pair)
        difference_ = table[pair[0]] - table[pair[1]] if stated else None
        rows[name] = {
            **{
                METHOD_NAMES[cell.method]: published(table.get(cell), how.form, how.scale)
                for cell in reversed(pair)
            },
            "difference": NOT_STATED if difference_ is None else signed(difference_, metric_name),
            **dict.fromkeys(_INTERVALS, NOT_STATED),
        }
    made = pd.DataFrame.from_dict(rows, orient="index").rename_axis("from")
    no_p = made[P_ITEMS].isin([NOTHING, NOT_STATED]).all() and metric_name != BLEU
    return made.drop(columns=P_ITEMS) if no_p else made


_INTERVALS = ("95 % interval over items", P_ITEMS, "95 % interval over seeds")
_ROUNDS = {
    "translation": (NLL, BLEU, STD),
    "tagging": (NLL, F1_PARALLEL, STD),
    "answering": (NLL, F1_OTHERS, STD),
}


def rounds_table(
    records: Iterable[Record],
    evidence: Iterable[Record] | None = None,
    task: str = "translation",
) -> pd.DataFrame:
    """Models by round of self-distillation: test NLL, the task's score, and std of sensitivity.

    What the earlier report and the paper state stands under the score, where they state it.
    ``task`` is the records' own; it has to be named only where there may be none.
    """
    groups = grouped(records, evidence, task)
    smoothing = SMOOTHINGS[groups.task][0]
    found = {cell.round for group in groups.by_label.values() for cell in group.cells}
    columns = {
        f"round {round_} ({role(round_)})": (round_, smoothing)
        for round_ in sorted({0, 1, 2} | found)
    }
    tables = {}
    for name in _ROUNDS[groups.task]:
        how = written(name)
        others = {
            label: partial(_as_stated, table, how)
            for label, table in _stated(groups.task, name).items()
            if table
        }
        tables[title(name)] = models_by_cell(
            groups.by_label,
            columns,
            lambda runs, n, name=name, how=how: summary(runs, metric(name, how.scale), n, how.form),
            others,
        )
    shown = {label: table for label, table in tables.items() if len(table)}
    return pd.concat(shown or tables, names=["measure"])


def _stated(task: str, metric_name: str) -> dict[str, dict[Cell, float]]:
    """What the earlier report and the paper state of a metric, by cell."""
    return {
        label: by_task.get(task, {}).get(metric_name, {})
        for label, by_task in ((REPORT, REPORTED), (PAPER, PAPER_STATED))
    }


def _as_stated(table: dict[Cell, float], how: Metric, cell: Cell) -> str:
    return published(table.get(cell), how.form, how.scale)


def _report_columns(groups: Groups) -> dict[str, tuple[int, float]]:
    """The earlier report's four columns, and those of later rounds that are there."""
    found = {
        (cell.round, cell.smoothing)
        for group in groups.by_label.values()
        for cell in group.cells
        if cell.method in ("id", "baseline")
    }
    columns = sorted({*CELLS, *found}, key=lambda cell: (cell[1], cell[0]))
    return {f"s = {s:g} {role(round_)}": (round_, s) for round_, s in columns}


def _order(cell: Cell) -> tuple[int, float, int]:
    methods = list(METHOD_NAMES)
    known = methods.index(cell.method) if cell.method in methods else len(methods)
    return known, cell.smoothing, cell.round
