"""The loss of one head and its gradient, formed together over chunks of positions.

Autograd would keep a dozen tensors of the size of the logits. Here the gradient is written down in
closed form while a chunk of positions lies in the processor's cache, in place of the logits where
nothing else reads them. With ``p_i = softmax(z_i)``, m the mean of the ``p_i`` and ``d_i`` the
logits minus their mean over the passes:

- ``∂CE/∂z_i = (1/K) (p_i Σ_c t_c - t)`` for the target t: the smoothed label, and the teacher's
  distribution beside it;
- ``∂X/∂z_i = (1/K) [(p_i - m) + p_i (d_i - <p_i, d_i>)]``;
- ``∂J/∂z_i = (1/K) p_i (l_i - <p_i, l_i>)`` with ``l_i = log(p_i / m)``.

The values are those of :mod:`idlib.method.losses`, to rounding; their tests hold here too. On a GPU
the kernel of ``idlib.method.kernel`` takes the place of the chunks where it can.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from idlib.method.against import Against
from idlib.method.losses import full_precision

SMALL_SHARE = 1e-30  # of a label, from whose logarithm log Σ exp is no longer read
CHUNK_NUMBERS = 500_000  # logits of a chunk, all passes: measured on 12,000 classes, three passes

# Nodes of autograd that give a view, or a product or the like of which they keep no copy.
_VIEWS = ("View", "UnsafeView", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "T")
_PRODUCTS = ("Addmm", "Mm", "Bmm", "Linear", "Add", "Stack", "Replayed")


class HeadLoss(NamedTuple):
    """Scalars in nats; ``total`` = task + α · divergence alone carries a gradient."""

    total: Tensor
    task: Tensor
    divergence: Tensor


def head_loss(logits: Tensor, against: Against, overwrite: bool = False) -> HeadLoss:
    """The weighted sums of task loss and divergence over positions, and their total.

    Args:
        logits: ``[K, P, C]``.
        against: what they are compared with.
        overwrite: whether nobody reads the logits afterwards, so that the gradient may take their
            place where autograd keeps no copy of them (:func:`may_be_written_over`).
    """
    if torch.is_grad_enabled() and logits.requires_grad:
        return HeadLoss(*_Fused.apply(logits, against, overwrite))
    task, divergence = head_sums(logits, against, None)
    return HeadLoss(total_of(task, divergence, against), task, divergence)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, against: Against, overwrite: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        # What a loss scale keeps from vanishing in float16 is not there yet, so that is kept whole.
        whole = torch.float32 if logits.dtype == torch.float16 else logits.dtype
        in_place = overwrite and may_be_written_over(logits) and whole == logits.dtype
        gradient = logits if in_place else torch.empty_like(logits, dtype=whole)
        task, divergence = head_sums(logits, against, gradient)
        ctx.save_for_backward(gradient.detach())  # and given up with the graph
        ctx.dtype, ctx.is_spent = logits.dtype, False
        ctx.mark_non_differentiable(task, divergence)
        return total_of(task, divergence, against), task, divergence

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor, None, None]:
        if ctx.is_spent:
            raise RuntimeError(
                "the gradient of a fused loss on a GPU is scaled in place and serves one backward "
                "pass: build the objective with fused=False to go back twice"
            )
        (gradient,) = ctx.saved_tensors
        launch = _launch_for(gradient)
        if launch is None:
            gradient = gradient if upstream.item() == 1.0 else gradient * upstream
        else:
            gradient, ctx.is_spent = launch.scale(gradient, upstream), True
        return gradient.to(ctx.dtype), None, None


def total_of(task: Tensor, divergence: Tensor, against: Against) -> Tensor:
    """The total of two sums, in their type."""
    return (task + against.alpha * divergence).to(task.dtype)


def may_be_written_over(logits: Tensor) -> bool:
    """Whether logits are views of a product, of which autograd keeps no copy."""
    node = logits.grad_fn
    while node is not None:
        name = node.name().partition("Backward")[0].lstrip("_")
        if name in _PRODUCTS:
            return True
        if name not in _VIEWS:
            return False
        node = node.next_functions[0][0]
    return False


def head_sums(logits: Tensor, against: Against, gradient: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weighted sums of task loss and divergence, by the kernel where it can be, else over chunks.

    Args:
        logits: ``[K, P, C]``.
        against: what they are compared with.
        gradient: what the total's gradient is written to, maybe the logits themselves.
    """
    launch = _launch_for(logits)
    if launch is None:
        return _over_chunks(logits, against, gradient)
    task, divergence = launch.losses(logits, against, gradient)
    return task, divergence


def _launch_for(logits: Tensor) -> ModuleType | None:
    """The module that launches the kernel, where that can take logits ``[K, P, C]``."""
    if logits.device.type != "cuda":
        return None
    launch = _launch_on(logits.device)
    return launch if launch is not None and launch.takes(logits) else None


