"""What whole runs cost: those that the protocol registers, and what the earlier report says."""

from __future__ import annotations

import pandas as pd

from idlib.report import times
from idlib.report.conditions import METHOD_NAMES
from idlib.report.paired import Studies
from idlib.report.tasks import REPORTS
from idlib.report.text import NOT_STATED

WITHOUT_STUDENTS = tuple(METHOD_NAMES)  # the cells of base models bear the methods' names
REMARK = "its logs name a smaller card, and peaks of at most {:.1f} GB (A15)"


def runs(studies: Studies) -> pd.DataFrame:
    """Time beside the baseline's and peak memory of the base models of each study, by method.

    The time of fewer than three pairs is not told: one run may have been stopped for a while.

    Args:
        studies: registered records by study, cell and seed.
    """
    rows = []
    for study, cells in studies.items():
        base = cells.get("baseline", {})
        for method in WITHOUT_STUDENTS:
            made = cells.get(method, {})
            if not made:
                continue
            pairs = times.ratios(made, base)
            peak = max(record.cost.peak_memory_bytes for record in made.values())
            rows.append(
                {
                    "study": study,
                    "model": METHOD_NAMES[method],
                    "runs": str(len(made)),
                    **times.columns(pairs if len(pairs) >= times.FEWEST else []),
                    "peak, MB": f"{peak / 1e6:,.0f}",
                    "on": ", ".join(sorted({r.origin.device for r in made.values()})),
                }
            )
    columns = ["study", "model", "runs", times.TIME, times.QUARTILES, "peak, MB", "on"]
    return pd.DataFrame(rows, columns=columns)


def published() -> pd.DataFrame:
    """What the earlier report says that its models cost, and what its own logs say against it."""
    rows = []
    for task, report in REPORTS.items():
        for method, cost in report.cost.items():
            ratio = cost.seconds / report.cost["baseline"].seconds
            about = "about " if cost.about else ""
            rows.append(
                {
                    "task": task,
                    "model": METHOD_NAMES[method],
                    "minutes": f"{about}{cost.seconds / 60:,.0f}",
                    times.TIME: f"{about}{ratio:.2f}",
                    "memory, GB": f"{cost.gpu_gb:g}",
                    "on": cost.gpu,
                    "remark": REMARK.format(cost.logged_gb) if cost.logged_gb else "",
                }
            )
        if (both := report.joint_cost) is not None:
            rows.append(
                {
                    "task": task,
                    "model": "both together",
                    "minutes": f"{both.seconds / 60:,.0f}",
                    times.TIME: NOT_STATED,
                    "memory, GB": f"{both.gpu_gb:g}",
                    "on": both.gpu,
                    "remark": "",
                }
            )
    return pd.DataFrame(rows)
