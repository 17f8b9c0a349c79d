"""The loss alone, and the loss with the projection to the vocabulary: value and gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from idlib.bench.arms import (
    ALPHA,
    SMOOTHING,
    TITLES,
    Arm,
    Call,
    Case,
    Method,
    changed,
    published,
    rdrop,
    total_of,
)
from idlib.costs import About
from idlib.method.against import Against
from idlib.method.fused import head_loss
from idlib.method.objective import IntraDistillation
from idlib.method.projection import Projected
from idlib.method.targets import Target
from idlib.training.trainable import Batch

RANK = 8  # of the product that makes the logits of the loss alone, untimed
LOSS_ARMS: dict[str, Method] = {
    "published": published,
    "rdrop": rdrop,
    "id-plain": changed(fused=False),
    "id": changed(overwrite_logits=True),
}
TOGETHER = "id-projection"  # the arm that leaves the projection to the loss
PROJECTION_ARMS: dict[str, Method] = {**LOSS_ARMS, TOGETHER: changed()}


class Given(NamedTuple):
    """Hidden states ``[K, P, d]``, a projection ``[C, d]``, and labels ``[P]`` on the host."""

    hidden: Tensor
    weight: Tensor
    labels: Tensor


def targets(batch: Batch) -> Target:
    """All positions count."""
    return Target(batch["labels"])


@dataclass(frozen=True)
class LossCase(Case):
    """Cross-entropy with smoothing plus α X on logits ``[K, P, C]``, and their gradient.

    The logits are the output of a product, as a model's are, so that what may write over a model's
    logits may do so here. They stand before the call; their gradient is the call's.
    """

    suite: ClassVar[str] = "loss"
    references: ClassVar[tuple[str, ...]] = ("published", "id-plain", "floor")
    methods: ClassVar[dict[str, Method]] = LOSS_ARMS

    passes: int = 3
    positions: int = 2048
    classes: int = 12_000
    dtype: str = "float32"
    memory_kept: bool = True

    @property
    def name(self) -> str:
        """Its sizes."""
        return f"K{self.passes}-{self.positions}x{self.classes}-{self.dtype}"

    @property
    def about(self) -> About:
        """K, positions, classes, type."""
        return {
            "passes": self.passes,
            "positions": self.positions,
            "classes": self.classes,
            "dtype": self.dtype,
        }

    @property
    def width(self) -> int:
        """Of the hidden states."""
        return RANK

    def set_up(self, device: torch.device) -> Given:
        """Hidden states that differ a little between the passes, a weight and labels."""
        generator = torch.Generator(device).manual_seed(1)
        options: dict[str, Any] = {"generator": generator, "device": device}
        shape = self.positions, self.width
        one = torch.randn(1, *shape, **options)
        hidden = one + 0.3 * torch.randn(self.passes, *shape, **options)
        weight = torch.randn(self.classes, self.width, **options) / self.width**0.5
        labels = torch.randint(self.classes, (self.positions,), **options)
        dtype: torch.dtype = getattr(torch, self.dtype)
        return Given(hidden.to(dtype), weight.to(dtype), labels.cpu())

    def arms(self, setup: Given) -> list[Arm]:
        """The objectives, and a copy of the logits for the floor: two reads and one write."""
        arms = [
            Arm(name, TITLES[name], partial(self.prepare, name, method))
            for name, method in self.methods.items()
        ]
        return [*arms, Arm("floor", "floor: two reads, one write", self.copy, factor=3 / 2)]

    def prepare(self, name: str, method: Method, setup: Given) -> Call:
        """The objective on logits of the arm's own passes."""
        objective = method(IntraDistillation(self.passes, ALPHA, smoothing=SMOOTHING))
        batch, device = {"labels": setup.labels}, setup.weight.device
        passes = 2 if name == "rdrop" else self.passes

        def make() -> list[Tensor]:
            weight = setup.weight.detach().requires_grad_()
            hidden = setup.hidden[:passes]
            if name == "published":  # passes of their own
                return [F.linear(pass_, weight) for pass_ in hidden]
            return [F.linear(hidden.flatten(0, 1), weight)]

        def run(logits: list[Tensor]) -> None:
            outputs = iter(logits)
            total = total_of(objective, lambda _: next(outputs), targets, batch, device)
            torch.autograd.grad(total, logits)

        return Call(run, make)

    def copy(self, setup: Given) -> Call:
        """A copy of the logits into memory that stands already."""

        def make() -> tuple[Tensor, Tensor]:
            logits = F.linear(setup.hidden.flatten(0, 1), setup.weight)
            return logits, torch.zeros_like(logits)

        return Call(lambda pair: pair[1].copy_(pair[0]), make)


