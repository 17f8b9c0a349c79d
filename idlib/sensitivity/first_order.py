"""How much the loss depends on each parameter, and how evenly.

The sensitivity of a set S of parameters is how far the loss moves when S is set to zero; to first
order that is ``|sum_S theta_j dL/dtheta_j|`` (Xu et al. 2022). Both are averaged over batches, so
they depend on the size of a batch: compare models only at one size, on the same batches. The
degree of contribution balance is the standard deviation of the sensitivity over all parameters;
it falls with the loss alone, so figures that do not depend on scale (std / mean, Gini) stand
beside it.

Everything is measured in eval mode, and the model is left as it was found: the mode of every
module, gradients, buffers and values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from idlib.sensitivity.parameter_sets import (
    Groups,
    channel_groups,
    checked_groups,
    part,
    random_groups,
    trainable,
)
from idlib.sensitivity.statistics import LayerSensitivity, Sensitivity, gini, summary

__all__ = [
    "Groups",
    "LayerSensitivity",
    "Sensitivity",
    "channel_groups",
    "exact_sensitivity",
    "gini",
    "group_sensitivity",
    "parameter_sensitivity",
    "random_groups",
]

Loss = Callable[[nn.Module, Any], Tensor]
"""``loss(model, batch)`` gives a scalar."""


def parameter_sensitivity(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Loss,
    exclude: Mapping[str, Tensor] | None = None,
) -> Sensitivity:
    """First-order sensitivity of every trainable parameter, from one pass over the batches.

    For each batch ``|theta_j dL/dtheta_j|`` and the same divided by that batch's loss, averaged
    over batches (each batch weighs the same). A parameter under two names counts once, under the
    first; one that takes no part in the loss counts as zero. One float64 buffer per figure and
    parameter is held, whatever the number of batches.

    Args:
        model: measured in eval mode and left as found.
        batches: run through once.
        loss: ``loss(model, batch)`` gives a scalar above 0, for example mean cross-entropy.
        exclude: parameter name -> bool mask in the shape of the parameter; ``True`` entries stay
            in ``values`` but out of the statistics (for example embedding rows never seen).

    Raises:
        ValueError: for no batch, no trainable parameter, a loss that is not a scalar, not finite,
            not above 0 or that depends on no trainable parameter (the batch is named), or a mask
            in ``exclude`` that fits no parameter or leaves nothing.
    """
    parameters = trainable(model)
    excluded = _checked_masks(exclude or {}, parameters)
    raw = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in parameters.items()}
    normalized = {name: torch.zeros_like(buffer) for name, buffer in raw.items()}
    losses: list[float] = []
    with _as_found(model):
        for index, batch in enumerate(batches):
            value, products = _products(model, parameters, batch, loss, index)
            if value <= 0:
                raise ValueError(
                    f"the loss of batch {index} is {value}: sensitivity normalised by the loss "
                    "needs a loss above 0"
                )
            for name, product in products.items():
                raw[name] += product.abs()
                normalized[name] += product.abs() / value
            losses.append(value)
    if not losses:
        raise ValueError("sensitivity needs at least one batch")
    averages = (
        {name: _stored(total / len(losses), parameters[name]) for name, total in totals.items()}
        for totals in (raw, normalized)
    )
    return summary(*averages, losses, excluded)


def _stored(value: Tensor, parameter: Tensor) -> Tensor:
    """Value on the CPU, in the parameter's precision but at least float32."""
    return value.to("cpu", torch.promote_types(parameter.dtype, torch.float32))


