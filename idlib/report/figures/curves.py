"""Figures of training: curves on validation, and the parts of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idlib.report.conditions import METHOD_NAMES, ByCondition, Condition
from idlib.report.figures.style import (
    facets,
    legend,
    model_lines,
    names_in,
    panels,
    plain,
    present,
)
from idlib.report.results import Results

_FEW = 3  # evaluations


def validation_curves(results: Results, methods: Sequence[str] = ("baseline", "id")) -> Figure:
    """What validation shows over updates, a column for each round, a row for each smoothing.

    Several data sets stand one below the other, each on axes of its own. The line is the mean over
    seeds, the band their range.
    """
    shown = present(results, methods)
    metrics = [results.metric(key) for key in results.report.curves]
    smoothings, rounds = facets(shown, results)
    datasets = _datasets(shown)
    rows = [*product(datasets, smoothings, metrics)]
    height = len(smoothings) * len(metrics)  # rows of a data set
    shape, one = (len(rows), len(rounds)), len(datasets) == 1
    with panels(*shape, size=(3.2, 2.1), sharex=one) as (figure, axes):
        for row, (dataset, smoothing, metric) in enumerate(rows):
            for column, round_ in enumerate(rounds):
                ax = axes[row, column]
                ax.sharey(axes[row - row % height + row % len(metrics), 0])
                where = Condition("", round_, smoothing, dataset)
                data = _curve(shown, where, "validation/step", metric.key, metric.scale)
                last = (row + 1) % height == 0
                _lines(ax, data, "updates" if last else "", "" if column else metric.title)
                if row % len(metrics) == 0:
                    ax.set_title(plain(where.label))
        legend(figure, [m for m in methods if any(c.method == m for c in shown)])
    return figure


def training_parts(results: Results, methods: Sequence[str] = ("baseline", "id")) -> Figure:
    """The parts of the training loss over updates: task loss, divergence, and its weight α.

    Of the base models at the task's first smoothing, a row for each data set. The line is the mean
    over seeds, the band their range.
    """
    shown = present(results, methods)
    places = [
        Condition("", 0, results.report.smoothings[0], dataset) for dataset in _datasets(shown)
    ]
    parts = {
        "train/task": "task loss (nats)",
        "train/divergence": "X-divergence (nats)",
        "train/alpha": "weight α",
    }
    with panels(len(places), len(parts), size=(3.6, 3.0)) as (figure, axes):
        for row, where in zip(axes, places, strict=True):
            for ax, (curve, label) in zip(row, parts.items(), strict=True):
                _lines(ax, _curve(shown, where, "train/step", curve), "updates", label)
            row[0].set_title(plain(where.dataset))
        there = [m for m in methods if any(where._replace(method=m) in shown for where in places)]
        legend(figure, there)
    return figure


def _datasets(shown: ByCondition) -> list[str]:
    """The data sets that are told apart; one without a name where there are not several."""
    return sorted({condition.dataset for condition in shown}) or [""]


def _curve(
    shown: ByCondition, where: Condition, steps: str, name: str, scale: float = 1.0
) -> pd.DataFrame:
    """One row a point of a curve, of the methods in one condition: model, seed, update, value."""
    rows = []
    for condition, runs in shown.items():
        if condition[1:] != where[1:]:  # of any method
            continue
        for seed, record in runs.items():
            curves = record.measured.curves
            points = zip(curves.get(steps, []), curves.get(name, []), strict=True)
            model = METHOD_NAMES[condition.method]
            rows += [(model, seed, step, scale * value) for step, value in points]
    return pd.DataFrame(rows, columns=["model", "seed", "step", "value"])


def _lines(ax: Axes, data: pd.DataFrame, xlabel: str, ylabel: str) -> None:
    """A line for each model; the points too where they are few, as one alone makes no line."""
    if not data.empty:
        few = data["step"].nunique() <= _FEW
        markers = dict.fromkeys(names_in(data), "o") if few else None
        model_lines(ax, data, "step", "value", markers=markers, markeredgewidth=0, markersize=4)
    ax.set(xlabel=xlabel, ylabel=ylabel)
