"""Tables by method: what the controls tell, what a run costs, and sensitivity by layer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from idlib.records import Record
from idlib.report.comparisons import by_cell, task_of
from idlib.report.names import (
    BLEU,
    F1_ENGLISH,
    F1_OTHERS,
    F1_PARALLEL,
    LAYERS,
    METHOD_NAMES,
    NLL,
    SCORE,
    SMOOTHINGS,
    STD,
    Cell,
    title,
    written,
)
from idlib.report.published import NOT_STATED, REPORT_COST, ReportedCost
from idlib.report.tables.cells import (
    REPORT,
    Measure,
    by_measure,
    grouped,
    indexed,
    metric,
    ratio,
    summary,
)

_STD = (metric(STD, 1000.0), "#.3g")
_CV = (metric("sensitivity/cv"), ".2f")


def _by_language(*scores: str) -> dict[str, tuple[Measure, str]]:
    return {
        **{title(name): (metric(name, written(name).scale), ".2f") for name in scores},
        "test NLL (English)": (metric(NLL), ".3f"),
        "sensitivity std × 1000": _STD,
        "sensitivity std / mean": _CV,
    }


_CONTROLS = {
    "images": {
        "test NLL": (metric(NLL), ".3f"),
        "test accuracy, %": (metric("test/accuracy", 100.0), ".1f"),
        "test NLL after temperature": (metric("test/nll/calibrated"), ".3f"),
        "sensitivity std × 1000": _STD,
        "sensitivity std / mean": _CV,
    },
    "translation": {
        "SacreBLEU": (metric(BLEU), ".2f"),
        "chrF++": (metric("test/chrf"), ".2f"),
        "length ratio": (metric("test/length_ratio"), ".3f"),
        "test NLL": (metric(NLL), ".3f"),
        "sensitivity std × 1000": _STD,
        "sensitivity std / mean": _CV,
    },
    "tagging": _by_language(F1_PARALLEL, F1_OTHERS, F1_ENGLISH),
    "answering": _by_language(F1_OTHERS, "test/em/others", F1_ENGLISH),
    "classification": {
        "score": (metric(SCORE, 100.0), ".2f"),
        "test NLL": (metric(NLL), ".3f"),
        "sensitivity std × 1000": _STD,
        "sensitivity std / mean": _CV,
    },
}


def controls_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None
) -> pd.DataFrame:
    """The four methods as teachers at the controls' smoothing: what the divergence adds."""
    groups = grouped(records, evidence)
    smoothing = SMOOTHINGS[groups.task][0]
    cells = {name: Cell(method, 0, smoothing) for method, name in METHOD_NAMES.items()}
    return by_measure(groups.by_label, cells, _CONTROLS[groups.task])


def cost_table(
    records: Iterable[Record], evidence: Iterable[Record] | None = None, task: str | None = None
) -> pd.DataFrame:
    """Seconds and peak memory of a run by method, beside the earlier report's on its GPU.

    Medians over the teachers and students of a method, since wall seconds also count what else the
    machine did; "× baseline" is the ratio of medians. ``task`` is the records' own; it has to be
    named only where there may be none.
    """
    groups = grouped(records, evidence, task or "images")
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, group in groups.by_label.items():
        by_method: dict[str, list[Record]] = {}
        for cell, runs in group.cells.items():
            by_method.setdefault(cell.method, []).extend(runs.values())
        medians = {m: float(np.median([r.cost.seconds for r in rs])) for m, rs in by_method.items()}
        for method, runs in by_method.items():
            megabytes = max(r.cost.peak_memory_bytes for r in runs) / 1e6
            rows[METHOD_NAMES.get(method, method), name] = {
                "runs": str(len(runs)),
                "seconds a run": f"{medians[method]:,.0f}",
                "× baseline": ratio(medians[method], medians.get("baseline")),
                "peak memory, MB": f"{megabytes:,.0f}",
            }
    reported = REPORT_COST.get(groups.task, {})
    for method, cost in reported.items():
        rows[METHOD_NAMES[method], REPORT] = {
            "runs": NOT_STATED,
            "seconds a run": f"about {cost.seconds:,.0f}" if cost.about else f"{cost.seconds:,.1f}",
            "× baseline": ratio(cost.seconds, reported["baseline"].seconds),
            "peak memory, MB": _memory(cost),
        }
    names = list(METHOD_NAMES.values())
    ordered = sorted(rows, key=lambda key: names.index(key[0]) if key[0] in names else len(names))
    return indexed({key: rows[key] for key in ordered})


def layer_table(
    records: Iterable[Record], round_: int = 0, smoothing: float | None = None
) -> pd.DataFrame:
    """Sensitivity by layer for the methods at one round and smoothing: std × 1000 and std/mean.

    ``smoothing`` is the controls' unless given.
    """
    given = list(records)
    task, cells = task_of(given) or "images", by_cell(given)
    smoothing = SMOOTHINGS[task][0] if smoothing is None else smoothing
    layers = LAYERS[task]
    columns: dict[tuple[str, str], list[str]] = {}
    for method, name in METHOD_NAMES.items():
        runs = cells.get(Cell(method, round_, smoothing))
        if runs:
            stds = [metric(f"sensitivity/std/{layer}", 1000.0) for layer in layers]
            ratios = [_layer_ratio(layer) for layer in layers]
            columns[name, "std × 1000"] = [summary(runs, m, len(runs), "#.3g") for m in stds]
            columns[name, "std / mean"] = [summary(runs, m, len(runs), ".2f") for m in ratios]
    names = pd.MultiIndex.from_tuples(list(columns) or [("", "")], names=["model", "sensitivity"])
    table = pd.DataFrame(columns or None, index=pd.Index(layers, name="layer"), columns=names)
    return table if columns else table.iloc[:, :0]


def _memory(cost: ReportedCost) -> str:
    text = f"{1000 * cost.gpu_gb:,.0f} (GPU)"
    if cost.logged_gb is None:
        return text
    return f"{text[:-1]}; its logs: at most {1000 * cost.logged_gb:,.0f})"


def _layer_ratio(layer: str) -> Measure:
    def measure(record: Record) -> float | None:
        metrics = record.measured.metrics
        mean = metrics.get(f"sensitivity/mean/{layer}")
        std = metrics.get(f"sensitivity/std/{layer}")
        return std / mean if std is not None and mean else None

    return measure
