"""Records as they are, the lines of a verdict, and the gain by setting."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from idlib.records import Record
from idlib.report.comparisons import cell_of, signed, task_of
from idlib.report.names import SMOOTHINGS, title
from idlib.report.outcomes import Verdict
from idlib.report.published import NOT_STATED
from idlib.report.tables.cells import NOTHING, P_ITEMS, P_SEEDS, bounds, indexed

ASKED = ("signature", "task", "method", "profile", "source", "seed", "round", "smoothing")
COST = ("seconds", "peak_memory_mb")
GAINS = {"validation/nll": -1, "validation/bleu": 1}  # the sign that makes a gain positive


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


def verdict_table(verdict: Verdict) -> pd.DataFrame:
    """The lines of one verdict: what each says, difference, intervals, p, the earlier report's.

    A line gives its reason where that is not the verdict's own, which its sentence tells. A p says
    over what it is: seeds (Student's t), or, where a line has one, test items (the bootstrap's).
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    with_p = any(line.items_p is not None for line in verdict.lines)
    for line in verdict.lines:
        metric, interval = line.metric, line.interval
        reported = NOT_STATED if line.report is None else signed(line.report, metric)
        reason = f" ({line.reason})" if line.reason not in ("", verdict.reason) else ""
        over_items = {"95 % interval over items": bounds(line.items, metric)}
        if with_p:
            over_items[P_ITEMS] = NOTHING if line.items_p is None else f"{line.items_p:.2g}"
        rows[title(metric), line.label] = {
            "verdict": line.verdict + reason,  # first: a page may be narrower than the table
            "difference": NOTHING if interval is None else signed(interval.mean, metric),
            "95 % interval over seeds": bounds(interval, metric),
            **over_items,
            P_SEEDS: f"{line.p_value:.2g}"
            if interval is not None and interval.bounded
            else NOTHING,
            "earlier report": reported,
        }
    return indexed(rows, ("metric", "comparison"))


def gains(records: Iterable[Record]) -> pd.DataFrame:
    """What intra-distillation gains on validation at each number of epochs and of examples.

    One row for each setting and seed that has both teachers at the task's first smoothing, for
    validation NLL and for SacreBLEU: ``metric, epochs, train, seed, gain``, the gain positive
    where intra-distillation is better. ``train`` is infinite where a run took the whole training
    split; :func:`size` writes it.

    Raises:
        ValueError: records of several tasks, or two records for one setting, method and seed.
    """
    given = list(records)
    task = task_of(given)
    found: dict[tuple, dict[str, Record]] = {}
    for record in given:
        settings, cell = record.asked.settings, cell_of(record)
        if cell.round or cell.smoothing != SMOOTHINGS[task][0]:
            continue
        train = settings.get("examples", {}).get("train", math.inf)
        pair = found.setdefault((settings.get("epochs"), train, record.asked.seed), {})
        if pair.setdefault(cell.method, record).signature != record.signature:
            raise ValueError(
                f"two records for {cell.full_label}, {settings.get('epochs')} epochs of "
                f"{size(train)} training examples, seed {record.asked.seed}"
            )
    rows = [
        (
            name,
            *key,
            sign * (pair["id"].measured.metrics[name] - pair["baseline"].measured.metrics[name]),
        )
        for key, pair in found.items()
        if {"id", "baseline"} <= pair.keys()
        for name, sign in GAINS.items()
        if all(name in pair[method].measured.metrics for method in ("id", "baseline"))
    ]
    table = pd.DataFrame(rows, columns=["metric", "epochs", "train", "seed", "gain"])
    return table.sort_values(["metric", "epochs", "train", "seed"]).reset_index(drop=True)


def size(train: float) -> str:
    """A number of training examples as text: ``all`` where a run took the whole split."""
    return "all" if math.isinf(train) else f"{train:,.0f}"
