"""Batches and windows of anything: each example once, each token of a context somewhere."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from idlib.data.batching import mask, padded, token_batches
from idlib.data.errors import DataError
from idlib.data.splits import hold_out, proportional_quotas, sample
from idlib.data.windows import Encoded, cut

lengths = st.lists(st.integers(1, 50), max_size=60)


@given(lengths, st.integers(1, 200), st.none() | st.integers(1, 9), st.none() | st.integers(0, 99))
def test_every_example_is_in_one_batch_of_the_size(lengths, most, examples, seed) -> None:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    try:
        batches = token_batches(lengths, most, generator, examples)
    except DataError as error:
        assert max(lengths) > most and f"example {lengths.index(max(lengths))} " in str(error)
        return
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batch for batch in batches)
    assert all(max(lengths[i] for i in batch) * len(batch) <= most for batch in batches)
    assert all(len(batch) <= (examples or len(lengths)) for batch in batches)
    again = token_batches(lengths, most, torch.Generator().manual_seed(7), examples)
    assert sorted(map(len, again)) == sorted(map(len, batches))


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=6))
def test_rows_stand_whole_where_the_mask_says(rows) -> None:
    filled, counted = padded(rows, -1), mask([len(row) for row in rows])
    assert filled.shape == counted.shape
    assert [row[own].tolist() for row, own in zip(filled, counted, strict=True)] == rows
    assert (filled[~counted] == -1).all()


@given(st.integers(0, 40), st.integers(1, 6), st.integers(1, 12), st.integers(0, 11), st.data())
def test_every_token_is_in_a_window_and_a_short_answer_whole(size, question, room, stride, data):
    stride = min(stride, room - 1)
    ids = list(range(question + size + 1))
    offsets = [(2 * i, 2 * i + 1) for i in range(size)]
    encoded = Encoded(ids, None, question, question + size, offsets)
    first = data.draw(st.integers(0, max(size - 1, 0)))
    last = data.draw(st.integers(first, max(size - 1, first)))
    span = (2 * first, 2 * last + 1)
    windows = list(cut(encoded, 0, span, question + room + 1, stride))
    held = [window.ids[question:-1] for window in windows]
    assert list(dict.fromkeys(i for own in held for i in own)) == ids[question:-1]
    for window in windows:
        assert len(window.ids) <= question + room + 1
        assert window.ids[:question] == ids[:question] and window.ids[-1] == ids[-1]
    for before, after in zip(held, held[1:], strict=False):
        assert stride == 0 or before[-stride:] == after[:stride]
    if size and last - first + 1 <= stride + 1:
        assert any(window.holds_answer for window in windows)
    for window in windows:
        if window.holds_answer:
            assert window.characters(window.start, window.end) == span


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_what_is_held_out_and_what_stays_is_all(labels, data) -> None:
    names = [str(i) for i in range(len(labels))]
    count, seed = data.draw(st.integers(0, len(labels))), data.draw(st.integers(0, 9))
    kept, held_out = hold_out(names, count, seed, labels)
    assert sorted([*kept, *held_out]) == list(range(len(labels))) and len(held_out) == count
    for label, quota in proportional_quotas(labels, count).items():
        assert abs(quota - count * labels.count(label) / len(labels)) < 1
    order = data.draw(st.permutations(range(len(labels))))
    _, turned = hold_out([names[i] for i in order], count, seed, [labels[i] for i in order])
    assert sorted(order[i] for i in turned) == held_out
    sizes = sorted(data.draw(st.tuples(*[st.integers(1, len(names))] * 2)))
    small, large = (set(sample("train", names, size)) for size in sizes)
    assert small <= large
