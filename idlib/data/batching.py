"""Batches by number of tokens, so that each update reads about equally much text."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from idlib.data.errors import DataError


def token_batches(
    lengths: Sequence[int],
    tokens: int,
    generator: torch.Generator | None,
    most: int | None = None,
) -> list[list[int]]:
    """All examples once, in batches whose padded size stays within ``tokens``.

    As fairseq's ``--max-tokens``: the longest example of a batch times the number of its examples
    is at most ``tokens``. The examples are shuffled, sorted by length (equal lengths stay
    shuffled), cut greedily from the shortest up, and the batches are shuffled. The cuts depend on
    the sorted lengths alone, so every epoch has equally many batches, of the same sizes.

    Args:
        lengths: tokens of each example, its end included.
        tokens: at most so many in a batch, padding included.
        generator: of both shuffles; None sorts by length and shuffles nothing, for evaluation.
        most: at most so many examples in a batch.

    Returns:
        Lists of indices into ``lengths``.

    Raises:
        DataError: if an example is longer than ``tokens``; the message names it.

    >>> token_batches([3, 9, 2, 3], 9, None)
    [[2, 0, 3], [1]]
    """
    if most is not None and most < 1:
        raise DataError(f"most is {most}, but a batch holds at least 1 example")
    if not len(lengths):
        return []
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if lengths[longest] > tokens:
        raise DataError(
            f"example {longest} has {lengths[longest]} tokens, more than the {tokens} of a batch; "
            "allow more tokens in a batch (--set batch_tokens=…), or drop longer examples "
            "(--set max_tokens=…)"
        )
    order = range(len(lengths))
    if generator is not None:
        order = torch.randperm(len(lengths), generator=generator).tolist()
    batches: list[list[int]] = [[]]
    for index in sorted(order, key=lengths.__getitem__):
        count = len(batches[-1]) + 1
        # In ascending order the example that comes is the longest of its batch.
        if count * lengths[index] > tokens or (most is not None and count > most):
            batches.append([])
        batches[-1].append(index)
    if generator is not None:
        places = torch.randperm(len(batches), generator=generator).tolist()
        batches = [batches[place] for place in places]
    return batches
