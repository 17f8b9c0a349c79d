"""Figures of how evenly parameters contribute."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from idlib.metrics.names import at
from idlib.report.conditions import METHOD_NAMES, ByCondition, Condition
from idlib.report.designs import selection_of
from idlib.report.figures.style import (
    MARKERS,
    PALETTE,
    facets,
    legend,
    names_in,
    panels,
    present,
)
from idlib.report.metrics import CV, STD
from idlib.report.results import Results

ROOM = 30  # letters below a panel; beyond them they are drawn aslant
SEEN = 0.1  # percent of a model's parameters: a bin with fewer is too low to be seen
_COUNTS, _EDGES = "sensitivity/histogram/counts", "sensitivity/histogram/edges"


def sensitivity_distribution(
    results: Results, methods: Sequence[str] = ("baseline", "id")
) -> Figure:
    """Distribution of the sensitivity of single parameters, a panel for each role and smoothing.

    Shares of parameters over all seeds; the first bin also holds those with none at all. The axis
    ends where no bin of any model holds as much as ``SEEN``.
    """
    shown = present(results, methods)
    smoothings, rounds = facets(shown, results)
    edges = _edges(shown)
    shape = (len(smoothings), len(rounds))
    drawn = []
    with panels(*shape, size=(3.2, 2.5), sharex=True, sharey=True) as (figure, axes):
        for (row, column), ax in np.ndenumerate(axes):
            round_, smoothing = rounds[column], smoothings[row]
            data = _histogram(shown, round_, smoothing)
            drawn.append(data)
            if not data.empty:
                sns.histplot(
                    data,
                    x="sensitivity",
                    weights="share",
                    hue="model",
                    hue_order=names_in(data),
                    palette=PALETTE,
                    bins=list(edges),  # in log10, as log_scale wants them
                    log_scale=True,
                    element="step",
                    alpha=0.25,
                    legend=False,
                    ax=ax,
                )
                ax.xaxis.set_major_locator(LogLocator(numticks=6))
            ax.set(
                xlabel="sensitivity |θ · ∂L/∂θ| (nats)" if row == len(smoothings) - 1 else "",
                ylabel="" if column else "parameters in the bin (%)",
                title=Condition("", round_, smoothing).label,
            )
        if ends := _ends(drawn, edges):
            axes[0, 0].set_xlim(*ends)
        legend(figure, [m for m in methods if any(c.method == m for c in shown)])
    return figure


def sensitivity_by_layer(results: Results, methods: Sequence[str] = tuple(METHOD_NAMES)) -> Figure:
    """Std of sensitivity by layer (log axis), and std/mean; bars span the seeds' range.

    Of the judged base models at the task's first smoothing, at the checkpoint of which C4 is
    judged, where it is.
    """
    layers, rule = results.report.layers, selection_of(results.task, "C4")
    rows = []
    for method in methods:
        for record in results.base_models.get(method, ()):
            metrics = record.measured.metrics
            for layer in layers:
                if mean := metrics.get(at(f"sensitivity/mean/{layer}", rule)):
                    std = metrics[at(f"sensitivity/std/{layer}", rule)]
                    rows.append((layer, METHOD_NAMES[method], 1000 * std, std / mean))
    data = pd.DataFrame(rows, columns=["layer", "model", "std", "ratio"])
    labels = {
        column: textwrap.fill(metric.at(rule).title, 30)
        for column, metric in (("std", STD), ("ratio", CV))
    }
    with panels(1, 2, size=(4.6, 3.2)) as (figure, axes):
        for ax, (column, label) in zip(axes[0], labels.items(), strict=True):
            if not data.empty:
                names = names_in(data)
                markers = {METHOD_NAMES[method]: mark for method, mark in MARKERS.items()}
                sns.pointplot(
                    data,
                    x="layer",
                    y=column,
                    hue="model",
                    order=layers,
                    hue_order=names,
                    palette=PALETTE,
                    markers=[markers[name] for name in names],
                    errorbar=("pi", 100),
                    dodge=0.3 if len(names) > 1 else False,
                    linewidth=1.2,
                    ax=ax,
                )
            ax.set(xlabel="layer", ylabel=label)
            if sum(map(len, layers)) > ROOM:
                ax.tick_params(axis="x", rotation=30)
            if ax.get_legend() is not None:
                ax.get_legend().remove()
        axes[0, 0].set_yscale("log")
        shown = set(data["model"])
        legend(figure, [m for m in methods if METHOD_NAMES[m] in shown], lines=False)
    return figure


def _edges(shown: ByCondition) -> np.ndarray:
    """The bins' edges in log10: the records' own, or as many over all of them if they differ."""
    records = [record for runs in shown.values() for record in runs.values()]
    used = {tuple(record.measured.curves.get(_EDGES, ())) for record in records} - {()}
    if not used:
        return np.linspace(-12, 0, 49)
    if len(used) == 1:
        return np.array(used.pop())
    low, high = min(edges[0] for edges in used), max(edges[-1] for edges in used)
    return np.linspace(low, high, max(len(edges) for edges in used))


def _ends(drawn: Sequence[pd.DataFrame], edges: np.ndarray) -> tuple[float, float] | None:
    """Where the bins that can be seen begin and end; ``None`` without any.

    Args:
        drawn: rows of :func:`_histogram` of each panel.
        edges: of the bins in log10.
    """
    seen: list[int] = []
    for data in drawn:
        for _, model in data.groupby("model"):
            places = np.log10(model["sensitivity"])
            shares, _ = np.histogram(places, edges, weights=model["share"])
            seen += np.flatnonzero(shares >= SEEN).tolist()
    return (10 ** edges[min(seen)], 10 ** edges[max(seen) + 1]) if seen else None


def _histogram(shown: ByCondition, round_: int, smoothing: float) -> pd.DataFrame:
    """One row a bin of a record, with the share (%) of its model's parameters over all seeds."""
    parts = []
    for condition, runs in shown.items():
        if (condition.round, condition.smoothing) != (round_, smoothing):
            continue
        for record in runs.values():
            edges = np.array(record.measured.curves.get(_EDGES, []))
            counts = np.array(record.measured.curves.get(_COUNTS, []))
            if counts.sum() > 0:
                centres = 10 ** ((edges[:-1] + edges[1:]) / 2)
                share = 100 * counts / counts.sum() / len(runs)
                name = METHOD_NAMES[condition.method]
                parts.append(pd.DataFrame({"model": name, "sensitivity": centres, "share": share}))
    columns = ["model", "sensitivity", "share"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
