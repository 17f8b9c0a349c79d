"""What the page of pruning and balance says: its sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from idlib.metrics.names import LAST, LOSS, at
from idlib.report.association import (
    BALANCE,
    Association,
    across_means,
    associate,
    qualities,
    runs_of,
)
from idlib.report.balance import CV, REST, STD, interval_of, paired, ratio
from idlib.report.board import Board
from idlib.report.conditions import METHOD_NAMES
from idlib.report.conditions import cell_name as label
from idlib.report.decisions import Decision
from idlib.report.equal_loss import EqualLoss, equal_loss
from idlib.report.kinds import KINDS, NORM, by_kind, shares
from idlib.report.metrics import NLL
from idlib.report.paired import NO_BREAK, Cells, Studies
from idlib.report.pruning import RANKS
from idlib.report.statistics import Interval
from idlib.report.text import NOTHING, literal, signed, span

CONTRASTS = (  # cells whose pruning is compared
    ("id", "baseline"),
    ("passes", "baseline"),
    ("compute", "baseline"),
    ("id", "passes"),
    ("id smoothed", "baseline smoothed"),
    ("id student", "baseline student"),
    ("id smoothed student", "baseline smoothed student"),
)
RATIOS = {  # figures of sensitivity by the key of a part's; all parameters have names of their own
    "std": (STD, "kinds/std/{}"),
    "std / mean": (CV, "kinds/cv/{}"),
    "std, each batch over its loss": ("sensitivity/std_normalized", ""),
    "Gini coefficient": ("sensitivity/gini", ""),
}
NOT_YET = "there are no runs to compare yet"  # head of an empty table
_Rows = dict[tuple[str, ...], dict[str, str]]  # cells of a table by label and column
AREAS = {"added": "NLL added", "added_light": "NLL added", "level": "NLL"}


LABELS = {pair: f"{label(pair[0])} − {label(pair[1])}" for pair in CONTRASTS}


# ---- the answer


def answer(board: Board, studies: Studies) -> str:
    """What was found, in Markdown: a paragraph for each of the page's three questions.

    Args:
        board: of all studies, since lines are corrected for each other.
        studies: those of the page, with their figures.
    """
    fewest = board.protocol.rules.fewest_seeds
    paragraphs = {
        "Balance": [balance(name, cells, board) for name, cells in studies.items()],
        "Pruning": [pruning(cells, fewest) for cells in studies.values()],
        "Generalisation": [goes_with(name, cells, fewest) for name, cells in studies.items()],
    }
    return "\n\n".join(
        f"**{title}**\n\n{of_each(dict(zip(studies, said, strict=True)))}"
        for title, said in paragraphs.items()
    )


def of_each(said: Mapping[str, str]) -> str:
    """What is said of each study, as a list in Markdown."""
    return "\n".join(
        f"- *{literal(study)}*: {text[:1].upper()}{text[1:]}" for study, text in said.items()
    )


def balance(study: str, cells: Cells, board: Board) -> str:
    """C4's outcome, what norms hold of the variance, and the ratio without scale."""
    lines = _of_study(board, study).values()
    found = next((d for d in lines if set(d.line.contrast) == {"id", "baseline"}), None)
    of_all = ratio(cells, STD, "id", "baseline")
    if of_all is None:
        return "no seed has both a baseline and intra-distillation."
    outcome = "" if found is None else f" (C4: {found.outcome})"
    said = f"std of sensitivity is {_times(of_all)} times the baseline's{outcome}."
    held = mean_shares(cells, "baseline").get(NORM)
    rest = ratio(cells, f"kinds/std/{REST}", "id", "baseline")
    if held is not None and rest is not None:
        said += (
            f" Of the baseline's variance {held[1]:.0%} lies in its norms, which are "
            f"{held[0]:.1%} of its parameters; without them the ratio is {_times(rest)}."
        )
    scale_free = ratio(cells, CV, "id", "baseline")
    if scale_free is not None:
        said += (
            " Std over mean, which stays where all sensitivities shrink together, is "
            f"{_times(scale_free)} times the baseline's."
        )
    return said


