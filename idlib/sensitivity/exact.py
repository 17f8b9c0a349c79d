"""Exact sensitivity: how far the loss moves when a group of parameters is set to zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from idlib.sensitivity.measuring import Loss, as_found, batch_mean, checked_loss
from idlib.sensitivity.parameter_sets import Groups, Member, checked_groups, trainable


def exact_sensitivity(
    model: nn.Module, groups: Groups, batches: Iterable[Any], loss: Loss
) -> dict[str, float]:
    """Exact sensitivity of groups: the batch mean of ``|L(theta) - L(theta with S at zero)|``.

    Costs one forward pass per batch and group. The model is left as it was found. Arguments and
    errors are those of :func:`~idlib.sensitivity.first_order.group_sensitivity`; a loss that is
    not finite names the batch and the group.
    """
    parameters = trainable(model)
    members = checked_groups(groups, parameters)

    def changes(batch: Any, place: str) -> dict[str, float]:
        whole = checked_loss(loss(model, batch), place).item()
        values = {}
        for group, parts in members.items():
            with _at_zero(parameters, parts):
                without = loss(model, batch)
            without = checked_loss(without, f"{place} with group {group!r} at zero")
            values[group] = abs(whole - without.item())
        return values

    with as_found(model), torch.no_grad():
        return batch_mean(changes(batch, f"batch {index}") for index, batch in enumerate(batches))


@contextmanager
def _at_zero(parameters: Mapping[str, Tensor], members: Sequence[Member]) -> Iterator[None]:
    """The entries of a group are 0 inside, and bit for bit as before afterwards."""
    saved = {name: parameters[name].detach().clone() for name, _ in members}
    try:
        for name, indices in members:
            flat = saved[name].flatten().clone()
            flat[slice(None) if indices is None else indices] = 0
            parameters[name].copy_(flat.view(saved[name].shape))
        yield
    finally:
        for name, value in saved.items():
            parameters[name].copy_(value)
