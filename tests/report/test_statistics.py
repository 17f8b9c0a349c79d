"""Intervals against scipy and by hand; verdicts by where the interval lies."""

import math

import numpy as np
import pytest
from scipy import stats

from idlib.report.statistics import (
    Interval,
    bootstrap_items,
    combine,
    judge,
    p_value,
    paired_differences,
    t_interval,
    why_not_judged,
)

VALUES = [-0.041, -0.052, -0.013, -0.044, -0.038]


def test_t_interval_agrees_with_scipy():
    low, high = stats.ttest_1samp(VALUES, 0).confidence_interval(0.95)
    interval = t_interval(VALUES)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)
    assert interval.mean == pytest.approx(np.mean(VALUES))
    assert interval.n == 5
    assert p_value(VALUES) == pytest.approx(stats.ttest_1samp(VALUES, 0).pvalue, rel=1e-9)


def test_t_interval_by_hand():
    # mean 2, s = 1, standard error 1/sqrt(3); the table's t for 2 degrees of freedom is 4.303
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.high - interval.mean == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)


def test_level_widens_the_interval():
    assert t_interval(VALUES, 0.99).low < t_interval(VALUES, 0.95).low


def test_order_of_values_changes_nothing():
    assert t_interval(VALUES[::-1]) == pytest.approx(t_interval(VALUES))


def test_one_value_has_no_interval_and_no_p():
    interval = t_interval([0.3])
    assert not interval.bounded and interval.mean == 0.3 and interval.n == 1
    assert math.isnan(p_value([0.3]))
    assert not bootstrap_items([0.3], np.random.default_rng(0)).bounded
    assert judge(interval, "below") == "undecided"


def test_equal_values_have_an_interval_of_no_width():
    assert t_interval([-1.0, -1.0]) == (-1.0, -1.0, -1.0, 2)
    assert p_value([-1.0, -1.0]) == 0.0
    assert p_value([0.0, 0.0]) == 1.0


@pytest.mark.parametrize("function", [t_interval, p_value])
@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf], [[1.0]]])
def test_bad_values_are_refused(function, bad):
    with pytest.raises(ValueError, match="value"):
        function(bad)


def test_bad_level_is_refused():
    with pytest.raises(ValueError, match="level is 95"):
        t_interval(VALUES, 95)
    with pytest.raises(ValueError, match="level is 0"):
        bootstrap_items(VALUES, np.random.default_rng(0), level=0)


def test_pairs_are_made_by_seed_and_not_by_place():
    a = {3: 0.3, 1: 0.1, 2: 0.2}
    b = {1: 1.1, 2: 2.2, 3: 3.3, 9: 0.0}
    differences = paired_differences(a, b)
    assert list(differences) == [1, 2, 3]
    assert list(differences.values()) == pytest.approx([-1.0, -2.0, -3.0])


def test_bootstrap_agrees_with_scipy_and_with_theory():
    items = np.random.default_rng(1).gamma(2.0, 0.2, size=800) - 0.5
    ours = bootstrap_items(items, np.random.default_rng(0), resamples=4000)
    theirs = stats.bootstrap(
        (items,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    width = 2 * 1.96 * items.std() / math.sqrt(len(items))
    assert ours.mean == pytest.approx(items.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.06 * width)
    assert ours.high - ours.low == pytest.approx(width, rel=0.06)


def test_bootstrap_depends_on_its_generator_alone():
    items = np.linspace(-1, 1, 50) ** 3
    one, two, other = (bootstrap_items(items, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one == two != other


def test_bootstrap_in_slices_covers_all_resamples():
    # more draws than one slice holds: every slice must be filled, or stray means would show
    items = np.full(300_000, 0.25)
    assert bootstrap_items(items, np.random.default_rng(0), resamples=5) == (
        0.25,
        0.25,
        0.25,
        300_000,
    )


@pytest.mark.parametrize(
    ("low", "high", "below", "above"),
    [
        (-2, -1, "supported", "contradicted"),
        (1, 2, "contradicted", "supported"),
        (-1, 1, "undecided", "undecided"),
        (-1, 0, "undecided", "undecided"),
        (0, 1, "undecided", "undecided"),
    ],
)
def test_judge(low, high, below, above):
    interval = Interval((low + high) / 2, low, high, 5)
    assert judge(interval, "below") == below
    assert judge(interval, "above") == above


def test_judge_names_the_choices():
    with pytest.raises(ValueError, match="'under'; choose 'below' or 'above'"):
        judge(Interval(0, -1, 1, 5), "under")


def test_combine():
    assert combine(["supported", "supported"]) == "supported"
    assert combine(["supported", "undecided"]) == "undecided"
    assert combine(["supported", "undecided", "contradicted"]) == "contradicted"
    assert combine(["contradicted", "not judged"]) == "not judged"
    assert combine([]) == "not judged"


@pytest.mark.parametrize(
    ("task", "profile", "n", "reason"),
    [
        ("images", "medium", 5, ""),
        ("images", "paper", 5, ""),
        ("translation", "medium", 3, ""),
        ("images", "medium", 4, "4 seeds, where images needs 5"),
        ("images", "medium", 1, "1 seed, where images needs 5"),
        ("translation", "medium", 2, "2 seeds, where translation needs 3"),
        ("images", "small", 9, "profile small is below medium"),
        ("images", "smoke", 1, "profile smoke is below medium"),
    ],
)
def test_what_is_enough_for_a_verdict(task, profile, n, reason):
    assert why_not_judged(task, profile, n) == reason
