"""What records keep of single test items, by language, and how a score follows from it.

A record's curves give for each language the numbers of its items (``test/items/de``: an item and
its translations share one), and for each item the statistics that a score is a function of, summed
over any set of items. For most scores they are numerators and denominators
(``test/f1/de/numerators`` over ``…/denominators``), and the score is the ratio of sums: for span F1
twice the correct spans over those predicted and marked, for a mean the item's value over 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Curves = Mapping[str, Sequence[float]]
Floats = NDArray[np.float64]

TRAINED_ON = "en"  # the language of training
OTHERS = "others"  # the mean over all tested languages but that
PARALLEL = "_parallel"  # on the items that every tested language has


class Items(NamedTuple):
    """The test items of one language by rising number: numbers [N] and statistics [S, N]."""

    numbers: NDArray[np.int64]
    statistics: Floats

    def only(self, wanted: set[int]) -> Items:
        """Those of these numbers."""
        kept = np.isin(self.numbers, sorted(wanted))
        return Items(self.numbers[kept], np.ascontiguousarray(self.statistics[:, kept]))


def _themselves(columns: Floats) -> Floats:
    return columns


class ItemScore(NamedTuple):
    """How a score follows from its items.

    Args:
        columns: the curves ``metric/column`` that a record keeps, one value an item.
        of_sums: scores [R] from statistics summed over items [S, R].
        statistics: from those columns [C, N] to the statistics of each item [S, N].
    """

    columns: tuple[str, ...]
    of_sums: Callable[[Floats], Floats]
    statistics: Callable[[Floats], Floats] = _themselves


def _ratio(sums: Floats) -> Floats:
    """Numerators over denominators, 0 where there is nothing to count."""
    above, below = sums
    ratio: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return ratio


RATIO = ItemScore(("numerators", "denominators"), _ratio)


def items_of(curves: Curves, metric: str, score: ItemScore = RATIO) -> dict[str, Items]:
    """The items that a metric is made of, by language; empty if the record keeps none.

    Args:
        curves: of a record.
        metric: ``test/f1/de`` of one language, ``test/f1/others`` the mean over the languages
            not trained on, ``test/f1_parallel/…`` the same on items that all languages have; or
            ``test/nll`` of a task with one language.
        score: how the metric follows from its items.
    """
    head, _, last = metric.rpartition("/")
    if _kept(curves, metric, score):  # one language, or a task that has no other
        language = last if f"test/items/{last}" in curves else TRAINED_ON
        return {language: _items(curves, metric, language, score)}
    name = head.removesuffix(PARALLEL)
    every = {
        language: _items(curves, f"{name}/{language}", language, score)
        for language in languages(curves)
        if _kept(curves, f"{name}/{language}", score)
    }
    if head.endswith(PARALLEL) and every:
        shared = set.intersection(*(set(items.numbers.tolist()) for items in every.values()))
        every = {language: items.only(shared) for language, items in every.items()}
    if last == OTHERS:
        return {language: items for language, items in every.items() if language != TRAINED_ON}
    return {last: every[last]} if last in every else {}


def score(by_language: Mapping[str, Items], how: ItemScore = RATIO) -> float:
    """The mean over languages of their scores."""
    sums = np.array([items.statistics.sum(axis=1) for items in by_language.values()])
    return float(np.mean(how.of_sums(sums.T)))


def languages(curves: Curves) -> list[str]:
    """The tested languages: that of training first, then by name."""
    found = [name.rpartition("/")[2] for name in curves if name.startswith("test/items/")]
    return sorted(found, key=lambda language: (language != TRAINED_ON, language))


def _kept(curves: Curves, name: str, score: ItemScore) -> bool:
    return f"{name}/{score.columns[0]}" in curves or bool(curves.get(f"{name}/items"))


def _items(curves: Curves, name: str, language: str, score: ItemScore) -> Items:
    """The items of ``name``; a mean's values stand in ``name/items``, each with denominator 1."""
    first = f"{name}/{score.columns[0]}"
    values = curves[first] if first in curves else curves[f"{name}/items"]
    numbers = curves.get(f"test/items/{language}", range(len(values)))
    if first not in curves and len(numbers) != len(values):  # losses of items without numbers
        numbers = range(len(values))
    rest = [curves.get(f"{name}/{column}", [1.0] * len(values)) for column in score.columns[1:]]
    lengths = {len(numbers), len(values), *map(len, rest)}
    if len(lengths) > 1:
        raise ValueError(
            f"{name} has {len(numbers)} items, but its statistics have {len(values)} and "
            f"{', '.join(str(len(column)) for column in rest)} values"
        )
    order = np.argsort(np.asarray(numbers), kind="stable")
    columns = np.stack([np.array(column, np.float64)[order] for column in (values, *rest)])
    return Items(np.asarray(numbers, dtype=np.int64)[order], score.statistics(columns))
