"""Gains in rows, each with its interval, beside zero and the smallest effect of interest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from idlib.report.figures.style import WIDTH, dot, panels
from idlib.report.paired import Gain
from idlib.report.text import counted

ABSENT = "no records yet"
_SMALL = 9.35  # points


class Look(NamedTuple):
    """How a row is drawn, and what the legend calls it."""

    name: str
    colour: str
    marker: str


PLAIN = Look("", "#0072B2", "s")


class Row(NamedTuple):
    """One gain; rows of the same label stand close together."""

    label: str
    gain: Gain
    look: Look = PLAIN


class Group(NamedTuple):
    """Rows that share a panel: all in one measure, or in units of δ."""

    title: str
    rows: Sequence[Row]
    xlabel: str = ""


def forest(groups: Sequence[Group], in_deltas: bool = False, left: float = 2.0) -> Figure:
    """A panel for each group: mean gain and 95 % interval over seeds, better to the right.

    The grey band is ±δ. One seed has an empty marker and no interval; the number of seeds stands
    at the right.

    Args:
        groups: from the top.
        in_deltas: one axis for all panels, in units of each row's δ.
        left: inches for the labels.
    """
    labels = [list(dict.fromkeys(row.label for row in group.rows)) for group in groups]
    heights = [
        0.45 + sum(max(0.27, 0.17 * _count(group, label)) for label in names)
        for group, names in zip(groups, labels, strict=True)
    ]
    size = (WIDTH - left, (sum(heights) + 0.5) / len(groups))
    shared: Literal["col", False] = "col" if in_deltas else False
    with panels(len(groups), 1, size, left, sharex=shared) as (figure, axes):
        axes[0, 0].get_gridspec().set_height_ratios(heights)
        for ax, group, names in zip(axes[:, 0], groups, labels, strict=True):
            _group(ax, group, names, in_deltas)
        if in_deltas:
            axes[-1, 0].set_xlabel("gain in units of δ, the smallest effect of interest")
        looks = dict.fromkeys(row.look for group in groups for row in group.rows if row.look.name)
        handles: list[Artist] = [dot(*look) for look in looks]
        if in_deltas or any(row.gain.measure.delta for group in groups for row in group.rows):
            handles.append(Patch(color="#E3E3E3", label="within ±δ"))
        figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=max(1, len(handles)),
            columnspacing=1.2,
            handletextpad=0.5,
        )
    return figure


def _count(group: Group, label: str) -> int:
    return sum(row.label == label for row in group.rows)


def _group(ax: Axes, group: Group, names: Sequence[str], in_deltas: bool) -> None:
    deltas = {row.gain.measure.delta for row in group.rows}
    scales = {row.gain.measure.metric.scale for row in group.rows}
    if in_deltas:
        ax.axvspan(-1, 1, color="#E3E3E3", zorder=0)
    elif len(deltas) == 1 and (delta := next(iter(deltas))) is not None:
        ax.axvspan(-delta * max(scales), delta * max(scales), color="#E3E3E3", zorder=0)
    elif not any(row.gain.interval for row in group.rows):
        ax.set_xticks([])  # nothing gives the axis a scale
    ax.axvline(0, color="black", linewidth=0.9, zorder=1)
    beside: dict[str, Any] = {
        "va": "center",
        "transform": ax.get_yaxis_transform(),
        "fontsize": _SMALL,
    }
    for place, label in enumerate(names):
        rows = [row for row in group.rows if row.label == label]
        counts = [row.gain.interval.n if row.gain.interval else 0 for row in rows]
        for row, y in zip(rows, place + _dodge(len(rows)), strict=True):
            _row(ax, row, float(y), in_deltas)
        if len(set(counts)) == 1:
            said = {float(place): counts[0]}
        else:
            said = dict(zip((place + _dodge(len(rows))).tolist(), counts, strict=True))
        for y, number in said.items():
            text, x = (counted(number, "seed"), 1.01) if number else (ABSENT, 0.01)
            ax.text(x, y, text, color="black" if number else "#595959", **beside)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set(xlabel=group.xlabel)
    ax.set_title(group.title, loc="left", fontsize="medium", fontweight="bold")


def _dodge(rows: int) -> np.ndarray:
    """Where the rows of one label stand around its place."""
    return 0.27 * (np.arange(rows) - (rows - 1) / 2)


def _row(ax: Axes, row: Row, y: float, in_deltas: bool) -> None:
    interval, measure = row.gain.interval, row.gain.measure
    if interval is None:
        return
    scale = 1 / (measure.delta or 1) if in_deltas else measure.metric.scale
    face = row.look.colour if interval.bounded else "white"
    if interval.bounded:
        ax.hlines(y, scale * interval.low, scale * interval.high, color=row.look.colour)
    ax.plot(
        *(scale * interval.mean, y, row.look.marker),
        color=row.look.colour,
        markerfacecolor=face,
        markersize=6,
    )
