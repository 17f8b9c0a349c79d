"""Curves of pruning and the area under them."""

from __future__ import annotations

import pytest
from made_up.balance import ADDED, AREA, LIGHT, SHARES, run

from idlib.report.pruning import height, pruned


def test_a_curve_begins_with_the_whole_model() -> None:
    curve = pruned(run("baseline", 12), "sensitivity")
    assert curve is not None
    assert curve.shares == [0.0, *SHARES]
    assert curve.nll == pytest.approx([1.02, *(1.02 + one for one in ADDED["sensitivity"])])
    assert curve.added == pytest.approx([0.0, *ADDED["sensitivity"]])


def test_a_run_that_was_not_pruned_has_no_curve() -> None:
    assert pruned(run("baseline", drop=("pruned",)), "magnitude") is None
    assert pruned(run("baseline", drop=("test/nll@loss",)), "magnitude") is None


@pytest.mark.parametrize("rank", AREA)
def test_the_area_is_that_of_trapezoids_over_its_width(rank: str) -> None:
    curve = pruned(run("baseline"), rank)
    assert curve is not None
    assert height(curve.shares, curve.added) == pytest.approx(AREA[rank])
    assert height(curve.shares, curve.added, 0.6) == pytest.approx(LIGHT[rank])
    assert height(curve.shares, curve.nll) == pytest.approx(curve.nll[0] + AREA[rank])


def test_an_area_needs_two_points() -> None:
    with pytest.raises(ValueError, match=r"1 lie up to 0\.1"):
        height([0.0, 0.2], [1.0, 2.0], 0.1)
