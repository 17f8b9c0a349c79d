"""Intervals, paired differences and verdicts.

Two models are compared seed by seed: the same seed gives both the same split, order and initial
weights, so the differences, not the two means, carry the evidence. The interval over seeds is
Student's t; beside it stands a bootstrap over test items, which says how far the choice of the
test set alone could move the number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Claimed = Literal["below", "above"]
Outcome = Literal["supported", "contradicted", "undecided", "not judged"]

MINIMUM_SEEDS = {"images": 5}
MINIMUM_SEEDS_TEXT = 3
JUDGED_PROFILES = ("medium", "paper")


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


def paired_differences(a: Mapping[int, float], b: Mapping[int, float]) -> dict[int, float]:
    """Return ``a − b`` for every seed that both have, by rising seed.

    >>> paired_differences({2: 0.5, 1: 0.25}, {1: 0.5, 2: 1.0, 3: 7.0})
    {1: -0.25, 2: -0.5}
    """
    return {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of ``values`` [n], one value a seed.

    Raises:
        ValueError: no values, a value that is not finite, or a level outside (0, 1).

    >>> interval = t_interval([-1.0, -2.0, -3.0])
    >>> round(interval.low, 3), interval.mean, round(interval.high, 3)
    (-4.484, -2.0, 0.484)
    """
    sample = _sample(values)
    _check_level(level)
    mean = float(sample.mean())
    if len(sample) == 1:
        return Interval(mean, math.nan, math.nan, 1)
    error = float(sample.std(ddof=1)) / math.sqrt(len(sample))
    half = float(stats.t.ppf((1 + level) / 2, len(sample) - 1)) * error
    return Interval(mean, mean - half, mean + half, len(sample))


def p_value(values: ArrayLike) -> float:
    """Two-sided p of the t test that the mean of ``values`` [n] is zero; NaN with one value."""
    sample = _sample(values)
    if len(sample) == 1:
        return math.nan
    error = float(sample.std(ddof=1)) / math.sqrt(len(sample))
    mean = float(sample.mean())
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, len(sample) - 1))


def bootstrap_items(
    differences: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of the mean of paired ``differences`` [n_items].

    Items are drawn with replacement, so a pair stays together. With many items the percentile
    and the bias-corrected interval of a mean agree; the percentile one needs no jackknife.

    Raises:
        ValueError: no values, a value that is not finite, or a level outside (0, 1).
    """
    sample = _sample(differences)
    _check_level(level)
    mean, size = float(sample.mean()), len(sample)
    if size == 1:
        return Interval(mean, math.nan, math.nan, 1)
    means = np.empty(resamples)
    rows = max(1, 1_000_000 // size)  # at most about 8 MB of draws at a time
    for start in range(0, resamples, rows):
        drawn = rng.integers(size, size=(min(rows, resamples - start), size))
        means[start : start + rows] = sample[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), size)


def judge(interval: Interval, claimed: Claimed) -> Outcome:
    """Judge a difference by whether its interval lies wholly on the claimed side of zero.

    >>> judge(Interval(-0.04, -0.06, -0.02, 5), "below")
    'supported'
    >>> judge(Interval(-0.04, -0.06, -0.02, 5), "above")
    'contradicted'
    >>> judge(Interval(-0.04, -0.10, 0.02, 5), "below")
    'undecided'
    """
    if claimed not in ("below", "above"):
        raise ValueError(f"claimed is {claimed!r}; choose 'below' or 'above'")
    if interval.high < 0:
        return "supported" if claimed == "below" else "contradicted"
    if interval.low > 0:
        return "supported" if claimed == "above" else "contradicted"
    return "undecided"


def combine(outcomes: Sequence[Outcome]) -> Outcome:
    """Join the verdicts of comparisons that a claim says hold all together.

    One contradicted comparison contradicts the claim; it is supported only if every one is.

    >>> combine(["supported", "undecided"])
    'undecided'
    """
    if not outcomes or "not judged" in outcomes:
        return "not judged"
    if "contradicted" in outcomes:
        return "contradicted"
    return "supported" if set(outcomes) == {"supported"} else "undecided"


def why_not_judged(task: str, profile: str, n_seeds: int) -> str:
    """Say why these runs are too small or too few for a verdict; empty if they are enough.

    >>> why_not_judged("images", "medium", 5)
    ''
    >>> why_not_judged("images", "small", 5)
    'profile small is below medium'
    >>> why_not_judged("translation", "medium", 2)
    '2 seeds, where translation needs 3'
    """
    if profile not in JUDGED_PROFILES:
        return f"profile {profile} is below medium"
    needed = MINIMUM_SEEDS.get(task, MINIMUM_SEEDS_TEXT)
    if n_seeds < needed:
        return f"{n_seeds} seed{'' if n_seeds == 1 else 's'}, where {task} needs {needed}"
    return ""


def _sample(values: ArrayLike) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a list of at least one value, not shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError(f"value {int(np.flatnonzero(~np.isfinite(sample))[0])} is not finite")
    return sample


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
