"""The heads of a model, and for each of them the labels of a batch and the positions that count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from idlib.method.choices import KINDS, Kind
from idlib.method.projection import Head, Projected, check_head

Forward = Callable[[Any], "Head | Mapping[str, Head]"]
"""From a batch to logits ``[B, ..., C]`` or :class:`~idlib.method.projection.Projected`, or to a
dict of named heads of them."""

T = TypeVar("T")


def as_heads(value: T | Mapping[str, T]) -> dict[str, T]:
    """``value`` by head: a mapping as it is, anything else as the one head ``logits``."""
    return dict(value) if isinstance(value, Mapping) else {"logits": value}


def outputs_of(value: Any) -> dict[str, Head]:
    """What a model gave, by head.

    Raises:
        ValueError: something that is no head.
    """
    heads = as_heads(value)
    other = any(not isinstance(head, Tensor | Projected) for head in heads.values())
    if hasattr(value, "logits") and (other or "loss" in heads):
        raise ValueError(
            f"the model gives {type(value).__name__}, of which the logits are a part: give its "
            ".logits"
        )
    for name, head in heads.items():
        check_head(name, head)
    return heads


@dataclass(frozen=True)
class Target:
    """The labels of one head of a batch.

    Attributes:
        labels: class indices ``[...]`` (int64), or values ``[...]`` for a regression.
        mask: bool ``[...]``, in exactly the labels' shape, True where the position counts;
            ``None`` counts all. A mask of the numbers 0 and 1 is converted to bool.
        class_mask: bool ``[C]`` or ``[..., C]``, True for classes that may be predicted; 0 and 1
            as in ``mask``.
        kind: ``classes``, or ``regression`` (squared error between pass and label, and
            (1/K) Σ (z_i − z̄)² as the divergence).

    Raises:
        ValueError: an unknown kind, or labels or a mask that are not as above.
    """

    labels: Tensor
    mask: Tensor | None = None
    class_mask: Tensor | None = None
    kind: Kind = "classes"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}: choose one of {', '.join(KINDS)}")
        if not isinstance(self.labels, Tensor):
            raise ValueError(f"labels must be a tensor, not {type(self.labels).__name__}")
        shape = self.labels.shape
        if self.mask is not None:
            mask = _as_bool(self.mask, "mask")
            if mask.shape != shape:
                raise ValueError(
                    f"mask has shape {tuple(mask.shape)} and the labels {tuple(shape)}: they must "
                    "be the same"
                )
            object.__setattr__(self, "mask", mask)
        if self.class_mask is not None:
            if self.kind == "regression":
                raise ValueError("class_mask is for kind 'classes': a regression has no classes")
            mask = _as_bool(self.class_mask, "class_mask")
            if not mask.dim() or mask.shape[:-1] not in ((), shape):
                raise ValueError(
                    f"class_mask has shape {tuple(mask.shape)}: it must be (C,), or "
                    f"({', '.join(map(str, shape))}, C) as the labels are"
                )
            object.__setattr__(self, "class_mask", mask)

    @property
    def count(self) -> Tensor:
        """Number of counted positions, a float64 scalar."""
        counted = torch.ones_like(self.labels) if self.mask is None else self.mask
        return counted.sum(dtype=torch.float64)


def given_targets(
    targets: Callable[[Any], Target | Mapping[str, Target]] | Target | Mapping[str, Target],
    batch: Any,
) -> dict[str, Target]:
    """The targets of a batch by head, from a function of it or as they are.

    Raises:
        ValueError: something that is no target.
    """
    heads = as_heads(targets(batch) if callable(targets) else targets)
    for name, target in heads.items():
        if not isinstance(target, Target):
            raise ValueError(
                f"the target of head {name!r} is of type {type(target).__name__}: targets must "
                "be, or give, Target(labels), or a dict of them by head"
            )
    return heads


def check_counts(counts: Mapping[str, Tensor]) -> None:
    """Refuse an update without a counted position; reads the counts, so give them from the host.

    Raises:
        ValueError: naming the head.
    """
    for name, count in counts.items():
        if not count > 0:
            raise ValueError(f"head {name!r}: no position of this update is counted")


def _as_bool(mask: Any, name: str) -> Tensor:
    """A mask as bool. Only the values of other types are read, which waits for the device."""
    if not isinstance(mask, Tensor):
        raise ValueError(f"{name} must be a boolean tensor, not {type(mask).__name__}")
    if mask.dtype == torch.bool:
        return mask
    wrong = mask[(mask != 0) & (mask != 1)]
    if len(wrong):
        raise ValueError(
            f"{name} must be boolean, or of the numbers 0 and 1: it is {mask.dtype} and has the "
            f"value {wrong[0].item()}"
        )
    return mask.bool()
