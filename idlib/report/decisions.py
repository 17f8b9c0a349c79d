"""What the runs of the protocol decide: for each of its lines one outcome, and how sure it is.

A line's value is taken seed by seed, so that what a seed gives both arms falls out. Its mean over
seeds has Student's t interval. Three questions are asked of it, and each is corrected over the
primary lines by Holm's procedure: whether it differs from zero, whether it is smaller than δ, the
smallest effect of interest (two one-sided tests: Schuirmann 1987; Lakens 2017), and whether it is
larger. A line without enough seeds has p = 1 in all three: what is judged already does not become
more certain by what is not judged yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from idlib.metrics.names import SELECTIONS, at
from idlib.protocol import Line, Protocol, Rules
from idlib.records import Record
from idlib.report.conditions import cell_name
from idlib.report.statistics import Interval, finite, p_value, t_interval
from idlib.report.text import counted

Outcome = Literal[
    "supported", "contradicted", "no effect", "undecided", "not applicable", "not judged"
]
DECIDED: tuple[Outcome, ...] = ("supported", "contradicted", "no effect")
RULED_OUT: tuple[Outcome, ...] = ("no effect", "contradicted")  # of a line that another needs
MOST_SEEDS = 1000  # beyond which no number of seeds is named


@dataclass(frozen=True)
class Decision:
    """What the runs say about one line.

    Args:
        line: the question.
        outcome: the answer.
        interval: of the mean over seeds at the rules' level; ``None`` without values.
        equivalence: the interval that has to lie within ±δ.
        p_difference: two-sided, of the mean being zero; as corrected once the board is made.
        p_equivalence: of its being δ or larger on either side; likewise.
        p_larger: one-sided, of its being δ or smaller on either side; likewise.
        reason: why it is not judged or not applicable, if so.
        size: ``larger than δ`` or ``smaller than δ``, where that is decided of a difference; else
            empty.
        seeds: the seeds that every cell has.
        left_out: registered seeds that take no part although some cell has them, each with why.
        registered: how many seeds the protocol registers for it.
        to_come: how many of these may still take part: their runs are not all made.
        waits: whether a line that it needs may still change.
        threshold: the p that surely decides it: the family's error rate over the number of lines.
    """

    line: Line
    outcome: Outcome
    interval: Interval | None = None
    equivalence: Interval | None = None
    p_difference: float = math.nan
    p_equivalence: float = math.nan
    p_larger: float = math.nan
    reason: str = ""
    size: str = ""
    seeds: tuple[int, ...] = ()
    left_out: Mapping[int, str] = field(default_factory=dict)
    registered: int = 0
    to_come: int = 0
    waits: bool = False
    threshold: float = 0.05

    @property
    def interim(self) -> bool:
        """Whether seeds are to come that may change the outcome: its own, or of a needed line.

        Runs are looked at while they are made. The rates at which the rules err are those of all
        registered seeds; an outcome that is looked at again and again errs more often.
        """
        return self.outcome != "not judged" and (self.to_come > 0 or self.waits)

    @property
    def told(self) -> str:
        """The outcome, and against δ where that is decided, too."""
        return f"{self.outcome}, {self.size}" if self.size else self.outcome

    @property
    def in_deltas(self) -> Interval | None:
        """The interval in units of δ, the claimed side up."""
        if self.interval is None:
            return None
        sign = 1.0 if self.line.better == "above" else -1.0
        mean, low, high = (sign * value / self.line.delta for value in self.interval[:3])
        return Interval(mean, min(low, high), max(low, high), self.interval.n)

    @property
    def seeds_needed(self) -> int | None:
        """Seeds that would decide the line, were mean and spread to stay as they are.

        ``None`` without a spread, or where it would take more than a thousand.
        """
        interval, other = self.interval, self.equivalence
        if interval is None or other is None or not interval.bounded:
            return None
        # the spread of the mean, from an interval whose level is 0.95 as the protocol has it
        half = (interval.high - interval.low) / 2
        spread = half / stats.t.ppf(0.975, interval.n - 1) * math.sqrt(interval.n)
        return seeds_to_decide(interval.mean, spread, self.line.delta, self.threshold)


def seeds_for(spread: float, delta: float, level: float = 0.95) -> int | None:
    """The fewest seeds at which an interval of this spread has a half-width of at most δ.

    Args:
        spread: standard deviation over seeds of the paired difference.
        delta: in the same unit.
        level: of the interval.

    Returns:
        At least 2; ``None`` where it would take more than a thousand.

    >>> seeds_for(2.0, 1.5)
    10
    """
    for n in range(2, MOST_SEEDS + 1):
        if stats.t.ppf((1 + level) / 2, n - 1) * spread / math.sqrt(n) <= delta:
            return n
    return None


def seeds_to_decide(mean: float, spread: float, delta: float, threshold: float) -> int | None:
    """The fewest seeds at which this mean and spread would differ from zero, or be within ±δ.

    Args:
        mean: over seeds.
        spread: standard deviation over seeds.
        delta: in the same unit.
        threshold: the p of either test.

    Returns:
        At least 2; ``None`` where it would take more than a thousand.

    >>> seeds_to_decide(2.0, 2.0, 1.5, 0.05), seeds_to_decide(0.0, 2.0, 1.5, 0.05)
    (7, 7)
    """
    n = np.arange(2, MOST_SEEDS + 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # without a spread
        error = spread / np.sqrt(n)
        different = 2 * stats.t.sf(np.abs(mean) / error, n - 1) <= threshold
        within = stats.t.sf((delta - abs(mean)) / error, n - 1) <= threshold
    enough = n[different | within]
    return int(enough[0]) if len(enough) else None


def p_larger(values: ArrayLike, delta: float) -> float:
    """The one-sided p of the t test that the mean lies beyond ±δ; NaN with one value.

    >>> round(p_larger([2.9, 3.0, 3.1], 1.0), 4)
    0.0004
    """
    return _one_sided(values, lambda size: size - delta)


def p_equivalence(values: ArrayLike, delta: float) -> float:
    """The larger p of the two one-sided t tests that the mean lies within ±δ; NaN with one value.

    >>> round(p_equivalence([-0.1, 0.0, 0.1], 1.0), 4)
    0.0017
    """
    return _one_sided(values, lambda size: delta - size)


def _one_sided(values: ArrayLike, margin: Callable[[float], float]) -> float:
    """The p of the t test that a margin, which follows from the size of the mean, is above 0."""
    sample = finite(values)
    if len(sample) == 1:
        return math.nan
    beyond, error = margin(abs(float(sample.mean()))), float(stats.sem(sample))
    if error == 0:
        return 0.0 if beyond > 0 else 1.0
    return float(stats.t.sf(beyond / error, len(sample) - 1))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p values along the last axis, in the order given (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, axis=-1, kind="stable")
    steps = np.arange(p.shape[-1], 0, -1) * np.take_along_axis(p, order, axis=-1)
    rising = np.maximum.accumulate(np.minimum(steps, 1.0), axis=-1)
    adjusted = np.empty_like(rising)
    np.put_along_axis(adjusted, order, rising, axis=-1)
    return adjusted


class Values(NamedTuple):
    """A line's values, and what is missing.

    Attributes:
        by_seed: for each seed that all its cells have, made on one kind of processor.
        lacking: of the line as a whole, in words; empty where every cell has something.
        left_out: for each seed that some cells have and that takes no part, why.
        lost: those of them that no run to come can bring back.
    """

    by_seed: dict[int, float]
    lacking: str = ""
    left_out: Mapping[int, str] = {}
    lost: frozenset[int] = frozenset()


def values_of(
    line: Line, records: Mapping[str, Mapping[int, Record]], selection: str | None = None
) -> Values:
    """A line's values, paired by seed.

    Args:
        line: the question.
        records: of its study, by cell and seed.
        selection: which checkpoint; by default the line's own.
    """
    key = at(line.metric, selection or line.selection)
    return weighted(line.contrast, key, records, logarithm=line.scale == "log")


def weighted(
    contrast: Mapping[str, float],
    key: str,
    records: Mapping[str, Mapping[int, Record]],
    logarithm: bool = False,
) -> Values:
    """A weighted sum of cells, paired by seed.

    Args:
        contrast: weight of each cell.
        key: metric of the records.
        records: by cell and seed.
        logarithm: of the metric, so that a difference is a ratio.
    """
    having = {
        cell: {
            seed: record
            for seed, record in records.get(cell, {}).items()
            if key in record.measured.metrics
        }
        for cell in contrast
    }
    lacking = [
        f"no {key} of {cell_name(cell)}" if records.get(cell) else f"no record of {cell_name(cell)}"
        for cell, by_seed in having.items()
        if not by_seed
    ]
    values, unpaired, lost = {}, {}, {}
    for seed in sorted(set().union(*having.values())):
        runs = {cell: by_seed[seed] for cell, by_seed in having.items() if seed in by_seed}
        if missing := [cell for cell in contrast if cell not in runs]:
            unpaired[seed] = f"unpaired: no run of {', nor of '.join(map(cell_name, missing))}"
            continue
        if reason := _on_other_processors(runs):
            lost[seed] = reason
            continue
        figures = {cell: record.measured.metrics[key] for cell, record in runs.items()}
        if logarithm:
            if low := [cell for cell, value in figures.items() if value <= 0]:
                of = ", ".join(map(cell_name, low))
                lost[seed] = f"no logarithm: {key} of {of} is not above 0"
                continue
            figures = {cell: math.log(value) for cell, value in figures.items()}
        values[seed] = math.fsum(weight * figures[cell] for cell, weight in contrast.items())
    left_out = dict(sorted({**unpaired, **lost}.items()))
    return Values(values, ", ".join(lacking), left_out, frozenset(lost))


def _on_other_processors(runs: Mapping[str, Record]) -> str:
    """That a seed's runs were made on several kinds of processors; empty where on one.

    Other kinds give other bits, so that what differs between two arms of a seed must not be the
    processor.
    """
    made_on = {record.origin.device: cell for cell, record in runs.items()}
    if len(made_on) > 1:
        return "unpaired: " + ", ".join(
            f"{cell_name(cell)} made on {where}" for where, cell in made_on.items()
        )
    return ""


def measured(line: Line, values: Mapping[int, float], rules: Rules, lacking: str = "") -> Decision:
    """A line's intervals and p values, before any correction.

    Args:
        line: the question.
        values: its value for each seed that every cell has.
        rules: of the protocol.
        lacking: what is missing, in words, where there are too few seeds.
    """
    seeds = tuple(sorted(values))
    sample = [values[seed] for seed in seeds]
    if len(sample) < rules.fewest_seeds:
        reason = lacking or f"{counted(len(sample), 'seed')}, where {rules.fewest_seeds} are needed"
        interval = t_interval(sample, rules.level) if sample else None
        return Decision(line, "not judged", interval, reason=reason, seeds=seeds)
    return Decision(
        line,
        "undecided",
        t_interval(sample, rules.level),
        t_interval(sample, rules.equivalence),
        p_value(sample),
        p_equivalence(sample, line.delta),
        p_larger(sample, line.delta),
        seeds=seeds,
    )


def decide(
    protocol: Protocol,
    records: Mapping[str, Mapping[str, Mapping[int, Record]]],
    selection: str | None = None,
) -> dict[str, Decision]:
    """The board: what the records say about every line of the protocol.

    Args:
        protocol: the lines and rules.
        records: by study, cell and seed; those that may count.
        selection: one rule of selection for all lines, instead of each line's own.
    """
    decisions = {}
    for name, line in protocol.lines.items():
        found = values_of(line, records.get(line.study, {}), selection)
        study = protocol.studies[line.study]
        registered = set.intersection(*(set(study.seeds_of(cell)) for cell in line.contrast))
        decisions[name] = replace(
            measured(line, found.by_seed, protocol.rules, found.lacking),
            left_out={seed: why for seed, why in found.left_out.items() if seed in registered},
            registered=len(registered),
            to_come=len(registered - found.by_seed.keys() - found.lost),
        )
    return board(decisions, protocol.rules)


def by_selection(
    protocol: Protocol, records: Mapping[str, Mapping[str, Mapping[int, Record]]]
) -> dict[str, dict[str, Decision]]:
    """Each line's decision under each rule of selection, by line and rule."""
    boards = {rule: decide(protocol, records, rule) for rule in SELECTIONS}
    return {name: {rule: boards[rule][name] for rule in SELECTIONS} for name in protocol.lines}


