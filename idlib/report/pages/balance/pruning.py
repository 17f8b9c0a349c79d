"""What pruning costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from idlib.metrics.names import LOSS, at
from idlib.report.balance import interval_of, paired
from idlib.report.conditions import METHOD_NAMES, cell_name
from idlib.report.metrics import NLL
from idlib.report.pages.balance.words import CONTRASTS, LABELS, Rows, signed_bounds, table
from idlib.report.paired import Studies
from idlib.report.pruning import RANKS
from idlib.report.text import NOTHING, span

AREAS = {"added": "NLL added", "added_light": "NLL added", "level": "NLL"}


def areas(studies: Studies, light: float) -> pd.DataFrame:
    """Differences in what pruning costs, mean heights of the curves, with 95 % intervals.

    Of intra-distillation beside the baseline three measures, of all other pairs the first.
    """
    rows: Rows = {}
    for study, cells in studies.items():
        for pair in CONTRASTS:
            for figure, name in AREAS.items():
                if figure != "added" and pair != CONTRASTS[0]:
                    continue
                title = f"{name} up to {light:.0%}" if figure == "added_light" else name
                found = {
                    f"by {rank}": interval_of(paired(cells, f"pruned/{rank}/{figure}", *pair))
                    for rank in RANKS
                }
                if any(found.values()):
                    n = max(interval.n for interval in found.values() if interval)
                    row = {rank: signed_bounds(interval) for rank, interval in found.items()}
                    rows[study, LABELS[pair], title] = {**row, "seeds": str(n)}
    return table(rows, "study", "compared", "nats")


def added(studies: Studies) -> pd.DataFrame:
    """What pruning adds to each method's NLL on average: mean over seeds and their range."""
    rows: Rows = {}
    for study, cells in studies.items():
        for rank in RANKS:
            key = at(f"pruned/{rank}/added", LOSS)
            for method in METHOD_NAMES:
                metrics = [record.measured.metrics for record in cells.get(method, {}).values()]
                values = [found[key] for found in metrics if key in found]
                if values:
                    text = NLL.written(float(np.mean(values)))
                    text += f" ({span(values, NLL.form)})" if len(values) > 1 else ""
                    rows.setdefault((study, f"by {rank}"), {})[cell_name(method)] = text
    return table(rows, "study", "ranked").fillna(NOTHING)
