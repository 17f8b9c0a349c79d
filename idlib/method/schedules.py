"""The adaptive weight α(n) of the divergence, and the shapes of the learning rate.

Each is a pure function of the step: the update, counted from 1. A step may be a float: a schedule
stretched K times is called with ``step / K``. An argument that is out of range or not finite is a
``ValueError`` that names it.
"""

from __future__ import annotations

import math


def adaptive_alpha(
    step: float,
    total_steps: float,
    alpha: float,
    p: float,
    q: float,
    allow_inverted: bool = False,
) -> float:
    """Weight of the divergence at a step (Xu et al. 2022, adaptive intra-distillation).

    ``alpha (p step / N)^g`` with ``g = log(1 / alpha) / log(p / q)`` until step N / p, ``alpha``
    from there on: 0 at step 0, 1 at N / q, alpha at N / p. For ``alpha <= 1`` that formula does
    not rise from 0, and the weight is alpha at every step, as in the authors' code.

    Args:
        step: the update, counted from 1, up to N (beyond N the weight stays).
        total_steps: N, at least 1.
        alpha: the weight at the end, at least 0.
        p: N / p is the step at which alpha is reached; above 0.
        q: N / q is the step at which the weight is 1; above p.
        allow_inverted: evaluate the formula although p > q, to show what it does. It then falls
            from infinity at step 0.

    Raises:
        ValueError: p >= q (audit A4).

    >>> [round(adaptive_alpha(n, 4000, 5.0, 5, 10), 3) for n in (0, 200, 400, 800, 4000)]
    [0.0, 0.2, 1.0, 5.0, 5.0]
    """
    _at_least(0, step=step, alpha=alpha)
    _at_least(1, total_steps=total_steps)
    for name, value in (("p", p), ("q", q)):
        if not math.isfinite(value) or value <= 0:
            raise ValueError(f"{name} must be finite and above 0, not {value}")
    if p == q or (p > q and not allow_inverted):
        raise ValueError(
            f"p must be below q, not p={p}, q={q}: the weight is 1 at step N/q and alpha at step "
            "N/p, so it can only rise if N/q comes first. With p above q the exponent is negative "
            "and the weight starts huge: p=10, q=5, alpha=5 gives about 5.5e6 at step 1 of 4000 "
            "(audit A4); with p equal to q it is not defined."
        )
    if alpha <= 1 or step >= total_steps / p:
        return float(alpha)
    below = math.log(p / q) if p / q else math.log(p) - math.log(q)  # where p / q is too small
    exponent = math.log(1 / alpha) / below
    if step == 0:
        return 0.0 if exponent > 0 else math.inf
    try:
        return alpha * math.pow(p * step / total_steps, exponent)
    except (OverflowError, ValueError):  # inverted, next to step 0
        return math.inf


def inverse_sqrt(step: float, peak: float, warmup: float, initial: float = 0.0) -> float:
    """Linear from ``initial`` to ``peak`` over ``warmup`` updates, then ``peak sqrt(warmup/step)``.

    Args:
        step: the update.
        peak: the highest rate, at least 0.
        warmup: updates until the peak, at least 1.
        initial: the rate at step 0, at least 0.

    >>> [inverse_sqrt(n, peak=1.0, warmup=50) for n in (25, 50, 200)]
    [0.5, 1.0, 0.5]
    """
    _at_least(0, step=step, peak=peak, initial=initial)
    _at_least(1, warmup=warmup)
    if step < warmup:
        return initial + (peak - initial) * (step / warmup)
    return peak * math.sqrt(warmup / step)


def linear_decay(step: float, total_steps: float, peak: float, warmup: float = 0) -> float:
    """Linear from 0 to ``peak`` over ``warmup`` updates, then linear to 0 at ``total_steps``.

    Args:
        step: the update; beyond ``total_steps`` the rate is 0.
        total_steps: the update at which the rate reaches 0, at least 1.
        peak: the highest rate, at least 0.
        warmup: updates until the peak, from 0 to below ``total_steps``.

    >>> [linear_decay(n, total_steps=100, peak=1.0, warmup=20) for n in (10, 20, 60, 100)]
    [0.5, 1.0, 0.5, 0.0]
    """
    _at_least(0, step=step, peak=peak, warmup=warmup)
    _at_least(1, total_steps=total_steps)
    if warmup >= total_steps:
        raise ValueError(f"warmup must be below total_steps={total_steps}, not {warmup}")
    if step < warmup:
        return peak * (step / warmup)
    return peak * max(0.0, (total_steps - step) / (total_steps - warmup))


def constant(step: float, peak: float) -> float:
    """``peak`` at every step."""
    _at_least(0, step=step, peak=peak)
    return float(peak)


def _at_least(bound: float, **arguments: float) -> None:
    for name, value in arguments.items():
        if not math.isfinite(value) or value < bound:
            raise ValueError(f"{name} must be finite and at least {bound}, not {value}")