def pruning(cells: Cells, fewest: int) -> str:
    """Whether intra-distillation loses more by pruning, as the thesis predicts."""
    sentences = []
    for rank, weights in zip(RANKS, ("least sensitive weights", "smallest weights"), strict=True):
        found = interval_of(paired(cells, f"pruned/{rank}/added", "id", "baseline"))
        if found is None:
            continue
        if found.n < fewest or not found.bounded:
            verdict = f"cannot be told from the baseline with fewer than {fewest} seeds"
            thesis = ""
        elif found.low > 0:
            verdict, thesis = "loses more than the baseline", ", as the thesis predicts"
        elif found.high < 0:
            verdict, thesis = "loses less than the baseline", ", where the thesis predicts more"
        else:
            verdict = "loses neither clearly more nor clearly less than the baseline"
            thesis = ", where the thesis predicts more"
        sentences.append(
            f"without its {weights} intra-distillation {verdict}{thesis}: "
            f"{_difference(found)} in what is added to the NLL."
        )
    if not sentences:
        return "no seed has a curve of pruning of both."
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def goes_with(study: str, cells: Cells, fewest: int) -> str:
    """Whether more even sensitivity goes with a better model, within methods and across them."""
    sentences = []
    for quality in qualities(cells):
        runs = runs_of(cells, *quality.asked)
        inside = _inside(runs, fewest)
        name = literal(quality.metric.name)
        if inside.empty:
            sentences.append(
                f"no way to train has {fewest} seeds yet to set its balance beside {name}."
            )
            continue
        found = associate(inside, "std", "worse", within=True)
        if math.isnan(found.low):
            verdict = "nothing can be told"
        elif found.low > 0:
            verdict = "more even runs are the better ones"
        elif found.high < 0:
            verdict = "more even runs are the worse ones"
        else:
            verdict = "no association is clear"
        sentences.append(
            f"over the seeds of a method {verdict} in {name} (rank correlation "
            f"{_rho(found)}, {found.n} runs)."
        )
        means = across_means(runs, "std", "worse")
        if not math.isnan(means):
            count = runs["group"].nunique()
            sentences.append(f"The means of {count} ways to train have {_signed(means)}.")
    if not sentences:
        return "no run has both figures."
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


# ---- C4


