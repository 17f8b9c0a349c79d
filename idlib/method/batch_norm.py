"""Running statistics of batch norm, where of several passes only the first may move them.

Without this, K passes would move them K times a batch (audit A11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from idlib.method.modules import observed_modules

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class SavedBuffer(NamedTuple):
    """A layer's running statistic, and a copy of its value."""

    layer: nn.Module
    name: str
    buffer: Tensor
    value: Tensor


@contextmanager
def frozen_batch_norm(forward: Callable[..., Any] | None = None) -> Iterator[list[SavedBuffer]]:
    """Batch norm normalises by the batch as ever, but leaves its running statistics as they were.

    It holds for every layer with running statistics that runs inside the block, in whatever model.
    The layers run as they always do, so that compiled code and activation checkpointing see no
    difference; what they moved is put back at the end.

    Args:
        forward: what will be called, so that the layers of compiled code are found too.

    Yields:
        The running statistics that will be put back, filled as the layers run.
    """
    saved: list[SavedBuffer] = []
    try:
        with observed_modules(lambda layer: saved.extend(_statistics(layer)), forward):
            yield saved
    finally:
        _restore(saved)


def frozen_in_backward(
    passes: Sequence[Mapping[str, Tensor]], saved: Sequence[SavedBuffer]
) -> None:
    """Leave running statistics alone where activation checkpointing runs passes again.

    That happens in backward, which goes through the passes from the last to the first: autograd
    takes what was computed last first. So what runs between the gradients of the last pass and
    those of the first belongs to the passes that must not count.

    Args:
        passes: the outputs of each pass by head, in the order in which they ran.
        saved: from :func:`frozen_batch_norm`, of the layers that ran.
    """
    layers = list(dict.fromkeys(item.layer for item in saved))
    held: list[SavedBuffer] = []

    def hold(_gradient: Tensor) -> None:
        if not held:
            held.extend(item for layer in layers for item in _statistics(layer))

    def release(_gradient: Tensor) -> None:
        _restore(held)
        held.clear()

    for index, heads in enumerate(passes if layers else ()):
        for z in heads.values():
            if z.requires_grad:
                z.register_hook(hold if index else release)


def _statistics(layer: nn.Module) -> list[SavedBuffer]:
    if not layer.training:
        return []
    return [
        SavedBuffer(layer, name, buffer, buffer.detach().clone())
        for name, buffer in layer.named_buffers(recurse=False)
        if name in STATISTICS
    ]


def _restore(saved: Sequence[SavedBuffer]) -> None:
    for layer, name, buffer, value in saved:
        # Through .data: autograd holds the buffers of each pass, whose backward does not read
        # them, and would take a counted change for a mistake.
        buffer.data.copy_(value)
        if not type(layer).__module__.startswith("torch."):
            setattr(layer, name, buffer)  # a layer from elsewhere may have made a new one
