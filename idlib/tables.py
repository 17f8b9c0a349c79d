"""Records as tables: one tidy frame, and the tables of the report, ours beside the earlier ones.

Tables for reading hold text: a mean with its standard deviation over seeds, or the one number
where there is one seed. The label of a row says how many seeds it has; a cell says so only where
it has fewer. ``evidence`` are committed records of a longer profile, shown beside this build's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from idlib.claims import Verdict, by_cell, signed
from idlib.published import (
    CELLS,
    METHOD_NAMES,
    NLL,
    NOT_STATED,
    REPORT_IMAGES,
    REPORT_IMAGES_GPU_GB,
    REPORT_IMAGES_SECONDS,
    STD,
    STD_NORMALIZED,
    Cell,
    role,
    title,
)
from idlib.records import Record
from idlib.statistics import Interval

NOTHING = "–"
LAYERS = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
BUILD, EVIDENCE, REPORT, PAPER = "this build", "recorded evidence", "earlier report", "paper"
ASKED = ("signature", "task", "method", "profile", "source", "seed", "round", "smoothing")
COST = ("seconds", "peak_memory_mb")

_Measure = Callable[[Record], "float | None"]
_Runs = Mapping[int, Record]  # by seed


class _Group(NamedTuple):
    cells: dict[Cell, dict[int, Record]]
    n_seeds: int


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """All records as one tidy frame: what was asked, every metric, seconds and peak megabytes.

    Rows are sorted by what was asked, so the order of the records does not matter.
    """
    rows = [
        {
            **{name: getattr(r.asked, name) for name in ASKED[1:6]},
            "signature": r.signature,
            "round": r.asked.settings.get("round", 0),
            "smoothing": r.asked.settings.get("smoothing", 0.0),
            "seconds": r.cost.seconds,
            "peak_memory_mb": r.cost.peak_memory_bytes / 1e6,
            **r.measured.metrics,
        }
        for r in records
    ]
    metrics = sorted({name for row in rows for name in row} - {*ASKED, *COST})
    table = pd.DataFrame(rows, columns=[*ASKED, *COST, *metrics])
    return table.sort_values([*ASKED[1:], "signature"]).reset_index(drop=True)


def nll_table(records: Iterable[Record], evidence: Iterable[Record] | None = None) -> pd.DataFrame:
    """Test NLL (nats) of the eight models in the earlier report's shape, and of later rounds."""
    return _model_table(
        _groups(records, evidence),
        lambda runs, n: _summary(runs, _metric(NLL), n),
        lambda cell: _report(cell, NLL, "{:.3f}"),
    )


def sensitivity_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None
) -> pd.DataFrame:
    """Balance of parameter sensitivity of the eight models at the selected checkpoint.

    First the std × 1000, raw / normalised by each batch's loss, in the earlier report's shape;
    then two figures that do not change with the size of gradients: std/mean and Gini.
    """
    groups = _groups(records, evidence)

    def raw_and_normalised(runs: _Runs, n: int) -> str:
        parts = [_summary(runs, _metric(name, 1000.0), n, "#.3g") for name in (STD, STD_NORMALIZED)]
        return NOTHING if parts == [NOTHING, NOTHING] else " / ".join(parts)

    def reported(cell: Cell) -> str:
        parts = [_report(cell, name, "{:#.3g}", 1000.0) for name in (STD, STD_NORMALIZED)]
        return NOT_STATED if NOT_STATED in parts else " / ".join(parts)

    tables = {
        "std × 1000, raw / normalised": _model_table(groups, raw_and_normalised, reported),
        "std / mean": _model_table(
            groups, lambda runs, n: _summary(runs, _metric("sensitivity/cv"), n, ".2f")
        ),
        "Gini coefficient": _model_table(
            groups, lambda runs, n: _summary(runs, _metric("sensitivity/gini"), n)
        ),
    }
    return pd.concat(tables, names=["measure"]).fillna(NOTHING)


def controls_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None
) -> pd.DataFrame:
    """The four methods as teachers without smoothing: what the divergence adds to its parts."""
    cells = {METHOD_NAMES[method]: Cell(method, 0, 0.0) for method in METHOD_NAMES}
    columns = {
        "test NLL": (_metric(NLL), ".3f"),
        "test accuracy, %": (_metric("test/accuracy", 100.0), ".1f"),
        "test NLL after temperature": (_metric("test/nll/calibrated"), ".3f"),
        "sensitivity std × 1000": (_metric(STD, 1000.0), "#.3g"),
        "sensitivity std / mean": (_metric("sensitivity/cv"), ".2f"),
    }
    return _cell_table(_groups(records, evidence), cells, columns)


