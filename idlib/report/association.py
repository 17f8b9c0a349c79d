"""Whether two figures of runs go together, within each way to train and across them.

Rank correlations (Spearman's). Across methods both figures change with the method, so that a
correlation there is the methods' and says nothing of a cause; within a method only the seed varies.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from idlib.metrics.names import BEST, LOSS, at
from idlib.protocol import Side
from idlib.report.metrics import Metric
from idlib.report.paired import Cells
from idlib.report.tasks import report_of

BALANCE = {  # of sensitivity, the lower the more even: names in records, in words
    "std": "std",
    "cv": "std / mean",
    "gini": "Gini coefficient",
}
RESAMPLES = 2000
SEED = 12345
FEWEST = 3  # seeds of an interval over seeds, and means of a correlation of means


class Quality(NamedTuple):
    """A test score that balance might go with.

    Attributes:
        metric: of the records.
        better: its better side.
        selection: the checkpoint at which both are read.
    """

    metric: Metric
    better: Literal["above", "below"]
    selection: str

    @property
    def asked(self) -> tuple[str, Side, str]:
        """What :func:`runs_of` takes behind the records."""
        return self.metric.key, self.better, self.selection


# By the loss at its own checkpoint; by the metric of the task's claim at that of the metric.
_QUALITIES: tuple[tuple[str, Side, str], ...] = (
    ("test/nll", "below", LOSS),
    ("test/accuracy", "above", BEST),
    ("test/bleu", "above", BEST),
    ("test/f1/others", "above", BEST),
    ("test/score", "above", BEST),
)


class Association(NamedTuple):
    """A rank correlation.

    Attributes:
        rho: between −1 and 1; NaN where a figure does not vary.
        low: end of the 95 % interval, by drawing seeds; NaN with fewer than three of them.
        high: the other end.
        p: two-sided, by permutation; NaN for several groups.
        n: runs.
        groups: how many ways to train they are of.
    """

    rho: float
    low: float
    high: float
    p: float
    n: int
    groups: int


def qualities(cells: Cells) -> list[Quality]:
    """The test scores that these records have; accuracy where it is not the score itself."""
    records = [record for by_seed in cells.values() for record in by_seed.values()]
    if not records:
        return []
    report = report_of(records[0].asked.task)
    scored = any("test/score" in record.measured.metrics for record in records)
    return [
        Quality(report.metric(key), better, selection)
        for key, better, selection in _QUALITIES
        if any(at(key, selection) in record.measured.metrics for record in records)
        and not (scored and key == "test/accuracy")
    ]


def runs_of(cells: Cells, quality: str, better: Side, selection: str) -> pd.DataFrame:
    """How balanced each run's model is, and how bad, at the checkpoint of one rule.

    Args:
        cells: records of a study; runs that lack a figure are left out.
        quality: the metric.
        better: its better side.
        selection: the rule.

    Returns:
        A row for each run, with ``group`` (its cell), ``method, seed, std, cv, gini, quality``, and
        ``worse``, the quality with its better side down: where more even runs are the better
        ones, correlations with it are positive.
    """
    names = {name: at(f"sensitivity/{name}", selection) for name in BALANCE}
    names["quality"] = at(quality, selection)
    rows = []
    for cell, by_seed in cells.items():
        for seed, record in by_seed.items():
            metrics = record.measured.metrics
            if all(name in metrics for name in names.values()):
                found = {column: metrics[name] for column, name in names.items()}
                rows.append({"group": cell, "method": record.asked.method, "seed": seed, **found})
    columns = ["group", "method", "seed", *names]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(worse=table["quality"] * (-1.0 if better == "above" else 1.0))


def across_means(runs: pd.DataFrame, x: str, y: str) -> float:
    """The rank correlation of the groups' means of two columns; NaN with fewer than three."""
    means = runs.groupby("group")[[x, y]].mean()
    return rank_correlation(means[x], means[y]) if len(means) >= FEWEST else math.nan


