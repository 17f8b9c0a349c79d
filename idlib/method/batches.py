"""Copies of a batch, whatever its container: tensors, arrays, and mappings and classes of them."""

from __future__ import annotations

import copy
import dataclasses
from collections import UserDict
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

NO_EXAMPLES = (str, bytes, Number, np.generic, type(None))  # one value for the whole batch


def repeated(batch: Any, times: int, name: str = "batch") -> Any:
    """``times`` copies of every tensor and array, one after the other along the first dimension.

    Args:
        batch: a tensor, an array, or a mapping, sequence or dataclass of such, nested as one
            likes. Strings, numbers and None in it stay as they are, and so does what has no
            dimension.
        times: number of copies; with 1 the batch itself comes back, of whatever type it is.
        name: what an error calls the batch.

    Raises:
        ValueError: for a type that has no known first dimension; the message names it.
    """
    if times == 1 or isinstance(batch, NO_EXAMPLES):
        return batch
    if isinstance(batch, Tensor):
        return batch.repeat(times, *[1] * (batch.dim() - 1)) if batch.dim() else batch
    if isinstance(batch, np.ndarray):
        return np.concatenate([batch] * times) if batch.ndim else batch
    if isinstance(batch, Mapping):
        copies = {key: repeated(value, times, f"{name}[{key!r}]") for key, value in batch.items()}
        if not isinstance(batch, (dict, UserDict)):
            return copies
        same = copy.copy(batch)  # a BatchEncoding stays one, with its attributes
        for key, value in copies.items():
            same[key] = value
        return same
    if isinstance(batch, (list, tuple)) and not isinstance(batch, PackedSequence):
        copies = [repeated(value, times, f"{name}[{i}]") for i, value in enumerate(batch)]
        return type(batch)(*copies) if hasattr(batch, "_fields") else type(batch)(copies)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = [field.name for field in dataclasses.fields(batch) if field.init]
        return dataclasses.replace(
            batch,
            **{key: repeated(getattr(batch, key), times, f"{name}.{key}") for key in fields},
        )
    raise ValueError(
        f"{name} is of type {type(batch).__name__}, which mode 'stack' cannot repeat: give tensors "
        "or arrays, a mapping, sequence or dataclass of them, or mode='loop', which repeats nothing"
    )
