"""Figures of how good models are, of the differences between them, and of where a gain is had."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idlib.records import Record
from idlib.report.comparisons import Line, by_cell
from idlib.report.figures.look import (
    COLOURS,
    MARKERS,
    VERDICTS,
    dot,
    legend,
    panels,
    plain,
    say_nothing,
    whisker,
)
from idlib.report.names import METHOD_NAMES, Cell, title, written
from idlib.report.outcomes import Verdict
from idlib.report.tables.evidence import GAINS, gains, size


def by_model(records: Iterable[Record], metric: str) -> Figure:
    """A metric of every model: one point a seed, and mean with 95 % t interval in black."""
    cells = {
        cell: {seed: r for seed, r in runs.items() if metric in r.measured.metrics}
        for cell, runs in by_cell(records).items()
    }
    cells = {cell: runs for cell, runs in cells.items() if runs}
    rows = sorted({(cell.dataset, cell.smoothing, cell.round) for cell in cells})
    methods = [method for method in METHOD_NAMES if any(cell.method == method for cell in cells)]
    with panels(1, 1, size=(7.0, 0.9 + 0.75 * max(1, len(rows)))) as (figure, axes):
        ax = axes[0, 0]
        for place, (dataset, smoothing, round_) in enumerate(rows):
            here = [m for m in methods if Cell(m, round_, smoothing, dataset) in cells]
            for index, method in enumerate(here):
                runs = cells[Cell(method, round_, smoothing, dataset)]
                scale = written(metric).scale
                values = [scale * runs[seed].measured.metrics[metric] for seed in sorted(runs)]
                y = place + 0.2 * (index - (len(here) - 1) / 2)
                sns.scatterplot(
                    x=values,
                    y=[y] * len(values),
                    color=COLOURS[method],
                    marker=MARKERS[method],
                    label=METHOD_NAMES[method],
                    legend=False,
                    zorder=3,
                    ax=ax,
                )
                whisker(ax, values, y)
        ax.set_yticks(range(len(rows)), [plain(Cell("", r, s, d).label) for d, s, r in rows])
        ax.invert_yaxis()
        ax.set(xlabel=title(metric), ylabel="")
        legend(figure, methods, lines=False)
    return figure


def gain_forest(verdict: Verdict) -> Figure:
    """The lines of a verdict: difference and 95 % interval over seeds, a panel for each metric.

    Filled markers take part in the verdict; the thin bar is the bootstrap over test items.
    """
    lines = [line for line in verdict.lines if line.interval is not None]
    metrics = list(dict.fromkeys(line.metric for line in lines))
    labels = list(dict.fromkeys(line.label for line in lines))
    columns = min(3, max(1, len(metrics)))
    shape = (math.ceil(max(1, len(metrics)) / columns), columns)
    size = (2.6 if columns > 1 else 5.0, 1.5 + 0.32 * max(1, len(labels)))
    with panels(*shape, size=size, left=2.4, sharey=True) as (figure, axes):
        for ax in axes.flat[len(metrics) :]:
            ax.set_visible(False)
        for ax, metric in zip(axes.flat, metrics, strict=False):
            here = [line for line in lines if line.metric == metric]
            for line in here:
                _comparison(ax, line, labels.index(line.label))
            ax.axvline(0, color="black", linewidth=0.8, zorder=0)
            sides = {line.claimed for line in here} - {None}
            claim = f"\nclaimed: {sides.pop()} 0" if len(sides) == 1 else ""
            name = textwrap.fill(f"difference in {title(metric)}", 30)
            ax.set(xlabel=name + claim, ylabel="")
        names = [textwrap.fill(plain(label), 34) for label in labels]
        axes[0, 0].set_yticks(range(len(labels)), names)
        axes[0, 0].set_ylim(max(1, len(labels)) - 0.5, -0.5)
        used = [name for name in VERDICTS if any(line.verdict == name for line in lines)]
        if used:
            handles = [dot(name, *VERDICTS[name]) for name in used]
            figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        else:
            say_nothing(figure)
    return figure


def gain_by_setting(records: Iterable[Record]) -> Figure:
    """Gain of intra-distillation over the baseline on validation, by epochs and training size.

    A row for NLL and one for SacreBLEU (positive: intra-distillation is better), a column for what
    varies while the other setting stays. A point a seed, the mean with its 95 % t interval in
    black, the means joined.
    """
    data = gains(records)
    with panels(len(GAINS), 2, size=(3.8, 2.6), sharex="col", sharey="row") as (figure, axes):
        for column, (varied, fixed) in enumerate((("epochs", "train"), ("train", "epochs"))):
            shown, kept = _varied(data, varied, fixed)
            for row, metric in enumerate(GAINS):
                ax, part = axes[row, column], shown[shown["metric"] == metric]
                _gain(ax, part, varied)
                ax.axhline(0, color="black", linewidth=0.8)
                ax.set_ylabel("" if column else textwrap.fill(f"gain in {title(metric)}", 25))
            axes[0, column].set_title(_WITH[fixed].format(size(kept)) if len(shown) else "")
            axes[-1, column].set_xlabel(_AXES[varied])
        if data.empty:
            say_nothing(figure)
    return figure


_AXES = {"epochs": "epochs", "train": "training pairs"}
_WITH = {"epochs": "{} epochs", "train": "{} training pairs"}


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


def _comparison(ax: Axes, line: Line, y: int) -> None:
    """One line of a verdict; an interval needs two seeds, a point needs one."""
    colour, marker = VERDICTS.get(line.verdict, VERDICTS["context"])
    scale = written(line.metric).scale
    interval = line.interval
    if line.items is not None and line.items.bounded:
        ax.hlines(
            y + 0.22, scale * line.items.low, scale * line.items.high, color=colour, linewidth=0.8
        )
    if interval.bounded:
        ax.hlines(y, scale * interval.low, scale * interval.high, color=colour, linewidth=2)
    face = colour if line.primary else "white"
    ax.plot(scale * interval.mean, y, marker, color=colour, markerfacecolor=face, markersize=7)
