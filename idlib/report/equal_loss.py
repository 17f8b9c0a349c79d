"""Std of sensitivity beside the training loss, with which it falls whatever the method.

Sensitivity is a product with the gradient of the training loss, so that a model which has learnt
its batches better has less of it everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from idlib.metrics.names import LAST, LOSS, at
from idlib.report.balance import STD, ratio
from idlib.report.paired import Cells
from idlib.report.statistics import Interval


def checkpoints(cells: Cells, names: Iterable[str]) -> pd.DataFrame:
    """Sensitivity and training loss of the checkpoints of lowest validation loss and of the last.

    Args:
        cells: records of a study.
        names: of the cells to look at.

    Returns:
        A row for each checkpoint, with ``cell, seed, selection, train, std``; the training loss
        is that of the batches on which sensitivity is measured, in nats. A run whose last update
        was the selected one has one row, that of lowest loss.
    """
    rows = []
    for cell in names:
        for seed, record in cells.get(cell, {}).items():
            metrics, seen = record.measured.metrics, set()
            for selection in (LOSS, LAST):
                train, std = (metrics.get(at(name, selection)) for name in ("train/nll", STD))
                step = metrics.get(at("selected/step", selection))
                if train is None or std is None or step in seen:
                    continue
                seen.add(step)
                rows.append((cell, seed, selection, train, std))
    return pd.DataFrame(rows, columns=["cell", "seed", "selection", "train", "std"])


def elasticity(points: pd.DataFrame) -> float | None:
    """By how many percent std moves where the training loss moves by one, along a run.

    The least-squares slope of the logarithms, each run's means taken off.

    Args:
        points: as :func:`checkpoints` gives them, of one cell.

    Returns:
        ``None`` where no run has two checkpoints of different loss.
    """
    logs = np.log(points[["train", "std"]].to_numpy(dtype=float)).reshape(-1, 2)
    seeds = points["seed"].to_numpy()
    centred = np.concatenate(
        [logs[seeds == seed] - logs[seeds == seed].mean(axis=0) for seed in np.unique(seeds)]
        or [np.empty((0, 2))]
    )
    moved = float((centred[:, 0] ** 2).sum())
    return float((centred[:, 0] * centred[:, 1]).sum()) / moved if moved > 1e-12 else None


class EqualLoss(NamedTuple):
    """What becomes of a ratio of std if training loss is allowed for.

    Attributes:
        ratio: of std, as measured.
        train: of the training losses at the same checkpoints.
        elasticities: by the cells without the divergence along whose runs std was followed.
        overlap: whether some checkpoint of either has a loss within the range of the other's.
    """

    ratio: Interval
    train: Interval
    elasticities: dict[str, float]
    overlap: bool

    @property
    def adjusted(self) -> tuple[float, float] | None:
        """The ratio at equal training loss, by the smallest and the largest elasticity."""
        if not self.elasticities:
            return None
        moved = math.log(self.train.mean)
        values = [
            self.ratio.mean * math.exp(-slope * moved) for slope in self.elasticities.values()
        ]
        return min(values), max(values)


def equal_loss(
    cells: Cells,
    cell: str = "id",
    against: str = "baseline",
    along: Iterable[str] = ("baseline", "passes", "compute"),
) -> EqualLoss | None:
    """The ratio of std between two cells, and what the difference in training loss makes of it.

    A record knows its model at three checkpoints, and these have the losses that they have. What
    std would be at the other's loss is an extrapolation along runs without the divergence.

    Args:
        cells: records of a study.
        cell: which is compared.
        against: with which.
        along: cells along whose runs std is followed over the loss.

    Returns:
        ``None`` where no seed has both.
    """
    of_std = ratio(cells, STD, cell, against)
    of_train = ratio(cells, "train/nll", cell, against)
    if of_std is None or of_train is None:
        return None
    slopes = {name: elasticity(checkpoints(cells, [name])) for name in along}
    known = {name: slope for name, slope in slopes.items() if slope is not None}
    ours, theirs = (checkpoints(cells, [name])["train"] for name in (cell, against))
    apart = ours.min() > theirs.max() or ours.max() < theirs.min()
    return EqualLoss(of_std, of_train, known, not apart)
