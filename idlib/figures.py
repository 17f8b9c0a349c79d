"""Records as seaborn figures. They read only records, so a book rebuilds without training.

Every figure comes back closed: nothing is shown or kept open, and a notebook displays what its
cell returns. Colours are safe for colour-blind readers, and the same for a method everywhere; line
style or marker says the method too.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from idlib.claims import Line, Verdict, by_cell
from idlib.published import CELLS, METHOD_NAMES, METRICS, NLL, Cell, Metric, title
from idlib.records import Record
from idlib.statistics import t_interval
from idlib.tables import LAYERS

COLOURS = {"baseline": "#D55E00", "id": "#0072B2", "passes": "#009E73", "compute": "#CC79A7"}
DASHES = {"baseline": (4, 1.5), "id": "", "passes": (1, 1), "compute": (5, 1, 1, 1)}
MARKERS = {"baseline": "o", "id": "s", "passes": "^", "compute": "D"}
VERDICTS = {  # colour and marker of a comparison
    "supported": ("#0072B2", "o"),
    "contradicted": ("#D55E00", "X"),
    "undecided": ("#595959", "D"),
    "not judged": ("#8C8C8C", "s"),
    "context": ("#8C8C8C", "|"),
}

_PALETTE = {METHOD_NAMES[method]: colour for method, colour in COLOURS.items()}
_DASHES = {METHOD_NAMES[method]: dash for method, dash in DASHES.items()}


def validation_curves(
    records: Iterable[Record], methods: Sequence[str] = ("baseline", "id")
) -> Figure:
    """Validation NLL and accuracy over updates, a column for each role and smoothing found.

    The line is the mean over seeds, the band their range.
    """
    cells = _present(records, methods)
    smoothings, rounds = _facets(cells)
    curves = {"validation/nll": ("NLL (nats)", 1.0), "validation/accuracy": ("accuracy (%)", 100.0)}
    rows = [(curve, smoothing) for smoothing in smoothings for curve in curves]
    with _figure(len(rows), len(rounds), size=(3.2, 2.1), sharex=True) as (figure, axes):
        for row, (curve, smoothing) in enumerate(rows):
            label, scale = curves[curve]
            for column, round_ in enumerate(rounds):
                ax = axes[row, column]
                ax.sharey(axes[row % len(curves), 0])
                data = _curve(cells, round_, smoothing, "validation/step", curve, scale)
                last = row == len(rows) - 1
                _lines(ax, data, "updates" if last else "", "" if column else f"validation {label}")
                if row % len(curves) == 0:
                    ax.set_title(Cell("", round_, smoothing).label)
        _legend(figure, [m for m in methods if any(cell.method == m for cell in cells)])
    return figure


def training_parts(
    records: Iterable[Record],
    round_: int = 0,
    smoothing: float = 0.0,
    methods: Sequence[str] = ("baseline", "id"),
) -> Figure:
    """The parts of the training loss over updates: task loss, divergence, and its weight α.

    The line is the mean over seeds, the band their range.
    """
    cells = _present(records, methods)
    parts = {
        "train/task": "task loss (nats)",
        "train/divergence": "X-divergence (nats)",
        "train/alpha": "weight α",
    }
    with _figure(1, len(parts), size=(3.6, 3.0)) as (figure, axes):
        for ax, (curve, label) in zip(axes[0], parts.items(), strict=True):
            data = _curve(cells, round_, smoothing, "train/step", curve)
            _lines(ax, data, "updates", label)
        _legend(figure, [m for m in methods if Cell(m, round_, smoothing) in cells])
    return figure


def sensitivity_distribution(
    records: Iterable[Record], methods: Sequence[str] = ("baseline", "id")
) -> Figure:
    """Distribution of the sensitivity of single parameters, a panel for each role and smoothing.

    Shares of parameters over all seeds; the first bin also holds those with none at all.
    """
    cells = _present(records, methods)
    smoothings, rounds = _facets(cells)
    edges = _edges(cells)
    shape = (len(smoothings), len(rounds))
    with _figure(*shape, size=(3.2, 2.5), sharex=True, sharey=True) as (figure, axes):
        for (row, column), ax in np.ndenumerate(axes):
            round_, smoothing = rounds[column], smoothings[row]
            data = _histogram(cells, round_, smoothing)
            if not data.empty:
                sns.histplot(
                    data,
                    x="sensitivity",
                    weights="share",
                    hue="model",
                    hue_order=_names(data),
                    palette=_PALETTE,
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
        _legend(figure, [m for m in methods if any(cell.method == m for cell in cells)])
    return figure


def nll_by_model(records: Iterable[Record]) -> Figure:
    """Test NLL of every model: one point a seed, and mean with 95 % t interval in black."""
    cells = {
        cell: {seed: r for seed, r in runs.items() if NLL in r.measured.metrics}
        for cell, runs in by_cell(records).items()
    }
    cells = {cell: runs for cell, runs in cells.items() if runs}
    rows = sorted({(cell.smoothing, cell.round) for cell in cells})
    methods = [method for method in METHOD_NAMES if any(cell.method == method for cell in cells)]
    with _figure(1, 1, size=(7.0, 0.9 + 0.75 * max(1, len(rows)))) as (figure, axes):
        ax = axes[0, 0]
        for place, (smoothing, round_) in enumerate(rows):
            here = [m for m in methods if Cell(m, round_, smoothing) in cells]
            for index, method in enumerate(here):
                runs = cells[Cell(method, round_, smoothing)]
                values = [runs[seed].measured.metrics[NLL] for seed in sorted(runs)]
                y = place + 0.2 * (index - (len(here) - 1) / 2)
                sns.scatterplot(
                    x=values,
                    y=[y] * len(values),
                    color=COLOURS[method],
                    marker=MARKERS[method],
                    label=METHOD_NAMES[method],
                    legend=False,
                    zorder=3,
                    ax=ax,
                )
                _whisker(ax, values, y)
        ax.set_yticks(range(len(rows)), [Cell("", r, s).label for s, r in rows])
        ax.invert_yaxis()
        ax.set(xlabel=title(NLL), ylabel="")
        _legend(figure, methods, lines=False)
    return figure


def sensitivity_by_layer(
    records: Iterable[Record],
    round_: int = 0,
    smoothing: float = 0.0,
    methods: Sequence[str] = tuple(METHOD_NAMES),
) -> Figure:
    """Std of sensitivity by layer (log axis), and std/mean; bars span the seeds' range."""
    data = pd.DataFrame(
        [
            {
                "layer": layer,
                "model": METHOD_NAMES[cell.method],
                "std": 1000 * record.measured.metrics[f"sensitivity/std/{layer}"],
                "ratio": record.measured.metrics[f"sensitivity/std/{layer}"]
                / record.measured.metrics[f"sensitivity/mean/{layer}"],
            }
            for cell, runs in _present(records, methods).items()
            if (cell.round, cell.smoothing) == (round_, smoothing)
            for record in runs.values()
            for layer in LAYERS
            if record.measured.metrics.get(f"sensitivity/mean/{layer}")
        ],
        columns=["layer", "model", "std", "ratio"],
    )
    labels = {"std": "std of sensitivity (× 10⁻³)", "ratio": "std/mean of sensitivity"}
    with _figure(1, 2, size=(4.6, 3.2)) as (figure, axes):
        for ax, (column, label) in zip(axes[0], labels.items(), strict=True):
            if not data.empty:
                names = _names(data)
                markers = {METHOD_NAMES[method]: mark for method, mark in MARKERS.items()}
                sns.pointplot(
                    data,
                    x="layer",
                    y=column,
                    hue="model",
                    order=LAYERS,
                    hue_order=names,
                    palette=_PALETTE,
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
        _legend(figure, [m for m in methods if METHOD_NAMES[m] in names], lines=False)
    return figure


def gain_forest(verdict: Verdict) -> Figure:
    """The lines of a verdict: difference and 95 % interval over seeds, a panel for each metric.

    Filled markers take part in the verdict; the thin bar is the bootstrap over test items.
    """
    lines = [line for line in verdict.lines if line.interval is not None]
    metrics = list(dict.fromkeys(line.metric for line in lines))
    labels = list(dict.fromkeys(line.label for line in lines))
    columns = min(3, max(1, len(metrics)))
    shape = (math.ceil(max(1, len(metrics)) / columns), columns)
    size = (2.6 if columns > 1 else 5.0, 1.1 + 0.32 * max(1, len(labels)))
    with _figure(*shape, size=size, left=2.4, sharey=True) as (figure, axes):
        for ax in axes.flat[len(metrics) :]:
            ax.set_visible(False)
        for ax, metric in zip(axes.flat, metrics, strict=False):
            here = [line for line in lines if line.metric == metric]
            for line in here:
                _comparison(ax, line, labels.index(line.label))
            ax.axvline(0, color="black", linewidth=0.8, zorder=0)
            sides = {line.claimed for line in here} - {None}
            claim = f"\nclaimed: {sides.pop()} 0" if len(sides) == 1 else ""
            name = textwrap.fill(f"difference in {title(metric)}", 30)
            ax.set(xlabel=name + claim, ylabel="")
        axes[0, 0].set_yticks(range(len(labels)), labels)
        axes[0, 0].set_ylim(max(1, len(labels)) - 0.5, -0.5)
        used = [name for name in VERDICTS if any(line.verdict == name for line in lines)]
        if used:
            handles = [_dot(name, *VERDICTS[name]) for name in used]
            figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        else:
            figure.text(0.5, 0.5, "no records", ha="center", va="center")
    return figure


@contextmanager
def _figure(
    rows: int,
    columns: int,
    size: tuple[float, float],
    left: float = 0.0,
    sharex: bool | str = False,
    sharey: bool | str = False,
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure of panels of ``size`` inches each, closed at the end whatever happens."""
    style = {**sns.axes_style("whitegrid"), **sns.plotting_context("notebook", font_scale=0.85)}
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(left + size[0] * columns, size[1] * rows),
            squeeze=False,
            sharex=sharex,
            sharey=sharey,
            layout="constrained",
        )
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def _present(records: Iterable[Record], methods: Sequence[str]) -> dict[Cell, dict[int, Record]]:
    return {cell: runs for cell, runs in by_cell(records).items() if cell.method in methods}


def _facets(cells: dict[Cell, dict[int, Record]]) -> tuple[list[float], list[int]]:
    """Smoothings and rounds that are there, or the report's if there is nothing."""
    found = {(cell.round, cell.smoothing) for cell in cells} or set(CELLS)
    return sorted({s for _, s in found}), sorted({round_ for round_, _ in found})


def _names(data: pd.DataFrame) -> list[str]:
    return [name for name in METHOD_NAMES.values() if (data["model"] == name).any()]


def _curve(
    cells: dict[Cell, dict[int, Record]],
    round_: int,
    smoothing: float,
    steps: str,
    name: str,
    scale: float = 1.0,
) -> pd.DataFrame:
    """One row a point of a curve: model, seed, update, value."""
    rows = [
        (METHOD_NAMES[cell.method], seed, step, scale * value)
        for cell, runs in cells.items()
        if (cell.round, cell.smoothing) == (round_, smoothing)
        for seed, record in runs.items()
        for step, value in zip(
            record.measured.curves.get(steps, []),
            record.measured.curves.get(name, []),
            strict=True,
        )
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "step", "value"])


def _lines(ax: Axes, data: pd.DataFrame, xlabel: str, ylabel: str) -> None:
    if not data.empty:
        sns.lineplot(
            data,
            x="step",
            y="value",
            hue="model",
            style="model",
            hue_order=_names(data),
            style_order=_names(data),
            palette=_PALETTE,
            dashes=_DASHES,
            errorbar=("pi", 100) if data["seed"].nunique() > 1 else None,
            legend=False,
            ax=ax,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel)


def _edges(cells: dict[Cell, dict[int, Record]]) -> np.ndarray:
    """The bins' edges in log10: the records' own, or as many over all of them if they differ."""
    name = "sensitivity/histogram/edges"
    found = sorted(
        {tuple(r.measured.curves.get(name, ())) for runs in cells.values() for r in runs.values()}
        - {()}
    )
    if not found:
        return np.linspace(-12, 0, 49)
    if len(found) == 1:
        return np.array(found[0])
    low, high = min(edges[0] for edges in found), max(edges[-1] for edges in found)
    return np.linspace(low, high, max(len(edges) for edges in found))


def _histogram(cells: dict[Cell, dict[int, Record]], round_: int, smoothing: float) -> pd.DataFrame:
    """One row a bin of a record, with the share (%) of its model's parameters over all seeds."""
    parts = []
    for cell, runs in cells.items():
        if (cell.round, cell.smoothing) != (round_, smoothing):
            continue
        for record in runs.values():
            edges = np.array(record.measured.curves.get("sensitivity/histogram/edges", []))
            counts = np.array(record.measured.curves.get("sensitivity/histogram/counts", []))
            if counts.sum() > 0:
                centres = 10 ** ((edges[:-1] + edges[1:]) / 2)
                share = 100 * counts / counts.sum() / len(runs)
                name = METHOD_NAMES[cell.method]
                parts.append(pd.DataFrame({"model": name, "sensitivity": centres, "share": share}))
    columns = ["model", "sensitivity", "share"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _whisker(ax: Axes, values: list[float], y: float) -> None:
    interval = t_interval(values)
    if interval.bounded:
        half = interval.high - interval.mean
        ax.errorbar(interval.mean, y, xerr=half, fmt="|", color="black", capsize=4, linewidth=1)


def _comparison(ax: Axes, line: Line, y: int) -> None:
    """One line of a verdict; an interval needs two seeds, a point needs one."""
    colour, marker = VERDICTS.get(line.verdict, VERDICTS["context"])
    scale = METRICS.get(line.metric, Metric(line.metric, "")).scale
    interval = line.interval
    if line.items is not None and line.items.bounded:
        ax.hlines(
            y + 0.22, scale * line.items.low, scale * line.items.high, color=colour, linewidth=0.8
        )
    if interval.bounded:
        ax.hlines(y, scale * interval.low, scale * interval.high, color=colour, linewidth=2)
    face = colour if line.primary else "white"
    ax.plot(scale * interval.mean, y, marker, color=colour, markerfacecolor=face, markersize=7)


def _dot(label: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="", label=label)


def _legend(figure: Figure, methods: Sequence[str], lines: bool = True) -> None:
    """One legend above all panels, instead of one in each."""
    handles = [
        Line2D([], [], color=COLOURS[m], label=METHOD_NAMES[m], dashes=DASHES[m] or (None, None))
        if lines
        else _dot(METHOD_NAMES[m], COLOURS[m], MARKERS[m])
        for m in methods
    ]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    else:
        figure.text(0.5, 0.5, "no records", ha="center", va="center")
