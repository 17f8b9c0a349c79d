"""Batches by number of tokens."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch

from idlib.data import DataError
from idlib.data.batching import token_batches

LENGTHS = random.Random(5).choices(range(3, 41), k=500)


@pytest.mark.parametrize("most", [None, 7])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_batches_hold_every_example_once_within_the_limit(most, seed):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    batches = token_batches(LENGTHS, 200, generator, most)
    assert sorted(index for batch in batches for index in batch) == list(range(500))
    for batch in batches:
        assert batch and len(batch) * max(LENGTHS[i] for i in batch) <= 200
        assert most is None or len(batch) <= most


def test_no_batch_could_take_the_next_example():
    batches = token_batches(LENGTHS, 200, None)
    for batch, after in zip(batches, batches[1:], strict=False):
        assert (len(batch) + 1) * LENGTHS[after[0]] > 200
    assert len(batches) < 1.2 * sum(LENGTHS) / 200


def test_every_epoch_has_batches_of_the_same_sizes():
    generator = torch.Generator().manual_seed(3)

    def shapes(batches):
        return Counter(tuple(LENGTHS[i] for i in batch) for batch in batches)

    epochs = [token_batches(LENGTHS, 200, generator) for _ in range(5)]
    assert all(shapes(epoch) == shapes(token_batches(LENGTHS, 200, None)) for epoch in epochs)
    # … and the examples in them differ, as does the order of the batches.
    assert len({frozenset(map(frozenset, epoch)) for epoch in epochs}) == 5
    assert len({tuple(LENGTHS[batch[0]] for batch in epoch) for epoch in epochs}) == 5


def test_an_epoch_is_the_generators():
    one, same, other = (
        token_batches(LENGTHS, 200, torch.Generator().manual_seed(seed)) for seed in (4, 4, 5)
    )
    assert one == same != other


def test_without_a_generator_examples_are_sorted():
    order = [i for batch in token_batches(LENGTHS, 200, None) for i in batch]
    assert order == sorted(range(500), key=lambda i: (LENGTHS[i], i))


def test_no_examples_make_no_batches():
    assert token_batches([], 10, None) == []
    assert token_batches([], 10, torch.Generator()) == []


def test_an_example_longer_than_a_batch_is_named():
    assert token_batches([4, 12, 5], 12, None) == [[0, 2], [1]]
    with pytest.raises(DataError, match="example 1 has 13 tokens, more than the 12 of a batch"):
        token_batches([4, 13, 5], 12, None)
    with pytest.raises(DataError, match="max_examples is 0"):
        token_batches([4], 12, None, max_examples=0)
