"""Figures of how good models are, and in which languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from idlib.metrics.items import TRAINED_ON, items_of, languages
from idlib.records import Record
from idlib.report.bootstrap import bootstrap
from idlib.report.conditions import METHOD_NAMES, Condition
from idlib.report.figures.style import (
    COLOURS,
    MARKERS,
    legend,
    nothing,
    panels,
    plain,
    whisker,
)
from idlib.report.results import Results
from idlib.report.statistics import Interval


def by_model(results: Results, key: str) -> Figure:
    """A metric of every judged model: one point a seed, mean with 95 % t interval in black."""
    metric = results.metric(key)
    shown = {
        condition: values
        for condition, runs in results.by_condition.items()
        if (
            values := [
                metric.scale * runs[seed].measured.metrics[key]
                for seed in sorted(runs)
                if key in runs[seed].measured.metrics
            ]
        )
    }
    rows = sorted({(c.dataset, c.smoothing, c.round) for c in shown})
    methods = [method for method in METHOD_NAMES if any(c.method == method for c in shown)]
    with panels(1, 1, size=(7.0, 0.9 + 0.75 * max(1, len(rows)))) as (figure, axes):
        ax = axes[0, 0]
        for place, (dataset, smoothing, round_) in enumerate(rows):
            here = [m for m in methods if Condition(m, round_, smoothing, dataset) in shown]
            for index, method in enumerate(here):
                values = shown[Condition(method, round_, smoothing, dataset)]
                y = place + 0.2 * (index - (len(here) - 1) / 2)
                sns.scatterplot(
                    x=values,
                    y=[y] * len(values),
                    color=COLOURS[method],
                    marker=MARKERS[method],
                    zorder=3,
                    ax=ax,
                )
                whisker(ax, values, y)
        labels = [plain(Condition("", r, s, d).label) for d, s, r in rows]
        ax.set_yticks(range(len(rows)), labels)
        ax.invert_yaxis()
        ax.set(xlabel=metric.title, ylabel="")
        legend(figure, methods, lines=False)
    return figure


def by_language(
    results: Results, kind: str = "f1", methods: Sequence[str] = ("baseline", "id")
) -> Figure:
    """A score of the judged base models in every tested language: mean over seeds as bars.

    The whiskers are its 95 % intervals by the bootstrap crossed over seeds and items. English, the
    language of training, stands first, the others by the first method's score.
    """
    scores = {method: _scores(results, method, kind) for method in methods}
    shown = [method for method in methods if scores[method]]
    if not shown:
        return nothing()
    first = scores[shown[0]]
    tested = [name for name in first if all(name in scores[m] for m in shown)]
    order = sorted(tested, key=lambda name: (name != TRAINED_ON, -first[name].mean))
    metric = results.metric(f"test/{kind}/{TRAINED_ON}")
    height = 0.8 / len(shown)
    with panels(1, 1, size=(7.0, 1.2 + 0.3 * len(order))) as (figure, axes):
        ax = axes[0, 0]
        for index, method in enumerate(shown):
            intervals = np.array([scores[method][name][:3] for name in order]) * metric.scale
            places = np.arange(len(order)) + (index - (len(shown) - 1) / 2) * height
            ax.barh(places, intervals[:, 0], height, color=COLOURS[method])
            ax.hlines(places, intervals[:, 1], intervals[:, 2], color="black", linewidth=1)
        ax.set_yticks(range(len(order)), list(map(plain, order)))
        ax.invert_yaxis()
        ax.set(xlabel=f"{results.report.by_language[kind]} ({metric.unit})", ylabel="")
        legend(figure, shown, lines=False)
    return figure


def _scores(results: Results, method: str, kind: str) -> dict[str, Interval]:
    """The mean over seeds in each language of which all these records keep the same items."""
    records: Sequence[Record] = results.base_models.get(method, ())
    curves = [record.measured.curves for record in records]
    scores = {}
    for language in languages(curves[0]) if curves else ():
        key = f"test/{kind}/{language}"
        how = results.metric(key).items
        interval = bootstrap([1.0], [[items_of(one, key, how) for one in curves]], how)
        if interval is not None:
            scores[language] = interval
    return scores
