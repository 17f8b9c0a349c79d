"""What goes to the device of a run, and what comes back, without waiting for it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from idlib.training.trainable import Batch

UPDATES_AHEAD = 2  # that the host gives a GPU before it looks at the losses of the earlier ones


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on ``device``; a GPU copies it from pinned memory while it does other work."""
    if device.type != "cuda":
        return {name: value.to(device) for name, value in batch.items()}
    return {name: value.pin_memory().to(device, non_blocking=True) for name, value in batch.items()}


def memory_at_hand(device: torch.device) -> int:
    """Bytes that work without gradients may take of a GPU, so that it is never what runs out.

    Half of what this process has taken already, which training has shown to fit beside the other
    processes on the GPU; in one that has not trained, a sixteenth of what is free.
    """
    free, _ = torch.cuda.mem_get_info(device)
    return max(torch.cuda.max_memory_reserved(device), free // 8) // 2


class Losses(NamedTuple):
    """Those of one update, in nats, and what an error says of it.

    Attributes:
        step: the update.
        indices: of its training examples.
        alpha: weight of its divergence.
        values: total, task loss and divergence ``[3]``, on the host.
        arrived: when they have come from a GPU.
    """

    step: int
    indices: list[int]
    alpha: float
    values: Tensor
    arrived: torch.cuda.Event | None = None


class Arrivals:
    """Losses on their way to the host, in the order of the updates.

    Those of a GPU are looked at ``UPDATES_AHEAD`` updates later, when they have arrived: the GPU
    has always more to do, and several processes look at the same update at the same time.
    """

    def __init__(self) -> None:
        self._coming: deque[Losses] = deque()

    def send(self, losses: Losses) -> None:
        """Begin to copy losses from their device."""
        arrived = None
        if losses.values.is_cuda:
            arrived = torch.cuda.Event()
            losses = losses._replace(values=losses.values.to("cpu", non_blocking=True))
            arrived.record()
        self._coming.append(losses._replace(arrived=arrived))

    def take(self, everything: bool = False) -> list[Losses]:
        """The losses that are due, each once; with ``everything`` all that were sent."""
        due = []
        while self._coming:
            first = self._coming[0]
            if first.arrived is not None:
                if not everything and len(self._coming) <= UPDATES_AHEAD:
                    break
                first.arrived.synchronize()
            due.append(self._coming.popleft())
        return due


class Means:
    """Means over updates of their losses, summed up where they are, and of numbers of the host."""

    def __init__(self) -> None:
        self._losses: Tensor | None = None
        self._numbers: dict[str, float] = {}
        self._updates = 0

    def add(self, losses: Tensor, **numbers: float) -> None:
        """Count one update.

        Args:
            losses: total, task loss and divergence ``[3]``.
            numbers: others by name.
        """
        losses = losses.double()
        self._losses = losses if self._losses is None else self._losses + losses
        for name, value in numbers.items():
            self._numbers[name] = self._numbers.get(name, 0.0) + value
        self._updates += 1

    def means(self) -> dict[str, float]:
        """The mean of each, by its name as a curve."""
        if self._losses is None:
            return {}
        totals = dict(zip(("total", "task", "divergence"), self._losses.tolist(), strict=True))
        totals |= self._numbers
        return {f"train/{name}": total / self._updates for name, total in totals.items()}
