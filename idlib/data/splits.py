"""Splits that depend on a seed and on names only, so that no library's generator can move them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence


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


def equal_quotas(classes: Sequence[int], count: int) -> dict[int, int]:
    """How many of ``count`` items each class gets if all get the same, the first ones the rest.

    >>> equal_quotas([0, 1, 2], 8)
    {0: 3, 1: 3, 2: 2}
    """
    each, rest = divmod(count, len(classes))
    return {label: each + (i < rest) for i, label in enumerate(classes)}


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
