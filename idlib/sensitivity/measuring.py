"""What every measure of sensitivity shares: the model left as it was found, losses checked, means.

Everything is measured in eval mode. Values are averaged over batches, each of which weighs the
same, so they depend on the size of a batch: compare models only at one size, on the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Loss = Callable[[nn.Module, Any], Tensor]
"""``loss(model, batch)`` gives a scalar."""


@contextmanager
def as_found(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards every module's mode and every buffer are as before."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, saved in buffers:
                buffer.copy_(saved)


def checked_loss(value: Tensor, place: str) -> Tensor:
    """The loss of ``place``, checked to be a finite scalar.

    Raises:
        ValueError: it is not; the message names the place.
    """
    if not isinstance(value, Tensor) or value.ndim:
        shape = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        remedy = ": give its .loss" if hasattr(value, "loss") else ""
        raise ValueError(f"the loss of {place} must be a scalar tensor, not {shape}{remedy}")
    if not torch.isfinite(value):
        raise ValueError(f"the loss of {place} is {value.item()}")
    return value


def batch_mean(batches: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean over batches of each named value.

    Raises:
        ValueError: there is no batch.
    """
    totals: dict[str, float] = {}
    count = 0
    for values in batches:
        for name, value in values.items():
            totals[name] = totals.get(name, 0.0) + value
        count += 1
    if not count:
        raise ValueError("sensitivity needs at least one batch")
    return {name: total / count for name, total in totals.items()}