@functools.cache
def _launch_on(device: torch.device) -> ModuleType | None:
    """That module, once a kernel has run on the GPU; a warning in the log where none can."""
    try:
        if torch.version.cuda is None or torch.cuda.get_device_capability(device) < (8, 0):
            raise RuntimeError("it is made for CUDA and compute capability 8.0 or higher")
        from idlib.method import launch  # which needs triton, and a compiler for its launcher

        launch.scale(torch.ones(1, device=device), torch.full((), 2.0, device=device))
    except Exception as error:
        logging.getLogger(__name__).warning(
            "the fused loss runs over chunks, which is slower: its kernel, for which triton 3.6 or "
            "later and a C compiler must be there, cannot run on %s: %s",
            device,
            error,
        )
        return None
    return launch


def _over_chunks(
    logits: Tensor, against: Against, gradient: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Sums over positions, and the total's gradient; positions that do not count have none."""
    passes, positions, classes = logits.shape
    dtype = full_precision(logits[:0]).dtype
    size = max(1, min(positions, CHUNK_NUMBERS // (passes * classes)))
    buffers = torch.empty(4, passes, size, classes, dtype=dtype, device=logits.device)
    none = torch.zeros((), dtype=torch.float64, device=logits.device)
    tasks, divergences = [none], [none]  # sums over the positions and passes of chunks
    for places, counted in _places(against.mask, positions, size):
        if not counted and not against.padded:
            if gradient is not None:
                gradient[:, places] = 0
            continue
        z = logits[:, places].to(dtype)
        p, d, r, out = buffers[:, :, : z.shape[1]]
        here = gradient is not None and isinstance(places, slice) and gradient.dtype == dtype
        if here and gradient is not None:
            out = gradient[:, places]  # which z may be a view of
        weight = float(against.task_weight) if counted else 0.0
        task, divergence = _chunk(z, against.at(places, dtype), weight, p, d, r, out)
        divergences.append(divergence)
        if counted:
            tasks.append(task)
        if gradient is not None and not here:
            gradient[:, places] = out.to(gradient.dtype)
    task = float(against.task_weight) / passes * torch.stack(tasks).sum()
    divergence = _of_divergence(against, passes) * torch.stack(divergences).sum()
    return task.to(dtype), divergence.to(dtype)


def _of_divergence(against: Against, passes: int) -> float:
    """What the divergence between one pass and their mean adds to the sum."""
    scale = passes / (passes - 1) if against.divergence == "kl" and passes > 1 else 1.0
    return scale * float(against.divergence_weight) / passes


def _places(
    mask: Tensor | None, positions: int, size: int
) -> Iterator[tuple[slice | Tensor, bool]]:
    """Positions in chunks, and whether those of a chunk count; as slices where all do."""
    if mask is None or bool(mask.all()):
        for start in range(0, positions, size):
            yield slice(start, min(start + size, positions)), True
        return
    for counted, part in ((True, mask), (False, ~mask)):
        for places in part.nonzero().squeeze(-1).split(size):
            if len(places):  # of a process's share of an update it may be that none counts
                yield places, counted


def _chunk(
    z: Tensor, against: Against, weight: float, p: Tensor, d: Tensor, r: Tensor, out: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums of task loss and divergence over the positions and passes of a chunk.

    The total's gradient is left in ``out``.

    Args:
        z: logits ``[K, n, C]``.
        against: what they are compared with, at these positions.
        weight: what a position's task loss counts; 0 where it does not.
        p: to be written over, as are ``d``, ``r`` and ``out``, all ``[K, n, C]``; ``out`` may be
            ``z``.
    """
    passes, counted, s = len(z), against.class_mask, against.smoothing
    finite = z
    classes: Tensor | float = float(z.shape[-1])
    if counted is not None:  # what stands in an excluded class has no effect
        finite, z = z.masked_fill(~counted, 0.0), z.masked_fill(~counted, -math.inf)
        classes = counted.sum(-1, keepdim=True).to(z.dtype)
    for one, share in zip(z, p, strict=True):  # each contiguous, so that nothing is copied
        torch.softmax(one, -1, out=share)
    index = against.labels.expand(passes, -1).unsqueeze(-1)
    label = z.gather(-1, index)
    top, share = label, p.gather(-1, index)  # [K, n, 1]: a logit of each position and its p
    if against.divergence == "js" or float(share.min()) < SMALL_SHARE:
        top, share = z.amax(-1, keepdim=True), p.amax(-1, keepdim=True)
    log_sum = -share.log()  # of exp(z - top)

    task = (1 - s) * (top - label + log_sum)
    if s:
        task = task + s * (top - _mean(finite, classes) + log_sum)
    if against.taught is not None:
        torch.sub(finite, top, out=d)
        task = task + log_sum - torch.linalg.vecdot(against.taught, d).unsqueeze(-1)

    a = weight / passes
    of_p = a if against.taught is None else 2 * a  # the targets sum up to 1, or to 2
    uniform: Tensor | float = a * s / classes
    if counted is not None:
        uniform = torch.where(counted, uniform, 0.0).to(out.dtype)
    divergence = torch.zeros((), dtype=torch.float64, device=p.device)
    b = float(against.alpha) * _of_divergence(against, passes)
    if passes == 1:
        torch.mul(p, of_p, out=out).sub_(uniform)
    elif against.divergence == "js":
        divergence = _js(finite, top, log_sum, p, d, out, of_p, b)
        out.sub_(uniform)
    else:
        divergence = _x(finite, top + log_sum, p, d, r, out, of_p, b, uniform)

    out.scatter_add_(-1, index, torch.full_like(top, -a * (1 - s)))
    if against.taught is not None:
        out.sub_(against.taught, alpha=a)
    return task.sum(dtype=torch.float64), divergence


def _sum(x: Tensor, factor: float, out: Tensor) -> Tensor:
    """``factor · Σ_i x_i`` into ``out``: in turns, which a processor does faster than ``sum``."""
    torch.mul(x[0], factor, out=out)
    for one in x[1:]:
        out.add_(one, alpha=factor)
    return out


def _mean(z: Tensor, classes: Tensor | float) -> Tensor:
    """Mean over the classes that count, ``[K, n, 1]``; huge logits do not overflow."""
    mean = z.sum(-1, keepdim=True) / classes
    if not math.isfinite(float(mean.sum())):
        mean = z.sum(-1, keepdim=True, dtype=torch.float64) / classes
    return mean


def _x(
    z: Tensor,
    level: Tensor,
    p: Tensor,
    d: Tensor,
    r: Tensor,
    out: Tensor,
    of_p: float,
    b: float,
    uniform: Tensor | float,
) -> Tensor:
    """K · X summed over positions; ``out`` becomes ``of_p · p + b · K · ∂X/∂z - uniform``.

    ``X = (1/K) Σ_i <p_i - m, d_i> = (1/K) Σ_i <p_i - p_1, d_i - c_i>``, as the ``d_i`` sum up to
    zero over the passes, and the ``p_i - p_1`` over the classes, so that ``c_i = <p_i, d_i>``
    takes nothing from it.

    Args:
        level: log Σ exp of the logits ``[K, n, 1]``.
        uniform: ``[C]``, ``[n, C]``, or a number for all.
    """
    passes, rest, room = len(z), d[1:], out[1:]
    gap = level - level[:1]
    far = gap.abs() > 8  # a constant of a pass's own, on which no divergence depends
    if far.any():
        torch.sub(z[1:], gap.round().where(far, 0.0)[1:], out=rest)
        rest.sub_(z[:1])
    else:
        torch.sub(z[1:], z[:1], out=rest)
    rest.add_(_sum(rest, -1 / passes, d[0]))
    r = torch.sub(p[1:], p[:1], out=r[1:])
    # z, which may be out, has been read: there is room for products.
    of_first = torch.mul(rest, p[:1], out=room).sum(-1, keepdim=True)
    of_rest = torch.mul(rest, r, out=room).sum(-1, keepdim=True)
    c = torch.cat([-of_first.sum(0, keepdim=True), of_first + of_rest])
    value = of_rest - c[1:] * r.sum(-1, keepdim=True)
    torch.add(_sum(r, -b / passes, out[0]).sub_(uniform), r, alpha=b, out=room)  # b (p_i - m)
    torch.add(of_p - b * c, d, alpha=b, out=d)
    out.addcmul_(p, d)
    return value.sum(dtype=torch.float64)


def _js(
    z: Tensor,
    top: Tensor,
    log_sum: Tensor,
    p: Tensor,
    d: Tensor,
    out: Tensor,
    of_p: float,
    b: float,
) -> Tensor:
    """K · J summed over positions; ``out`` becomes ``of_p · p + b · K · ∂J/∂z``.

    ``J = (1/K) Σ_i <m, f(l_i)>`` with ``f(l) = l exp(l) - exp(l) + 1``, as in the losses.
    """
    passes = len(z)
    torch.sub(z, top, out=d)
    d.sub_(d[:1].clone())
    d.sub_(d.mean(0))
    ratio = (d - log_sum).log_softmax(0) + math.log(passes)  # log(p_i / m)
    terms = ratio * ratio.exp() - ratio.expm1()
    value = torch.linalg.vecdot(p.mean(0).expand_as(terms), terms)
    c = torch.linalg.vecdot(p, ratio).unsqueeze(-1)
    torch.mul(p, torch.add(of_p - b * c, ratio, alpha=b), out=out)
    total: Tensor = value.sum(dtype=torch.float64)
    return total
