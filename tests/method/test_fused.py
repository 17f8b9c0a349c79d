"""The fused loss equals the plain ones, value and gradient, and writes only over what may be."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from idlib.method import fused
from idlib.method.against import Against
from idlib.method.choices import REDUCTIONS
from idlib.method.fused import head_loss, may_be_written_over
from idlib.method.losses import DIVERGENCES, cross_entropy, soft_cross_entropy
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target

POSITIONS, CLASSES = 17, 11
TASK, DIVERGENCE, ALPHA = 0.3, 0.7, 2.5  # weights in the total


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five positions at a time, the last chunk smaller."""
    monkeypatch.setattr(fused, "CHUNK_NUMBERS", 3 * CLASSES * 5)


def plain(z, against: Against):
    """The same by the plain losses and autograd: total, task, divergence."""
    mask = torch.ones(len(against.labels), dtype=torch.bool)
    mask = mask if against.mask is None else against.mask
    labels = against.labels.where(mask, 0)
    task = cross_entropy(z, labels, against.smoothing, against.class_mask).mean(0)
    if against.taught is not None:
        task = task + soft_cross_entropy(z, against.taught, against.class_mask).mean(0)
    divergence = torch.zeros_like(task)
    if len(z) > 1:
        divergence = DIVERGENCES[against.divergence](z, against.class_mask)
    task = against.task_weight * task[mask].sum()
    counted = divergence if against.padded else divergence[mask]
    divergence = against.divergence_weight * counted.sum()
    return task + against.alpha * divergence, task, divergence


def compared(logits, against: Against, **tolerance: float) -> None:
    """Value, parts and gradient of both, for the same logits."""
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    found, expected = head_loss(ours, against), plain(theirs, against)
    torch.testing.assert_close(tuple(found), expected, **tolerance)
    found.total.backward()
    expected[0].backward()
    torch.testing.assert_close(ours.grad, theirs.grad, **tolerance)


def made(passes: int, dtype=torch.float64, noise: float = 0.5):
    torch.manual_seed(passes)
    z = 2 * torch.randn(POSITIONS, CLASSES, dtype=dtype)
    z = z + noise * torch.randn(passes, POSITIONS, CLASSES, dtype=dtype)
    return z, Against(torch.randint(CLASSES - 2, (POSITIONS,)), TASK, DIVERGENCE, ALPHA)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_equal_to_the_plain_losses(divergence, smoothing, passes) -> None:
    z, against = made(passes)
    one, every = torch.ones(CLASSES, dtype=torch.bool), None
    one[-1] = False
    every = one.expand(POSITIONS, CLASSES).clone()
    every[3, -2] = False
    masks = (None, torch.rand(POSITIONS) < 0.7)
    against = against._replace(divergence=divergence, smoothing=smoothing)
    for classes, mask, taught, padded in itertools.product(
        (None, one, every), masks, (False, True), (False, True)
    ):
        teacher = torch.randn(POSITIONS, CLASSES, dtype=z.dtype)
        if classes is not None:
            teacher = teacher.masked_fill(~classes, -math.inf)
        compared(
            z,
            against._replace(
                mask=mask,
                class_mask=classes,
                taught=teacher.softmax(-1) if taught else None,
                padded=padded,
            ),
        )


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradcheck(divergence) -> None:
    z, against = made(3)
    against = against._replace(divergence=divergence, smoothing=0.1)
    mask = torch.rand(POSITIONS) < 0.7
    for chosen in (against, against._replace(mask=mask, padded=True)):
        assert torch.autograd.gradcheck(
            lambda z, chosen=chosen: head_loss(z, chosen).total, z.clone().requires_grad_()
        )


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize("noise", [1e-3, 1e-4])
def test_small_divergences_keep_the_digits_that_they_have(noise, scale, offset) -> None:
    """As exact as the plain form, to within four times, on the same rounded logits."""
    z, against = made(3, noise=noise)
    rounded = (scale * z + offset * torch.arange(3)[:, None, None]).float()
    exact = plain(rounded.double(), against)[2]
    ours, theirs = head_loss(rounded, against).divergence, plain(rounded, against)[2]
    error, bar = (abs(float(value / exact) - 1) for value in (ours, theirs))
    assert error <= 4 * max(bar, 1e-6)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_label_without_any_share_has_its_whole_loss(divergence) -> None:
    z, against = made(3, torch.float32)
    z[:, 4].scatter_(-1, against.labels[4].expand(3, 1), -200.0)  # exp(-200) is 0 in float32
    against = against._replace(divergence=divergence, smoothing=0.1)
    compared(z, against)
    assert head_loss(z, against).task > 180 * TASK


def test_the_weight_of_the_upstream_gradient_counts() -> None:
    z, against = made(3)
    ours, theirs = (z.clone().requires_grad_() for _ in range(2))
    (2.5 * head_loss(ours, against).total).backward()
    (2.5 * plain(theirs, against)[0]).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_gradient_is_given_up_with_the_graph() -> None:
    """Not with the loss, which may be kept until the next update's is there."""
    z, against = made(3)
    z.requires_grad_()
    total = head_loss(z, against).total
    total.backward(retain_graph=True)
    once = z.grad.clone()
    total.backward()
    torch.testing.assert_close(z.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype) -> None:
    z, against = made(3, torch.float32)
    half = z.to(dtype).requires_grad_()
    found = head_loss(half, against)
    whole = half.detach().float().requires_grad_()
    expected = plain(whole, against)
    torch.testing.assert_close(tuple(found), expected)
    found.total.backward()
    expected[0].backward()
    assert half.grad.dtype == dtype
    torch.testing.assert_close(half.grad, whole.grad.to(dtype), rtol=0.02, atol=1e-5)


