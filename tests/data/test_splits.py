"""Seeded draws: quotas, and that a draw depends on seed and names alone."""

from __future__ import annotations

import pytest

from idlib.data.errors import DataError, TooFewItems
from idlib.data.splits import check_size, choose, hold_out, proportional_quotas

NAMES, LABELS = [f"n{i}" for i in range(50)], [i % 2 for i in range(50)]


def test_the_pet_split_has_the_reports_sizes():
    quotas = proportional_quotas([i % 37 for i in range(3680)], 680)
    assert sum(quotas.values()) == 680 and set(quotas.values()) == {18, 19}


def test_a_draw_depends_on_seed_and_names_only():
    quotas = {0: 6, 1: 5}
    one = {NAMES[i] for i in choose(NAMES, LABELS, quotas, seed=1)}
    back = NAMES[::-1], LABELS[::-1]
    assert one == {back[0][i] for i in choose(*back, quotas, seed=1)}
    assert one != {NAMES[i] for i in choose(NAMES, LABELS, quotas, seed=2)}
    with pytest.raises(ValueError, match="class 0 has 25 items, fewer than the 26"):
        choose(NAMES, LABELS, {0: 26}, seed=1)


def test_what_is_held_out_and_what_stays_make_the_whole():
    stay, held_out = hold_out(NAMES, 11, 1)
    assert len(held_out) == 11 and sorted(stay + held_out) == list(range(50))
    assert stay == sorted(stay) and held_out == sorted(held_out) != list(range(11))
    _, by_class = hold_out(NAMES, 10, 1, LABELS)
    assert sum(LABELS[i] for i in by_class) == 5


def test_too_few_items_can_be_told_from_none():
    check_size("test/de", 4, 4)
    with pytest.raises(TooFewItems, match="test/de has 4 pairs, so 5 .*'{test: 4}'") as caught:
        check_size("test/de", 5, 4, "pairs")
    assert (caught.value.split, caught.value.available) == ("test", 4)
    with pytest.raises(DataError, match="so 0 cannot be taken") as caught:
        check_size("train", 0, 4)
    assert not isinstance(caught.value, TooFewItems)
