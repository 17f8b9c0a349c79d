"""Figures of what an update costs: times and peaks of arms, and how they move with the sizes."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from idlib.costs import StoredCosts
from idlib.report.figures.style import panels, say_nothing
from idlib.report.pages.performance import SUITES, Measured, beside, cases, headlines, title

OURS, OTHERS, FLOOR = "#0072B2", "#8C8C8C", "#009E73"
HEIGHT = 0.36  # inches of an arm's line
LABEL = 36  # characters of its name beside the panels before it is broken
LINES = {"id-plain": ("#D55E00", "o"), "id": (OURS, "s"), "floor": (FLOOR, "^")}
SWEPT = {"passes": "K", "positions": "positions", "classes": "classes"}


def costs_figure(stored: Sequence[StoredCosts], suite: str) -> Figure:
    """Each machine's headline of a suite: time on the left and peak memory on the right.

    Both are relative to the suite's reference; lines are quartiles over turns.
    """
    shown, reference = headlines(stored, suite), SUITES[suite][1]
    most = max((len(measured.case.arms) for measured in shown), default=3)
    rows = max(len(shown), 1)
    with panels(rows, 2, (3.6, 0.9 + HEIGHT * most), left=1.5, sharey="row") as (figure, axes):
        for (left, right), measured in zip(axes, shown, strict=False):
            _times(left, measured, reference)
            _peaks(right, measured, reference)
        if not shown:
            say_nothing(figure)
        return figure


def sizes_figure(stored: Sequence[StoredCosts]) -> Figure:
    """Time relative to the published procedure over K, positions and classes.

    In each panel the other two sizes are those that most of the cases share.
    """
    by_machine: dict[str, list[Measured]] = {}
    for measured in (*cases(stored, "loss"), *cases(stored, "sizes")):
        by_machine.setdefault(measured.machine, []).append(measured)
    rows = max(len(by_machine), 1)
    with panels(rows, len(SWEPT), (2.6, 2.4), sharey="row") as (figure, axes):
        for line, (machine, found) in zip(axes, by_machine.items(), strict=False):
            for ax, (name, label) in zip(line, SWEPT.items(), strict=True):
                _line(ax, _sweep(found, name), name, SUITES["sizes"][1])
                ax.set(xlabel=label, xscale="linear" if name == "passes" else "log")
            line[0].set_ylabel("time ÷ published")
            line[1].set_title(machine)
        if by_machine:
            handles, labels = axes[0][0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=max(len(labels), 1))
        else:
            say_nothing(figure)
        return figure


def _times(ax: Axes, measured: Measured, reference: str) -> None:
    arms = [arm for arm in measured.case.arms if arm.seconds is not None]
    for place, arm in enumerate(arms):
        ratio = arm.ratios.get(reference)
        colour = OURS if arm.arm.startswith(("id", "sens")) else OTHERS
        colour = FLOOR if arm.arm == "floor" else colour
        if ratio is not None:
            ax.plot([ratio.lower, ratio.upper], [place, place], color=colour, linewidth=3)
        if ratio is not None or arm.arm == reference:
            ax.plot(ratio.median if ratio else 1.0, place, "o", color=colour)
    ax.axvline(1, color="grey", linewidth=0.8)
    ax.set(
        xlim=(0, None),
        xlabel=f"time ÷ {beside(measured.case.suite, reference)}",
        title=measured.machine,
    )
    ax.set_yticks(range(len(arms)), [fill(title(arm), LABEL) for arm in arms])
    ax.invert_yaxis()


def _peaks(ax: Axes, measured: Measured, reference: str) -> None:
    arms = [arm for arm in measured.case.arms if arm.seconds is not None]
    for place, arm in enumerate(arms):
        memory = measured.case.memory_ratio(arm.arm, reference)
        if memory is not None and arm.arm != "floor":  # which holds no optimizer's state
            ax.barh(place, memory, color=OURS if arm.arm.startswith(("id", "sens")) else OTHERS)
    ax.axvline(1, color="grey", linewidth=0.8)
    ax.set(xlim=(0, None), xlabel=f"peak ÷ {beside(measured.case.suite, reference)}")


def _sweep(found: Sequence[Measured], name: str) -> list[Measured]:
    """The cases that differ in one size alone: of all such families the largest, in its order."""
    families: dict[str, list[Measured]] = {}
    for measured in found:
        rest = {key: value for key, value in measured.case.about.items() if key != name}
        families.setdefault(str(rest), []).append(measured)
    largest = max(families.values(), key=len)
    return sorted(largest, key=lambda measured: int(measured.case.about[name]))


def _line(ax: Axes, family: Sequence[Measured], name: str, reference: str) -> None:
    for arm, (colour, marker) in LINES.items():
        points = [
            (int(measured.case.about[name]), cost.ratios[reference])
            for measured in family
            if (cost := measured.case.arm(arm)) is not None and reference in cost.ratios
        ]
        if not points:
            continue
        places, ratios = zip(*points, strict=True)
        middle = [ratio.median for ratio in ratios]
        below = [ratio.median - ratio.lower for ratio in ratios]
        above = [ratio.upper - ratio.median for ratio in ratios]
        label = {"id": "ID", "id-plain": "ID, losses by autograd", "floor": "floor"}[arm]
        ax.errorbar(
            places, middle, yerr=[below, above], color=colour, marker=marker, label=label, capsize=3
        )
    ax.axhline(1, color="grey", linewidth=0.8)
    ax.set_ylim(bottom=0)
