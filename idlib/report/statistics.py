"""Intervals over seeds, and what they say about a claim.

Two models are compared seed by seed: the same seed gives both the same split, order and initial
weights, so the differences, not the two means, carry the evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from idlib.report.text import counted

Side = Literal["below", "above"]  # of zero
Outcome = Literal["supported", "contradicted", "undecided", "not judged"]

JUDGED_PROFILES = ("medium", "large", "paper")


class Interval(NamedTuple):
    """A mean with the bounds of its interval, and ``n``, the number of values behind it.

    With one value the bounds are NaN: one seed says nothing about the next.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def bounded(self) -> bool:
        """Whether the bounds are numbers, which takes at least two values."""
        return not (math.isnan(self.low) or math.isnan(self.high))


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of ``values`` [n], one value a seed.

    Raises:
        ValueError: no values, a value that is not finite, or a level outside (0, 1).

    >>> interval = t_interval([-1.0, -2.0, -3.0])
    >>> round(interval.low, 3), interval.mean, round(interval.high, 3)
    (-4.484, -2.0, 0.484)
    """
    sample = _sample(values)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
    mean, n = float(sample.mean()), len(sample)
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * stats.sem(sample))
    return Interval(mean, mean - half, mean + half, n)


def p_value(values: ArrayLike) -> float:
    """Two-sided p of the t test that the mean of ``values`` [n] is zero; NaN with one value."""
    sample = _sample(values)
    if len(sample) == 1:
        return math.nan
    mean, error = float(sample.mean()), float(stats.sem(sample))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, len(sample) - 1))


def judge(interval: Interval, claimed: Side) -> Outcome:
    """Judge a difference by whether its interval lies wholly on the claimed side of zero.

    >>> judge(Interval(-0.04, -0.06, -0.02, 5), "below")
    'supported'
    >>> judge(Interval(-0.04, -0.06, -0.02, 5), "above")
    'contradicted'
    >>> judge(Interval(-0.04, -0.10, 0.02, 5), "below")
    'undecided'
    """
    if claimed not in get_args(Side):
        raise ValueError(f"claimed is {claimed!r}; choose 'below' or 'above'")
    if interval.high < 0:
        return "supported" if claimed == "below" else "contradicted"
    if interval.low > 0:
        return "supported" if claimed == "above" else "contradicted"
    return "undecided"


def combine(outcomes: Sequence[Outcome]) -> Outcome:
    """Join the outcomes of comparisons that a claim says hold all together.

    One contradicted comparison contradicts the claim; it is supported only if every one is.

    >>> combine(["supported", "undecided"])
    'undecided'
    """
    if not outcomes or "not judged" in outcomes:
        return "not judged"
    if "contradicted" in outcomes:
        return "contradicted"
    return "supported" if set(outcomes) == {"supported"} else "undecided"


def why_not_judged(profile: str, n_seeds: int, needed: int) -> str:
    """Say why these runs are too small or too few for a verdict; empty if they are enough.

    >>> why_not_judged("medium", 5, needed=5)
    ''
    >>> why_not_judged("small", 5, needed=5)
    'profile small is below medium'
    >>> why_not_judged("medium", 2, needed=3)
    '2 seeds, where 3 are needed'
    """
    if profile not in JUDGED_PROFILES:
        return f"profile {profile} is below medium"
    if n_seeds < needed:
        return f"{counted(n_seeds, 'seed')}, where {needed} are needed"
    return ""


def _sample(values: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a list of at least one value, not shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError(f"value {int(np.flatnonzero(~np.isfinite(sample))[0])} is not finite")
    return sample
