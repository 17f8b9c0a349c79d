"""One frame of records, which tables and figures group and format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from idlib.records import Record
from idlib.report.claims import PAPER, REPORT
from idlib.report.conditions import Condition, condition_of, method_name
from idlib.report.metrics import Metric
from idlib.report.results import Results
from idlib.report.tasks.base import Figures
from idlib.report.text import NOTHING

ASKED = ("signature", "task", "method", "profile", "source", "seed", "round", "smoothing")
COST = ("seconds", "peak_memory_mb")


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """All records as one tidy frame: what was asked, every metric, seconds and peak megabytes.

    Rows are sorted by what was asked, so that the order of the records does not matter.
    """
    rows = []
    for record in records:
        condition = condition_of(record)
        rows.append(
            {
                "signature": record.signature,
                "task": record.asked.task,
                "profile": record.asked.profile,
                "source": record.asked.source,
                "seed": record.asked.seed,
                **condition._asdict(),
                "model": method_name(condition.method),
                "seconds": record.cost.seconds,
                "peak_memory_mb": record.cost.peak_memory_bytes / 1e6,
                **record.measured.metrics,
            }
        )
    named = [*ASKED, "dataset", "model", *COST]
    metrics = sorted({name for row in rows for name in row} - set(named))
    table = pd.DataFrame(rows, columns=[*named, *metrics])
    return table.sort_values([*ASKED[1:], "signature"]).reset_index(drop=True)


def frame_of(results: Results) -> pd.DataFrame:
    """The records of this build and the evidence: their label in ``from``, its ``seeds``."""
    parts = [frame(records) for records in results.by_label.values()]
    for label, part in zip(results.by_label, parts, strict=True):
        part["from"], part["seeds"] = label, part["seed"].nunique()
    nothing = frame([]).assign(**{"from": [], "seeds": []})
    # Copied, which joins the columns: one more is added without pandas warning of fragments.
    return pd.concat(parts, ignore_index=True).copy() if parts else nothing


def published(results: Results) -> pd.DataFrame:
    """What the earlier report and the paper state, as rows of the same frame."""
    stated: tuple[tuple[str, Figures], ...] = (
        (REPORT, results.report.earlier_report),
        (PAPER, results.report.paper),
    )
    rows: dict[tuple[str, Condition], dict[str, float]] = {}
    for name, figures in stated:
        for key, values in figures.items():
            for condition, value in values.items():
                rows.setdefault((name, condition), {})[key] = value
    return pd.DataFrame(
        [
            {
                "from": name,
                "seeds": 1,
                **condition._asdict(),
                "model": method_name(condition.method),
                **values,
            }
            for (name, condition), values in rows.items()
        ]
    )


def spread(values: Sequence[float], metric: Metric, seeds: int) -> str:
    """Mean ± standard deviation over seeds; the number alone where there is one.

    Args:
        values: one a seed; those that are NaN are left out.
        metric: whose they are.
        seeds: the number of seeds of the row, so that a cell of fewer says so.
    """
    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        return NOTHING
    text = metric.written(float(known.mean()))
    if len(known) > 1:
        decimals = len(text.partition(".")[2])
        form = metric.form if "e" in text else f",.{decimals}f"
        text += f" ± {metric.scale * float(known.std(ddof=1)):{form}}"
    return text if len(known) == seeds else f"{text} (n = {len(known)})"
