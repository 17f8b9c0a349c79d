"""How the figures of these pages look.

Every figure comes back closed: nothing is shown or kept open, and a cell shows what it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


@contextmanager
def white_grid(font_scale: float = 1.0) -> Iterator[None]:
    """Seaborn's white grid inside; afterwards matplotlib's settings are as before."""
    with plt.rc_context():
        sns.set_theme(style="whitegrid", font_scale=font_scale, color_codes=False)
        yield


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
