"""The order of the training examples: which of them make each update of a run."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from idlib.training.randomness import derive_seed
from idlib.training.settings import Settings, SettingsError
from idlib.training.trainable import Batch, Trainable


class Order:
    """The updates of a run, and this process's share of each.

    Args:
        task: gives the order of an epoch, and the batches.
        settings: epochs, their stretch, and the size of micro-batches.
        seed: the order of each epoch derives from it and from the round of self-distillation.
        rank: number of this process.
        world: number of processes.

    Raises:
        SettingsError: an update has not an example for each process.
    """

    def __init__(
        self, task: Trainable, settings: Settings, seed: int, rank: int, world: int
    ) -> None:
        self.task, self.settings, self.seed = task, settings, seed
        self.rank, self.world = rank, world
        self.epochs = settings.epochs * settings.stretch
        self.updates_per_epoch = len(self.epoch(0))
        self.total_updates = self.updates_per_epoch * self.epochs

    def epoch(self, number: int) -> list[list[int]]:
        """For each update of an epoch the indices of its examples."""
        seed = derive_seed(self.seed, "round", self.settings.round, "order", number)
        order = self.task.epoch(torch.Generator().manual_seed(seed))
        smallest = min(map(len, order), default=0)
        if smallest < self.world:
            raise SettingsError(
                f"an update needs at least one example for each of {self.world} processes; the "
                f"smallest here has {smallest}: start fewer processes, or set batch_size or "
                "examples so that more is left for the last update"
            )
        return order

    def updates_after(self, step: int) -> Iterator[tuple[list[int], list[Batch]]]:
        """Of each update after ``step`` the indices of all examples, and this process's batches."""
        for number in range(step // self.updates_per_epoch, self.epochs):
            order = self.epoch(number)[max(0, step - number * self.updates_per_epoch) :]
            shares = [
                micro_batches(indices[self.rank :: self.world], self.settings.micro_batch)
                for indices in order
            ]
            loaded = iter(self.task.batches([part for share in shares for part in share]))
            for indices, share in zip(order, shares, strict=True):
                yield indices, [next(loaded) for _ in share]


def micro_batches(indices: list[int], size: int | None) -> list[list[int]]:
    """The indices in slices of at most ``size``; None leaves them in one.

    >>> micro_batches([5, 3, 4], 2)
    [[5, 3], [4]]
    """
    size = size or len(indices)
    return [indices[start : start + size] for start in range(0, len(indices), size)]
