"""The launch of the fused loss's kernel: which rows it cuts into which tiles, and its sums.

Nothing here waits for the device: labels are checked there, and a wrong one stops it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from idlib.method.against import Against
from idlib.method.kernel import loss_kernel, scale_kernel

MOST_PASSES = 8  # a program keeps a tile of each in its registers
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class Launch(NamedTuple):
    """How a row is cut up: a tile of ``groups`` times ``width`` classes, and what reads it.

    Attributes:
        groups: groups of a tile, a power of two.
        width: classes of a group, a power of two.
        warps: warps of a program.
        keep: what the cache is told of the tiles that will be read again.
        leave: the same of those that will not.
        registers: of a thread, at most.
    """

    groups: int
    width: int
    warps: int
    keep: str = ""
    leave: str = ""
    registers: int | None = None


def takes(logits: Tensor) -> bool:
    """Whether the kernel is made for logits ``[K, P, C]`` of this type and number of passes."""
    return logits.dtype in DTYPES and len(logits) <= MOST_PASSES


def launch_of(logits: Tensor) -> Launch:
    """The launch for logits ``[K, P, C]`` that are to be read where they lie.

    Measured on an H200: what counts is that many threads are at work, each with few registers.
    """
    passes, _, classes = logits.shape
    width = 16 // logits.element_size()
    while passes * width > 24:  # numbers that a thread has at once: more of them spill
        width //= 2
    # Groups of all passes must begin at the same class, each at a multiple of its size.
    apart = logits.stride(0) if passes > 1 else 0
    while width > 1 and (apart % width or logits.data_ptr() % (width * logits.element_size())):
        width //= 2
    groups = max(triton.next_power_of_2(triton.cdiv(classes, width)), 32)
    warps = min(groups // 32, 4)
    each = max(4 // width, 1)  # groups of a thread: enough must be under way where they are narrow
    registers = 64 if passes * width <= 12 else 96 if passes <= 3 else 128
    return Launch(
        groups=min(groups, 32 * warps * each),
        width=width,
        warps=warps,
        keep="evict_last",
        leave="evict_first",
        registers=registers,
    )


def losses(
    logits: Tensor, against: Against, gradient: Tensor | None, launch: Launch | None = None
) -> tuple[Tensor, Tensor]:
    """Sums over positions, and the total's gradient; positions that do not count have none.

    Args:
        logits: ``[K, P, C]`` of one of ``DTYPES``, K at most ``MOST_PASSES``.
        against: what they are compared with; the weights may be scalars on the device.
        gradient: what the gradient is written to, maybe the logits themselves; of any type.
        launch: how the rows are cut up, by default :func:`launch_of`.

    Returns:
        Weighted task loss and divergence, float32 scalars on the device. A label that is no
        counted class fails an assertion there, which the next call that waits for it reports.
    """
    passes, positions, classes = logits.shape
    at_hand = gradient is None or gradient.stride() == logits.stride()
    if not at_hand or (classes > 1 and logits.stride(2) != 1):
        dense, into = logits.clone(memory_format=torch.contiguous_format), None
        if gradient is not None:
            alike = gradient.dtype == logits.dtype
            into = dense if alike else torch.empty_like(dense, dtype=gradient.dtype)
        sums = losses(dense, against, into, launch)
        if gradient is not None and into is not None:
            gradient.copy_(into)
        return sums
    values = torch.empty(3, positions, device=logits.device)
    mask = against.class_mask
    if mask is not None and mask.stride(-1) != 1:
        mask = mask.contiguous()
    weights = _numbers(logits.device, against.task_weight, against.divergence_weight)
    (alpha,) = _numbers(logits.device, against.alpha)
    chosen = launch_of(logits) if launch is None else launch
    if positions:
        with _on(logits.device):
            loss_kernel[(positions,)](
                logits,
                gradient,
                against.labels.contiguous(),
                None if against.mask is None else against.mask.contiguous(),
                mask,
                None if against.taught is None else against.taught.contiguous(),
                values,
                *weights,
                alpha,
                float(against.smoothing),
                classes,
                logits.stride(0) if passes > 1 else 0,
                logits.stride(1) if positions > 1 else 0,
                0 if mask is None or mask.dim() == 1 else mask.stride(0),
                K=passes,
                X=passes > 1 and against.divergence != "js",
                JS=passes > 1 and against.divergence == "js",
                SCALE=passes / (passes - 1) if passes > 1 and against.divergence == "kl" else 1.0,
                SMOOTHED=against.smoothing > 0,
                MASKED=against.mask is not None,
                PADDED=against.padded,
                CLASS_MASKED=mask is not None,
                TAUGHT=against.taught is not None,
                GRADIENT=gradient is not None,
                WEIGHTS_LIE=isinstance(weights[0], Tensor),
                ALPHA_LIES=isinstance(alpha, Tensor),
                GROUPS=chosen.groups,
                WIDTH=chosen.width,
                KEEP=chosen.keep,
                LEAVE=chosen.leave,
                num_warps=chosen.warps,
                maxnreg=chosen.registers,
            )
    task, divergence, wrong = values.sum(1, dtype=torch.float64)
    torch._assert_async(wrong == 0, "a label of a position that counts is no counted class")
    return task.float(), divergence.float()


def scale(numbers: Tensor, by: Tensor) -> Tensor:
    """``numbers``, multiplied in place by a scalar on the device; nothing is read where it is 1."""
    if not numbers.is_contiguous():
        return numbers.mul_(by)
    with _on(numbers.device):
        scale_kernel[(1024,)](numbers, by, numbers.numel(), BLOCK=2048)
    return numbers


def _numbers(device: torch.device, *weights: float | Tensor) -> list[float] | list[Tensor]:
    """Weights as the kernel takes them: all on the device where one lies there, else numbers."""
    if not any(isinstance(weight, Tensor) and weight.device == device for weight in weights):
        return [float(weight) for weight in weights]
    # A number is filled in there: a copy from the host would wait.
    return [
        weight.to(device) if isinstance(weight, Tensor) else torch.full((), weight, device=device)
        for weight in weights
    ]


def _on(device: torch.device) -> AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
