"""How many runs one GPU's memory holds side by side."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NamedTuple

import torch

CONTEXT_BYTES = 2**29  # that each process takes for CUDA itself, beside torch's memory
# Of the available memory that runs may take, as measured: their last evaluation, and what two of
# them leave in pieces, come on top.
SHARE = 0.9

_OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")  # CUDA's and its libraries' words
REMEDY = "set micro_batch, which makes an update in slices, or the sizes of the model, to less"


class Memory(NamedTuple):
    """A GPU's memory, as one process sees it, in bytes.

    Attributes:
        peak: the most that the process has taken.
        available: what all processes of a grid can take together: what is free, and what this
            process holds itself.
    """

    peak: int
    available: int

    def with_peak(self, peak: int) -> Memory:
        """The same memory, of processes that may take so much."""
        return self._replace(peak=max(self.peak, peak))


Look = Callable[[], Memory]


def gpu_memory() -> Memory:
    """The memory of the GPU that this process uses; it waits for nothing."""
    free, _ = torch.cuda.mem_get_info()
    held = torch.cuda.memory_reserved() + CONTEXT_BYTES
    return Memory(torch.cuda.max_memory_reserved() + CONTEXT_BYTES, free + held)


def fitting(seen: Memory) -> int:
    """How many processes of this size fit, at least one.

    >>> fitting(Memory(peak=5 * 2**30, available=80 * 2**30))
    14
    """
    return max(1, int(SHARE * seen.available / seen.peak))


def ran_out(error: BaseException) -> bool:
    """Whether a run failed since the GPU's memory did not suffice."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _OUT_OF_MEMORY)


def release_gpu_memory() -> None:
    """Give back what a finished run has left, so that others can have it."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
