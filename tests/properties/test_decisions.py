"""Intervals, tests and outcomes of any values over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up.lines import LINE, RULES
from scipy import special

from idlib.metrics.items import Items
from idlib.protocol import Line
from idlib.report.bootstrap import bootstrap
from idlib.report.decisions import (
    Decision,
    board,
    holm,
    measured,
    p_equivalence,
    seeds_for,
    seeds_to_decide,
)
from idlib.report.statistics import p_value, t_interval

OUTCOMES = {"supported", "contradicted", "no effect", "undecided", "not judged"}

# Differences of scores: hundredths, so that equal ones occur, and numbers of any size.
hundredths = st.integers(-500, 500).map(lambda value: value / 100)
sized = st.floats(-1e12, 1e12, allow_subnormal=False)
samples = st.lists(hundredths | sized, min_size=1, max_size=12)
differing = st.lists(hundredths, min_size=3, max_size=12).filter(lambda s: np.std(s) > 1e-3)
deltas = st.floats(1e-3, 1e3)
shares = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def survival(t: float, freedom: int) -> float:
    """P(T > t) of Student's t, from the incomplete beta function."""
    tail = special.betainc(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return tail if t >= 0 else 1 - tail


def statistics_of(values: list[float]) -> tuple[float, float]:
    """Mean and standard error, by their definitions and exact sums."""
    n = len(values)
    mean = math.fsum(values) / n
    spread = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, math.sqrt(spread / n)


def decided(values: list[float], line: Line = LINE) -> Decision:
    """The decision on a line alone."""
    return board({"only": measured(line, dict(enumerate(values)), RULES)}, RULES)["only"]


@given(differing, deltas, st.floats(0.5, 0.999))
def test_intervals_and_tests_are_students(values, delta, level) -> None:
    mean, error = statistics_of(values)
    n = len(values)
    interval = t_interval(values, level)
    assert interval.n == n
    assert interval.mean == pytest.approx(mean, abs=1e-12)
    half = (interval.high - interval.low) / 2
    assert 2 * survival(half / error, n - 1) == pytest.approx(1 - level, rel=1e-6)
    expected = 2 * survival(abs(mean) / error, n - 1)
    assert p_value(values) == pytest.approx(expected, rel=1e-8, abs=1e-300)
    sides = [survival((delta + sign * mean) / error, n - 1) for sign in (1, -1)]
    assert p_equivalence(values, delta) == pytest.approx(max(sides), rel=1e-8, abs=1e-14)


@given(differing, deltas, st.randoms(use_true_random=False), st.floats(1e-3, 1e3))
def test_order_sign_and_unit_make_no_difference(values, delta, random, unit) -> None:
    turned = random.sample(values, len(values))
    bar = {"rel": 1e-9, "abs": 1e-12}
    assert p_value(turned) == pytest.approx(p_value(values), **bar)
    assert t_interval(turned)[1:3] == pytest.approx(t_interval(values)[1:3], **bar)
    larger = [unit * value for value in values]
    bounds = [unit * bound for bound in t_interval(values)[:3]]
    assert t_interval(larger)[:3] == pytest.approx(bounds, rel=1e-9, abs=1e-12 * unit)
    assert p_value(larger) == pytest.approx(p_value(values), **bar)
    assert p_equivalence(larger, unit * delta) == pytest.approx(p_equivalence(values, delta), **bar)
    opposite = [-value for value in values]
    low, high = t_interval(values)[1:3]
    assert t_interval(opposite)[1:3] == pytest.approx((-high, -low), **bar)
    assert p_equivalence(opposite, delta) == pytest.approx(p_equivalence(values, delta), **bar)


@given(samples, deltas)
def test_any_values_end_in_an_outcome_and_shares_between_0_and_1(values, delta) -> None:
    line = LINE.model_copy(update={"delta": delta})
    decision = decided(values, line)
    assert decision.outcome in OUTCOMES
    assert (decision.outcome == "not judged") == (len(values) < RULES.fewest_seeds)
    if decision.outcome == "not judged":
        assert "seed" in decision.reason
        return
    for p in (decision.p_difference, decision.p_equivalence):
        assert 0 <= p <= 1
    interval = decision.interval
    assert interval.low <= interval.mean <= interval.high
    assert decision.size in ("", "larger than δ", "smaller than δ")
    if decision.outcome == "supported":
        assert interval.mean > 0
    if decision.outcome == "contradicted":
        assert interval.mean < 0
    needed = decision.seeds_needed
    assert needed is None or 2 <= needed <= 1000


@given(samples, deltas)
def test_a_claim_and_its_opposite_are_not_both_supported(values, delta) -> None:
    one = decided(values, LINE.model_copy(update={"delta": delta}))
    other = decided(values, LINE.model_copy(update={"delta": delta, "better": "below"}))
    opposite = {"supported": "contradicted", "contradicted": "supported"}
    if one.interval is None or one.interval.mean != 0:
        assert other.outcome == opposite.get(one.outcome, one.outcome)
    assert not (one.outcome == "supported" and other.outcome == "supported")


@given(samples, deltas, deltas)
def test_a_larger_delta_takes_away_no_outcome(values, one, other) -> None:
    """It leaves what differs from zero, and makes no effect of what is undecided, if anything."""
    small, large = (
        decided(values, LINE.model_copy(update={"delta": delta})) for delta in sorted((one, other))
    )
    assert large.outcome in (small.outcome, "no effect" if small.outcome == "undecided" else "")
    sizes = ["larger than δ", "", "smaller than δ"]
    if small.outcome in ("supported", "contradicted"):
        assert sizes.index(small.size) <= sizes.index(large.size)


@given(st.floats(-1e3, 1e3), st.integers(1, 12), deltas)
def test_equal_values_are_decided_by_their_size_alone(value, n, delta) -> None:
    value = round(value, 2)
    assume(abs(abs(value) - delta) > 1e-9)
    decision = decided([value] * n, LINE.model_copy(update={"delta": delta}))
    if n < RULES.fewest_seeds:
        assert decision.outcome == "not judged"
    elif value == 0:
        assert decision.outcome == "no effect"
    else:
        assert decision.outcome == ("supported" if value > 0 else "contradicted")
        assert decision.size == ("larger than δ" if abs(value) > delta else "smaller than δ")
    if n > 1:
        assert decision.interval.low == pytest.approx(decision.interval.high, rel=1e-9)


@given(st.sampled_from([math.nan, math.inf, -math.inf]), st.lists(hundredths, max_size=4))
def test_what_is_not_finite_is_refused_by_its_place(value, before) -> None:
    for test in (t_interval, p_value, lambda sample: p_equivalence(sample, 1.0)):
        with pytest.raises(ValueError, match=f"value {len(before)} is not finite"):
            test([*before, value])
        with pytest.raises(ValueError, match="at least one value"):
            test([])


@given(shares, st.randoms(use_true_random=False))
def test_holm_is_its_definition_whatever_the_order(p, random) -> None:
    adjusted = holm(p)
    ranked = sorted(range(len(p)), key=p.__getitem__)
    for rank, place in enumerate(ranked):
        steps = [(len(p) - i) * p[one] for i, one in enumerate(ranked[: rank + 1])]
        assert adjusted[place] == pytest.approx(min(1.0, max(steps)))
    order = random.sample(range(len(p)), len(p))
    assert holm([p[i] for i in order]) == pytest.approx(adjusted[order])
    assert (adjusted >= p).all() and (adjusted <= 1).all()
    rejected = {i for i, value in enumerate(adjusted) if value <= 0.05}  # step by step
    stepped = set()
    for rank, place in enumerate(ranked):
        if (len(p) - rank) * p[place] > 0.05:
            break
        stepped.add(place)
    assert rejected == stepped


@given(st.lists(st.tuples(differing, st.booleans()), min_size=1, max_size=5))
def test_no_line_gains_by_company(lines) -> None:
    """Corrected over a family, a line is decided as alone, or not at all."""
    asked = {
        str(i): measured(LINE.model_copy(update={"primary": primary}), dict(enumerate(v)), RULES)
        for i, (v, primary) in enumerate(lines)
    }
    together = board(asked, RULES)
    for name, decision in asked.items():
        alone = board({name: decision}, RULES)[name]
        if decision.line.primary:
            stronger = {alone.outcome, "undecided", "no effect"}
            assert together[name].outcome in stronger
            assert together[name].p_difference >= alone.p_difference
        else:
            assert together[name] == alone


@given(st.floats(-10, 10), st.floats(0, 10), st.floats(1e-3, 10), st.floats(1e-6, 0.5))
def test_the_seeds_to_decide_are_the_fewest(mean, spread, delta, threshold) -> None:
    n = seeds_to_decide(mean, spread, delta, threshold)
    enough = seeds_for(spread, delta)
    for found in (n, enough):
        assert found is None or 2 <= found <= 1000
    if spread == 0:
        assert enough == 2
        assert n == 2 or abs(mean) == delta
    elif n is not None:
        error = spread / math.sqrt(n)
        ps = (2 * survival(abs(mean) / error, n - 1), survival((delta - abs(mean)) / error, n - 1))
        assert min(ps) <= threshold * (1 + 1e-6)


items = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=6).map(
    lambda rows: Items(np.arange(len(rows)), np.array(rows, dtype=float).T)
)


@given(items, st.integers(1, 3), st.integers(0, 5))
def test_the_bootstrap_of_a_difference_with_itself_is_nothing(own, seeds, seed) -> None:
    systems = [[{"en": own}] * seeds] * 2
    found = bootstrap([1, -1], systems, resamples=50, seed=seed)
    assert found.n == len(own.numbers)
    assert found[:3] == pytest.approx((0, 0, 0), abs=1e-12)
    alone = bootstrap([1], systems[:1], resamples=50, seed=seed)
    ratios = own.statistics[0] / own.statistics[1]
    assert ratios.min() - 1e-12 <= alone.low <= alone.high <= ratios.max() + 1e-12
    turned = bootstrap([-1], systems[:1], resamples=50, seed=seed)
    assert (turned.low, turned.high) == pytest.approx((-alone.high, -alone.low), abs=1e-12)
    assert bootstrap([1], systems[:1], resamples=50, seed=seed) == alone
