"""What the page of images says beside its tables."""

from __future__ import annotations

import pandas as pd

from idlib.metrics.names import LOSS, at
from idlib.report.balance import STD, exponential
from idlib.report.board import Board
from idlib.report.decisions import weighted
from idlib.report.pages.balance.words import ratio_cell
from idlib.report.paired import Gain, Measure
from idlib.report.results import Results
from idlib.report.statistics import p_value, t_interval
from idlib.report.tasks.images import IMAGES
from idlib.report.text import NOTHING

PLAIN = {"id": 1.0, "baseline": -1.0}
SMOOTHED = {"id smoothed": 1.0, "baseline smoothed": -1.0}
INTERACTION = {"id": 1.0, "baseline": -1.0, "id smoothed": -1.0, "baseline smoothed": 1.0}
JOINED = ("test/nll", "test/nll/calibrated", "test/accuracy", STD)  # metrics


def interactions(board: Board) -> pd.DataFrame:
    """Whether label smoothing changes what intra-distillation does: the difference of differences.

    Intra-distillation minus baseline without smoothing, minus the same with it, seed by seed; of
    the std of sensitivity a ratio of ratios. Opposite effects are not averaged: this is what says
    that they are opposite. Neither registered nor corrected.
    """
    cells = board.records.get("images", {})
    rows = []
    for name in JOINED:
        is_ratio = name == STD
        key = at(name, LOSS) if is_ratio else name
        metric = IMAGES.metric(key)
        each = [
            weighted(contrast, key, cells, logarithm=is_ratio).by_seed
            for contrast in (PLAIN, SMOOTHED, INTERACTION)
        ]
        if is_ratio:
            intervals = (t_interval([*one.values()]) if one else None for one in each)
            told = [ratio_cell(exponential(one)) for one in intervals]
        else:
            told = [Gain(Measure(metric, "above"), one).cell for one in each]
        both = [*each[-1].values()]
        p = f"{p_value(both):.2g}" if len(both) > 1 else NOTHING
        title = f"{metric.name}, ratio" if is_ratio else metric.title
        rows.append((title, *told, p, str(len(both))))
    names = ("s = 0", "s = 0.1", "difference of the two", "p", "seeds")
    return pd.DataFrame(rows, columns=["ID against baseline in", *names])


def causes_beside(results: Results) -> str:
    """What C8 compares, in accuracy and in NLL after a temperature, as a list in Markdown."""
    told: dict[str, list[str]] = {}
    for c in results.compared["C8"].comparisons:
        if not c.main and c.interval is not None:
            told.setdefault(c.label, []).append(f"{c.metric.name} {c.in_words()}")
    if not told:
        return "There are no controls among the records to compare with."
    head = (
        "C8 is judged in NLL alone. The same contrasts in what is not registered and decides "
        f"nothing, intra-distillation minus the control ({results.label}):"
    )
    return "\n".join([head, "", *(f"- {label}: {', '.join(of)}" for label, of in told.items())])


def gains_after_temperature(results: Results) -> str:
    """C6's differences in test loss before and after a temperature, as a list in Markdown."""
    compared = results.compared["C6"].comparisons
    found = {(c.label, c.metric.key): c for c in compared if c.interval is not None}
    lines = []
    for (label, key), before in found.items():
        after = found.get((label, "test/nll/calibrated"))
        if key == "test/nll" and before.interval and after and after.interval:
            first = before.metric.difference(before.interval.mean, unit=True)
            second = after.metric.difference(after.interval.mean, unit=True)
            lines.append(f"- {label}: {first}, and after temperature {second}")
    return "\n".join(lines)
