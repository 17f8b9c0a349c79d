"""How balanced the models are: C4's lines, kinds of parameters, equal training loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from idlib.metrics.names import LAST, LOSS
from idlib.report.balance import CV, REST, STD, exponential, ratio
from idlib.report.board import Board
from idlib.report.conditions import METHOD_NAMES, cell_name
from idlib.report.decisions import Decision
from idlib.report.equal_loss import EqualLoss, equal_loss
from idlib.report.kinds import KINDS, by_kind, shares
from idlib.report.pages.balance.words import Rows, ratio_cell, table, times
from idlib.report.paired import Cells, Studies
from idlib.report.text import NOTHING, span

RATIOS = {  # figures of sensitivity by the key of a part's; all parameters have names of their own
    "std": (STD, "kinds/std/{}"),
    "std / mean": (CV, "kinds/cv/{}"),
    "std, each batch over its loss": ("sensitivity/std_normalized", ""),
    "Gini coefficient": ("sensitivity/gini", ""),
}


def outcomes(board: Board, studies: Iterable[str]) -> pd.DataFrame:
    """The lines of C4 of these studies: outcome and ratio, and the same at the last update."""
    rows = []
    for name in studies:
        for line, decision in of_study(board, name).items():
            last = board.under_each_rule[line][LAST]
            rows.append(
                {
                    "line": line,
                    "compared": " ÷ ".join(map(cell_name, decision.line.contrast)),
                    "outcome": decision.outcome,
                    "ratio of std": ratio_cell(exponential(decision.interval)),
                    "δ": board.delta(decision.line),
                    "seeds": f"{len(decision.seeds)} of {decision.registered}",
                    "last update": last.outcome,
                    "ratio there": ratio_cell(exponential(last.interval)),
                }
            )
    return pd.DataFrame(rows)


def mean_shares(cells: Cells, cell: str, selection: str = LOSS) -> dict[str, tuple[float, ...]]:
    """Means over a cell's seeds, by kind: share of parameters, of variance, and of it between."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for record in cells.get(cell, {}).values():
        if parts := by_kind(record, selection):
            for kind, share in shares(parts).items():
                figures = (share.parameters, share.variance, share.between)
                found.setdefault(kind, []).append(figures)
    return {kind: tuple(np.mean(figures, axis=0)) for kind, figures in found.items()}


def held_by_kind(studies: Studies, cells: Sequence[str] = ("baseline", "id")) -> pd.DataFrame:
    """What each kind holds of the parameters and of the variance of sensitivity, means over seeds.

    In brackets the part that is the distance of the kind's mean from that of all parameters.
    """
    rows: Rows = {}
    for study, known in studies.items():
        held = {cell: mean_shares(known, cell) for cell in cells}
        for kind in KINDS:
            there = [by_kind_[kind] for by_kind_ in held.values() if kind in by_kind_]
            if there:
                rows[study, kind] = {
                    "parameters": f"{there[0][0]:.2%}",
                    **{
                        f"variance, {cell_name(cell)}": _held(by_kind_.get(kind))
                        for cell, by_kind_ in held.items()
                    },
                }
    return table(rows, "study", "kind")


def ratios(studies: Studies, selection: str = LOSS, against: str = "baseline") -> pd.DataFrame:
    """Figures of sensitivity of each method over the baseline's, with 95 % intervals over seeds."""
    methods = [method for method in METHOD_NAMES if method != against]
    rows: Rows = {}
    for study, cells in studies.items():
        counts = {m: ratio(cells, STD, m, against, selection) for m in methods}
        if not any(counts.values()):
            continue
        for figure, (whole, of_part) in RATIOS.items():
            parts = {part: of_part.format(part) for part in (REST, *KINDS) if of_part}
            for part, key in {"all": whole, **parts}.items():
                found = {m: ratio(cells, key, m, against, selection) for m in methods}
                if any(found.values()):
                    rows[study, figure, part] = {m: ratio_cell(one) for m, one in found.items()}
        rows[study, "seeds", ""] = {m: str(one.n) if one else "0" for m, one in counts.items()}
    heads = {method: f"{cell_name(method)} ÷ {cell_name(against)}" for method in methods}
    return table(rows, "study", "figure", "of").rename(columns=heads)


def beside_the_loss(cells: Cells) -> str:
    """What can be said of std at equal training loss, as sentences."""
    found = equal_loss(cells)
    if found is None:
        return "no seed has both a baseline and intra-distillation."
    said = (
        f"at the selected checkpoints intra-distillation has {times(found.train)} times the "
        "baseline's training NLL. "
    )
    said += (
        "The ranges of the two overlap where both checkpoints are taken."
        if found.overlap
        else "The ranges of the two do not overlap: no run of one can be set beside one of the "
        "other at equal training loss."
    )
    if found.adjusted is None:
        return f"{said} How std moves with the loss along a run cannot be told."
    slopes = span(list(found.elasticities.values()), ".2f")
    low, high = (f"{value:.2f}" for value in found.adjusted)
    between = low if low == high else f"{low} to {high}"
    return (
        f"{said} Along the runs without the divergence std moves by {slopes} % where the training "
        f"NLL moves by 1 %. Carried on to equal training NLL, that makes the ratio of std "
        f"{between} instead of {found.ratio.mean:.2f}: {_moved(found)}."
    )


def _moved(found: EqualLoss) -> str:
    """What the difference in training loss does to the ratio, from its logarithm and those at
    equal loss.
    """
    own = math.log(found.ratio.mean)
    adjusted = [math.log(value) * math.copysign(1, own) for value in found.adjusted or ()]
    if min(adjusted) <= 0:
        return "the difference in training loss may make all of the difference in std"
    if min(adjusted) > abs(own):
        return "the difference in training loss hides a part of the difference in std"
    if max(adjusted) < abs(own):
        return "the difference in training loss makes a part of the difference in std"
    return "what the difference in training loss does depends on the run that is followed"


def of_study(board: Board, study: str) -> dict[str, Decision]:
    """The lines of C4 of a study."""
    return {
        name: decision
        for name, decision in board.decisions.items()
        if decision.line.claim == "C4" and decision.line.study == study
    }


def _held(figures: tuple[float, ...] | None) -> str:
    return NOTHING if figures is None else f"{figures[1]:.1%} ({figures[2]:.1%})"
