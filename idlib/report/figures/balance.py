"""Figures of balance by kind of parameter, of pruning, and of what balance goes with."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from idlib.metrics.names import LOSS
from idlib.report.association import BALANCE, qualities, runs_of
from idlib.report.balance import REST, STD, paired, ratio
from idlib.report.conditions import METHOD_NAMES
from idlib.report.equal_loss import checkpoints
from idlib.report.figures.style import (
    COLOURS,
    MARKERS,
    folded,
    legend,
    model_lines,
    nothing,
    panels,
    plain,
    whisker,
)
from idlib.report.kinds import KINDS
from idlib.report.metrics import NLL
from idlib.report.paired import FEWEST, Cells, Studies
from idlib.report.pruning import RANKS, pruned

PARTS = {"all": STD, REST: f"kinds/std/{REST}", **{kind: f"kinds/std/{kind}" for kind in KINDS}}
NO_PAIR = "no seed of two methods"


def overview(studies: Studies, rank: str = "sensitivity") -> Figure:
    """Left the ratios of std by part of the parameters, right the curves of pruning.

    A row for each study.

    Args:
        studies: records with their figures.
        rank: what weights are ranked by.
    """
    shown = _shown(studies)
    if not shown:
        return nothing()
    with panels(len(shown), 2, size=(3.3, 2.8)) as (figure, axes):
        for row, (study, cells) in enumerate(shown.items()):
            _ratios(axes[row, 0], cells)
            _pruning(axes[row, 1], cells, rank)
            for ax in axes[row]:
                ax.set_title(plain(study))
        _legend(figure, shown)
    return figure


def pruning(studies: Studies) -> Figure:
    """Test NLL over the share of weights removed, by both rankings, a row for each study."""
    shown = _shown(studies)
    if not shown:
        return nothing()
    with panels(len(shown), len(RANKS), size=(3.3, 2.6), sharey="row") as (figure, axes):
        for row, (study, cells) in enumerate(shown.items()):
            for ax, rank in zip(axes[row], RANKS, strict=True):
                _pruning(ax, cells, rank)
                ax.set_title(f"{plain(study)}, by {rank}")
        for ax in axes[:, 1:].flat:
            ax.set_ylabel("")
        _legend(figure, shown)
    return figure


def areas(
    studies: Studies, contrasts: Sequence[tuple[str, str]], labels: Mapping[tuple[str, str], str]
) -> Figure:
    """What pruning adds to the NLL beside another cell: a point a seed, mean and interval.

    Args:
        studies: records with their figures.
        contrasts: pairs of cells; those that no seed has are left out.
        labels: what each is called.
    """
    found = {
        study: {
            pair: differences
            for pair in contrasts
            if any(differences := [_differences(cells, rank, pair) for rank in RANKS])
        }
        for study, cells in studies.items()
    }
    found = {study: pairs for study, pairs in found.items() if pairs}
    if not found:
        return nothing()
    heights = [0.9 + 0.36 * len(pairs) for pairs in found.values()]
    with panels(
        *(len(found), len(RANKS)),
        size=(2.5, max(heights)),
        left=1.5,
        sharey="row",
        heights=heights,
    ) as (figure, axes):
        for row, (study, pairs) in enumerate(found.items()):
            for column, rank in enumerate(RANKS):
                ax = axes[row, column]
                for place, differences in enumerate(pairs.values()):
                    values = differences[column]
                    colour = COLOURS["id"]
                    ax.scatter(
                        values, [place] * len(values), s=18, color=colour, alpha=0.5, linewidth=0
                    )
                    if len(values) >= FEWEST:
                        whisker(ax, values, place)
                ax.axvline(0, color="black", linewidth=0.8, zorder=0)
                ax.set_title(f"{plain(study)}, by {rank}")
                ax.set_xlabel("difference (nats)")
            axes[row, 0].set_yticks(
                range(len(pairs)), [textwrap.fill(labels[pair], 26) for pair in pairs]
            )
            axes[row, 0].set_ylim(len(pairs) - 0.5, -0.5)
    return figure


def beside_training_loss(studies: Studies) -> Figure:
    """Std of sensitivity over the training loss, both logarithmic, a panel for each study.

    A filled marker is the checkpoint of lowest validation loss, an open one the last update; those
    of a run are joined.
    """
    shown = _shown(studies)
    if not shown:
        return nothing()
    with folded(len(shown), (3.3, 3.2)) as (figure, axes):
        for ax, (study, cells) in zip(axes, shown.items(), strict=True):
            for cell, colour in COLOURS.items():
                points = checkpoints(cells, [cell])
                for _, run in points.groupby("seed"):
                    ax.plot(run["train"], run["std"], color=colour, linewidth=0.7, zorder=1)
                for selection, part in points.groupby("selection"):
                    ax.scatter(
                        part["train"],
                        part["std"],
                        marker=MARKERS[cell],
                        facecolor=colour if selection == LOSS else "white",
                        edgecolor=colour,
                        s=28,
                        linewidth=1,
                        zorder=2,
                    )
            ax.set(xscale="log", yscale="log", title=plain(study))
            ax.set(xlabel="training NLL (nats)", ylabel="std of sensitivity (nats)")
            _few_ticks(ax)
        _legend(figure, shown, lines=False)
    return figure


def associations(studies: Studies) -> Figure:
    """Test scores over three measures of balance, a point a run.

    A row for each study and score, a column for each measure. Colour and marker tell the method;
    filled are base models of the settings of the protocol's primary lines, open all other runs.

    Args:
        studies: records by study, cell and seed.
    """
    rows = [
        (study, quality, table)
        for study, cells in studies.items()
        for quality in qualities(cells)
        if not (table := runs_of(cells, *quality.asked)).empty
    ]
    if not rows:
        return nothing()
    with panels(len(rows), len(BALANCE), size=(2.2, 2.2), sharey="row") as (figure, axes):
        for row, (study, quality, table) in enumerate(rows):
            for ax, (column, label) in zip(axes[row], BALANCE.items(), strict=True):
                for (cell, method), part in table.groupby(["group", "method"]):
                    colour = COLOURS[str(method)]
                    ax.scatter(
                        part[column],
                        quality.metric.scale * part["quality"],
                        marker=MARKERS[str(method)],
                        facecolor=colour if cell in METHOD_NAMES else "none",
                        edgecolor=colour,
                        s=24,
                        linewidth=0.9,
                    )
                ax.set(xlabel=label, title=plain(study) if column == "std" else "")
                ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)
            axes[row, 0].set_ylabel(textwrap.fill(quality.metric.title, 20))
        methods = {method for *_, table in rows for method in table["method"]}
        legend(figure, [m for m in METHOD_NAMES if m in methods], lines=False)
    return figure


def _shown(studies: Studies) -> dict[str, Cells]:
    """The studies in which some run of the four methods was made."""
    return {
        study: cells
        for study, cells in studies.items()
        if any(cells.get(method) for method in METHOD_NAMES)
    }


def _legend(figure: Figure, shown: Studies, lines: bool = True) -> None:
    there = [m for m in METHOD_NAMES if any(cells.get(m) for cells in shown.values())]
    legend(figure, there, lines)


def _ratios(ax: Axes, cells: Cells) -> None:
    """Std of the methods over the baseline's for each part, with intervals; logarithmic."""
    others = [method for method in METHOD_NAMES if method != "baseline" and cells.get(method)]
    found = {
        part: {method: ratio(cells, metric, method, "baseline") for method in others}
        for part, metric in PARTS.items()
    }
    found = {part: by for part, by in found.items() if any(by.values())}
    ends = [1.0]
    for place, by_method in enumerate(found.values()):
        for order, (method, interval) in enumerate(by_method.items()):
            if interval is None:
                continue
            y = place + 0.22 * (order - (len(others) - 1) / 2)
            colour = COLOURS[method]
            if interval.bounded and interval.n >= FEWEST:
                ax.hlines(y, interval.low, interval.high, color=colour, linewidth=1.6)
                ends += [interval.low, interval.high]
            ax.plot(interval.mean, y, MARKERS[method], color=colour, markersize=5)
            ends.append(interval.mean)
    if not found:
        ax.text(0.5, 0.5, NO_PAIR, ha="center", va="center", transform=ax.transAxes)
    ax.axvline(1, color="black", linewidth=0.8, zorder=0)
    ax.set(xscale="log", xlabel="std of sensitivity ÷ baseline's", ylabel="")
    low, high = min(0.8 * min(ends), 0.5), max(1.25 * max(ends), 1.5)
    marks = [mark for mark in (0.1, 0.2, 0.5, 1, 2, 5, 10) if low <= mark <= high]
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator(marks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(range(len(found)), list(found))
    ax.set_ylim(max(1, len(found)) - 0.5, -0.5)


def _pruning(ax: Axes, cells: Cells, rank: str) -> None:
    """Test NLL (logarithmic) over the share removed: the mean over seeds, the band their range."""
    rows = []
    for method, name in METHOD_NAMES.items():
        for seed, record in cells.get(method, {}).items():
            if curve := pruned(record, rank):
                points = zip(curve.shares, curve.nll, strict=True)
                rows += [(name, seed, 100 * share, nll) for share, nll in points]
    data = pd.DataFrame(rows, columns=["model", "seed", "share", "nll"])
    if not data.empty:
        model_lines(ax, data, "share", "nll")
        ax.set_yscale("log")
        _few_ticks(ax, "y")
    ax.set(xlabel="weights removed (%)", ylabel=NLL.title)


def _few_ticks(ax: Axes, axes: str = "xy") -> None:
    """Plain numbers at a few digits of each decade of a logarithmic axis."""
    for letter in axes:
        axis = getattr(ax, f"{letter}axis")
        low, high = axis.get_view_interval()
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        if high > 30 * low:
            digits: tuple[float, ...] = (1, 3)
        else:
            digits = (1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 7)
        marks = [digit * 10.0**decade for decade in decades for digit in digits]
        axis.set_major_locator(FixedLocator([mark for mark in marks if low <= mark <= high]))
        axis.set_major_formatter(FuncFormatter(_plain_number))
        axis.set_minor_formatter(NullFormatter())


def _plain_number(value: float, _: int) -> str:
    if value >= 0.001:
        return f"{value:g}"
    power = math.floor(math.log10(value) + 1e-9)
    return rf"${value / 10**power:g}\times10^{{{power}}}$"


def _differences(cells: Cells, rank: str, pair: tuple[str, str]) -> list[float]:
    return list(paired(cells, f"pruned/{rank}/added", *pair).by_seed.values())
