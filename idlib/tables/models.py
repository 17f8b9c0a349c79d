"""Tables of what every model reached, ours beside the earlier report's and the paper's."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from idlib.contrasts import Runs, difference, signed
from idlib.published import (
    BLEU,
    CELLS,
    METHOD_NAMES,
    METRICS,
    NLL,
    NOT_STATED,
    PAPER_TRANSLATION,
    REPORT_IMAGES,
    REPORT_TRANSLATION,
    SMOOTHINGS,
    STD,
    STD_NORMALIZED,
    Cell,
    role,
)
from idlib.records import Record
from idlib.tables.cells import (
    NOTHING,
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


def bleu_table(records: Iterable[Record], evidence: Iterable[Record] | None = None) -> pd.DataFrame:
    """Test SacreBLEU of baseline and intra-distillation teachers, and their difference.

    Its interval over sentences and p are the paired bootstrap's, of the mean over seeds; the
    interval over seeds is Student's t. What the paper and the earlier report state stands below.
    """
    (smoothing,) = SMOOTHINGS["translation"]
    pair = Cell("id", 0, smoothing), Cell("baseline", 0, smoothing)
    rows: dict[str, dict[str, str]] = {}
    for name, group in grouped(records, evidence).by_label.items():
        line = Runs(group.records, "translation").line(difference("", *pair), BLEU, None)
        interval = line.interval
        rows[name] = {
            **{
                METHOD_NAMES[cell.method]: summary(
                    group.cells.get(cell, {}), metric(BLEU), group.n_seeds, ".2f"
                )
                for cell in reversed(pair)
            },
            "difference": NOTHING if interval is None else signed(interval.mean, BLEU),
            "95 % interval over sentences": bounds(line.items, BLEU),
            "p over sentences": NOTHING if line.items_p is None else f"{line.items_p:.2g}",
            "95 % interval over seeds": bounds(interval, BLEU),
        }
    for name, table in ((REPORT, REPORT_TRANSLATION[BLEU]), (PAPER, PAPER_TRANSLATION[BLEU])):
        rows[name] = {
            **{METHOD_NAMES[cell.method]: f"{table[cell]:.2f}" for cell in reversed(pair)},
            "difference": signed(table[pair[0]] - table[pair[1]], BLEU),
            "95 % interval over sentences": NOT_STATED,
            "p over sentences": NOT_STATED,
            "95 % interval over seeds": NOT_STATED,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("from")


def rounds_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None
) -> pd.DataFrame:
    """Translation by round of self-distillation: test NLL, SacreBLEU, and std of sensitivity.

    The earlier report and the paper give SacreBLEU of round 0 alone, so only that has their rows.
    """
    groups = grouped(records, evidence, "translation")
    (smoothing,) = SMOOTHINGS["translation"]
    found = {cell.round for group in groups.by_label.values() for cell in group.cells}
    columns = {
        f"round {round_} ({role(round_)})": (round_, smoothing)
        for round_ in sorted({0, 1, 2} | found)
    }
    others = {
        REPORT: lambda cell: published(REPORT_TRANSLATION[BLEU].get(cell), ".2f"),
        PAPER: lambda cell: published(PAPER_TRANSLATION[BLEU].get(cell), ".2f"),
    }
    tables = {}
    for name, label in ((NLL, "test NLL, nats"), (BLEU, "SacreBLEU"), (STD, "std × 1000")):
        how = METRICS[name]
        tables[label] = models_by_cell(
            groups.by_label,
            columns,
            lambda runs, n, name=name, how=how: summary(runs, metric(name, how.scale), n, how.form),
            others if name == BLEU else None,
        )
    return pd.concat(
        {label: table for label, table in tables.items() if len(table)}, names=["measure"]
    )


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