@dataclass(frozen=True)
class SizeCase(LossCase):
    """The same at other sizes."""

    suite: ClassVar[str] = "sizes"


@dataclass(frozen=True)
class KernelCase(LossCase):
    """Value and gradient alone, without what the objective checks on the processor before them."""

    suite: ClassVar[str] = "kernel"
    references: ClassVar[tuple[str, ...]] = ("id-plain", "floor")
    methods: ClassVar[dict[str, Method]] = {"id-plain": LOSS_ARMS["id-plain"]}

    def arms(self, setup: Given) -> list[Arm]:
        """The kernel beside the losses by autograd and the floor."""
        plain, floor = super().arms(setup)
        return [plain, Arm("kernel", TITLES["kernel"], self.alone), floor]

    def alone(self, setup: Given) -> Call:
        """The loss of the head, its gradient in place of the logits."""
        share = 1 / self.positions
        labels = setup.labels.to(setup.weight.device)
        against = Against(labels, share, share, ALPHA, smoothing=SMOOTHING)

        def make() -> Tensor:
            weight = setup.weight.detach().requires_grad_()
            return F.linear(setup.hidden.flatten(0, 1), weight)

        def run(logits: Tensor) -> None:
            heads = logits.unflatten(0, (self.passes, -1))
            torch.autograd.grad(head_loss(heads, against, overwrite=True).total, logits)

        return Call(run, make)


@dataclass(frozen=True)
class MallocCase(LossCase):
    """The same where malloc gives freed memory back, as it does by default."""

    suite: ClassVar[str] = "malloc"
    methods: ClassVar[dict[str, Method]] = {
        name: LOSS_ARMS[name] for name in ("published", "id-plain", "id")
    }

    memory_kept: bool = False


@dataclass(frozen=True)
class ProjectionCase(LossCase):
    """As the loss alone, from hidden states ``[K, P, d]``: the projection is a part of the call."""

    suite: ClassVar[str] = "projection"
    methods: ClassVar[dict[str, Method]] = PROJECTION_ARMS

    d: int = 512

    @property
    def name(self) -> str:
        """Its sizes."""
        return f"d{self.d}-{super().name}"

    @property
    def about(self) -> About:
        """Those of the loss, and the width."""
        return {**super().about, "width": self.d}

    @property
    def width(self) -> int:
        """Of the hidden states."""
        return self.d

    def arms(self, setup: Given) -> list[Arm]:
        """The objectives, and the three products that no arm can do without."""
        arms = [
            Arm(name, TITLES[name], partial(self.prepare, name, method))
            for name, method in self.methods.items()
        ]
        return [*arms, Arm("floor", "floor: the three products", self.products)]

    def prepare(self, name: str, method: Method, setup: Given) -> Call:
        """The objective on the projection of hidden states, to the gradients of both factors."""
        objective = method(IntraDistillation(self.passes, ALPHA, smoothing=SMOOTHING))
        batch, device = {"labels": setup.labels}, setup.weight.device
        passes = 2 if name == "rdrop" else self.passes

        def make() -> tuple[list[Tensor], Tensor]:
            hidden = setup.hidden[:passes].detach()
            parts = list(hidden) if name == "published" else [hidden.flatten(0, 1)]
            return [
                p.clone().requires_grad_() for p in parts
            ], setup.weight.clone().requires_grad_()

        def run(made: tuple[list[Tensor], Tensor]) -> None:
            parts, weight = made
            project = Projected if name == TOGETHER else F.linear
            outputs = (project(part, weight) for part in parts)
            total = total_of(objective, lambda _: next(outputs), targets, batch, device)
            torch.autograd.grad(total, [*parts, weight])

        return Call(run, make)

    def products(self, setup: Given) -> Call:
        """Logits, and the gradients of both factors from a gradient of their size."""

        def run(hidden: Tensor) -> None:
            logits = hidden @ setup.weight.T
            _ = logits @ setup.weight
            _ = logits.T @ hidden

        return Call(run, lambda: setup.hidden.flatten(0, 1))
