"""The plain references of the benchmark give the values and gradients of the objective."""

from __future__ import annotations

import pytest
import torch

from idlib.bench.reference import Published, RDrop, both_directions, published_divergence
from idlib.method.losses import symmetric_kl, x_divergence
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target

POSITIONS, CLASSES = 6, 9
CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # the reference computes in float32, by logarithms


def passes_of(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 3 * torch.randn(count, POSITIONS, CLASSES, generator=generator)


def target(masked: bool = False, classes: bool = False) -> Target:
    labels = torch.arange(POSITIONS) % 4
    return Target(
        labels,
        mask=torch.arange(POSITIONS) < 4 if masked else None,
        class_mask=torch.arange(CLASSES) < 5 if classes else None,
    )


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_published_divergence_is_x(count: int) -> None:
    z = passes_of(count)
    torch.testing.assert_close(published_divergence(list(z)), x_divergence(z), **CLOSE)


def test_both_directions_are_the_symmetric_divergence() -> None:
    z = passes_of(2)
    torch.testing.assert_close(both_directions(*z), symmetric_kl(z), **CLOSE)


@pytest.mark.parametrize("step", [1, 12, 100])  # α rises, is in between, and is reached
@pytest.mark.parametrize(
    ("masked", "classes", "smoothing"),
    [(False, False, 0.1), (True, False, 0.1), (False, True, 0.0), (True, True, 0.0)],
)
def test_the_published_procedure_is_the_objective(
    masked: bool, classes: bool, smoothing: float, step: int
) -> None:
    labels = target(masked, classes)
    losses = []
    for objective, forward_calls in (
        (Published(smoothing=smoothing), 3),
        (IntraDistillation(smoothing=smoothing), 1),
    ):
        z = passes_of(3).requires_grad_()
        outputs = iter(z if forward_calls == 3 else [z.flatten(0, 1)])
        batch = torch.zeros(POSITIONS)
        total = objective(lambda _: next(outputs), lambda _: labels, batch, step, 100).total  # noqa: B023
        losses.append((total, *torch.autograd.grad(total, z)))
        assert next(outputs, None) is None, "each pass is run"
    for published, ours in zip(*losses, strict=True):
        torch.testing.assert_close(published, ours, **CLOSE)


def test_heads_are_averaged() -> None:
    z, labels = passes_of(6), target()
    first, second = iter(z[:3]), iter(z[3:])
    batch = torch.zeros(POSITIONS)
    both = Published()(
        lambda _: {"a": next(first), "b": next(second)},
        lambda _: {"a": labels, "b": labels},
        batch,
        1,
        1,
    )
    stacked = {"a": z[:3].flatten(0, 1), "b": z[3:].flatten(0, 1)}
    ours = IntraDistillation()(lambda _: stacked, lambda _: {"a": labels, "b": labels}, batch, 1, 1)
    torch.testing.assert_close(both.total, ours.total, **CLOSE)


def test_rdrop_is_the_objective_with_two_passes_and_their_divergence() -> None:
    z, labels, batch = passes_of(2).flatten(0, 1), target(masked=True), torch.zeros(POSITIONS)
    rdrop = RDrop(smoothing=0.1)(lambda _: z, lambda _: labels, batch, 1, 1)
    ours = IntraDistillation(2, divergence="kl", smoothing=0.1)
    expected = ours(lambda _: z, lambda _: labels, batch, 1, 1)
    torch.testing.assert_close(rdrop.total, expected.total, **CLOSE)