def rank_correlation(x: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> float:
    """Spearman's rank correlation, of ranks taken within each group.

    Ranks are centred in their group, so that nothing between groups counts; with one group it is
    Spearman's own.

    Args:
        x: one figure of each run, [n].
        y: the other, [n].
        groups: of each run, [n]; ``None``: all are of one.

    Returns:
        NaN where the ranks of either do not vary.

    >>> rank_correlation([1, 2, 3], [10, 30, 20])
    0.5
    >>> rank_correlation([1, 2, 11, 12], [6, 5, 8, 7], ["a", "a", "b", "b"])
    -1.0
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (x, y))
    labels = np.zeros(len(a)) if groups is None else np.asarray(groups)
    return float(_correlations(a, b, labels, np.ones((1, len(a))))[0])


def associate(
    runs: pd.DataFrame,
    x: str,
    y: str,
    within: bool,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Association:
    """The rank correlation of two columns, with an interval over seeds.

    Seeds are drawn with replacement, each with its runs of all groups, since runs of a seed share
    initial weights and order. Where the groups are compared with each other this takes the groups
    as given: the interval says nothing of other methods. The p value permutes ``y`` over the seeds
    of a single group; runs of several groups cannot be exchanged.

    Args:
        runs: columns ``group``, ``seed``, ``x`` and ``y``.
        x: name of a column.
        y: of another.
        within: whether ranks are taken within each group.
        resamples: draws of the bootstrap, and of the permutations.
        seed: of both.
    """
    table = runs[["group", "seed", x, y]].dropna()
    labels = table["group"].to_numpy() if within else np.zeros(len(table))
    a, b = table[x].to_numpy(dtype=float), table[y].to_numpy(dtype=float)
    rho, count = rank_correlation(a, b, labels), int(table["group"].nunique())
    rng = np.random.default_rng(seed)
    seeds, which = np.unique(table["seed"].to_numpy(), return_inverse=True)
    low = high = p = math.nan
    if len(seeds) >= FEWEST and not math.isnan(rho):
        drawn = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), resamples)
        found = _correlations(a, b, labels, drawn[:, which].astype(np.float64))
        low, high = map(float, np.nanquantile(found, [0.025, 0.975]))
    if count == 1 and not math.isnan(rho):
        p = _permuted(a, b, resamples, rng)
    return Association(rho, low, high, p, len(table), count)


def _correlations(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    labels: NDArray[Any],
    counts: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The correlation of ranks within each group, [draws], of runs each counted so often.

    Args:
        x: [n].
        y: [n].
        labels: group of each run, [n].
        counts: how often each run is drawn, [draws, n].
    """
    a, b = _centred(x, labels, counts), _centred(y, labels, counts)
    scale = np.sqrt((counts * a * a).sum(axis=1) * (counts * b * b).sum(axis=1))
    found = np.full(len(counts), np.nan)
    np.divide((counts * a * b).sum(axis=1), scale, out=found, where=scale > 0)
    return found


def _centred(
    x: NDArray[np.float64], labels: NDArray[Any], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean ranks within each group minus the group's mean rank, [draws, n].

    A run that is drawn twice stands twice in the ranking, the two tied. A run's rank is the number
    of runs below it, half of those tied with it, and a half.
    """
    ranks = np.zeros(counts.shape)
    for one in np.unique(labels):
        inside = np.flatnonzero(labels == one)
        own, drawn = x[inside], counts[:, inside]
        below = (own[:, None] < own) + 0.5 * (own[:, None] == own)  # [of, for]
        ranks[:, inside] = drawn @ below - drawn.sum(axis=1, keepdims=True) / 2
    return ranks


def _permuted(
    x: NDArray[np.float64], y: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> float:
    """Two-sided p of a correlation as large as this one if y were dealt anew."""
    one, once = np.zeros(len(x)), np.ones((1, len(x)))
    a, b = _centred(x, one, once)[0], _centred(y, one, once)[0]
    dealt = rng.permuted(np.tile(b, (resamples, 1)), axis=1)
    beyond = np.abs(dealt @ a) >= abs(float(a @ b)) - 1e-9
    return float(beyond.sum() + 1) / (resamples + 1)
