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

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Loss = Callable[[nn.Module, Any], Tensor]
"""``loss(model, batch)`` gives a scalar."""

Groups = Mapping[str, Sequence[tuple[str, Tensor | None]]]
"""Name of a group -> its members: (parameter name, flat int64 indices into it, or None for all)."""


class LayerSensitivity(NamedTuple):
    """One row of :meth:`Sensitivity.by_layer`."""

    layer: str
    count: int
    mean: float
    std: float


def gini(values: Tensor) -> float:
    """Gini coefficient: 0 if all values are equal, towards 1 if one of many holds everything.

    ``sum_i (2 i - n - 1) x_i / (n sum x)`` over the values in rising order, which equals half the
    mean absolute difference of all pairs over the mean. Computed in float64; 0 if all are zero.

    Raises:
        ValueError: for no values, a negative one, or one that is not finite.

    >>> gini(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    0.75
    """
    x = torch.as_tensor(values).detach().to(torch.float64).flatten().sort().values
    if len(x) == 0:
        raise ValueError("gini needs at least one value")
    if not torch.isfinite(x).all():
        raise ValueError("gini needs finite values")
    if x[0] < 0:
        raise ValueError(f"gini needs values that are not negative, not {x[0].item()}")
    n, total = len(x), x.sum().item()
    if total == 0:
        return 0.0
    weight = torch.arange(1 - n, n, 2, dtype=torch.float64, device=x.device)  # sums to zero
    return (weight * (x - x[0])).sum().item() / (n * total)


def _moments(x: Tensor) -> tuple[float, float]:
    """Mean and population standard deviation, in float64."""
    mean = x.mean()
    return mean.item(), (x - mean).square().mean().sqrt().item()


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """First-order sensitivity of every parameter, and how balanced it is.

    Attributes:
        values: parameter name -> batch mean of ``|theta dL/dtheta|`` (nats if the loss is), on
            the CPU, in the shape of the parameter.
        normalized: the same, each batch's value divided by that batch's loss (no unit).
        count: number of parameters in the statistics.
        batches: number of batches.
        loss: mean loss over the batches.
        excluded: parameter name -> bool mask of the entries left out of the statistics.
        excluded_count: how many entries those are.
        mean: over all counted parameters; ``mean_normalized`` likewise, as for those below.
        std: population standard deviation (divided by ``count``) over all counted parameters: the
            degree of contribution balance of Xu et al. 2022.
        cv: ``std / mean``; 0 if the mean is 0.
        gini: Gini coefficient.
    """

    values: dict[str, Tensor] = field(repr=False)
    normalized: dict[str, Tensor] = field(repr=False)
    count: int
    batches: int
    loss: float
    mean: float
    std: float
    cv: float
    gini: float
    mean_normalized: float
    std_normalized: float
    cv_normalized: float
    gini_normalized: float
    excluded: dict[str, Tensor] = field(default_factory=dict, repr=False)
    excluded_count: int = 0

    def quantiles(self, levels: Sequence[float], normalized: bool = False) -> list[float]:
        """Quantiles over all counted parameters, with linear interpolation.

        Raises:
            ValueError: for a level outside 0..1.
        """
        at = torch.tensor(list(levels), dtype=torch.float64)
        if not ((at >= 0) & (at <= 1)).all():
            raise ValueError(f"levels must lie in 0..1, not {list(levels)}")
        x = self._flat(normalized).sort().values
        place = at * (len(x) - 1)
        low = place.floor().long()
        return torch.lerp(x[low], x[place.ceil().long()], place - low).tolist()

    def histogram(self, edges: Sequence[float], normalized: bool = False) -> list[int]:
        """Numbers of counted parameters in each bin of log10.

        Args:
            edges: n + 1 rising edges, in log10; a value on an edge belongs to the bin above it.
            normalized: count the normalised values instead.

        Returns:
            n counts. The first bin also holds zeros and all that is smaller, the last all that is
            larger, so that they sum to ``count``.

        Raises:
            ValueError: for fewer than two edges, or edges that do not rise.
        """
        at = torch.tensor(list(edges), dtype=torch.float64)
        if len(at) < 2 or not (at.diff() > 0).all():
            raise ValueError(f"edges must be at least two rising numbers, not {list(edges)}")
        place = torch.bucketize(self._flat(normalized).log10(), at, right=True) - 1
        bins = len(at) - 1
        return torch.bincount(place.clamp(0, bins - 1), minlength=bins).tolist()

    def by_layer(
        self, key: Callable[[str], str] = lambda name: name.split(".")[0], normalized: bool = False
    ) -> list[LayerSensitivity]:
        """Count, mean and population std of each layer, in the order of the model.

        Args:
            key: gives the layer of a parameter name; by default its first part.
            normalized: use the normalised values instead.
        """
        layers: dict[str, list[Tensor]] = {}
        for name, x in self._counted(normalized):
            layers.setdefault(key(name), []).append(x)
        rows = ((layer, torch.cat(parts)) for layer, parts in layers.items())
        return [LayerSensitivity(layer, len(x), *_moments(x)) for layer, x in rows if len(x)]

    def _counted(self, normalized: bool) -> Iterator[tuple[str, Tensor]]:
        chosen = self.normalized if normalized else self.values
        return _counted(chosen, self.excluded)

    def _flat(self, normalized: bool) -> Tensor:
        return torch.cat([x for _, x in self._counted(normalized)])


