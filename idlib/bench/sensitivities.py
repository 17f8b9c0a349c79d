"""Sensitivity of every parameter beside the backward passes that it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from idlib.bench.arms import TITLES, Arm, Call, Case, total_of
from idlib.bench.steps import Parts, StepCase, TaskCase
from idlib.costs import About
from idlib.method.objective import IntraDistillation
from idlib.sensitivity.first_order import parameter_sensitivity

BATCHES = 20  # the tasks measure on twice as many and more; what is done once weighs less there
_PLAIN = IntraDistillation(passes=1, alpha=0.0)


class Measured(NamedTuple):
    """A model in evaluation mode and the parts of its case."""

    model: nn.Module
    parts: Parts

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Cross-entropy of one pass, without smoothing."""
        parts = self.parts
        return total_of(_PLAIN, parts.task.forward(model), parts.task.targets, batch, parts.device)


@dataclass(frozen=True)
class SensitivityCase(Case):
    """Raw and normalised sensitivity of all parameters over a few batches of another case."""

    suite: ClassVar[str] = "sensitivity"
    references: ClassVar[tuple[str, ...]] = ("backward",)

    of: StepCase | TaskCase = StepCase()
    memory_kept: bool = True

    @property
    def name(self) -> str:
        """That of the other case."""
        return self.of.name

    @property
    def about(self) -> About:
        """That of the other case, and the number of batches."""
        return {**self.of.about, "batches": BATCHES}

    def set_up(self, device: torch.device) -> Measured:
        """The model and batches."""
        parts = self.of.set_up(device)
        return Measured(parts.model().eval(), parts)

    def arms(self, setup: Measured) -> list[Arm]:
        """Both."""
        return [
            Arm("backward", TITLES["backward"], backward),
            Arm("sensitivity", TITLES["sensitivity"], sensitivity),
        ]


def backward(setup: Measured) -> Call:
    """The gradients of each batch, and nothing done with them."""
    parameters = [p for p in setup.model.parameters() if p.requires_grad]

    def run(batches: list[Any]) -> None:
        for batch in batches:
            loss = setup.loss(setup.model, batch)
            torch.autograd.grad(loss, parameters, allow_unused=True)

    return Call(run, lambda: _batches(setup))


def sensitivity(setup: Measured) -> Call:
    """The measure itself."""
    return Call(
        lambda batches: parameter_sensitivity(setup.model, batches, setup.loss),
        lambda: _batches(setup),
    )


def _batches(setup: Measured) -> list[Any]:
    given = setup.parts.batches
    return (given * BATCHES)[:BATCHES]
