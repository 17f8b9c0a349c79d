"""Figures of how evenly parameters contribute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from idlib.records import Record
from idlib.report.comparisons import task_of
from idlib.report.figures.look import (
    MARKERS,
    PALETTE,
    Cells,
    facets,
    legend,
    names_in,
    panels,
    present,
)
from idlib.report.names import LAYERS, METHOD_NAMES, SMOOTHINGS, Cell

_COUNTS, _EDGES = "sensitivity/histogram/counts", "sensitivity/histogram/edges"


def sensitivity_distribution(
    records: Iterable[Record], methods: Sequence[str] = ("baseline", "id")
) -> Figure:
    """Distribution of the sensitivity of single parameters, a panel for each role and smoothing.

    Shares of parameters over all seeds; the first bin also holds those with none at all.
    """
    cells = present(records, methods)
    smoothings, rounds = facets(cells)
    edges = _edges(cells)
    shape = (len(smoothings), len(rounds))
    with panels(*shape, size=(3.2, 2.5), sharex=True, sharey=True) as (figure, axes):
        for (row, column), ax in np.ndenumerate(axes):
            round_, smoothing = rounds[column], smoothings[row]
            data = _histogram(cells, round_, smoothing)
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
                title=Cell("", round_, smoothing).label,
            )
        legend(figure, [m for m in methods if any(cell.method == m for cell in cells)])
    return figure


def sensitivity_by_layer(
    records: Iterable[Record],
    round_: int = 0,
    smoothing: float | None = None,
    methods: Sequence[str] = tuple(METHOD_NAMES),
) -> Figure:
    """Std of sensitivity by layer (log axis), and std/mean; bars span the seeds' range.

    ``smoothing`` is the task's first unless given.
    """
    given = list(records)
    task = task_of(given) or "images"
    layers = LAYERS[task]
    where = (round_, SMOOTHINGS[task][0] if smoothing is None else smoothing)
    data = pd.DataFrame(
        [
            {
                "layer": layer,
                "model": METHOD_NAMES[cell.method],
                "std": 1000 * record.measured.metrics[f"sensitivity/std/{layer}"],
                "ratio": record.measured.metrics[f"sensitivity/std/{layer}"]
                / record.measured.metrics[f"sensitivity/mean/{layer}"],
            }
            for cell, runs in present(given, methods).items()
            if (cell.round, cell.smoothing) == where
            for record in runs.values()
            for layer in layers
            if record.measured.metrics.get(f"sensitivity/mean/{layer}")
        ],
        columns=["layer", "model", "std", "ratio"],
    )
    labels = {"std": "std of sensitivity (× 10⁻³)", "ratio": "std/mean of sensitivity"}
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
                    dodge=0.3,
                    linewidth=1.2,
                    ax=ax,
                )
            ax.set(xlabel="layer", ylabel=label)
            if ax.get_legend() is not None:
                ax.get_legend().remove()
        axes[0, 0].set_yscale("log")
        names = set(data["model"])
        legend(figure, [m for m in methods if METHOD_NAMES[m] in names], lines=False)
    return figure


def _edges(cells: Cells) -> np.ndarray:
    """The bins' edges in log10: the records' own, or as many over all of them if they differ."""
    found = sorted(
        {tuple(r.measured.curves.get(_EDGES, ())) for runs in cells.values() for r in runs.values()}
        - {()}
    )
    if not found:
        return np.linspace(-12, 0, 49)
    if len(found) == 1:
        return np.array(found[0])
    low, high = min(edges[0] for edges in found), max(edges[-1] for edges in found)
    return np.linspace(low, high, max(len(edges) for edges in found))


def _histogram(cells: Cells, round_: int, smoothing: float) -> pd.DataFrame:
    """One row a bin of a record, with the share (%) of its model's parameters over all seeds."""
    parts = []
    for cell, runs in cells.items():
        if (cell.round, cell.smoothing) != (round_, smoothing):
            continue
        for record in runs.values():
            edges = np.array(record.measured.curves.get(_EDGES, []))
            counts = np.array(record.measured.curves.get(_COUNTS, []))
            if counts.sum() > 0:
                centres = 10 ** ((edges[:-1] + edges[1:]) / 2)
                share = 100 * counts / counts.sum() / len(runs)
                name = METHOD_NAMES[cell.method]
                parts.append(pd.DataFrame({"model": name, "sensitivity": centres, "share": share}))
    columns = ["model", "sensitivity", "share"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
