"""What pruning costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from idlib.metrics.names import LOSS, at
from idlib.report.balance import interval_of, paired
from idlib.report.conditions import METHOD_NAMES, cell_name
from idlib.report.metrics import NLL
from idlib.report.pages.balance.words import CONTRASTS, LABELS, Rows, signed_bounds, table
from idlib.report.paired import Studies
from idlib.report.pruning import RANKS
from idlib.report.text import NOTHING, literal, span

RANKED = ("embedding", "weight")  # kinds of parameters with two axes
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


def unseen(studies: Studies) -> str:
    """How much of the ranked weights no measured batch has seen, as a list in Markdown."""
    said = []
    for study, cells in studies.items():
        metrics = [record.measured.metrics for runs in cells.values() for record in runs.values()]
        shares = [share for found in metrics if (share := _never_seen(found)) > 0]
        if shares:
            said.append(
                f"- *{literal(study)}*: {span([100 * share for share in shares], '.0f')} % of the "
                "ranked weights are embeddings of tokens that no measured batch has. Their "
                "sensitivity is zero, so that by sensitivity they go first, whatever the test has "
                "of these tokens."
            )
    return "\n".join(said)


def _never_seen(metrics: Mapping[str, float]) -> float:
    """The share of embeddings that are left out of sensitivity among the weights that are ranked.

    These are the parameters but norms and biases.
    """
    out = metrics.get(at("sensitivity/excluded", LOSS), 0.0)
    counted = [metrics.get(at(f"kinds/parameters/{kind}", LOSS), 0.0) for kind in RANKED]
    return out / (out + sum(counted)) if out else 0.0


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
