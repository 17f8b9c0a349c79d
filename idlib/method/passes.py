"""The K passes of a batch: copies of it stacked as one batch, or one pass after the other."""

from __future__ import annotations

import copy
import dataclasses
from collections import UserDict
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from idlib.method.batch_norm import frozen_batch_norm, frozen_in_backward
from idlib.method.cached import cached_passes, cached_passes_not_compiled
from idlib.method.choices import Mode
from idlib.method.projection import Head, check_alike, states_of, with_states
from idlib.method.targets import Forward, outputs_of


def run_passes(forward: Forward, batch: Any, passes: int, mode: Mode) -> dict[str, Head]:
    """The K passes by head, logits ``[K, B, ..., C]`` or hidden states ``[K, B, ..., H]``.

    Raises:
        ValueError: a batch or logits that mode ``stack`` cannot have.
    """
    return MODES["stack" if passes == 1 else mode](forward, batch, passes)


def stacked(forward: Forward, batch: Any, passes: int) -> dict[str, Head]:
    """The passes as one batch of K B rows; batch norm normalises over all of them."""
    heads = outputs_of(forward(repeated(batch, passes)))
    for name, z in heads.items():
        if not z.shape or z.shape[0] % passes:
            raise ValueError(
                f"head {name!r}: logits of shape {tuple(z.shape)} are not {passes} "
                "copies of a batch, as mode 'stack' needs them: use mode='loop'"
            )
    return {
        name: with_states(head, torch.unflatten(states_of(head), 0, (passes, -1)))
        for name, head in heads.items()
    }


def looped(forward: Forward, batch: Any, passes: int) -> dict[str, Head]:
    """The passes in turn; running statistics of batch norm see the first one only."""
    # A step that is compiled as a whole leaves the loop out: hooks would not be called in it.
    run = _in_turn_not_compiled if torch.compiler.is_compiling() else _in_turn
    outputs = run(forward, batch, passes)
    for heads in outputs[1:]:
        check_alike(outputs[0], heads)
    return {
        name: with_states(head, torch.stack([states_of(heads[name]) for heads in outputs]))
        for name, head in outputs[0].items()
    }


def cached(forward: Forward, batch: Any, passes: int) -> dict[str, Head]:
    """The passes in turn, of which only outputs are kept (:mod:`idlib.method.cached`)."""
    if not torch.is_grad_enabled():
        return looped(forward, batch, passes)
    compiling = torch.compiler.is_compiling()
    return (cached_passes_not_compiled if compiling else cached_passes)(forward, batch, passes)


MODES: dict[Mode, Callable[[Forward, Any, int], dict[str, Head]]] = {
    "stack": stacked,
    "loop": looped,
    "cached": cached,
}
"""The ways to run the passes by the name that settings use."""


def _in_turn(forward: Forward, batch: Any, passes: int) -> list[dict[str, Head]]:
    outputs = [outputs_of(forward(batch))]
    with frozen_batch_norm(forward) as saved:
        outputs += [outputs_of(forward(batch)) for _ in range(passes - 1)]
    states = [{name: states_of(head) for name, head in heads.items()} for heads in outputs]
    frozen_in_backward(states, saved)
    return outputs


# Unlike torch.compiler.disable, which is public, this imports no compiler.
_in_turn_not_compiled = torch._disable_dynamo(_in_turn)  # type: ignore[attr-defined]

_NOT_REPEATED = (str, bytes, Number, np.generic, type(None))  # one value for the whole batch


def repeated(batch: Any, times: int, name: str = "batch") -> Any:
    """``times`` copies of every tensor and array, one after the other along the first dimension.

    Args:
        batch: a tensor, an array, or a mapping, sequence or dataclass of such, nested as one
            likes. Strings, numbers, None and what has no dimension stay as they are.
        times: number of copies; with 1 the batch itself comes back, of whatever type it is.
        name: what an error calls the batch.

    Raises:
        ValueError: a type that has no known first dimension; the message names it.
    """
    if times == 1 or isinstance(batch, _NOT_REPEATED):
        return batch
    if isinstance(batch, Tensor):
        return batch.repeat(times, *[1] * (batch.dim() - 1)) if batch.dim() else batch
    if isinstance(batch, np.ndarray):
        return np.concatenate([batch] * times) if batch.ndim else batch
    if isinstance(batch, Mapping):
        items = {key: repeated(value, times, f"{name}[{key!r}]") for key, value in batch.items()}
        if not isinstance(batch, (dict, UserDict)):
            return items
        same_type = copy.copy(batch)  # a BatchEncoding stays one, with its attributes
        for key, value in items.items():
            same_type[key] = value
        return same_type
    if isinstance(batch, (list, tuple)) and not isinstance(batch, PackedSequence):
        values = [repeated(value, times, f"{name}[{i}]") for i, value in enumerate(batch)]
        return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = [field.name for field in dataclasses.fields(batch) if field.init]
        changes = {key: repeated(getattr(batch, key), times, f"{name}.{key}") for key in fields}
        return dataclasses.replace(batch, **changes)
    raise ValueError(
        f"{name} is of type {type(batch).__name__}, which mode 'stack' cannot repeat: give tensors "
        "or arrays, a mapping, sequence or dataclass of them, or mode='loop', which repeats nothing"
    )