def _counted(
    values: Mapping[str, Tensor], excluded: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Names and flat float64 values of the entries that are not excluded."""
    for name, value in values.items():
        yield name, (value[~excluded[name]] if name in excluded else value).flatten().double()


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
    parameters = _trainable(model)
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
    return _summary(*averages, losses, excluded)


def _stored(value: Tensor, parameter: Tensor) -> Tensor:
    """Value on the CPU, in the parameter's precision but at least float32."""
    return value.to("cpu", torch.promote_types(parameter.dtype, torch.float32))


def _summary(
    raw: dict[str, Tensor],
    normalized: dict[str, Tensor],
    losses: list[float],
    excluded: dict[str, Tensor],
) -> Sensitivity:
    figures: dict[str, float] = {}
    for suffix, values in (("", raw), ("_normalized", normalized)):
        x = torch.cat([part for _, part in _counted(values, excluded)])
        mean, std = _moments(x)
        figures |= {
            f"mean{suffix}": mean,
            f"std{suffix}": std,
            f"cv{suffix}": std / mean if mean else 0.0,
            f"gini{suffix}": gini(x),
        }
    return Sensitivity(
        values=raw,
        normalized=normalized,
        count=len(x),
        batches=len(losses),
        loss=math.fsum(losses) / len(losses),
        excluded=excluded,
        excluded_count=sum(int(mask.sum()) for mask in excluded.values()),
        **figures,
    )


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
    parameters = _trainable(model)
    members = _checked_groups(groups, parameters)
    totals, count = dict.fromkeys(members, 0.0), 0
    with _as_found(model):
        for index, batch in enumerate(batches):
            _, products = _products(model, parameters, batch, loss, index)
            for group, parts in members.items():
                chosen = (_part(products[name], indices).sum() for name, indices in parts)
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
    parameters = _trainable(model)
    members = _checked_groups(groups, parameters)
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


def random_groups(
    model: nn.Module, count: int, size: int, seed: int
) -> dict[str, list[tuple[str, Tensor | None]]]:
    """``count`` disjoint groups of ``size`` trainable parameters each, drawn uniformly.

    Raises:
        ValueError: for a count or size below 1, or more entries than the model has.
    """
    parameters = _trainable(model)
    total = sum(p.numel() for p in parameters.values())
    if count < 1 or size < 1 or count * size > total:
        raise ValueError(
            f"{count} groups of {size} parameters cannot be drawn from {total} parameters"
        )
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    groups: dict[str, list[tuple[str, Tensor | None]]] = {}
    for index, places in enumerate(order[: count * size].view(count, size)):
        start, members = 0, []
        for name, parameter in parameters.items():
            end = start + parameter.numel()
            inside = places[(places >= start) & (places < end)] - start
            if len(inside):
                members.append((name, inside.sort().values))
            start = end
        groups[f"random/{index}"] = members
    return groups


def channel_groups(model: nn.Module) -> dict[str, list[tuple[str, Tensor | None]]]:
    """One group per index of the first axis of every trainable weight with two axes or more.

    For convolutions and linear layers that is an output channel, for an embedding a row. Groups
    are named ``parameter[index]``.

    Raises:
        ValueError: if no trainable parameter has two axes.
    """
    groups: dict[str, list[tuple[str, Tensor | None]]] = {}
    for name, parameter in _trainable(model).items():
        if parameter.ndim >= 2:
            rows = torch.arange(parameter.numel()).view(len(parameter), -1)
            groups |= {f"{name}[{row}]": [(name, indices)] for row, indices in enumerate(rows)}
    if not groups:
        raise ValueError("the model has no trainable parameter with two axes or more")
    return groups


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


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Trainable parameters by name; a tied one once, under its first name."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not any(p.numel() for p in parameters.values()):
        raise ValueError("the model has no trainable parameter")
    return parameters


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


def _part(value: Tensor, indices: Tensor | None) -> Tensor:
    return value if indices is None else value.flatten()[indices]


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


def _checked_groups(
    groups: Groups, parameters: Mapping[str, Tensor]
) -> dict[str, list[tuple[str, Tensor | None]]]:
    """The groups with their indices on the device of the parameter."""
    checked: dict[str, list[tuple[str, Tensor | None]]] = {}
    for group, parts in groups.items():
        names = [name for name, _ in parts]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"group {group!r} must name at least one parameter, and each once")
        checked[group] = []
        for name, indices in parts:
            if name not in parameters:
                raise ValueError(f"group {group!r} names {name!r}, not a trainable parameter")
            if indices is not None:
                size = parameters[name].numel()
                if indices.dtype != torch.int64 or indices.ndim != 1 or not len(indices):
                    raise ValueError(f"indices of {name!r} in group {group!r} must be int64 [n]")
                if indices.min() < 0 or indices.max() >= size:
                    raise ValueError(
                        f"indices of {name!r} in group {group!r} must lie in 0..{size - 1}"
                    )
                if len(indices.unique()) < len(indices):
                    raise ValueError(f"group {group!r} has an index of {name!r} twice")
                indices = indices.to(parameters[name].device)
            checked[group].append((name, indices))
    return checked
