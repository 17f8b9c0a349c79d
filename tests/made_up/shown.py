"""What tables and figures show, for tests to compare with what was made up."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from idlib.report.figures.style import COLOURS


def rows_of(table: pd.DataFrame) -> list[str]:
    """The rows of a table as text, labels and cells."""
    return [
        " | ".join([*(label if isinstance(label, tuple) else [label]), *map(str, cells)])
        for label, cells in zip(table.index, table.to_numpy().tolist(), strict=True)
    ]


def drawn(figure: Figure) -> list[Axes]:
    """The axes that are seen, laid out, so that an artist that cannot be drawn fails the test."""
    figure.draw_without_rendering()
    return [ax for ax in figure.axes if ax.get_visible()]


def coloured(ax: Axes, method: str) -> list[Line2D]:
    """The lines of a method."""
    colour = to_rgba(COLOURS[method])
    return [line for line in ax.lines if to_rgba(line.get_color()) == colour]


def points(ax: Axes) -> list[tuple[float, float]]:
    """Where the points of scatter plots are."""
    offsets = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    return [(round(float(x), 9), round(float(y), 9)) for part in offsets for x, y in part]


def segments(ax: Axes, along: int = 0) -> list[list[float]]:
    """The ends of intervals along an axis."""
    lines = [c.get_segments() for c in ax.collections if isinstance(c, LineCollection)]
    return [segment[:, along].tolist() for each in lines for segment in each]


def ticks(axis: Axis) -> list[str]:
    """The labels of an axis."""
    return [label.get_text() for label in axis.get_ticklabels()]


def legend_texts(figure: Figure) -> list[str]:
    """The entries of a figure's legend."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def says_nothing(figure: Figure) -> bool:
    """Whether a figure says that there are no records, and can be drawn."""
    drawn(figure)
    return [text.get_text() for text in figure.texts] == ["no records"]
