"""How often the protocol's rules err, and what they find: boards drawn from known effects.

The same rules as :mod:`idlib.report.decisions`, over many boards at once. Means and standard
deviations over seeds are drawn from their own distributions (normal, and chi-squared), lines
independently of each other: Holm's procedure keeps its promise for dependent ones too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from idlib.protocol import Protocol, Rules
from idlib.report.decisions import RULED_OUT, Outcome, holm

Floats = NDArray[np.float64]
Outcomes = NDArray[np.str_]
BOARDS = 4000
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
) -> Outcomes:
    """The outcomes of drawn boards [boards, L].

    Args:
        effects: true mean of each line of ``assumed`` in units of its δ, [L]; positive is the
            claimed side.
        assumed: of each line; those that are primary make the family.
        protocol: the lines' claims and needs, and the rules.
        boards: how many are drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    lines = [*assumed]
    n = np.array([assumed[name].seeds for name in lines])
    spread = np.array([assumed[name].spread for name in lines])
    means = np.asarray(effects) + spread / np.sqrt(n) * rng.standard_normal((boards, len(lines)))
    errors = spread * np.sqrt(rng.chisquare(n - 1, (boards, len(lines))) / (n - 1) / n)
    primary = np.array([protocol.lines[name].primary for name in lines])
    before = decided(means, errors, n, primary, protocol.rules)
    found = before.copy()
    for place, name in enumerate(lines):
        needed = protocol.lines[name].needs
        if needed in lines:
            gone = np.isin(before[:, lines.index(needed)], RULED_OUT)
            found[gone, place] = "not applicable"
    return found


def decided(
    means: Floats, errors: Floats, n: NDArray[np.int_], primary: NDArray[np.bool_], rules: Rules
) -> Outcomes:
    """Outcomes before any line's needs are looked at.

    Args:
        means: over seeds, in units of δ, the claimed side up, [B, L].
        errors: standard errors of the means, [B, L].
        n: seeds, [L].
        primary: whether the line takes part in the corrections, [L].
        rules: of the protocol.
    """
    difference: Floats = np.asarray(2 * stats.t.sf(np.abs(means) / errors, n - 1))
    equivalence: Floats = np.asarray(stats.t.sf((1 - np.abs(means)) / errors, n - 1))
    for p in (difference, equivalence):
        p[:, primary] = holm(p[:, primary])
    found = np.full(means.shape, "undecided", dtype="<U14")
    found[equivalence <= rules.family] = "no effect"
    differs = difference <= rules.family
    found[differs & (means > 0)] = "supported"
    found[differs & (means < 0)] = "contradicted"
    return found


def shares(found: Outcomes, outcome: Outcome) -> Floats:
    """How often each line has an outcome, [L]."""
    share: Floats = (found == outcome).mean(axis=0)
    return share


def at_least_one(found: Outcomes, *outcomes: Outcome) -> float:
    """The share of boards on which some line has one of these outcomes."""
    return float(np.isin(found, outcomes).any(axis=1).mean())