def outcomes(board: Board, studies: Iterable[str]) -> pd.DataFrame:
    """The lines of C4 of these studies: outcome and ratio, and the same at the last update."""
    rows = []
    for name in studies:
        for line, decision in _of_study(board, name).items():
            last = board.under_each_rule[line][LAST]
            rows.append(
                {
                    "line": line,
                    "compared": " ÷ ".join(map(label, decision.line.contrast)),
                    "outcome": decision.outcome,
                    "ratio of std": _ratio(_exp(decision.interval)),
                    "δ": board.delta(decision.line),
                    "seeds": f"{len(decision.seeds)} of {decision.registered}",
                    "last update": last.outcome,
                    "ratio there": _ratio(_exp(last.interval)),
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
    rows: _Rows = {}
    for study, known in studies.items():
        held = {cell: mean_shares(known, cell) for cell in cells}
        for kind in KINDS:
            there = [by_kind_[kind] for by_kind_ in held.values() if kind in by_kind_]
            if there:
                rows[study, kind] = {
                    "parameters": f"{there[0][0]:.2%}",
                    **{
                        f"variance, {label(cell)}": _held(by_kind_.get(kind))
                        for cell, by_kind_ in held.items()
                    },
                }
    return _table(rows, "study", "kind")


def ratios(studies: Studies, selection: str = LOSS, against: str = "baseline") -> pd.DataFrame:
    """Figures of sensitivity of each method over the baseline's, with 95 % intervals over seeds."""
    methods = [method for method in METHOD_NAMES if method != against]
    rows: _Rows = {}
    for study, cells in studies.items():
        counts = {m: ratio(cells, STD, m, against, selection) for m in methods}
        if not any(counts.values()):
            continue
        for figure, (whole, of_part) in RATIOS.items():
            parts = {part: of_part.format(part) for part in (REST, *KINDS) if of_part}
            for part, key in {"all": whole, **parts}.items():
                found = {m: ratio(cells, key, m, against, selection) for m in methods}
                if any(found.values()):
                    rows[study, figure, part] = {m: _ratio(one) for m, one in found.items()}
        rows[study, "seeds", ""] = {m: str(one.n) if one else "0" for m, one in counts.items()}
    heads = {method: f"{label(method)} ÷ {label(against)}" for method in methods}
    return _table(rows, "study", "figure", "of").rename(columns=heads)


def beside_the_loss(cells: Cells) -> str:
    """What can be said of std at equal training loss, as sentences."""
    found = equal_loss(cells)
    if found is None:
        return "no seed has both a baseline and intra-distillation."
    said = (
        f"at the selected checkpoints intra-distillation has {_times(found.train)} times the "
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


# ---- pruning


def areas(studies: Studies, light: float) -> pd.DataFrame:
    """Differences in what pruning costs, mean heights of the curves, with 95 % intervals.

    Of intra-distillation beside the baseline three measures, of all other pairs the first.
    """
    rows: _Rows = {}
    for study, cells in studies.items():
        for pair in CONTRASTS:
            for figure, name in AREAS.items():
                if figure != "added" and pair != CONTRASTS[0]:
                    continue
                title = f"{name} up to {light:.0%}" if figure == "added_light" else name
                found = {
                    f"by {rank}": interval_of(paired(cells, f"pruned/{rank}/{figure}", *pair))
                    for rank in RANKS
                }
                if any(found.values()):
                    n = max(interval.n for interval in found.values() if interval)
                    row = {rank: _signed_bounds(interval) for rank, interval in found.items()}
                    rows[study, LABELS[pair], title] = {**row, "seeds": str(n)}
    return _table(rows, "study", "compared", "nats")


def added(studies: Studies) -> pd.DataFrame:
    """What pruning adds to each method's NLL on average: mean over seeds and their range."""
    rows: _Rows = {}
    for study, cells in studies.items():
        for rank in RANKS:
            key = at(f"pruned/{rank}/added", LOSS)
            for method in METHOD_NAMES:
                metrics = [record.measured.metrics for record in cells.get(method, {}).values()]
                values = [found[key] for found in metrics if key in found]
                if values:
                    text = NLL.written(float(np.mean(values)))
                    text += f" ({span(values, NLL.form)})" if len(values) > 1 else ""
                    rows.setdefault((study, f"by {rank}"), {})[label(method)] = text
    return _table(rows, "study", "ranked").fillna(NOTHING)


# ---- what balance goes with


def correlations(studies: Studies, fewest: int) -> pd.DataFrame:
    """Rank correlations of balance with quality, positive where more even runs are better.

    Args:
        studies: records by study, cell and seed.
        fewest: seeds of a cell that takes part within.
    """
    rows: _Rows = {}
    for study, cells in studies.items():
        for quality in qualities(cells):
            runs = runs_of(cells, *quality.asked)
            inside = _inside(runs, fewest)
            for figure, words in BALANCE.items():
                within = associate(inside, figure, "worse", within=True) if len(inside) else None
                total = associate(runs, figure, "worse", within=False)
                rows[study, quality.metric.name, words] = {
                    "within ways to train": _rho(within),
                    "runs": NOTHING if within is None else f"{within.n} of {within.groups} ways",
                    "their means": _signed(across_means(runs, figure, "worse")),
                    "all runs": f"{_signed(total.rho)} (n = {total.n})",
                }
    return _table(rows, "study", "score", "balance by")


def by_method(studies: Studies, fewest: int) -> pd.DataFrame:
    """The rank correlation of std with each score over the seeds of every way to train."""
    rows: _Rows = {}
    for study, cells in studies.items():
        for quality in qualities(cells):
            for cell, runs in runs_of(cells, *quality.asked).groupby("group", sort=False):
                if len(runs) >= fewest:
                    found = associate(runs, "std", "worse", within=True)
                    rows[study, quality.metric.name, label(str(cell))] = {
                        "rank correlation": _rho(found),
                        "p": NOTHING if math.isnan(found.p) else f"{found.p:.2g}",
                        "seeds": str(found.n),
                    }
    return _table(rows, "study", "score", "way to train")


# ---- parts


def _table(rows: _Rows, *names: str) -> pd.DataFrame:
    """Rows by their labels, which have these names; without any an empty one that says so."""
    if not rows:
        return pd.DataFrame({NOT_YET: []})
    index = pd.MultiIndex.from_tuples(list(rows), names=names)
    return pd.DataFrame(list(rows.values()), index=index)


def _of_study(board: Board, study: str) -> dict[str, Decision]:
    """The lines of C4 of a study."""
    return {
        name: decision
        for name, decision in board.decisions.items()
        if decision.line.claim == "C4" and decision.line.study == study
    }


def _inside(runs: pd.DataFrame, fewest: int) -> pd.DataFrame:
    """The runs of groups that have enough seeds."""
    return runs[runs.groupby("group")["seed"].transform("count") >= fewest]


def _exp(logs: Interval | None) -> Interval | None:
    """An interval of logarithms as one of ratios."""
    if logs is None:
        return None
    return Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n)


def _held(figures: tuple[float, ...] | None) -> str:
    return NOTHING if figures is None else f"{figures[1]:.1%} ({figures[2]:.1%})"


def _times(found: Interval) -> str:
    """A ratio in a sentence; the caller says of what."""
    if not found.bounded:
        return f"{found.mean:.2f} (n = 1)"
    return f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f}, n = {found.n})"


def _ratio(found: Interval | None) -> str:
    if found is None:
        return NOTHING
    if not found.bounded:
        return f"{found.mean:.2f}"
    return f"{found.mean:.2f} ({f'{found.low:.2f} to {found.high:.2f}'.replace(' ', NO_BREAK)})"


def _difference(found: Interval) -> str:
    mean = NLL.difference(found.mean, unit=True)
    if not found.bounded:
        return f"{mean} (n = 1)"
    return f"{mean} ({NLL.bounds(found.low, found.high)}, n = {found.n})"


def _signed_bounds(found: Interval | None) -> str:
    if found is None:
        return NOTHING
    mean = NLL.difference(found.mean)
    bounds = NLL.bounds(found.low, found.high).replace(" ", NO_BREAK)
    return f"{mean} ({bounds})" if found.bounded else mean


def _signed(value: float) -> str:
    return NOTHING if math.isnan(value) else signed(value, "+.2f")


def _rho(found: Association | None) -> str:
    if found is None or math.isnan(found.rho):
        return NOTHING
    if math.isnan(found.low):
        return _signed(found.rho)
    return f"{_signed(found.rho)} ({_signed(found.low)} to {_signed(found.high)})"
