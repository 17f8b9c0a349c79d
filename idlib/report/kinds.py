"""Sensitivity by kind of parameter: how much of its variance each kind holds.

A record has count, mean and standard deviation for each kind. From these follow the same figures
of any union of kinds, and the variance of all falls into what is within kinds and between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from idlib.metrics.names import LOSS, at
from idlib.records import Record

NORM = "norm"
KINDS = (NORM, "embedding", "bias", "weight")
FIGURES = ("parameters", "mean", "std")  # that a record has of each kind


class Moments(NamedTuple):
    """Of the sensitivity of some parameters: how many, mean, and population standard deviation."""

    parameters: float
    mean: float
    std: float

    @property
    def cv(self) -> float:
        """Standard deviation over mean, which stays if all sensitivities shrink together."""
        return self.std / self.mean if self.mean else 0.0


class Share(NamedTuple):
    """What a kind is of a whole: parts of 1.

    Attributes:
        parameters: of all parameters.
        within: of the variance, by how the kind's own sensitivities differ from its mean.
        between: of the variance, by how far the kind's mean lies from that of all.
    """

    parameters: float
    within: float
    between: float

    @property
    def variance(self) -> float:
        """Of the variance, by both."""
        return self.within + self.between


def pooled(parts: Iterable[Moments]) -> Moments:
    """The moments of several disjoint sets of parameters taken together.

    The variance of a union is the mean of the variances plus the variance of the means, each set
    weighted by its size.

    Raises:
        ValueError: no set, or none with a parameter.

    >>> pooled([Moments(1, 0.0, 0.0), Moments(3, 4.0, 0.0)])
    Moments(parameters=4, mean=3.0, std=1.7320508075688772)
    """
    known = list(parts)
    total = sum(part.parameters for part in known)
    if not total:
        raise ValueError("there are no parameters to pool")
    mean = math.fsum(part.parameters * part.mean for part in known) / total
    squares = (part.parameters * (part.std**2 + (part.mean - mean) ** 2) for part in known)
    return Moments(total, mean, math.sqrt(math.fsum(squares) / total))


def shares(kinds: Mapping[str, Moments]) -> dict[str, Share]:
    r"""What each kind is of all parameters and of the variance of their sensitivity.

    The variance is :math:`\sum_k n_k [s_k^2 + (m_k - m)^2] / n`; a kind's parts are its two terms
    over that sum, so that the parts of all kinds add up to 1.
    """
    whole = pooled(kinds.values())
    scale = whole.parameters * whole.std**2 or 1.0
    return {
        name: Share(
            part.parameters / whole.parameters,
            part.parameters * part.std**2 / scale,
            part.parameters * (part.mean - whole.mean) ** 2 / scale,
        )
        for name, part in kinds.items()
    }


def by_kind(record: Record, selection: str = LOSS) -> dict[str, Moments]:
    """Moments of each kind that a record's model has, at one of its checkpoints."""
    metrics = record.measured.metrics
    found = {}
    for kind in KINDS:
        names = (
            at(f"kinds/{figure}/{kind}", selection) for figure in ("parameters", "mean", "std")
        )
        known = [metrics[name] for name in names if name in metrics]
        if len(known) == 3:
            found[kind] = Moments(*known)
    return found
