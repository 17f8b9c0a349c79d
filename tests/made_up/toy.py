"""A task of a few vectors, for tests of the training loop: no file, no image, milliseconds."""

from __future__ import annotations

import torch
from torch import nn

from idlib.method.projection import Projected
from idlib.method.targets import Target
from idlib.training.loop import Progress
from idlib.training.settings import Settings
from idlib.training.trainable import Selection

INPUTS, CLASSES, EXAMPLES = 4, 3, 12


class ToySettings(Settings):
    epochs: int = 2
    batch_size: int = 4
    lr_peak: float = 0.01
    schedule: str = "constant"
    sensitivity_batch: int = 4
    pruned: tuple[float, ...] | None = None
    dropout: float = 0.2  # of a run; the loop's tests give it to ``ToyTask.model``


def interrupt_at(update: int) -> Progress:
    """What to give to the loop as ``progress``, so that it is interrupted after an update."""
    made = []

    def interrupt(updates: int) -> None:
        made.append(updates)
        if sum(made) == update:
            raise KeyboardInterrupt

    return interrupt


def network(dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 8), nn.Dropout(dropout), nn.Linear(8, CLASSES))


class ToyTask:
    """What the loop needs of a task; ``seen`` keeps the examples of every batch that it gave."""

    selection, costly_every = Selection("nll"), 1

    def __init__(self, batch_size: int = 4) -> None:
        generator = torch.Generator().manual_seed(3)
        self.x = torch.randn(EXAMPLES, INPUTS, generator=generator)
        self.y = torch.arange(EXAMPLES) % CLASSES
        self.batch_size = batch_size
        self.seen: list[list[int]] = []

    def model(self, dropout: float = 0.2) -> nn.Module:
        torch.manual_seed(5)
        return network(dropout)

    def epoch(self, generator):
        order = torch.randperm(EXAMPLES, generator=generator)
        return [part.tolist() for part in order.split(self.batch_size)]

    def batches(self, indices):
        for rows in indices:
            self.seen.append(rows)
            yield {"x": self.x[rows], "y": self.y[rows]}

    def forward(self, model):
        return lambda batch: model(batch["x"])

    def unprojected(self, model):
        return lambda batch: Projected(model[:-1](batch["x"]), model[-1].weight, model[-1].bias)

    def targets(self, batch):
        return Target(batch["y"])

    def is_head(self, parameter):
        return parameter.startswith("2.")  # the last layer

    def costly(self, model, split):
        return {}

    @torch.no_grad()
    def evaluate(self, model, split):
        assert not model.training and split == "validation"  # the loop looks at no other
        return {"nll": nn.functional.cross_entropy(model(self.x), self.y).item()}
