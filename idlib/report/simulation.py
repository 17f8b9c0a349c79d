"""How often the protocol's rules err, and what they find: boards drawn from known effects.

The same rules as :mod:`idlib.report.decisions`, over many boards at once. Means and standard
deviations over seeds are drawn from their own distributions (normal, and chi-squared), lines
independently of each other: Holm's procedure keeps its promise for dependent ones too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from idlib.protocol import Protocol, Rules
from idlib.report.decisions import RULED_OUT, Outcome, holm

Floats = NDArray[np.float64]
Outcomes = NDArray[np.str_]
BOARDS = 20_000
LOOKED_AT = 2000
SEED = 2022


class Assumed(NamedTuple):
    """What a line's simulation rests on.

    Attributes:
        seeds: that every cell registers.
        spread: standard deviation over seeds of its value, in units of δ.
        seen: the number of seeds of earlier records that the spread was seen in; 0 where it is an
            assumption.
    """

    seeds: int
    spread: float
    seen: int = 0


def outcomes_of(
    effects: ArrayLike,
    assumed: Mapping[str, Assumed],
    protocol: Protocol,
    boards: int = BOARDS,
    seed: int = SEED,
    gates: bool = True,
) -> Outcomes:
    """The outcomes of drawn boards [boards, L].

    Args:
        effects: true mean of each line of ``assumed`` in units of its δ, [L]; positive is the
            claimed side.
        assumed: of each line; those that are primary make the family.
        protocol: the lines' claims and needs, and the rules.
        boards: how many are drawn.
        seed: of the draws.
        gates: whether a line is not applicable where one that it needs is ruled out; without them
            each is decided as if that one held.
    """
    drawn = draw(effects, assumed, protocol, boards, seed)
    before = decided(drawn, protocol.rules)
    found = before.copy()
    lines = [*assumed]
    for place, name in enumerate(lines):
        needed = protocol.lines[name].needs
        if gates and needed in lines:
            gone = np.isin(before[:, lines.index(needed)], RULED_OUT)
            found[gone, place] = "not applicable"
    return found


@dataclass(frozen=True)
class Drawn:
    """Boards that were drawn.

    Args:
        means: over seeds, in units of δ, the claimed side up, [B, L].
        errors: standard errors of the means, [B, L].
        n: seeds, [L].
        primary: whether the line takes part in the corrections, [L].
    """

    means: Floats
    errors: Floats
    n: NDArray[np.int_]
    primary: NDArray[np.bool_]

    def p(self, statistic: Floats, sides: int = 1) -> Floats:
        """The p of a t statistic [B, L], corrected over the primary lines."""
        p: Floats = np.asarray(sides * stats.t.sf(statistic, self.n - 1))
        p[:, self.primary] = holm(p[:, self.primary])
        return p


def draw(
    effects: ArrayLike,
    assumed: Mapping[str, Assumed],
    protocol: Protocol,
    boards: int = BOARDS,
    seed: int = SEED,
) -> Drawn:
    """Means and standard errors of boards; see :func:`outcomes_of`."""
    rng = np.random.default_rng(seed)
    lines = [*assumed]
    n = np.array([assumed[name].seeds for name in lines])
    spread = np.array([assumed[name].spread for name in lines])
    means = np.asarray(effects) + spread / np.sqrt(n) * rng.standard_normal((boards, len(lines)))
    errors = spread * np.sqrt(rng.chisquare(n - 1, (boards, len(lines))) / (n - 1) / n)
    primary = np.array([protocol.lines[name].primary for name in lines])
    return Drawn(means, errors, n, primary)


def decided(drawn: Drawn, rules: Rules) -> Outcomes:
    """Outcomes [B, L] before any line's needs are looked at."""
    size = np.abs(drawn.means)
    found = np.full(size.shape, "undecided", dtype="<U14")
    found[drawn.p((1 - size) / drawn.errors) <= rules.family] = "no effect"
    differs = drawn.p(size / drawn.errors, sides=2) <= rules.family
    found[differs & (drawn.means > 0)] = "supported"
    found[differs & (drawn.means < 0)] = "contradicted"
    return found


def larger(drawn: Drawn, rules: Rules) -> NDArray[np.bool_]:
    """Where a difference is called larger than δ, [B, L]."""
    size = np.abs(drawn.means)
    differs = drawn.p(size / drawn.errors, sides=2) <= rules.family
    return differs & (drawn.p((size - 1) / drawn.errors) <= rules.family)


def looked_at(
    assumed: Mapping[str, Assumed],
    protocol: Protocol,
    looks: Sequence[int],
    boards: int = LOOKED_AT,
    seed: int = SEED,
) -> Floats:
    """Boards without effects, looked at while their seeds are made.

    Args:
        assumed: of each line.
        protocol: the lines and rules.
        looks: numbers of seeds, rising; a line that has fewer is looked at with all of its own.
        boards: how many are drawn.
        seed: of the draws.

    Returns:
        The share of boards on which some primary line was called different at one of the looks so
        far, [looks].
    """
    rng = np.random.default_rng(seed)
    n = np.array([one.seeds for one in assumed.values()])
    spread = np.array([one.spread for one in assumed.values()])
    primary = np.array([protocol.lines[name].primary for name in assumed])
    values = spread * rng.standard_normal((max(looks), boards, len(n)))
    erred, shares_ = np.zeros(boards, dtype=bool), []
    for look in looks:
        made = np.minimum(look, n)
        there = np.where(np.arange(max(looks))[:, None, None] < made, values, np.nan)
        errors = np.nanstd(there, axis=0, ddof=1) / np.sqrt(made)
        found = decided(Drawn(np.nanmean(there, axis=0), errors, made, primary), protocol.rules)
        erred |= np.isin(found[:, primary], ("supported", "contradicted")).any(axis=1)
        shares_.append(erred.mean())
    return np.array(shares_)


def shares(found: Outcomes, outcome: Outcome) -> Floats:
    """How often each line has an outcome, [L]."""
    share: Floats = (found == outcome).mean(axis=0)
    return share


def at_least_one(found: Outcomes, *outcomes: Outcome) -> float:
    """The share of boards on which some line has one of these outcomes."""
    return float(np.isin(found, outcomes).any(axis=1).mean())
