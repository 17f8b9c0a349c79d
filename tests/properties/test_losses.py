"""Divergences and cross-entropies of any logits: what holds for all of them.

The outside reference are the definitions in float64.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from idlib.method import fused
from idlib.method.against import Against
from idlib.method.fused import head_loss
from idlib.method.losses import (
    DIVERGENCES,
    cross_entropy,
    soft_cross_entropy,
)

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-14, torch.bfloat16: 1e-6}  # computed in float32
LARGEST = 1e37  # the magnitude up to which results are finite

kinds = st.sampled_from(sorted(DIVERGENCES))
scales = st.one_of(st.sampled_from([0.0, 1e-30, 1e-4, 1.0, 30.0, LARGEST]), st.floats(0.0, 100.0))


@st.composite
def logits(
    draw: st.DrawFn, scale: st.SearchStrategy[float] = scales, dtypes=DTYPES, most: int = 5
) -> torch.Tensor:
    """Logits [K, ..., C] of magnitude up to ``scale``, with a noise of its own in each pass."""
    passes, classes = draw(st.integers(1, most)), draw(st.integers(1, 9))
    positions = draw(st.lists(st.integers(1, 3), max_size=2))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    common, own = draw(scale), draw(scale)
    uniform = {"generator": generator, "dtype": torch.float64}
    z = common * (2 * torch.rand(1, *positions, classes, **uniform) - 1)
    z = z / 2 + own * (torch.rand(passes, *positions, classes, **uniform) - 0.5)
    return z.to(draw(st.sampled_from(dtypes)))


@st.composite
def masked(draw: st.DrawFn, z: torch.Tensor) -> torch.Tensor | None:
    """A class mask [C] or [..., C] that leaves each position a class, or none."""
    if draw(st.booleans()):
        return None
    shape = z.shape[-1:] if draw(st.booleans()) else z.shape[1:]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    mask = torch.rand(shape, generator=generator) < 0.7
    return mask | (torch.arange(shape[-1]) == draw(st.integers(0, shape[-1] - 1)))


def magnitude(z: torch.Tensor) -> float:
    return float(z.double().abs().max())


def defined(z: torch.Tensor, kind: str, mask: torch.Tensor | None) -> torch.Tensor:
    """A divergence as it is defined, in float64."""
    z = z.double()
    if mask is not None:
        z = z.masked_fill(~mask.expand(z.shape[1:]), -math.inf)
    log_p = z.log_softmax(-1)
    p, log_m = log_p.exp(), log_p.logsumexp(0) - math.log(len(z))

    def mean_of(weights: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
        return torch.where(weights > 0, weights * ratio, 0.0).sum(-1)

    if kind == "js":
        return mean_of(p, log_p - log_m).mean(0)
    if kind == "x":
        return (mean_of(p, log_p - log_m) + mean_of(log_m.exp(), log_m - log_p)).mean(0)
    pairs = [
        (mean_of(p[i], log_p[i] - log_p[j]) + mean_of(p[j], log_p[j] - log_p[i])) / 2
        for i, j in itertools.combinations(range(len(p)), 2)
    ]
    return torch.stack(pairs).mean(0) if pairs else torch.zeros(z.shape[1:-1], dtype=z.dtype)


@given(st.data(), logits(), kinds)
def test_a_divergence_is_finite_and_not_below_zero_beyond_rounding(data, z, kind) -> None:
    mask = data.draw(masked(z))
    value = DIVERGENCES[kind](z, mask)
    assert value.shape == z.shape[1:-1]
    assert value.isfinite().all()
    below = ROUNDING[z.dtype] * max(1.0, magnitude(z))
    assert (value >= -below).all(), value
    if kind == "js":
        assert (value <= math.log(len(z)) + 1e-5).all()


@given(st.data(), logits(st.floats(0.0, 30.0)), kinds)
def test_a_divergence_is_what_is_defined(data, z, kind) -> None:
    mask = data.draw(masked(z))
    expected = defined(z, kind, mask)
    bar = 1e-12 if z.dtype == torch.float64 else 3e-5
    size = max(1.0, magnitude(z))
    torch.testing.assert_close(
        DIVERGENCES[kind](z, mask).double(), expected, rtol=bar, atol=bar * size
    )


@given(st.data(), logits(most=1), st.integers(1, 5), kinds)
def test_equal_passes_diverge_by_exactly_nothing(data, z, passes, kind) -> None:
    value = DIVERGENCES[kind](z.repeat(passes, *[1] * (z.ndim - 1)), data.draw(masked(z)))
    if kind == "js":  # whose terms have a logarithm
        assert (value.abs() <= 1e-6).all(), value
    else:
        assert (value == 0).all(), value


@given(st.data(), logits(st.floats(0.0, 30.0)), kinds)
def test_the_order_of_passes_makes_no_difference(data, z, kind) -> None:
    mask, order = data.draw(masked(z)), data.draw(st.permutations(range(len(z))))
    one, other = DIVERGENCES[kind](z, mask), DIVERGENCES[kind](z[order], mask)
    bar = 1e-11 if z.dtype == torch.float64 else 3e-5
    torch.testing.assert_close(one, other, rtol=bar, atol=bar)


@given(
    st.data(),
    logits(st.sampled_from([0.5, 2.0, 16.0]), dtypes=(torch.float64,)),
    st.lists(st.integers(-(2**20), 2**20), min_size=5, max_size=5),
    kinds,
)
def test_a_constant_of_a_pass_makes_no_difference(data, z, constants, kind) -> None:
    """Whole numbers, which float64 adds to logits of 40 bits without rounding."""
    z = (z * 2**20).round() / 2**20
    mask = data.draw(masked(z))
    shifts = torch.tensor(constants[: len(z)], dtype=z.dtype).view(-1, *[1] * (z.ndim - 1))
    one, other = DIVERGENCES[kind](z, mask), DIVERGENCES[kind](z + shifts, mask)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@given(st.data(), logits(), kinds)
def test_what_stands_in_an_excluded_class_has_no_effect(data, z, kind) -> None:
    mask = data.draw(masked(z))
    assume(mask is not None and not mask.all())
    odd = data.draw(st.sampled_from([0.0, math.inf, -math.inf, math.nan, LARGEST]))
    filled = z.masked_fill(~mask.expand(z.shape), odd)
    assert torch.equal(DIVERGENCES[kind](z, mask), DIVERGENCES[kind](filled, mask))


@given(st.data(), logits(st.floats(0.0, 30.0)), kinds)
def test_the_gradient_sums_to_nothing_over_the_classes(data, z, kind) -> None:
    """A constant makes no difference, so none is the way down."""
    mask = data.draw(masked(z))
    z = z.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(DIVERGENCES[kind](z, mask).sum(), z)
    assert gradient.isfinite().all()
    if mask is not None:
        assert (gradient.masked_select(~mask.expand(z.shape)) == 0).all()
    bar = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 5e-2}[z.dtype]
    total = gradient.double().sum(-1).abs()
    assert (total <= bar * (1 + gradient.double().abs().sum(-1))).all(), total


@given(st.data(), logits(), st.sampled_from([0.0, 0.1, 1.0]))
def test_a_cross_entropy_is_finite_and_no_less_than_nothing(data, z, smoothing) -> None:
    mask = data.draw(masked(z))
    every = torch.ones(z.shape[1:], dtype=torch.bool) if mask is None else mask.expand(z.shape[1:])
    labels = every.long().argmax(-1)
    value = cross_entropy(z, labels, smoothing, mask)
    assert value.shape == z.shape[:-1]
    assert value.isfinite().all() and (value >= 0).all()
    target = torch.zeros(z.shape[1:], dtype=torch.float64).scatter(-1, labels[..., None], 1.0)
    if smoothing == 0.0:
        assert torch.equal(soft_cross_entropy(z, target, mask), value)
    if magnitude(z) <= 100:
        counted = z.double().masked_fill(~every, -math.inf)
        log_p = counted.log_softmax(-1)
        uniform = every.double() / every.sum(-1, keepdim=True)
        target = (1 - smoothing) * target + smoothing * uniform
        expected = -torch.where(every.expand(z.shape), target * log_p, 0.0).sum(-1)
        bar = 1e-12 if z.dtype == torch.float64 else 1e-5
        torch.testing.assert_close(value.double(), expected, rtol=bar, atol=100 * bar)


@given(
    st.data(),
    logits(st.floats(0.0, 30.0), dtypes=(torch.float32, torch.float64)),
    kinds,
    st.sampled_from([0.0, 0.1]),
    st.integers(1, 50),
    st.booleans(),
)
def test_fused_is_plain(data, z, kind, smoothing, chunk, padded) -> None:
    """Value and gradient, in chunks of any size."""
    z = z.reshape(len(z), -1, z.shape[-1])
    mask = data.draw(masked(z))
    every = torch.ones(z.shape[1:], dtype=torch.bool) if mask is None else mask.expand(z.shape[1:])
    labels = every.long().argmax(-1)
    counted = torch.rand(z.shape[1], generator=torch.Generator().manual_seed(chunk)) < 0.7
    against = Against(labels, 0.3, 0.7, 2.5, kind, smoothing, counted, mask, None, padded)

    ours, theirs = (z.clone().requires_grad_() for _ in range(2))
    before, fused.CHUNK_NUMBERS = fused.CHUNK_NUMBERS, chunk
    try:
        found = head_loss(ours, against)
        found.total.backward()
    finally:
        fused.CHUNK_NUMBERS = before
    task = 0.3 * cross_entropy(theirs, labels, smoothing, mask).mean(0)[counted].sum()
    divergence = DIVERGENCES[kind](theirs, mask)
    divergence = 0.7 * (divergence if padded else divergence[counted]).sum()
    (task + 2.5 * divergence).backward()

    bar = 1e-10 if z.dtype == torch.float64 else 1e-4
    size = max(1.0, magnitude(z))
    for one, other in (
        (found.task, task),
        (found.divergence, divergence),
        (ours.grad, theirs.grad),
    ):
        torch.testing.assert_close(one, other.detach(), rtol=bar, atol=bar * size)


@given(st.data(), logits(), kinds)
def test_fused_is_finite_where_plain_is(data, z, kind) -> None:
    z = z.reshape(len(z), -1, z.shape[-1]).requires_grad_()
    mask = data.draw(masked(z))
    every = torch.ones(z.shape[1:], dtype=torch.bool) if mask is None else mask.expand(z.shape[1:])
    against = Against(every.long().argmax(-1), 1.0, 1.0, 0.01, kind, 0.1, None, mask)
    found = head_loss(z, against)
    found.total.backward()
    assert all(part.isfinite() for part in found)
    assert z.grad.isfinite().all()


@given(st.sampled_from(sorted(DIVERGENCES)), st.data())
def test_shapes_that_cannot_be_meant_are_refused_by_name(kind, data) -> None:
    shape = data.draw(st.lists(st.integers(0, 2), max_size=3))
    dtype = data.draw(st.sampled_from([torch.float32, torch.int64, torch.bool]))
    mask_shape = data.draw(st.none() | st.lists(st.integers(0, 2), max_size=3))
    z = torch.zeros(shape, dtype=dtype)
    mask = None if mask_shape is None else torch.ones(mask_shape, dtype=torch.bool)
    good = len(shape) >= 2 and dtype == torch.float32 and shape[0] and shape[-1]
    try:
        value = DIVERGENCES[kind](z, mask)
    except ValueError as error:
        named = ("logits", "class_mask")
        assert any(name in str(error) for name in named)
        assert not good or mask is not None
    else:
        assert good and value.shape == z.shape[1:-1]


def test_the_reference_is_one() -> None:
    """So that what is compared with is not what is compared."""
    z = torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]])
    assert defined(z, "x", None).item() == pytest.approx(0.2311, abs=1e-4)
    assert defined(z, "js", None).item() == pytest.approx(0.1109, abs=1e-4)
    assert defined(z, "kl", None).item() == pytest.approx(0.4621, abs=1e-4)
