"""Data in several languages: what is tested, and samples that keep translations together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from idlib.data import limits
from idlib.data.errors import DataError
from idlib.data.splits import choose

ENGLISH = "en"  # trained on, and always tested
SAMPLE_SEED = 1


@dataclass(frozen=True)
class Multilingual:
    """A data set in one encoder's pieces, English to train on, and what a record tells of it.

    Attributes:
        source: ``embedded``, ``hub`` or ``path``.
        splits: by name: ``train`` and ``validation`` (English), ``test/en``, ``test/de``, …
        languages: those that are tested, English first.
        parallel: ids of the test items that all of them have; none where there is one language.
        checksums: sha256 of each split's content, independent of where it lies.
        dropped: for each split the number of items left out, by reason.
        report: lines of text on what was left out, with the place (``file:row``) of the first.
    """

    source: str
    splits: dict[str, Any]
    languages: tuple[str, ...]
    parallel: frozenset[str]
    checksums: dict[str, str]
    dropped: dict[str, dict[str, int]]
    report: list[str]


def tested(there: Sequence[str], asked: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """The languages to test: English first, then those asked for, or all that there are.

    Args:
        there: languages that the source has.
        asked: those wanted; None takes all.
        where: name of the source, for the message.

    Raises:
        DataError: one asked for is not there, or English is not; the message names it and the
            choices.
    """
    if ENGLISH not in there:
        raise DataError(
            f"{where} has no test set in English ({ENGLISH}), which is what is trained on; it has "
            f"{', '.join(there) or 'none at all'}"
        )
    every = tuple(dict.fromkeys((ENGLISH, *there)))
    if unknown := [name for name in asked or () if name not in every]:
        raise DataError(
            f"unknown language {unknown[0]!r}; {where} has {', '.join(every)}: "
            + limits.how("languages", f"'[{', '.join(every[:2])}]'")
        )
    return every if asked is None else tuple(dict.fromkeys((ENGLISH, *asked)))


def parallel(ids: Iterable[Iterable[str]]) -> frozenset[str]:
    """Ids of the items that every language has; none where there is one language."""
    every = [frozenset(own) for own in ids]
    return frozenset.intersection(*every) if len(every) > 1 else frozenset()


def sample(name: str, ids: Sequence[str], size: int | None, first: frozenset[str]) -> list[int]:
    """Indices of the items of a split that stay; a smaller sample is part of a larger one.

    Args:
        name: of the split: ``train``, ``validation``, or ``test/…``, of which at most ``size``
            items are taken, where of the others so many must be there.
        ids: of its items.
        size: how many; None takes all.
        first: in ``test/…`` those to take before any others.

    Raises:
        DataError: the split has fewer items, or none are asked for.
    """
    if size is None:
        return list(range(len(ids)))
    test = name.startswith("test/")
    limits.check_size(name, min(size, len(ids)) if test else size, len(ids))
    size = min(size, len(ids))
    classes = [int(test and item not in first) for item in ids]
    before = min(size, classes.count(0))
    return choose(ids, classes, {0: before, 1: size - before}, SAMPLE_SEED)
