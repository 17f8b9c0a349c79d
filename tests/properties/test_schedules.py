"""The weight of the divergence and the learning rates: within their bounds, at any step."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from idlib.method.schedules import adaptive_alpha, constant, inverse_sqrt, linear_decay

positive = st.floats(1e-300, 1e300) | st.floats(0.01, 100)
weights = st.floats(0, 1e300) | st.floats(0, 10)
shares = st.floats(0, 1)
totals = st.integers(1, 10**9)


@given(shares, shares, totals, weights, positive, positive)
def test_the_weight_rises_from_nothing_to_alpha(one, other, total, alpha, p, q) -> None:
    assume(p < q)
    first, second = (
        adaptive_alpha(share * total, total, alpha, p, q) for share in sorted((one, other))
    )
    bar = 1 + 1e-9
    assert 0 <= first <= second * bar <= alpha * bar**2
    if alpha <= 1:
        assert first == second == alpha
    else:
        assert adaptive_alpha(0, total, alpha, p, q) == 0
    if p >= 1:
        assert adaptive_alpha(total, total, alpha, p, q) == alpha


@given(shares, totals, weights, positive, positive)
def test_with_p_above_q_it_is_refused_or_falls(share, total, alpha, p, q) -> None:
    assume(p >= q)
    with pytest.raises(ValueError, match="p must be below q"):
        adaptive_alpha(share * total, total, alpha, p, q)
    if p > q:
        assert adaptive_alpha(share * total, total, alpha, p, q, allow_inverted=True) >= alpha


@given(st.sampled_from(["step", "total_steps", "alpha", "p", "q"]), st.data())
def test_an_argument_that_cannot_be_meant_is_named(name, data) -> None:
    wrong = data.draw(st.sampled_from([-1.0, math.nan, math.inf, -math.inf]))
    asked = {"step": 1, "total_steps": 10, "alpha": 5.0, "p": 5.0, "q": 10.0, name: wrong}
    with pytest.raises(ValueError, match=name):
        adaptive_alpha(**asked)


@given(st.integers(0, 10**6), totals, st.floats(0, 1e6), shares, st.integers(1, 10**5))
def test_a_rate_is_never_above_its_peak_nor_below_nothing(step, total, peak, low, warmup) -> None:
    rates = [constant(step, peak), inverse_sqrt(step, peak, warmup, low * peak)]
    if warmup < total:
        rates.append(linear_decay(step, total, peak, warmup))
        assert linear_decay(total, total, peak, warmup) == 0
        assert linear_decay(warmup, total, peak, warmup) == peak
    assert all(0 <= rate <= peak * (1 + 1e-12) for rate in rates)
    assert inverse_sqrt(warmup, peak, warmup, low * peak) == peak
