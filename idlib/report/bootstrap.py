"""The bootstrap crossed over seeds and test items: how far both together could move a score.

One for all scores, each a function of statistics summed over items. Seeds and items are two ways
in which another experiment would have come out otherwise, and each is drawn for itself (the
"pigeonhole bootstrap" of Owen 2007). With one seed it is the bootstrap over items alone, which
speaks of one trained model only. Few seeds make it somewhat too narrow, as any bootstrap of few;
the interval that decides is Student's over seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from idlib.metrics.items import RATIO, Floats, Items, ItemScore, score
from idlib.report.statistics import Interval

RESAMPLES = 1000  # both are those of SacreBLEU's test, so that its draws are ours
SEED = 12345

ByLanguage = Mapping[str, Items]


def bootstrap(
    weights: Sequence[float],
    systems: Sequence[Sequence[ByLanguage]],
    how: ItemScore = RATIO,
    datasets: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval | None:
    """Percentile bootstrap of Σ weight · (mean over seeds of the score), over seeds and items.

    Seeds are drawn with replacement, the same for all systems, so that pairs stay pairs. Items
    are drawn by their number, the same for all systems, seeds and languages: an item comes with
    its translations, which are as hard or as easy as it is. Those of different data sets have
    nothing in common but their numbers, so each data set is drawn by itself. With one system and
    one seed this is the bootstrap of SacreBLEU (Koehn 2004).

    Args:
        weights: of the systems, +1 and −1 for a difference.
        systems: for each of them, a list over the same seeds of its items by language.
        how: how the score follows from items.
        datasets: for each of them the data set that it was tested on; ``None``: all on one.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        The value and the interval from the 2.5 to the 97.5 percentile, with the number of items;
        ``None`` where a system has no items, or the systems of a data set were not tested on the
        same ones.

    Raises:
        ValueError: systems of other numbers of seeds.
    """
    if not systems or not all(systems):
        return None
    seeds = len(systems[0])
    if any(len(system) != seeds for system in systems):
        raise ValueError(f"systems of {sorted({*map(len, systems)})} seeds are not paired")
    drawn_seeds = _drawn_seeds(seeds, resamples, seed)
    on = [""] * len(systems) if datasets is None else datasets
    rng = np.random.default_rng(seed)
    value, sampled, size = 0.0, np.zeros(resamples), 0
    for dataset in dict.fromkeys(on):
        runs = [
            (weight * drawn_seeds[place], run)
            for weight, system, name in zip(weights, systems, on, strict=True)
            for place, run in enumerate(system)
            if name == dataset
        ]
        if not _same_items([run for _, run in runs]):
            return None
        drawn, n = _resampled(runs, how, rng, resamples)
        value += sum(
            weight / seeds * score(run, how)
            for weight, system, name in zip(weights, systems, on, strict=True)
            for run in system
            if name == dataset
        )
        sampled += drawn
        size += n
    low, high = np.quantile(sampled, [0.025, 0.975])
    return Interval(float(value), float(low), float(high), size)


def _same_items(runs: Sequence[ByLanguage]) -> bool:
    """Whether the runs have items, all in the same languages and of the same numbers."""
    first = runs[0]
    return any(len(items.numbers) for items in first.values()) and all(
        run.keys() == first.keys()
        and all(np.array_equal(run[name].numbers, first[name].numbers) for name in first)
        for run in runs
    )


def _drawn_seeds(seeds: int, resamples: int, seed: int) -> Floats:
    """The weight of each seed in each resample [seeds, resamples], in all 1."""
    rng = np.random.default_rng([seed, seeds])  # its own: the draws of items are SacreBLEU's
    drawn = rng.choice(seeds, size=(resamples, seeds))
    counts = np.stack([np.bincount(row, minlength=seeds) for row in drawn], axis=1)
    return counts / seeds


def _resampled(
    runs: Sequence[tuple[Floats, ByLanguage]],
    how: ItemScore,
    rng: np.random.Generator,
    resamples: int,
) -> tuple[Floats, int]:
    """The weighted sum of runs on one data set for each resample, and the number of items."""
    first = runs[0][1]
    numbers = np.unique(np.concatenate([items.numbers for items in first.values()]))
    places = {name: np.searchsorted(numbers, items.numbers) for name, items in first.items()}
    parts: list[Floats] = []
    for counts in _draws(len(numbers), resamples, rng):
        start = sum(map(len, parts))
        part = np.zeros(len(counts))
        for name, place in places.items():
            drawn = counts[:, place].T
            for share, run in runs:
                of_run = how.of_sums(run[name].statistics @ drawn) / len(first)
                part += share[start : start + len(part)] * of_run
        parts.append(part)
    return np.concatenate(parts), len(numbers)


def _draws(size: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each item is drawn [part of the resamples, size], a part about 16 MB at most."""
    rows = max(1, 2_000_000 // size)
    for start in range(0, resamples, rows):
        drawn = rng.choice(size, size=(min(rows, resamples - start), size))
        yield np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(np.float64)
