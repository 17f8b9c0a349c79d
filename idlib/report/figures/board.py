"""The figure of the board: every line's effect and interval in units of its δ."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from idlib.report.board import ORDER, Board
from idlib.report.claims import PAPER, REPORT
from idlib.report.decisions import Decision
from idlib.report.figures.style import OUTCOMES, dot, panels, plain, say_nothing

LIMIT = 5.0  # in δ: what lies beyond is drawn at the edge, as an arrow
_PUBLISHED = {PAPER: "*", REPORT: "v"}
_WITHIN = "#E8E8E8"


def board(shown: Board) -> Figure:
    """The primary lines that have been measured: mean and interval over seeds, in units of δ.

    The claimed side is on the right. Between −1 and 1, shaded, an effect is too small to matter.
    Colour and marker are the outcome's, which stands at the right edge too; the marker of an
    interim one is empty.
    """
    lines = {name: one for name, one in shown.primary.items() if one.in_deltas is not None}
    with panels(1, 1, size=(6.6, 1.3 + 0.3 * max(2, len(lines)))) as (figure, axes):
        ax = axes[0, 0]
        ax.axvspan(-1, 1, color=_WITHIN, zorder=0)
        ax.axvline(0, color="black", linewidth=0.8, zorder=1)
        for y, (name, decision) in enumerate(lines.items()):
            _effect(ax, y, decision)
            for source, value in shown.published(name):
                sign = 1 if decision.line.better == "above" else -1
                place = min(LIMIT, max(-LIMIT, sign * value / decision.line.delta))
                ax.plot(place, y - 0.28, _PUBLISHED[source], color="black", markersize=6)
            ax.text(LIMIT + 0.4, y, decision.told, va="center", fontsize="small")
        ax.set_yticks(range(len(lines)), [plain(name) for name in lines])
        ax.set(xlim=(-LIMIT - 0.3, LIMIT + 0.3), ylim=(max(1, len(lines)) - 0.5, -0.6))
        ax.set_xlabel("effect in units of δ: against the claim ← 0 → for the claim")
        ax.grid(axis="y", visible=False)
        if lines:
            figure.legend(handles=_handles(lines), loc="outside upper center", ncols=4)
        else:
            say_nothing(figure)
    return figure


def _effect(ax: Axes, y: int, decision: Decision) -> None:
    interval = decision.in_deltas
    if interval is None:
        return
    colour, marker = OUTCOMES[decision.outcome]
    if interval.bounded:
        low, high = max(interval.low, -LIMIT), min(interval.high, LIMIT)
        if low <= high:
            ax.hlines(y, low, high, color=colour, linewidth=2)
        for edge, beyond in ((-LIMIT, interval.low < -LIMIT), (LIMIT, interval.high > LIMIT)):
            if beyond:
                ax.plot(edge, y, "<" if edge < 0 else ">", color=colour, markersize=5)
    if abs(interval.mean) <= LIMIT:
        face = "white" if decision.interim else colour
        ax.plot(interval.mean, y, marker, color=colour, markerfacecolor=face, markersize=7)


def _handles(lines: dict[str, Decision]) -> list[Line2D | Patch]:
    outcomes = {one.outcome for one in lines.values()}
    handles: list[Line2D | Patch] = [
        dot(name, *OUTCOMES[name]) for name in ORDER if name in outcomes
    ]
    published = [dot(source, "black", marker) for source, marker in _PUBLISHED.items()]
    handles += [*published, Patch(color=_WITHIN, label="smaller than δ")]
    if any(one.interim for one in lines.values()):
        empty = dot("interim", OUTCOMES["undecided"][0], "o")
        empty.set_markerfacecolor("white")
        handles.append(empty)
    return handles