def group_sensitivity(
    model: nn.Module, groups: Groups, batches: Iterable[Any], loss: Loss
) -> dict[str, float]:
    """First-order sensitivity of groups: the batch mean of ``|sum_S theta_j dL/dtheta_j|``.

    Args:
        model: measured in eval mode and left as found.
        groups: name -> list of (parameter name, flat int64 indices, or None for all of it).
        batches: run through once.
        loss: ``loss(model, batch)`` gives a scalar.

    Raises:
        ValueError: as :func:`parameter_sensitivity` (any finite loss will do), and for a group
            that is empty, names a parameter twice or one that is not trainable, or has indices
            out of range or twice.
    """
    parameters = trainable(model)
    members = checked_groups(groups, parameters)
    totals, count = dict.fromkeys(members, 0.0), 0
    with _as_found(model):
        for index, batch in enumerate(batches):
            _, products = _products(model, parameters, batch, loss, index)
            for group, parts in members.items():
                chosen = (part(products[name], indices).sum() for name, indices in parts)
                totals[group] += abs(sum(chosen).item())
            count = index + 1
    return _averaged(totals, count)


def exact_sensitivity(
    model: nn.Module, groups: Groups, batches: Iterable[Any], loss: Loss
) -> dict[str, float]:
    """Exact sensitivity of groups: the batch mean of ``|L(theta) - L(theta with S at zero)|``.

    Costs one forward pass per batch and group. Arguments and errors are those of
    :func:`group_sensitivity`; a loss that is not finite names the batch and the group.
    """
    parameters = trainable(model)
    members = checked_groups(groups, parameters)
    totals, count = dict.fromkeys(members, 0.0), 0
    with _as_found(model), torch.no_grad():
        for index, batch in enumerate(batches):
            whole = _value(loss(model, batch), f"batch {index}").item()
            for group, parts in members.items():
                with _at_zero(parameters, parts):
                    without = loss(model, batch)
                place = f"batch {index} with group {group!r} at zero"
                totals[group] += abs(whole - _value(without, place).item())
            count = index + 1
    return _averaged(totals, count)


@contextmanager
def _as_found(model: nn.Module) -> Iterator[None]:
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


@contextmanager
def _at_zero(
    parameters: Mapping[str, Tensor], parts: Sequence[tuple[str, Tensor | None]]
) -> Iterator[None]:
    """The entries of a group are 0 inside, and bit for bit as before afterwards."""
    saved = {name: parameters[name].detach().clone() for name, _ in parts}
    try:
        for name, indices in parts:
            flat = saved[name].flatten().clone()
            flat[slice(None) if indices is None else indices] = 0
            parameters[name].copy_(flat.view(saved[name].shape))
        yield
    finally:
        for name, value in saved.items():
            parameters[name].copy_(value)


def _value(value: Tensor, place: str) -> Tensor:
    """A loss, checked to be a finite scalar."""
    if not isinstance(value, Tensor) or value.ndim:
        shape = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"the loss of {place} must be a scalar tensor, not {shape}")
    if not torch.isfinite(value):
        raise ValueError(f"the loss of {place} is {value.item()}")
    return value


def _products(
    model: nn.Module, parameters: Mapping[str, nn.Parameter], batch: Any, loss: Loss, index: int
) -> tuple[float, dict[str, Tensor]]:
    """The loss of a batch and ``theta dL/dtheta`` in float64, without touching ``.grad``."""
    with torch.enable_grad():
        value = _value(loss(model, batch), f"batch {index}")
        if not value.requires_grad:
            raise ValueError(f"the loss of batch {index} depends on no trainable parameter")
        gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    products = {}
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        theta = parameter.detach().double()
        products[name] = torch.zeros_like(theta) if gradient is None else theta * gradient.double()
    return value.item(), products


def _averaged(totals: dict[str, float], count: int) -> dict[str, float]:
    if not count:
        raise ValueError("sensitivity needs at least one batch")
    return {name: total / count for name, total in totals.items()}


def _checked_masks(
    masks: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"exclude names {name!r}, which is not a trainable parameter")
        if mask.dtype != torch.bool or mask.shape != parameters[name].shape:
            raise ValueError(
                f"exclude[{name!r}] must be bool of shape {tuple(parameters[name].shape)}, "
                f"not {mask.dtype} of shape {tuple(mask.shape)}"
            )
    if all(name in masks and masks[name].all() for name in parameters):
        raise ValueError("exclude leaves no parameter to measure")
    return {name: mask.cpu() for name, mask in masks.items()}
