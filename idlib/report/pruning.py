"""What a model loses with its least important weights: the area under a curve of pruning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from idlib.metrics.names import LOSS, at
from idlib.records import Record

RANKS = ("sensitivity", "magnitude")  # what weights are ranked by before the least are removed


class Pruned(NamedTuple):
    """Test NLL over the share of weights that are removed; the first share is 0.

    Attributes:
        shares: of the weights, rising.
        nll: of the test set, in nats.
    """

    shares: list[float]
    nll: list[float]

    @property
    def added(self) -> list[float]:
        """What pruning adds to the NLL of the whole model."""
        return [value - self.nll[0] for value in self.nll]


def pruned(record: Record, rank: str) -> Pruned | None:
    """A record's curve of pruning, the whole model first; ``None`` where it has none.

    Args:
        record: whose model of lowest validation loss was pruned.
        rank: ``sensitivity`` or ``magnitude``.
    """
    curves, whole = record.measured.curves, record.measured.metrics.get(at("test/nll", LOSS))
    if whole is None or f"pruned/{rank}/nll" not in curves:
        return None
    return Pruned([0.0, *curves["pruned/shares"]], [whole, *curves[f"pruned/{rank}/nll"]])


def height(x: Sequence[float], y: Sequence[float], most: float = math.inf) -> float:
    """Mean height of a curve: its area by trapezoids, over its width.

    Args:
        x: rising.
        y: as many.
        most: points beyond are left out.

    Raises:
        ValueError: fewer than two points.

    >>> height([0.0, 0.5, 1.0], [0.0, 1.0, 3.0]), height([0.0, 0.5, 1.0], [0.0, 1.0, 3.0], 0.5)
    (1.25, 0.5)
    """
    kept = [(a, b) for a, b in zip(x, y, strict=True) if a <= most]
    if len(kept) < 2:
        raise ValueError(f"an area needs two points, and {len(kept)} lie up to {most}")
    xs, ys = np.array(kept).T
    area = float(((ys[1:] + ys[:-1]) / 2 * np.diff(xs)).sum())  # numpy 2 renamed its own
    return area / float(xs[-1] - xs[0])
