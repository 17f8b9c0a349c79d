"""The adaptive weight and the learning rates, by the points that they pass through."""

import math

import pytest

from idlib.method.schedules import adaptive_alpha, constant, inverse_sqrt, linear_decay

N = 4000


@pytest.mark.parametrize("alpha, p, q", [(5.0, 5, 10), (1.5, 2, 7), (100.0, 3.5, 3.6)])
def test_alpha_passes_through_its_three_points(alpha, p, q):
    assert adaptive_alpha(0, N, alpha, p, q) == 0.0
    assert adaptive_alpha(N / q, N, alpha, p, q) == pytest.approx(1.0, rel=1e-12)
    assert adaptive_alpha(N / p, N, alpha, p, q) == alpha
    assert adaptive_alpha(N / p - 1e-6, N, alpha, p, q) == pytest.approx(alpha, rel=1e-6)


def test_alpha_rises_as_the_published_power_and_then_stays():
    values = [adaptive_alpha(n, N, 5.0, 5, 10) for n in range(N + 1)]
    rise = N // 5
    gamma = math.log(1 / 5) / math.log(5 / 10)
    for n in (1, 100, 799):
        assert values[n] == pytest.approx(5 * (5 * n / N) ** gamma, rel=1e-12)
    assert all(a < b for a, b in zip(values[:rise], values[1 : rise + 1], strict=True))
    assert set(values[rise:]) == {5.0}
    assert adaptive_alpha(2 * N, N, 5.0, 5, 10) == 5.0


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_of_at_most_one_holds_at_every_step(alpha):
    assert {adaptive_alpha(n, N, alpha, 5, 10) for n in (0, 1, 399, 400, 800, N)} == {alpha}


@pytest.mark.parametrize("p, q", [(10, 5), (5, 5)])
def test_inverted_p_and_q_are_refused_with_the_reason(p, q):
    with pytest.raises(ValueError, match=rf"p must be below q, not p={p}, q={q}.*5\.5e6.*A4"):
        adaptive_alpha(1, N, 5.0, p, q)


def test_inverted_p_and_q_can_be_asked_for_by_name():
    def inverted(step):
        return adaptive_alpha(step, N, 5.0, 10, 5, allow_inverted=True)

    assert inverted(1) == pytest.approx(5.5e6, rel=0.01)  # audit A4
    assert inverted(0) == math.inf
    assert inverted(N / 10) == inverted(N / 5) == 5.0
    with pytest.raises(ValueError, match="not defined"):
        adaptive_alpha(1, N, 5.0, 5, 5, allow_inverted=True)


def test_inverse_sqrt_of_the_image_settings():
    rate = [inverse_sqrt(n, peak=1e-3, warmup=50, initial=2e-5) for n in range(201)]
    assert rate[0] == 2e-5
    assert rate[50] == 1e-3 == max(rate)
    assert rate[25] == pytest.approx((2e-5 + 1e-3) / 2)
    assert rate[200] == pytest.approx(1e-3 / 2)


def test_linear_decay_ends_at_zero_and_stays():
    assert [linear_decay(n, 10, 2.0) for n in (0, 5, 10, 11)] == [2.0, 1.0, 0.0, 0.0]
    assert [linear_decay(n, 10, 2.0, warmup=2) for n in (0, 1, 2, 6, 10)] == [0, 1.0, 2.0, 1.0, 0]


@pytest.mark.parametrize(
    "schedule",
    [
        lambda n: inverse_sqrt(n, 1e-3, 50, 2e-5),
        lambda n: linear_decay(n, 200, 1e-3, 50),
        lambda n: constant(n, 1e-3),
    ],
    ids=["inverse_sqrt", "linear_decay", "constant"],
)
def test_between_two_updates_lies_a_rate_between_theirs(schedule):
    """A run that is stretched to three times the updates takes these two as well."""
    for n in (1, 49, 50, 51, 199):
        rates = [schedule(n + part / 3) for part in range(4)]
        assert rates in (sorted(rates), sorted(rates, reverse=True))
        assert len(set(rates)) == (4 if rates[0] != rates[-1] else 1)


def alpha_with(**change):
    return adaptive_alpha(**{"step": 1, "total_steps": N, "alpha": 5.0, "p": 5, "q": 10, **change})


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: alpha_with(alpha=-0.1), "alpha"),
        (lambda: alpha_with(alpha=math.nan), "alpha"),
        (lambda: alpha_with(total_steps=0), "total_steps"),
        (lambda: alpha_with(total_steps=math.inf), "total_steps"),
        (lambda: alpha_with(step=-1), "step"),
        (lambda: alpha_with(step=math.nan), "step"),
        (lambda: alpha_with(p=0), "p must"),
        (lambda: alpha_with(q=math.inf), "q must"),
        (lambda: inverse_sqrt(-1, 1e-3, 50), "step"),
        (lambda: inverse_sqrt(1, -1e-3, 50), "peak"),
        (lambda: inverse_sqrt(1, 1e-3, 0), "warmup"),
        (lambda: inverse_sqrt(1, 1e-3, 50, math.nan), "initial"),
        (lambda: linear_decay(1, 0, 1e-3), "total_steps"),
        (lambda: linear_decay(1, 10, 1e-3, 10), "warmup must be below total_steps=10"),
        (lambda: linear_decay(1, 10, 1e-3, -1), "warmup"),
        (lambda: constant(math.inf, 1e-3), "step"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
