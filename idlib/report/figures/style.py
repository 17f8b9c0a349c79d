"""How all figures look: colours, panels, legends, and the records that a figure shows."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from idlib.report.conditions import METHOD_NAMES, ByCondition
from idlib.report.results import Results
from idlib.report.statistics import t_interval

COLOURS = {"baseline": "#D55E00", "id": "#0072B2", "passes": "#009E73", "compute": "#CC79A7"}
DASHES = {"baseline": (4, 1.5), "id": "", "passes": (1, 1), "compute": (5, 1, 1, 1)}
MARKERS = {"baseline": "o", "id": "s", "passes": "^", "compute": "D"}
OUTCOMES = {  # colour and marker of a line's decision
    "supported": ("#0072B2", "o"),
    "contradicted": ("#D55E00", "X"),
    "no effect": ("#007A5A", "s"),
    "undecided": ("#595959", "D"),
    "not applicable": ("#8C8C8C", "P"),
    "not judged": ("#8C8C8C", "|"),
}
WIDTH = 6.8  # inches, of the page's column: wider figures would be shown, text and all, smaller
FONT_SCALE = 0.91  # of seaborn's "notebook": its "small" is 9 points high
_WHISKER: dict[str, Any] = {"color": "black", "capsize": 4, "linewidth": 1}
PALETTE = {METHOD_NAMES[method]: colour for method, colour in COLOURS.items()}


@contextmanager
def panels(
    rows: int,
    columns: int,
    size: tuple[float, float],
    left: float = 0.0,
    sharex: bool | Literal["col"] = False,
    sharey: bool | Literal["row"] = False,
    heights: Sequence[float] | None = None,
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure of panels, closed at the end whatever happens.

    Args:
        rows, columns: of panels.
        size: width and height of a panel in inches; narrower where the page's column ends.
        left: inches beside the panels, for long labels.
        sharex, sharey: as matplotlib has them.
        heights: of the rows in inches, where they are not all that of ``size``.
    """
    heights = heights or [size[1]] * rows
    width = min(left + size[0] * columns, WIDTH)
    style: dict[Any, Any] = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("notebook", font_scale=FONT_SCALE),
    }
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(width, sum(heights)),
            height_ratios=heights,
            squeeze=False,
            sharex=sharex,
            sharey=sharey,
            layout="constrained",
        )
        try:
            yield figure, axes
        finally:
            plt.close(figure)


@contextmanager
def folded(
    count: int, size: tuple[float, float], columns: int = 2, **more: Any
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure of so many panels in rows of so many columns, and the panels in reading order.

    Args:
        count: of panels, at least one of which there is in any case.
        size: of a panel, as for :func:`panels`.
        columns: of a full row.
        more: for :func:`panels`.
    """
    count = max(1, count)
    columns = min(columns, count)
    with panels(math.ceil(count / columns), columns, size, **more) as (figure, axes):
        for unused in axes.flat[count:]:
            unused.set_visible(False)
        yield figure, axes.flat[:count]


def present(results: Results, methods: Sequence[str]) -> ByCondition:
    """The judged records of these methods by condition and seed."""
    return {c: runs for c, runs in results.by_condition.items() if c.method in methods}


def facets(shown: ByCondition, results: Results) -> tuple[list[float], list[int]]:
    """Smoothings and rounds that are there; without records those of a base model."""
    where = {(c.round, c.smoothing) for c in shown} or {(0, results.report.smoothings[0])}
    return sorted({s for _, s in where}), sorted({round_ for round_, _ in where})


def names_in(data: pd.DataFrame) -> list[str]:
    """Names of the methods in the column ``model``, in their usual order."""
    return [name for name in METHOD_NAMES.values() if (data["model"] == name).any()]


def whisker(ax: Axes, values: Sequence[float], place: float, along: str = "x") -> None:
    """Mean and 95 % t interval in black, along an axis; nothing for a single value."""
    interval = t_interval(values)
    if not interval.bounded:
        return
    half = interval.high - interval.mean
    if along == "x":
        ax.errorbar(interval.mean, place, xerr=half, fmt="|", **_WHISKER)
    else:
        ax.errorbar(place, interval.mean, yerr=half, fmt="_", **_WHISKER)


def model_lines(ax: Axes, data: pd.DataFrame, x: str, y: str, **more: Any) -> None:
    """A line for each method: the mean over seeds, and their range as a band.

    Args:
        ax: to draw in.
        data: columns ``model`` (the method's name), ``seed``, and those of ``x`` and ``y``.
        x, y: columns.
        more: for seaborn's ``lineplot``.
    """
    names = names_in(data)
    sns.lineplot(
        data,
        x=x,
        y=y,
        hue="model",
        style="model",
        hue_order=names,
        style_order=names,
        palette=PALETTE,
        dashes={METHOD_NAMES[method]: dash for method, dash in DASHES.items()},
        errorbar=("pi", 100) if data["seed"].nunique() > 1 else None,
        legend=False,
        ax=ax,
        **more,
    )


def plain(label: str) -> str:
    """A label without formulas: a data set or language may have dollars in its name."""
    return label.replace("$", r"\$")


def dot(label: str, colour: str, marker: str) -> Line2D:
    """A legend's entry for points."""
    return Line2D([], [], color=colour, marker=marker, linestyle="", label=label)


def legend(figure: Figure, methods: Sequence[str], lines: bool = True) -> None:
    """One legend above all panels, instead of one in each; "no records" without methods."""
    handles = [
        Line2D([], [], color=COLOURS[m], label=METHOD_NAMES[m], dashes=DASHES[m] or (None, None))
        if lines
        else dot(METHOD_NAMES[m], COLOURS[m], MARKERS[m])
        for m in methods
    ]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    else:
        say_nothing(figure)


def embedded(figure: Figure, words: str) -> str:
    """A figure as HTML that holds it, for another page: an image file would not go with it.

    Args:
        figure: to draw.
        words: what it shows, for those who do not see it.
    """
    drawn = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "idlib"}):  # the same bytes each time
        figure.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
    data = base64.b64encode(drawn.getvalue()).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{data}">'


def say_nothing(figure: Figure) -> None:
    """Write in the middle that there is nothing to show."""
    figure.text(0.5, 0.5, "no records", ha="center", va="center")


def nothing() -> Figure:
    """A small figure that says that there is nothing to show."""
    with panels(1, 1, size=(7.0, 2.0)) as (figure, _):
        say_nothing(figure)
    return figure
