"""Figures of dose, selection and regime, from the records of the protocol's studies."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from idlib.metrics.names import BEST, LAST, LOSS, RULES, SELECTIONS, at, steps_of
from idlib.records import Record
from idlib.report.conditions import METHOD_NAMES
from idlib.report.figures.forest import ABSENT, PLAIN, Group, Look, Row, forest
from idlib.report.figures.style import COLOURS, WIDTH, panels, whisker
from idlib.report.paired import Cells, Gain, Measure, StudyRecords, gain
from idlib.report.regime import (
    DOSES,
    ENCODER,
    FALL,
    GRID,
    IMAGE_LINES,
    IMAGES,
    PAIRS,
    RIVAL_LINES,
    ROOM,
    SMOOTHINGS,
    Point,
    mean_dose,
    overfit,
    pairs_label,
    rivals,
)
from idlib.report.tasks import report_of

LOOKS = {
    BEST: Look(RULES[BEST], "#332288", "o"),
    LOSS: Look(RULES[LOSS], "#CC6677", "v"),
    LAST: Look(RULES[LAST], "#117733", "s"),
}
SMOOTHED: dict[float, tuple[str, str, LineStyleType]] = {
    0.0: ("#332288", "o", "-"),
    0.05: ("#CC6677", "v", "--"),
    0.1: ("#117733", "s", ":"),
}


# ---- all answers at once


def overview(found: StudyRecords) -> Figure:
    """The three answers in one figure: the gain by selection, by dose, and by regime, over δ."""
    bleu, nll = found.measure("C1"), found.measure("C6")
    translation, images = found.cells("translation"), found.cells(*IMAGES)
    by_rule = [
        Row(RULES[rule], gain(translation, bleu, "id", selection=rule), LOOKS[rule])
        for rule in SELECTIONS
    ]
    by_dose = [
        Row(f"s = {s:g}, α = {alpha:g}", gain(images, nll, cell, GRID[s, 0.0][1]))
        for (s, alpha), (_, cell) in GRID.items()
        if alpha
    ]
    by_size = [
        Row(pairs_label(study), gain(found.cells(study), bleu, "id", selection=rule), LOOKS[rule])
        for study in PAIRS
        for rule in SELECTIONS
    ]
    groups = [
        Group(f"Selection: {pairs_label('translation')}, SacreBLEU", by_rule),
        Group("Dose: images, NLL, beside label smoothing s", by_dose),
        Group("Regime: translation, SacreBLEU", by_size),
    ]
    return forest(groups, in_deltas=True, left=1.7)


# ---- selection


def selection(found: StudyRecords) -> Figure:
    """The gain under each rule of selection: translation of every size, and images."""
    bleu, nll = found.measure("C1"), found.measure("C6")
    images = found.cells("images")
    pictured = {"baseline": "without smoothing", "baseline smoothed": "smoothing 0.1"}
    groups = []
    for measure in (bleu, FALL):
        rows = [
            Row(pairs_label(study), gain(found.cells(study), measure, "id", selection=rule), look)
            for study in PAIRS
            for rule, look in LOOKS.items()
        ]
        groups.append(Group(f"Translation, {measure.metric.name}", rows, measure.title))
    rows = [
        Row(pictured[base], gain(images, nll, ours, base, selection=rule), look)
        for base, ours in SMOOTHINGS.items()
        for rule, look in LOOKS.items()
    ]
    return forest([*groups, Group(f"Images, {nll.metric.name}", rows, nll.title)], left=1.7)


def validation(found: StudyRecords, studies: Sequence[str], score: str) -> Figure:
    """Validation loss and score over updates, a row for each study, baseline and ID.

    Thin lines are seeds, thick ones their mean; marks are the updates that the rules chose.

    Args:
        found: the records.
        studies: of one task.
        score: the curve beside the loss: ``validation/bleu`` or ``validation/accuracy``.
    """
    names = ("validation/nll", score)
    size = (WIDTH / 2, 1.8 + 0.8 / len(studies))
    with panels(len(studies), 2, size, sharex="col") as (figure, axes):
        for row, study in enumerate(studies):
            report = report_of(found.protocol.studies[study].task)
            for ax, name in zip(axes[row], names, strict=True):
                metric = report.metric(name)
                for method in ("baseline", "id"):
                    records = found.cells(study).get(method, {})
                    _curves(ax, list(records.values()), name, method, metric.scale)
                _beyond_the_start(ax)
                if row == 0:
                    ax.set_title(metric.title, loc="left", fontsize="medium")
                if not ax.lines:
                    ax.text(0.5, 0.5, ABSENT, ha="center", transform=ax.transAxes)
            where = pairs_label(study) if study in PAIRS else "images, s = 0"
            axes[row, 0].set_ylabel(where, fontweight="bold")
        for ax in axes[-1]:
            ax.set_xlabel("updates")
        lines = [
            Line2D([], [], color=COLOURS[m], label=METHOD_NAMES[m], linestyle=_STYLES[m])
            for m in ("baseline", "id")
        ]
        marks = [
            Line2D([], [], color="black", marker=LOOKS[r].marker, linestyle="", label=RULES[r])
            for r in (BEST, LOSS)
        ]
        figure.legend(handles=[*lines, *marks], loc="outside upper center", ncols=2)
    return figure


_STYLES: dict[str, LineStyleType] = {"baseline": "--", "id": "-"}
START = 0.15  # of a run: what is measured before sets no axis


def _beyond_the_start(ax: Axes) -> None:
    """Fit the axis to what curves show after their start, which would flatten all that follows."""
    drawn = [np.array(line.get_data(orig=False)) for line in ax.lines]
    if drawn:
        shown = np.concatenate([ys[xs > START * xs[-1]] for xs, ys in drawn])
        low, high = shown.min(), shown.max()
        ax.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))


def _curves(ax: Axes, records: Sequence[Record], name: str, method: str, scale: float) -> None:
    curves = [
        (np.array(steps_of(found, name)), scale * np.array(found[name]))
        for found in (record.measured.curves for record in records)
    ]
    style: dict[str, Any] = {"color": COLOURS[method], "linestyle": _STYLES[method]}
    for steps, values in curves:
        ax.plot(steps, values, linewidth=0.6, alpha=0.35, **style)
    if len({len(steps) for steps, _ in curves}) == 1:
        ax.plot(*np.mean(curves, axis=0), linewidth=2, **style)
    for rule in (BEST, LOSS):
        chosen = [
            (metrics[at("selected/step", rule)], scale * metrics[at(name, rule)])
            for metrics in (record.measured.metrics for record in records)
        ]
        if chosen:
            places, heights = np.array(chosen).T
            ax.scatter(
                places,
                heights,
                marker=LOOKS[rule].marker,
                s=22,
                color=COLOURS[method],
                edgecolor="black",
                linewidth=0.6,
                zorder=3,
            )


# ---- dose


def dose_of_images(found: StudyRecords) -> Figure:
    """The gain over the baseline of the same smoothing, by α and by the measured dose."""
    cells = found.cells(*IMAGES)
    measures = [found.measure(line) for line in IMAGE_LINES]
    with panels(3, 2, (WIDTH / 2, 2.1), sharex="col", sharey="row") as (figure, axes):
        for row, measure in enumerate(measures):
            for column, ax in enumerate(axes[row]):
                _band(ax, measure)
                for place, s in enumerate(SMOOTHED):
                    _dose_curve(ax, cells, measure, s, measured=column == 1, shift=place - 1)
                if not any(cells.values()):
                    ax.text(0.5, 0.6, ABSENT, ha="center", transform=ax.transAxes)
            axes[row, 0].set_ylabel(textwrap.fill(measure.title, 20))
        axes[-1, 0].set_xlabel("α")
        axes[-1, 0].set_xticks(sorted({alpha for _, alpha in GRID}))
        axes[-1, 1].set_xlabel("dose at the end, α X / CE")
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle=style, label=f"s = {s:g}")
            for s, (colour, marker, style) in SMOOTHED.items()
        ]
        passes = Line2D(
            [], [], color="black", marker="D", ls="", mfc="none", label="K passes, s = 0"
        )
        figure.legend(handles=[*handles, passes], loc="outside upper center", ncols=4)
    return figure


def _dose_curve(
    ax: Axes, cells: Cells, measure: Measure, s: float, measured: bool, shift: int
) -> None:
    colour, marker, style = SMOOTHED[s]
    base = GRID[s, 0.0][1]
    shown = [(alpha, GRID[s, alpha][1]) for alpha in (5.0, 15.0) if cells.get(GRID[s, alpha][1])]
    xs, gains = [0.0], [gain(cells, measure, base, base)]
    for alpha, cell in shown:
        xs.append(mean_dose(cells[cell]) if measured else alpha + 0.35 * shift)
        gains.append(gain(cells, measure, cell, base))
    drawn = [(x, g.interval.mean) for x, g in zip(xs, gains, strict=True) if g.interval]
    if len(drawn) > 1:
        places, means = np.array(drawn).T
        heights = measure.metric.scale * means
        ax.plot(places, heights, color=colour, linestyle=style, marker=marker, markersize=5)
    for x, one in list(zip(xs, gains, strict=True))[1:]:
        _interval(ax, x, one, colour)
    if s == 0 and cells.get("passes"):
        passes = gain(cells, measure, "passes", base)
        if passes.interval:
            scale = measure.metric.scale
            ax.plot(0, scale * passes.interval.mean, "D", color="black", mfc="none", markersize=6)
            _interval(ax, 0.0, passes, "black")


def _interval(ax: Axes, x: float, one: Gain, colour: str) -> None:
    if one.interval is not None and one.interval.bounded:
        scale = one.measure.metric.scale
        ax.vlines(x, scale * one.interval.low, scale * one.interval.high, color=colour, lw=1.2)


def _band(ax: Axes, measure: Measure) -> None:
    ax.axhline(0, color="black", linewidth=0.9, zorder=1)
    if measure.delta is not None:
        delta = measure.metric.scale * measure.delta
        ax.axhspan(-delta, delta, color="#E3E3E3", zorder=0)


def dose_of_encoder(found: StudyRecords) -> Figure:
    """The gain at three doses on the tasks of the pretrained encoder, in units of δ."""
    groups = []
    for study, line in ENCODER.items():
        cells, measure = found.cells(study), found.measure(line)
        rows = [
            Row(_dosed(name, cells.get(cell, {})), gain(cells, measure, cell))
            for cell, name in DOSES.items()
        ]
        groups.append(Group(f"{study.capitalize()}, {measure.metric.name}", rows))
    return forest(groups, in_deltas=True, left=2.3)


def _dosed(name: str, by_seed: Mapping[int, Record]) -> str:
    return f"{name}: dose {mean_dose(by_seed):.2g}" if by_seed else name


# ---- regime


def regime(found: StudyRecords) -> Figure:
    """The gain over how far the baseline overfits, a row for each rule of selection.

    A point a seed; the mean with its 95 % interval in black, at the mean of the seeds' places.
    """
    bleu = found.measure("C1")
    labels = (
        "rise of the baseline's validation NLL\nto the last update (nats)",
        "share of the run until it turns",
    )
    with panels(3, 2, (WIDTH / 2, 2.1), sharex="col", sharey=True) as (figure, axes):
        for row, rule in enumerate(SELECTIONS):
            for column, ax in enumerate(axes[row]):
                _band(ax, bleu)
                for place, study in enumerate(PAIRS):
                    points = overfit(found.cells(study), bleu, rule)
                    _size(ax, bleu, list(points.values()), column, place)
                if not ax.collections:
                    ax.text(0.5, 0.6, ABSENT, ha="center", transform=ax.transAxes)
            axes[row, 0].set_ylabel("gain in\nSacreBLEU")
            axes[row, 0].set_title(RULES[rule], loc="left", fontweight="bold", fontsize="medium")
        for ax, label in zip(axes[-1], labels, strict=True):
            ax.set_xlabel(label)
        handles = [
            Line2D([], [], color=colour, marker=marker, ls="", label=pairs_label(study))
            for study, (colour, marker) in zip(PAIRS, _SIZES, strict=True)
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


_SIZES = tuple(zip(sns.color_palette("viridis", 5).as_hex()[:4], "osD^", strict=True))


def _size(ax: Axes, measure: Measure, points: Sequence[Point], column: int, place: int) -> None:
    if not points:
        return
    colour, marker = _SIZES[place]
    xs, ys = [point[column] for point in points], [measure.metric.scale * p.gain for p in points]
    ax.scatter(xs, ys, color=colour, marker=marker, s=22, alpha=0.75, zorder=3)
    whisker(ax, ys, float(np.mean(xs)), along="y")


# ---- rivals, and what there is to regularise


def rivals_figure(found: StudyRecords) -> Figure:
    """Intra-distillation and its rivals over the baseline; the price stands at each name."""
    groups = []
    for line in RIVAL_LINES:
        measure, study = found.measure(line), found.protocol.lines[line].study
        rows = [
            Row(
                f"{one.name}, {one.price:.2g} ×" if one.price else one.name,
                one.gain,
                PLAIN if one.behind is None else Look("", "#404040", "o"),
            )
            for one in rivals(found, line)
        ]
        groups.append(Group(f"{study.capitalize()}, {measure.metric.name}", rows, measure.title))
    return forest(groups, left=3.1)


def room(found: StudyRecords) -> Figure:
    """What K times the updates add to the baseline alone, in units of δ."""
    rows = [
        Row(study.capitalize(), gain(found.cells(study), found.measure(line), "compute"))
        for study, line in ROOM.items()
    ]
    return forest([Group("K × the updates, without intra-distillation", rows)], True, left=1.7)
