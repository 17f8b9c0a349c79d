"""Figures by language: what is carried from English to the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

from idlib.metrics.items import SOURCE, Bootstrap, bootstrap, items_of, languages
from idlib.records import Record
from idlib.report.comparisons import by_cell
from idlib.report.figures.look import COLOURS, legend, panels, plain, say_nothing
from idlib.report.names import SCORES, SMOOTHINGS, Cell, written


def by_language(
    records: Iterable[Record],
    task: str,
    score: str = "f1",
    methods: Sequence[str] = ("baseline", "id"),
) -> Figure:
    """A score of the teachers in every tested language: mean over seeds as bars.

    The whiskers are the 95 % bootstrap intervals over test items of that mean. English, the
    language of training, stands first, the others by the first method's score.
    """
    cells = by_cell(records)
    smoothing = SMOOTHINGS[task][0]
    scores = {
        m: _scores(list(cells.get(Cell(m, 0, smoothing), {}).values()), score) for m in methods
    }
    shown = [m for m in methods if scores[m]]
    if not shown:
        with panels(1, 1, size=(7.0, 2.0)) as (figure, _):
            say_nothing(figure)
        return figure
    first = scores[shown[0]]
    tested = [name for name in first if all(name in scores[m] for m in shown)]
    order = sorted(tested, key=lambda name: (name != SOURCE, -first[name].value))
    height, how = 0.8 / len(shown), written(f"test/{score}/{SOURCE}")
    with panels(1, 1, size=(7.0, 1.2 + 0.3 * len(order))) as (figure, axes):
        ax = axes[0, 0]
        for index, method in enumerate(shown):
            values, lows, highs = (
                how.scale * np.array([getattr(scores[method][name], part) for name in order])
                for part in ("value", "low", "high")
            )
            places = np.arange(len(order)) + (index - (len(shown) - 1) / 2) * height
            ax.barh(places, values, height, color=COLOURS[method])
            ax.hlines(places, lows, highs, color="black", linewidth=1)
        ax.set_yticks(range(len(order)), list(map(plain, order)))
        ax.invert_yaxis()
        ax.set(xlabel=f"{SCORES[score]} ({how.unit})", ylabel="")
        legend(figure, shown, lines=False)
    return figure


def _scores(records: Sequence[Record], score: str) -> dict[str, Bootstrap]:
    """The mean over seeds in each language of which all these records keep the same items."""
    curves = [record.measured.curves for record in records]
    found = {
        name: bootstrap([1.0], [[items_of(one, f"test/{score}/{name}") for one in curves]])
        for name in (languages(curves[0]) if curves else ())
    }
    return {name: one for name, one in found.items() if one is not None}