def calibration_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None
) -> pd.DataFrame:
    """Test NLL (nats) before and after a temperature fitted on validation, and accuracy."""
    groups = _groups(records, evidence)
    found = {cell for group in groups.values() for cell in group.cells}
    cells = {cell.full_label: cell for cell in sorted(found, key=_order)}
    columns = {
        "test NLL": (_metric(NLL), ".3f"),
        "temperature": (_metric("calibration/temperature"), ".2f"),
        "test NLL after temperature": (_metric("test/nll/calibrated"), ".3f"),
        "test accuracy, %": (_metric("test/accuracy", 100.0), ".1f"),
    }
    return _cell_table(groups, cells, columns)


def cost_table(records: Iterable[Record], evidence: Iterable[Record] | None = None) -> pd.DataFrame:
    """Seconds and peak memory of a run by method, beside the earlier report's (on one T4).

    Medians over the teachers and students of a method, since wall seconds also count what else the
    machine did; "× baseline" is the ratio of medians.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, group in _groups(records, evidence).items():
        by_method: dict[str, list[Record]] = {}
        for cell, runs in group.cells.items():
            by_method.setdefault(cell.method, []).extend(runs.values())
        medians = {m: float(np.median([_seconds(r) for r in rs])) for m, rs in by_method.items()}
        for method, runs in by_method.items():
            megabytes = max(r.cost.peak_memory_bytes for r in runs) / 1e6
            rows[METHOD_NAMES.get(method, method), name] = {
                "runs": str(len(runs)),
                "seconds a run": f"{medians[method]:,.0f}",
                "× baseline": _ratio(medians[method], medians.get("baseline")),
                "peak memory, MB": f"{megabytes:,.0f}",
            }
    for method, seconds in REPORT_IMAGES_SECONDS.items():
        rows[METHOD_NAMES[method], REPORT] = {
            "runs": NOT_STATED,
            "seconds a run": f"about {seconds:,.0f}",
            "× baseline": _ratio(seconds, REPORT_IMAGES_SECONDS["baseline"]),
            "peak memory, MB": f"{1000 * REPORT_IMAGES_GPU_GB:,.0f} (GPU)",
        }
    names = list(METHOD_NAMES.values())
    ordered = sorted(rows, key=lambda key: names.index(key[0]) if key[0] in names else len(names))
    return _indexed({key: rows[key] for key in ordered})


def layer_table(records: Iterable[Record], round_: int = 0, smoothing: float = 0.0) -> pd.DataFrame:
    """Sensitivity by layer for the methods at one round and smoothing: std × 1000 and std/mean."""
    cells = by_cell(records)
    columns: dict[tuple[str, str], list[str]] = {}
    for method, name in METHOD_NAMES.items():
        runs = cells.get(Cell(method, round_, smoothing))
        if runs:
            stds = [_metric(f"sensitivity/std/{layer}", 1000.0) for layer in LAYERS]
            ratios = [_layer_ratio(layer) for layer in LAYERS]
            columns[name, "std × 1000"] = [_summary(runs, m, len(runs), "#.3g") for m in stds]
            columns[name, "std / mean"] = [_summary(runs, m, len(runs), ".2f") for m in ratios]
    names = pd.MultiIndex.from_tuples(list(columns) or [("", "")], names=["model", "sensitivity"])
    table = pd.DataFrame(columns or None, index=pd.Index(LAYERS, name="layer"), columns=names)
    return table if columns else table.iloc[:, :0]


def verdict_table(verdict: Verdict) -> pd.DataFrame:
    """The lines of one verdict: difference, intervals, p, what the earlier report's table gives.

    A line gives its reason where that is not the verdict's own, which its sentence tells.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for line in verdict.lines:
        metric, interval = line.metric, line.interval
        reported = NOT_STATED if line.report is None else signed(line.report, metric)
        reason = f" ({line.reason})" if line.reason not in ("", verdict.reason) else ""
        rows[title(metric), line.label] = {
            "difference": NOTHING if interval is None else signed(interval.mean, metric),
            "95 % interval over seeds": _bounds(interval, metric),
            "95 % interval over items": _bounds(line.items, metric),
            "p": f"{line.p_value:.2g}" if interval is not None and interval.bounded else NOTHING,
            "earlier report": reported,
            "verdict": line.verdict + reason,
        }
    return _indexed(rows, ("metric", "comparison"))


