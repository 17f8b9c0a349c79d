"""Scores of single test items by language, as records keep them, and the bootstrap over them.

A record's curves give for each language the numbers of its items (``test/items/de``: an item and
its translations share one), and each item's part of the score (``test/f1/de/numerators`` over
``…/denominators``, the latter 1 where left out): the score of any set of items is the ratio of
sums. For span F1 these are twice the correct spans over those predicted and marked; for a mean
they are the item's value and 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Curves = Mapping[str, Sequence[float]]

SOURCE = "en"  # the language of training
OTHERS = "others"  # the mean over all tested languages but that
PARALLEL = "_parallel"  # on the items that every tested language has
RESAMPLES = 1000
SEED = 0


class Items(NamedTuple):
    """The test items of one language by rising number: numbers and their parts, each ``[N]``."""

    numbers: np.ndarray
    numerators: np.ndarray
    denominators: np.ndarray

    @property
    def score(self) -> float:
        """Ratio of sums; 0 where there is nothing to count."""
        total = self.denominators.sum()
        return float(self.numerators.sum() / total) if total else 0.0


class Bootstrap(NamedTuple):
    """A weighted sum of scores, the percentiles of its bootstrap, and the number of items."""

    value: float
    low: float
    high: float
    n: int


def items_of(curves: Curves, metric: str) -> dict[str, Items]:
    """The items that a metric is made of, by language; empty if the record keeps none.

    Args:
        curves: of a record.
        metric: ``test/f1/de`` of one language, ``test/f1/others`` the mean over the languages
            not trained on, ``test/f1_parallel/…`` the same on items that all languages have; or
            ``test/accuracy`` of a task with one language.
    """
    head, _, last = metric.rpartition("/")
    if f"{metric}/numerators" in curves:  # one language, or a task that has no other
        language = last if f"test/items/{last}" in curves else SOURCE
        return {language: _items(curves, metric, language)}
    name = head.removesuffix(PARALLEL)
    every = {
        language: _items(curves, f"{name}/{language}", language)
        for language in languages(curves)
        if f"{name}/{language}/numerators" in curves
    }
    if head.endswith(PARALLEL) and every:
        shared = set.intersection(*(set(items.numbers.tolist()) for items in every.values()))
        every = {language: _only(items, shared) for language, items in every.items()}
    if last == OTHERS:
        return {language: items for language, items in every.items() if language != SOURCE}
    return {last: every[last]} if last in every else {}


def languages(curves: Curves) -> list[str]:
    """The tested languages: English first, then by name."""
    found = [name.rpartition("/")[2] for name in curves if name.startswith("test/items/")]
    return sorted(found, key=lambda language: (language != SOURCE, language))


def score(by_language: Mapping[str, Items]) -> float:
    """The mean over languages of their scores."""
    return float(np.mean([items.score for items in by_language.values()]))


def bootstrap(
    weights: Sequence[float],
    systems: Sequence[Sequence[Mapping[str, Items]]],
    datasets: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Bootstrap | None:
    """Percentile bootstrap of Σ weight · (mean over seeds of the score), over test items.

    Items are drawn with replacement by their number, the same for all systems and languages: an
    item comes with its translations, which are as hard or as easy as it is. Those of different
    data sets have nothing in common but their numbers, so each data set is drawn by itself.

    Args:
        weights: of the systems, +1 and −1 for a difference.
        systems: for each of them, a list over seeds of its items by language.
        datasets: for each of them the data set that it was tested on; ``None``: all on one.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        The interval from the 2.5 to the 97.5 percentile; None where a system has no items, or
        the systems of a data set were not tested on the same ones.
    """
    named = [""] * len(systems) if datasets is None else datasets
    rng = np.random.default_rng(seed)
    parts = []
    for dataset in dict.fromkeys(named):
        rows = zip(weights, systems, named, strict=True)
        mine = [(weight, system) for weight, system, name in rows if name == dataset]
        parts.append(_resampled(mine, rng, resamples))
    if not parts or None in parts:
        return None
    values, samples, sizes = zip(*parts, strict=True)
    low, high = np.quantile(sum(samples), [0.025, 0.975])
    return Bootstrap(sum(values), float(low), float(high), sum(sizes))


def _resampled(
    systems: Sequence[tuple[float, Sequence[Mapping[str, Items]]]],
    rng: np.random.Generator,
    resamples: int,
) -> tuple[float, np.ndarray, int] | None:
    """The weighted sum on one data set, its resamples [resamples], and the number of items."""
    every = [run for _, system in systems for run in system]
    if not every or not all(every):
        return None
    first = every[0]
    same = all(
        run.keys() == first.keys()
        and all(np.array_equal(run[name].numbers, first[name].numbers) for name in first)
        for run in every
    )
    numbers = np.unique(np.concatenate([items.numbers for items in first.values()]))
    if not same or not len(numbers):
        return None
    places = {name: np.searchsorted(numbers, items.numbers) for name, items in first.items()}
    runs = [(weight / len(system), run) for weight, system in systems for run in system]
    shares = np.array([share for share, _ in runs]) / len(first)
    parts = []
    for drawn in _draws(len(numbers), resamples, rng):
        part = np.zeros(len(drawn))
        for name, place in places.items():
            part += _ratios(drawn[:, place], [run[name] for _, run in runs]) @ shares
        parts.append(part)
    value = sum(share * score(run) for share, run in runs)
    return value, np.concatenate(parts), len(numbers)


def _draws(size: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each item is drawn [part of the resamples, size], a part about 16 MB at most."""
    rows = max(1, 2_000_000 // size)
    for start in range(0, resamples, rows):
        each = range(min(rows, resamples - start))
        drawn = [np.bincount(rng.integers(size, size=size), minlength=size) for _ in each]
        yield np.stack(drawn).astype(np.float64)


def _items(curves: Curves, name: str, language: str) -> Items:
    numerators = np.array(curves[f"{name}/numerators"], dtype=np.float64)
    given = curves.get(f"{name}/denominators")
    denominators = np.ones_like(numerators) if given is None else np.array(given, np.float64)
    numbers = np.array(curves[f"test/items/{language}"], dtype=np.int64)
    if not len(numbers) == len(numerators) == len(denominators):
        raise ValueError(
            f"{name} has {len(numerators)} numerators and {len(denominators)} denominators for "
            f"{len(numbers)} items"
        )
    order = np.argsort(numbers, kind="stable")
    return Items(numbers[order], numerators[order], denominators[order])


def _only(items: Items, wanted: set[int]) -> Items:
    kept = np.isin(items.numbers, sorted(wanted))
    return Items(*(column[kept] for column in items))


def _ratios(counts: np.ndarray, runs: Sequence[Items]) -> np.ndarray:
    """Scores [resamples, runs], from how often each item is drawn [resamples, N]."""
    above = counts @ np.stack([items.numerators for items in runs], axis=1)
    below = counts @ np.stack([items.denominators for items in runs], axis=1)
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
