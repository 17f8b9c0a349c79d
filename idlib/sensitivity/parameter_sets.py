"""Groups of parameters whose sensitivity is measured together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

Member = tuple[str, "Tensor | None"]
"""A parameter's name, and flat int64 indices into it, or None for all of it."""

Groups = Mapping[str, Sequence[Member]]
"""Name of a group -> its members."""


def random_groups(model: nn.Module, count: int, size: int, seed: int) -> dict[str, list[Member]]:
    """``count`` disjoint groups of ``size`` trainable parameters each, drawn uniformly.

    Raises:
        ValueError: a count or size below 1, or more entries than the model has.
    """
    parameters = trainable(model)
    total = sum(p.numel() for p in parameters.values())
    if count < 1 or size < 1 or count * size > total:
        raise ValueError(
            f"{count} groups of {size} parameters cannot be drawn from {total} parameters"
        )
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    groups: dict[str, list[Member]] = {}
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


def channel_groups(model: nn.Module) -> dict[str, list[Member]]:
    """One group per index of the first axis of every trainable weight with two axes or more.

    For convolutions and linear layers that is an output channel, for an embedding a row. Groups
    are named ``parameter[index]``.

    Raises:
        ValueError: no trainable parameter has two axes.
    """
    groups: dict[str, list[Member]] = {}
    for name, parameter in trainable(model).items():
        if parameter.ndim >= 2:
            rows = torch.arange(parameter.numel()).view(len(parameter), -1)
            groups |= {f"{name}[{row}]": [(name, indices)] for row, indices in enumerate(rows)}
    if not groups:
        raise ValueError("the model has no trainable parameter with two axes or more")
    return groups


def kinds(model: nn.Module) -> dict[str, str]:
    """Kind of every trainable parameter by name: ``norm``, ``embedding``, ``bias`` or ``weight``.

    A norm's are those of a module whose class is named so, whatever library it is from.
    """
    found = {}
    for place, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            if "norm" in type(module).__name__.lower():
                kind = "norm"
            elif isinstance(module, nn.Embedding):
                kind = "embedding"
            else:
                kind = "bias" if name.endswith("bias") else "weight"
            found[f"{place}.{name}" if place else name] = kind
    return {name: found[name] for name in trainable(model)}


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Trainable parameters by name; a tied one once, under its first name.

    Raises:
        ValueError: there is none.
    """
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not any(p.numel() for p in parameters.values()):
        raise ValueError("the model has no trainable parameter")
    return parameters


def entries(value: Tensor, indices: Tensor | None) -> Tensor:
    """The entries of a parameter that a group names, or all of it."""
    return value if indices is None else value.flatten()[indices]


def checked_groups(groups: Groups, parameters: Mapping[str, Tensor]) -> dict[str, list[Member]]:
    """The groups with their indices on the device of the parameter.

    Raises:
        ValueError: a group is empty, names a parameter twice or one that is not trainable, or has
            indices out of range or twice.
    """
    for group, members in groups.items():
        names = [name for name, _ in members]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"group {group!r} must name at least one parameter, and each once")
        for name in names:
            if name not in parameters:
                raise ValueError(f"group {group!r} names {name!r}, not a trainable parameter")
    return {
        group: [(name, _checked_indices(at, name, parameters[name], group)) for name, at in members]
        for group, members in groups.items()
    }


def _checked_indices(
    indices: Tensor | None, name: str, parameter: Tensor, group: str
) -> Tensor | None:
    if indices is None:
        return None
    if indices.dtype != torch.int64 or indices.ndim != 1 or not len(indices):
        raise ValueError(f"indices of {name!r} in group {group!r} must be int64 [n]")
    if indices.min() < 0 or indices.max() >= parameter.numel():
        raise ValueError(
            f"indices of {name!r} in group {group!r} must lie in 0..{parameter.numel() - 1}"
        )
    if len(set(indices.tolist())) < len(indices):
        raise ValueError(f"group {group!r} has an index of {name!r} twice")
    return indices.to(parameter.device)
