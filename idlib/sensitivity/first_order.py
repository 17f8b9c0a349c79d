"""First-order sensitivity ``|θ_j ∂L/∂θ_j|``: how much the loss depends on each parameter.

The sensitivity of a set S of parameters is how far the loss moves when S is set to zero; to first
order that is ``|sum_S theta_j dL/dtheta_j|`` (Xu et al. 2022). The degree of contribution balance
is the standard deviation of the sensitivity over all parameters; it falls with the loss alone, so
figures that do not depend on scale (std / mean, Gini) stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from idlib.sensitivity.measuring import Loss, as_found, batch_mean, checked_loss
from idlib.sensitivity.parameter_sets import Groups, checked_groups, entries, trainable
from idlib.sensitivity.statistics import Sensitivity, on_cpu, summary


def parameter_sensitivity(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Loss,
    exclude: Mapping[str, Tensor] | None = None,
) -> Sensitivity:
    """First-order sensitivity of every trainable parameter, from one pass over the batches.

    For each batch ``|theta_j dL/dtheta_j|`` and the same divided by that batch's loss, averaged
    over batches (each batch weighs the same): ``|theta_j|`` is common to them, and multiplies the
    means of ``|dL/dtheta_j|``. A parameter under two names counts once, under the first; one that
    takes no part in the loss counts as zero. One float64 buffer per figure and parameter is held,
    whatever the number of batches.

    Args:
        model: measured in eval mode and left as it was found, with its gradients.
        batches: run through once.
        loss: ``loss(model, batch)`` gives a scalar, for example mean cross-entropy; one that is not
            above 0 leaves the normalised figures NaN.
        exclude: parameter name -> bool mask in the shape of the parameter; ``True`` entries stay
            in ``values`` but out of the statistics (for example embedding rows never seen).

    Raises:
        ValueError: no batch, no trainable parameter, a loss that is not a scalar, not finite or
            that depends on no trainable parameter (the batch is named), or a mask in ``exclude``
            that fits no parameter or leaves nothing.
    """
    parameters = trainable(model)
    excluded = _checked_masks(exclude or {}, parameters)
    raw = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in parameters.items()}
    normalized = {name: torch.zeros_like(buffer) for name, buffer in raw.items()}
    losses: list[float] = []
    with as_found(model):
        for index, batch in enumerate(batches):
            value, gradients = _gradients(model, parameters, batch, loss, f"batch {index}")
            share = 1 / value if value > 0 else math.nan
            for name, gradient in gradients.items():
                size = gradient.to(torch.float64, copy=True).abs_()
                raw[name].add_(size)
                normalized[name].add_(size, alpha=share)
            losses.append(value)
    if not losses:
        raise ValueError("sensitivity needs at least one batch")

    def mean(totals: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: _stored(total * parameters[name].detach().abs() / len(losses), parameters[name])
            for name, total in totals.items()
        }

    return on_cpu(summary(mean(raw), mean(normalized), losses, excluded))


def group_sensitivity(
    model: nn.Module, groups: Groups, batches: Iterable[Any], loss: Loss
) -> dict[str, float]:
    """First-order sensitivity of groups: the batch mean of ``|sum_S theta_j dL/dtheta_j|``.

    Args:
        model: measured in eval mode and left as it was found.
        groups: name -> list of (parameter name, flat int64 indices, or None for all of it).
        batches: run through once.
        loss: ``loss(model, batch)`` gives a scalar.

    Raises:
        ValueError: as :func:`parameter_sensitivity`, and for a group
            that is empty, names a parameter twice or one that is not trainable, or has indices
            out of range or twice.
    """
    parameters = trainable(model)
    members = checked_groups(groups, parameters)

    def sums(batch: Any, place: str) -> dict[str, float]:
        _, gradients = _gradients(model, parameters, batch, loss, place)
        products = {
            name: parameters[name].detach().double() * gradient
            for name, gradient in gradients.items()
        }
        chosen = {
            group: [entries(products[name], indices).sum() for name, indices in parts]
            for group, parts in members.items()
        }
        return {group: abs(sum(each, torch.zeros(())).item()) for group, each in chosen.items()}

    with as_found(model):
        return batch_mean(sums(batch, f"batch {index}") for index, batch in enumerate(batches))


def _gradients(
    model: nn.Module, parameters: Mapping[str, nn.Parameter], batch: Any, loss: Loss, place: str
) -> tuple[float, dict[str, Tensor]]:
    """The loss of a batch and ``dL/dtheta`` of each parameter, without touching ``.grad``."""
    with torch.enable_grad():
        value = checked_loss(loss(model, batch), place)
        if not value.requires_grad:
            raise ValueError(f"the loss of {place} depends on no trainable parameter")
        gradients = torch.autograd.grad(
            value, list(parameters.values()), allow_unused=True, materialize_grads=True
        )
    return value.item(), dict(zip(parameters, gradients, strict=True))


def _stored(value: Tensor, parameter: Tensor) -> Tensor:
    """Value in the parameter's precision, but at least float32."""
    return value.to(torch.promote_types(parameter.dtype, torch.float32))


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
