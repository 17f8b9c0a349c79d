"""Batches: which examples go together, and their rows padded to one length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from idlib.data.errors import DataError

Batch = dict[str, Tensor]


def padded(rows: Sequence[Sequence[int] | Tensor], value: int) -> Tensor:
    """Rows of different lengths as int64 [B, L], filled with ``value`` at the end."""
    tensors = [torch.as_tensor(row, dtype=torch.int64) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=value)


def mask(lengths: Sequence[int]) -> Tensor:
    """Bool [B, L]: True at the first ``lengths[b]`` positions of row b."""
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def token_batches(
    lengths: Sequence[int],
    max_tokens: int,
    generator: torch.Generator | None,
    max_examples: int | None = None,
) -> list[list[int]]:
    """All examples once, in batches whose padded size stays within ``max_tokens``.

    So each update reads about equally much text. As fairseq's ``--max-tokens``: the longest example
    of a batch times the number of its examples is at most ``max_tokens``. The examples are
    shuffled, sorted by length (equal lengths stay shuffled), cut greedily from the shortest up, and
    the batches are shuffled. The cuts depend on the sorted lengths alone, so every epoch has
    equally many batches, of the same sizes.

    Args:
        lengths: tokens of each example, its end included.
        max_tokens: limit of a batch, padding included.
        generator: of both shuffles; None sorts by length and shuffles nothing, for evaluation.
        max_examples: limit of a batch.

    Returns:
        Lists of indices into ``lengths``.

    Raises:
        DataError: if an example is longer than ``max_tokens``; the message names it.

    >>> token_batches([3, 9, 2, 3], 9, None)
    [[2, 0, 3], [1]]
    """
    if max_examples is not None and max_examples < 1:
        raise DataError(f"max_examples is {max_examples}, but a batch holds at least 1 example")
    if not len(lengths):
        return []
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if lengths[longest] > max_tokens:
        raise DataError(
            f"example {longest} has {lengths[longest]} tokens, more than the {max_tokens} of a "
            "batch; allow more tokens in a batch (--set batch_tokens=…), or drop longer examples "
            "(--set max_tokens=…)"
        )
    order = list(range(len(lengths)))
    if generator is not None:
        order = torch.randperm(len(lengths), generator=generator).tolist()
    batches: list[list[int]] = [[]]
    for index in sorted(order, key=lengths.__getitem__):
        count = len(batches[-1]) + 1
        # In ascending order the example that comes is the longest of its batch.
        if count * lengths[index] > max_tokens or (max_examples and count > max_examples):
            batches.append([])
        batches[-1].append(index)
    if generator is not None:
        places = torch.randperm(len(batches), generator=generator).tolist()
        batches = [batches[place] for place in places]
    return batches
