"""Seeded draws: samples of a split, and parts held out of one.

They depend on a seed and on the items' names only, so that no library's generator can move them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from idlib.data.errors import DataError, TooFewItems
from idlib.data.sources import how_to_set

SAMPLE_SEED = 1  # of the samples that the setting ``examples`` asks for


def proportional_quotas(labels: Sequence[int], count: int) -> dict[int, int]:
    """How many of ``count`` items each class gets, in proportion to its size (largest remainder).

    >>> proportional_quotas([0, 0, 0, 1], 2)
    {0: 2, 1: 0}
    """
    sizes = sorted(Counter(labels).items())
    exact = {label: count * size / len(labels) for label, size in sizes}
    quotas = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(exact, key=lambda label: (quotas[label] - exact[label], label))
    for label in by_remainder[: count - sum(quotas.values())]:
        quotas[label] += 1
    return quotas


def choose(
    names: Sequence[str], labels: Sequence[int], quotas: Mapping[int, int], seed: int
) -> list[int]:
    """Indices, ascending, of the items drawn for each class's quota.

    Items are ranked by sha256 of the seed and their name, so the draw does not depend on the order
    in which they are listed.

    Raises:
        ValueError: if a class has fewer items than its quota.
    """
    ranked = sorted(
        range(len(names)), key=lambda i: hashlib.sha256(f"{seed}/{names[i]}".encode()).digest()
    )
    chosen = []
    for label, quota in quotas.items():
        own = [i for i in ranked if labels[i] == label]
        if len(own) < quota:
            raise ValueError(f"class {label} has {len(own)} items, fewer than the {quota} asked")
        chosen += own[:quota]
    return sorted(chosen)


def hold_out(
    names: Sequence[str], count: int, seed: int, labels: Sequence[int] | None = None
) -> tuple[list[int], list[int]]:
    """Indices, ascending, of the items that stay, and of ``count`` that are held out.

    Args:
        names: of the items.
        count: how many to hold out.
        seed: of the draw.
        labels: classes, which are held out in proportion; None takes all items for one class.
    """
    labels = [0] * len(names) if labels is None else labels
    held_out = choose(names, labels, proportional_quotas(labels, count), seed)
    return sorted(set(range(len(names))) - set(held_out)), held_out


def sample(
    split: str,
    names: Sequence[str],
    size: int | None,
    labels: Sequence[int] | None = None,
    items: str = "items",
) -> list[int]:
    """Indices, ascending, of the items of a split that the setting ``examples`` leaves.

    Of one class, a smaller sample is part of a larger one.

    Args:
        split: its name, for messages.
        names: of its items.
        size: how many; None takes all.
        labels: classes, which are taken in proportion; None takes all items for one class.
        items: what they are, for messages.

    Raises:
        DataError: the split has fewer items, or none are asked for.
    """
    if size is None:
        return list(range(len(names)))
    check_size(split, size, len(names), items)
    return hold_out(names, size, SAMPLE_SEED, labels)[1]


def check_size(split: str, size: int, available: int, items: str = "items") -> None:
    """Whether ``size`` items can be taken from the ``available`` ones of a split.

    Raises:
        TooFewItems: there are fewer.
        DataError: none are asked for.
    """
    if 1 <= size <= available:
        return
    name = split.split("/")[0]  # ``test`` of ``test/de``
    message = (
        f"{split} has {available} {items}, so {size} cannot be taken from it; take 1 to "
        f"{available}: " + how_to_set("examples", f"'{{{name}: {available}}}'")
    )
    raise DataError(message) if size < 1 else TooFewItems(message, name, available)
