"""What the training loop needs of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from idlib.method.targets import Forward, Target

Batch = dict[str, Tensor]


class Selection(NamedTuple):
    """The validation metric that chooses a checkpoint, and whether more of it is better."""

    metric: str
    higher_is_better: bool = False

    def improves(self, value: float, best: float | None) -> bool:
        """Whether ``value`` is strictly better than ``best`` (the earlier one wins a tie)."""
        if best is None:
            return True
        return value > best if self.higher_is_better else value < best


class Trainable(Protocol):
    """Batches, forward, targets and evaluation of a task."""

    @property
    def selection(self) -> Selection:
        """What chooses the best checkpoint."""

    @property
    def costly_every(self) -> int:
        """Evaluations from one with the costly metrics to the next."""

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """One epoch: for each update the indices of its training examples."""

    def batches(self, indices: list[list[int]]) -> Iterator[Batch]:
        """The training batches of these indices, in this order."""

    def forward(self, model: nn.Module) -> Forward:
        """From a model to its function from batch to logits."""

    def unprojected(self, model: nn.Module) -> Forward:
        """The same without the model's last projection, where the task names it."""

    def targets(self, batch: Batch) -> Target | Mapping[str, Target]:
        """The targets of a batch."""

    def is_head(self, parameter: str) -> bool:
        """Whether a parameter belongs to the new head of a pretrained encoder."""

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Metrics of a model in evaluation mode on a split, by one pass; ``nll`` is among them."""

    def costly(self, model: nn.Module, split: str) -> dict[str, float]:
        """Metrics that take more than a pass, if there are any."""
