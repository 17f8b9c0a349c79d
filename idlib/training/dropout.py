"""Dropout on a CPU with masks from bulk random bits: a tenth of the time of torch's own.

torch draws each entry's mask by itself (``bernoulli_``, about 8 ns an entry), which is an eighth
of an update of a small Transformer. Here 16 bits an entry come in bulk from a generator of NumPy
and are compared with a threshold. That generator is seeded from torch's at each call, so that
torch's state alone decides all masks, whatever the number of threads: who restores it (a resumed
run, a pass that is replayed) gets the same masks again. They are others than those of torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

BITS = 16
LEVELS = 1 << BITS  # rates are multiples of 1 / LEVELS


@contextmanager
def dropout_from_bits(bits: int | None = BITS) -> Iterator[None]:
    """Inside, every dropout of a tensor on a CPU takes its mask from bulk random bits.

    That is ``nn.Dropout``, ``nn.functional.dropout``, and what attention drops in
    ``scaled_dot_product_attention``: all of them come to the operator ``aten::dropout``, which is
    replaced here for the whole process. Other devices and compiled code keep torch's masks.

    Args:
        bits: of an entry, 16; with ``None`` nothing is replaced.

    Raises:
        ValueError: another number of bits.
    """
    if bits is None:
        yield
        return
    if bits != BITS:
        raise ValueError(f"bits = {bits}: give {BITS}, or None for the masks of torch")
    library = torch.library.Library("aten", "IMPL")
    try:
        kernel = torch.compiler.disable(_dropout)
        for key in ("AutogradCPU", "CPU"):  # the second in inference mode
            library.impl("dropout", kernel, key)
        yield
    finally:
        del library  # and with it what it has replaced


def threshold(rate: float) -> int:
    """Below which of the equally likely 0 … 65,535 an entry is dropped: ``rate`` to 1e-5."""
    return round(rate * LEVELS)


def _dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    if torch.compiler.is_compiling():
        own: Tensor = torch.ops.aten.dropout.default.decompose(x, rate, training)
        return own
    if not training or rate == 0 or x.numel() == 0:
        return x
    dropped: Tensor = _Dropout.apply(x, threshold(rate))
    return dropped


class _Dropout(torch.autograd.Function):
    """``x · mask · scale`` and ``gradient · mask · scale``; of a mask a byte an entry is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, below: int) -> Tensor:
        kept = _kept(x.numel(), below).view(x.shape)
        ctx.scale = LEVELS / (LEVELS - below) if below < LEVELS else 0.0
        ctx.save_for_backward(kept)
        return _scaled(x, kept, ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _scaled(gradient, kept, ctx.scale), None


def _kept(entries: int, below: int) -> Tensor:
    """int8 ``[entries]``, 0 where an entry is dropped, which it is if its bits are below that."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    bits = np.random.SFC64(seed).random_raw(-(-entries * BITS // 64)).view(np.uint16)
    return torch.from_numpy((bits[:entries] >= below).view(np.int8))  # NumPy's is 6 × faster


def _scaled(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    return torch.addcmul(x.new_zeros(()), x, kept.to(x.dtype), value=scale)
