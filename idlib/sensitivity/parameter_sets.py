"""Sets of parameters whose sensitivity is asked for together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

Groups = Mapping[str, Sequence[tuple[str, "Tensor | None"]]]
"""Name of a group -> its members: (parameter name, flat int64 indices into it, or None for all)."""


def random_groups(
    model: nn.Module, count: int, size: int, seed: int
) -> dict[str, list[tuple[str, Tensor | None]]]:
    """``count`` disjoint groups of ``size`` trainable parameters each, drawn uniformly.

    Raises:
        ValueError: for a count or size below 1, or more entries than the model has.
    """
    parameters = trainable(model)
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
    for name, parameter in trainable(model).items():
        if parameter.ndim >= 2:
            rows = torch.arange(parameter.numel()).view(len(parameter), -1)
            groups |= {f"{name}[{row}]": [(name, indices)] for row, indices in enumerate(rows)}
    if not groups:
        raise ValueError("the model has no trainable parameter with two axes or more")
    return groups


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Trainable parameters by name; a tied one once, under its first name."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not any(p.numel() for p in parameters.values()):
        raise ValueError("the model has no trainable parameter")
    return parameters


def part(value: Tensor, indices: Tensor | None) -> Tensor:
    """The entries of a parameter that a group names, or all of it."""
    return value if indices is None else value.flatten()[indices]


def checked_groups(
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