def test_a_loss_scale_keeps_the_small_gradients_of_float16() -> None:
    z, against = made(3, torch.float32)
    against = against._replace(task_weight=1e-7, divergence_weight=1e-7)  # float16 ends at 6e-8
    half = z.half().requires_grad_()
    whole = half.detach().float().requires_grad_()
    (2.0**16 * head_loss(half, against).total).backward()
    (2.0**16 * head_loss(whole, against).total).backward()
    torch.testing.assert_close(half.grad.float(), whole.grad, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("size", [1e4, 1e37])
def test_huge_logits_stay_finite(size: float) -> None:
    z, against = made(3, torch.float32)
    z = (size * z.sign()).requires_grad_()
    found = head_loss(z, against._replace(smoothing=0.1))
    found.total.backward()
    assert all(part.isfinite() for part in found) and z.grad.isfinite().all()


def test_what_does_not_count_may_be_anything() -> None:
    z, against = made(3)
    mask = torch.arange(POSITIONS) % 3 > 0
    counted = torch.ones(CLASSES, dtype=torch.bool)
    counted[-2:] = False
    against = against._replace(mask=mask, class_mask=counted, smoothing=0.1)
    expected = head_loss(z, against)
    for rubbish in (math.inf, -math.inf, math.nan):
        spoilt = z.clone()
        spoilt[:, ~mask] = rubbish
        spoilt[..., -2:] = rubbish
        spoilt.requires_grad_()
        found = head_loss(spoilt, against)
        torch.testing.assert_close(tuple(found), tuple(expected))
        found.total.backward()
        assert spoilt.grad.isfinite().all()
        assert not spoilt.grad[:, ~mask].any() and not spoilt.grad[..., -2:].any()


def test_logits_of_a_product_are_written_over_and_give_its_gradients() -> None:
    _, against = made(3)
    for bias in (False, True):
        layer = nn.Linear(4, CLASSES, bias=bias).double()
        hidden = torch.randn(3 * POSITIONS, 4, dtype=torch.float64, requires_grad=True)
        sources = (hidden, *layer.parameters())
        logits = layer(hidden).view(3, POSITIONS, CLASSES)
        before = logits.detach().clone()
        assert may_be_written_over(logits)
        found = torch.autograd.grad(head_loss(logits, against, overwrite=True).total, sources)
        assert not torch.equal(logits, before)
        again = layer(hidden).view(3, POSITIONS, CLASSES)
        expected = torch.autograd.grad(plain(again, against)[0], sources)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("last", [torch.tanh, torch.relu, lambda x: x * 2.0])
def test_what_somebody_else_reads_is_left_as_it_is(last) -> None:
    _, against = made(3)
    weight = torch.randn(4, CLASSES, dtype=torch.float64, requires_grad=True)
    hidden = torch.randn(3, POSITIONS, 4, dtype=torch.float64)
    logits = last(hidden @ weight)
    before = logits.detach().clone()
    (found,) = torch.autograd.grad(head_loss(logits, against, overwrite=True).total, weight)
    assert torch.equal(logits, before)
    (expected,) = torch.autograd.grad(plain(last(hidden @ weight), against)[0], weight)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_objective_is_the_same_in_either_form(reduction) -> None:
    """Two heads, masks, a teacher, and counts of an update of which this is a part."""
    torch.manual_seed(0)
    weights = torch.randn(2, 4, CLASSES, dtype=torch.float64, requires_grad=True)
    taught = torch.randn(2, 5, 3, CLASSES, dtype=torch.float64)
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    labels = torch.randint(CLASSES, (5, 3))
    mask = torch.rand(5, 3) < 0.7
    targets = {"a": Target(labels), "b": Target(labels.where(mask, -100), mask)}
    counts = {name: 2 * target.count for name, target in targets.items()}
    found = {}
    for form in (True, False):
        torch.manual_seed(1)
        objective = IntraDistillation(
            divergence_reduction=reduction, smoothing=0.1, fused=form, overwrite_logits=True
        )
        parts = objective(
            lambda x: dict(zip("ab", nn.functional.dropout(x) @ weights[:, None], strict=True)),
            lambda x: targets,
            x,
            step=80,
            total_steps=100,
            teacher=lambda x: dict(zip("ab", taught, strict=True)),
            counts=counts,
        )
        (gradient,) = torch.autograd.grad(parts.total, weights)
        found[form] = (*parts[:3], torch.tensor(parts.alpha), gradient)
    assert found[True][3] == 5.0 and found[True][2] > 0
    torch.testing.assert_close(found[True], found[False])


def test_regressions_have_the_plain_form() -> None:
    z = torch.randn(4, 1, requires_grad=True)
    objective = IntraDistillation(passes=1, alpha=0.0)
    parts = objective(lambda x: x, lambda x: Target(torch.zeros(4), kind="regression"), z, 0, 1)
    assert parts.total.item() == pytest.approx(z.square().mean().item())


def test_nothing_is_written_over_unless_that_is_allowed() -> None:
    _, against = made(3)
    weight = torch.randn(4, CLASSES, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(3, POSITIONS, 4, dtype=torch.float64) @ weight
    before = logits.detach().clone()
    head_loss(logits, against).total.backward()
    with torch.no_grad():
        values = head_loss(logits, against, overwrite=True)
    torch.testing.assert_close(tuple(values), plain(logits, against))
    assert torch.equal(logits, before)