def board(decisions: Mapping[str, Decision], rules: Rules) -> dict[str, Decision]:
    """Outcomes, the primary lines corrected over all of them.

    A line that is not primary is decided without correction, and said to be so by its line.
    """
    corrected = dict(decisions)
    family = [name for name, decision in decisions.items() if decision.line.primary]
    judged = np.array([decisions[name].outcome != "not judged" for name in family], dtype=bool)

    def over_all(p_values: list[float]) -> NDArray[np.float64]:
        return holm(np.where(judged, p_values, 1.0))

    differences = over_all([decisions[name].p_difference for name in family])
    equivalences = over_all([decisions[name].p_equivalence for name in family])
    larger = over_all([decisions[name].p_larger for name in family])
    for place, name in enumerate(family):
        if judged[place]:
            corrected[name] = replace(
                decisions[name],
                p_difference=float(differences[place]),
                p_equivalence=float(equivalences[place]),
                p_larger=float(larger[place]),
                threshold=rules.family / len(family),
            )
    decided = {name: _decided(decision, rules) for name, decision in corrected.items()}
    return {name: _applicable(decision, decided) for name, decision in decided.items()}


def _decided(decision: Decision, rules: Rules) -> Decision:
    if decision.outcome == "not judged" or decision.interval is None:
        return decision
    line, mean = decision.line, decision.interval.mean
    equivalent = decision.p_equivalence <= rules.family
    if decision.p_difference <= rules.family:
        claimed = (mean > 0) == (line.better == "above")
        beyond = decision.p_larger <= rules.family
        size = "larger than δ" if beyond else "smaller than δ" if equivalent else ""
        return replace(decision, outcome="supported" if claimed else "contradicted", size=size)
    return replace(decision, outcome="no effect") if equivalent else decision


def _applicable(decision: Decision, decided: Mapping[str, Decision]) -> Decision:
    needed = decision.line.needs
    if needed is None:
        return decision
    other = decided[needed]
    waits = other.interim or other.outcome == "not judged"
    if other.outcome not in RULED_OUT:
        return replace(decision, waits=waits)
    reason = f"what it asks about is not there: {needed}, {other.outcome}"
    return replace(decision, outcome="not applicable", reason=reason, size="", waits=waits)
