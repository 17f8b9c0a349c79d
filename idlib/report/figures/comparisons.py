"""Figures of the differences between models, and of where a gain is had."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idlib.records import Record
from idlib.report.compared import Compared
from idlib.report.comparisons import Comparison
from idlib.report.conditions import task_of
from idlib.report.figures.style import (
    COLOURS,
    MARKERS,
    folded,
    nothing,
    panels,
    plain,
    say_nothing,
    whisker,
)
from idlib.report.tables import gains, size
from idlib.report.tasks import report_of


def compared(found: Compared) -> Figure:
    """The comparisons of a claim: difference and 95 % interval over seeds, a panel a metric.

    Filled markers are in the metric that the claim speaks of; the thin bar is the bootstrap
    crossed over seeds and test items.
    """
    shown = [c for c in found.comparisons if c.interval is not None]
    metrics = list(dict.fromkeys(c.metric for c in shown))
    labels = list(dict.fromkeys(c.label for c in shown))
    size_ = (2.6 if len(metrics) > 1 else 5.0, 1.5 + 0.32 * max(1, len(labels)))
    with folded(len(metrics), size_, left=2.4, sharey=True) as (figure, axes):
        for ax, metric in zip(axes, metrics, strict=False):
            here = [c for c in shown if c.metric == metric]
            for c in here:
                _comparison(ax, c, labels.index(c.label))
            ax.axvline(0, color="black", linewidth=0.8, zorder=0)
            sides = {c.better for c in here} - {None}
            better = f"\nbetter: {sides.pop()} 0" if len(sides) == 1 else ""
            name = textwrap.fill(f"difference in {metric.title}", 30)
            ax.set(xlabel=name + better, ylabel="")
        names = [textwrap.fill(plain(label), 34) for label in labels]
        axes[0].set_yticks(range(len(labels)), names)
        axes[0].set_ylim(max(1, len(labels)) - 0.5, -0.5)
        if not shown:
            say_nothing(figure)
    return figure


def gain_by_setting(records: Iterable[Record]) -> Figure:
    """Gain of intra-distillation over the baseline on validation, by epochs and training size.

    A row for each metric of the task's sweep (positive: intra-distillation is better), a column
    for what varies while the other setting stays. A point a seed, the mean with its 95 % t interval
    in black, the means joined.
    """
    given = list(records)
    data, task = gains(given), task_of(given)
    if task is None:
        return nothing()
    metrics = [report_of(task).metric(key) for key, _ in report_of(task).swept]
    with panels(len(metrics), 2, size=(3.8, 2.6), sharex="col", sharey="row") as (figure, axes):
        for column, (varied, fixed) in enumerate((("epochs", "train"), ("train", "epochs"))):
            shown, kept = _varied(data, varied, fixed)
            for row, metric in enumerate(metrics):
                ax, part = axes[row, column], shown[shown["metric"] == metric.key]
                _gain(ax, part, varied)
                ax.axhline(0, color="black", linewidth=0.8)
                ax.set_ylabel("" if column else textwrap.fill(f"gain in {metric.title}", 25))
            axes[0, column].set_title(_WITH[fixed].format(size(kept)) if len(shown) else "")
            axes[-1, column].set_xlabel(_AXES[varied])
        if data.empty:
            say_nothing(figure)
    return figure


_AXES = {"epochs": "epochs", "train": "training examples"}
_WITH = {"epochs": "{} epochs", "train": "{} training examples"}


def _varied(data: pd.DataFrame, varied: str, fixed: str) -> tuple[pd.DataFrame, float]:
    """The rows of the value of ``fixed`` at which ``varied`` takes most values, and that value."""
    counts = data.groupby(fixed)[varied].nunique()
    kept = max(counts.index, key=lambda value: (counts[value], value), default=math.nan)
    return data[data[fixed] == kept], kept


def _gain(ax: Axes, part: pd.DataFrame, varied: str) -> None:
    part = part[part[varied] < math.inf]  # a whole split has no place on an axis of sizes
    if part.empty:
        return
    values = sorted(part[varied].unique())
    means = part.groupby(varied)["gain"].mean()
    ax.plot(values, [means[value] for value in values], color=COLOURS["id"], linewidth=1.2)
    sns.scatterplot(
        part, x=varied, y="gain", color=COLOURS["id"], marker=MARKERS["id"], zorder=3, ax=ax
    )
    for value in values:
        whisker(ax, part.loc[part[varied] == value, "gain"].tolist(), value, along="y")
    if len(values) > 1 and values[0] > 0:
        ax.set_xscale("log")
    ax.margins(x=0.12)
    ax.set_xticks(values, [f"{value:,.0f}" for value in values])
    ax.set_xticks([], minor=True)


def _comparison(ax: Axes, shown: Comparison, y: int) -> None:
    """One comparison; an interval needs two seeds, a point needs one."""
    colour = COLOURS["id"]
    scale, interval, items = shown.metric.scale, shown.interval, shown.items
    if items is not None and items.bounded:
        ax.hlines(y + 0.22, scale * items.low, scale * items.high, color=colour, linewidth=0.8)
    if interval is None:
        return
    if interval.bounded:
        ax.hlines(y, scale * interval.low, scale * interval.high, color=colour, linewidth=2)
    face = colour if shown.main else "white"
    ax.plot(scale * interval.mean, y, "o", color=colour, markerfacecolor=face, markersize=7)
