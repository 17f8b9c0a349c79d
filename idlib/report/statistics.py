"""Intervals over seeds.

Two models are compared seed by seed: the same seed gives both the same split, order and initial
weights, so the differences, not the two means, carry the evidence.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


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
    sample = finite(values)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1")
    mean, n = float(sample.mean()), len(sample)
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * stats.sem(sample))
    return Interval(mean, mean - half, mean + half, n)


def p_value(values: ArrayLike) -> float:
    """Two-sided p of the t test that the mean of ``values`` [n] is zero; NaN with one value."""
    sample = finite(values)
    if len(sample) == 1:
        return math.nan
    mean, error = float(sample.mean()), float(stats.sem(sample))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, len(sample) - 1))


def finite(values: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """``values`` [n] as numbers.

    Raises:
        ValueError: no values, or one that is not finite, which is named by its place.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"expected a list of at least one value, not shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError(f"value {int(np.flatnonzero(~np.isfinite(sample))[0])} is not finite")
    return sample
