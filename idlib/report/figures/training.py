"""Figures of training: curves on validation, and the parts of the loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idlib.records import Record
from idlib.report.comparisons import task_of
from idlib.report.figures.look import (
    DASHES,
    PALETTE,
    Cells,
    facets,
    legend,
    names_in,
    panels,
    present,
)
from idlib.report.names import METHOD_NAMES, SMOOTHINGS, Cell

_NLL_AND_F1 = {"validation/nll": ("NLL (nats)", 1.0), "validation/f1": ("F1 (points)", 100.0)}
_CURVES = {  # by task: label and scale of what is watched on validation
    "images": {
        "validation/nll": ("NLL (nats)", 1.0),
        "validation/accuracy": ("accuracy (%)", 100.0),
    },
    "translation": {"validation/nll": ("NLL (nats)", 1.0)},
    "tagging": _NLL_AND_F1,
    "answering": _NLL_AND_F1,
    "classification": {"validation/nll": ("NLL (nats)", 1.0)},
}
_FEW = 3  # evaluations
_DASHES = {METHOD_NAMES[method]: dash for method, dash in DASHES.items()}


def validation_curves(
    records: Iterable[Record], methods: Sequence[str] = ("baseline", "id")
) -> Figure:
    """What validation shows over updates, a column for each round, a row for each smoothing.

    The line is the mean over seeds, the band their range.
    """
    given = list(records)
    cells, curves = present(given, methods), _CURVES[task_of(given) or "images"]
    smoothings, rounds = facets(cells)
    rows = [(curve, smoothing) for smoothing in smoothings for curve in curves]
    with panels(len(rows), len(rounds), size=(3.2, 2.1), sharex=True) as (figure, axes):
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
        legend(figure, [m for m in methods if any(cell.method == m for cell in cells)])
    return figure


def training_parts(
    records: Iterable[Record],
    round_: int = 0,
    smoothing: float | None = None,
    methods: Sequence[str] = ("baseline", "id"),
) -> Figure:
    """The parts of the training loss over updates: task loss, divergence, and its weight α.

    The line is the mean over seeds, the band their range. ``smoothing`` is the task's first unless
    given.
    """
    given = list(records)
    cells = present(given, methods)
    smoothing = SMOOTHINGS[task_of(given) or "images"][0] if smoothing is None else smoothing
    parts = {
        "train/task": "task loss (nats)",
        "train/divergence": "X-divergence (nats)",
        "train/alpha": "weight α",
    }
    with panels(1, len(parts), size=(3.6, 3.0)) as (figure, axes):
        for ax, (curve, label) in zip(axes[0], parts.items(), strict=True):
            data = _curve(cells, round_, smoothing, "train/step", curve)
            _lines(ax, data, "updates", label)
        legend(figure, [m for m in methods if Cell(m, round_, smoothing) in cells])
    return figure


def _curve(
    cells: Cells, round_: int, smoothing: float, steps: str, name: str, scale: float = 1.0
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
    """A line for each model; the points too where they are few, as one alone makes no line."""
    if not data.empty:
        few = data["step"].nunique() <= _FEW
        sns.lineplot(
            data,
            x="step",
            y="value",
            hue="model",
            style="model",
            hue_order=names_in(data),
            style_order=names_in(data),
            palette=PALETTE,
            dashes=_DASHES,
            markers=dict.fromkeys(names_in(data), "o") if few else None,
            markeredgewidth=0,
            markersize=4,
            errorbar=("pi", 100) if data["seed"].nunique() > 1 else None,
            legend=False,
            ax=ax,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel)
