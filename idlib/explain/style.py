"""How the figures of these pages look.

Every figure comes back closed: nothing is shown or kept open, and a cell shows what it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from idlib.report.figures.style import WIDTH


@contextmanager
def white_grid(font_scale: float = 1.0) -> Iterator[None]:
    """Seaborn's white grid inside; afterwards matplotlib's settings are as before."""
    with plt.rc_context():
        sns.set_theme(style="whitegrid", font_scale=font_scale, color_codes=False)
        yield


def fitted(grid: sns.FacetGrid, columns: int) -> Figure:
    """A grid's figure as wide as the page's column, its legend above it, closed.

    Args:
        grid: with a legend.
        columns: of the legend.
    """
    sns.move_legend(grid, "lower center", bbox_to_anchor=(0.5, 1), ncols=columns, title=None)
    grid.figure.set_size_inches(WIDTH, grid.figure.get_figheight())
    grid.figure.tight_layout()
    return closed(grid.figure)


def closed(figure: Figure) -> Figure:
    """The figure, closed, with the look that holds now wherever it is drawn later.

    Matplotlib makes ticks, and looks up the size of their labels, only when a figure is drawn.
    """
    for axes in figure.axes:
        axes.xaxis.set_tick_params(labelsize=plt.rcParams["xtick.labelsize"])
        axes.yaxis.set_tick_params(labelsize=plt.rcParams["ytick.labelsize"])
    figure.draw_without_rendering()
    plt.close(figure)
    return figure