def claims_table(verdicts: Mapping[str, Verdict]) -> pd.DataFrame:
    """One row a claim: ours beside the paper's and the earlier report's figure."""
    rows = {
        name: {
            "claim": v.claim.statement,
            "verdict": v.verdict,
            "ours": v.sentence,
            "paper": v.claim.paper,
            "earlier report": v.claim.report,
        }
        for name, v in sorted(verdicts.items())
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("id")


def _groups(records: Iterable[Record], evidence: Iterable[Record] | None) -> dict[str, _Group]:
    """Records by source of the row and cell, the source labelled with profile and seeds."""
    groups: dict[str, _Group] = {}
    for name, given in ((BUILD, records), (EVIDENCE, evidence)):
        given = [r for r in given or () if r.asked.task == "images"]
        if given:
            n = len({r.asked.seed for r in given})
            profiles = ", ".join(sorted({r.asked.profile for r in given}))
            label = f"{name} ({profiles}, {n} seed{'' if n == 1 else 's'})"
            groups[label] = _Group(by_cell(given), n)
    return groups


def _model_table(
    groups: Mapping[str, _Group],
    ours: Callable[[_Runs, int], str],
    reported: Callable[[Cell], str] | None = None,
) -> pd.DataFrame:
    """Rows {intra-distillation, baseline} × source, columns smoothing and role."""
    found = {
        (cell.round, cell.smoothing)
        for group in groups.values()
        for cell in group.cells
        if cell.method in ("id", "baseline")
    }
    columns = sorted({*CELLS, *found}, key=lambda cell: (cell[1], cell[0]))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for method in ("id", "baseline"):
        cells = {f"s = {s:g} {role(round_)}": Cell(method, round_, s) for round_, s in columns}
        for name, group in groups.items():
            rows[METHOD_NAMES[method], name] = {
                label: ours(group.cells.get(cell, {}), group.n_seeds)
                for label, cell in cells.items()
            }
        if reported is not None:
            rows[METHOD_NAMES[method], REPORT] = {k: reported(c) for k, c in cells.items()}
            rows[METHOD_NAMES[method], PAPER] = dict.fromkeys(cells, NOT_STATED)
    return _indexed(rows)


def _cell_table(
    groups: Mapping[str, _Group],
    cells: Mapping[str, Cell],
    columns: Mapping[str, tuple[_Measure, str]],
) -> pd.DataFrame:
    """Rows cell × source, columns measures; rows that hold nothing are left out."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for label, cell in cells.items():
        for name, group in groups.items():
            if runs := group.cells.get(cell):
                rows[label, name] = {
                    column: _summary(runs, measure, group.n_seeds, form)
                    for column, (measure, form) in columns.items()
                }
    return _indexed(rows, columns=list(columns))


def _indexed(
    rows: Mapping[tuple[str, str], dict[str, str]],
    names: tuple[str, str] = ("model", "from"),
    columns: list[str] | None = None,
) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(list(rows) or [("", "")], names=names)
    table = pd.DataFrame(list(rows.values()) or [{}], index=index, columns=columns)
    return table if rows else table.iloc[:0]


def _metric(name: str, scale: float = 1.0) -> _Measure:
    def measure(record: Record) -> float | None:
        value = record.measured.metrics.get(name)
        return None if value is None else scale * value

    return measure


def _layer_ratio(layer: str) -> _Measure:
    def measure(record: Record) -> float | None:
        metrics = record.measured.metrics
        mean = metrics.get(f"sensitivity/mean/{layer}")
        std = metrics.get(f"sensitivity/std/{layer}")
        return std / mean if std is not None and mean else None

    return measure


def _seconds(record: Record) -> float:
    return record.cost.seconds


def _summary(runs: _Runs, measure: _Measure, n_seeds: int, form: str = ".3f") -> str:
    """Mean ± standard deviation over seeds; the number alone where there is one."""
    values = [v for v in (measure(runs[seed]) for seed in sorted(runs)) if v is not None]
    if not values:
        return NOTHING
    text = f"{np.mean(values):{form}}"
    if len(values) > 1:
        decimals = len(text.partition(".")[2])
        text += f" ± {np.std(values, ddof=1):{form if 'e' in text else f',.{decimals}f'}}"
    return text if len(values) == n_seeds else f"{text} (n = {len(values)})"


def _report(cell: Cell, metric: str, form: str, scale: float = 1.0) -> str:
    value = REPORT_IMAGES[metric].get(cell)
    return NOT_STATED if value is None else form.format(scale * value)


def _ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else NOTHING


def _bounds(interval: Interval | None, metric: str) -> str:
    if interval is None or not interval.bounded:
        return NOTHING
    return f"{signed(interval.low, metric)} to {signed(interval.high, metric)}"


def _order(cell: Cell) -> tuple[int, float, int]:
    methods = list(METHOD_NAMES)
    known = methods.index(cell.method) if cell.method in methods else len(methods)
    return known, cell.smoothing, cell.round
