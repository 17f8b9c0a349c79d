"""Divergences between the K passes of a model, and cross-entropies, per position and in nats.

Logits have the classes on the last axis. Nothing is reduced over positions: mask and reduction
are named at the call. Half precision is computed in float32 and autocast is off inside. Classes
that do not count are excluded by ``class_mask`` (``True`` = counted) and never by a logit of minus
infinity; what stands in an excluded class has no effect, even if it is infinite or not a number.
Results are finite for counted logits of magnitude up to 1e37.

The divergences are computed from centred logits and not from logarithms of probabilities; the
method page of the book says and measures why.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor

from idlib.method.choices import Divergence

LossFunction = TypeVar("LossFunction", bound=Callable[..., Tensor])


def _without_autocast(loss: LossFunction) -> LossFunction:
    """Run ``loss`` with autocast off on the device of its logits."""

    @functools.wraps(loss)
    def wrapped(logits: Tensor, *args: object, **kwargs: object) -> Tensor:
        if not torch.amp.is_autocast_available(logits.device.type):  # the meta device
            return loss(logits, *args, **kwargs)
        with torch.autocast(logits.device.type, enabled=False):
            return loss(logits, *args, **kwargs)

    return cast(LossFunction, wrapped)


@_without_autocast
def x_divergence(
    logits: Tensor, class_mask: Tensor | None = None, *, checked: bool = False
) -> Tensor:
    """X-divergence of K passes (Xu et al. 2022; the method page of the book).

    ``X = (1/K) sum_i [KL(p_i || m) + KL(m || p_i)]`` with ``p_i = softmax(z_i)`` and m the mean of
    the ``p_i``. Computed as ``(1/K) sum_i <p_i - m, d_i - <m, d_i>>`` with ``d_i`` the logits
    minus their mean over the passes: the normalisers cancel, and no logarithm is taken. The value
    does not depend on ``<m, d_i>``, so its derivative is left out.

    Args:
        logits: ``[K, ..., C]``, the passes first, the classes last.
        class_mask: bool ``[C]`` or ``[..., C]``, ``True`` = counted; the same for all passes.
        checked: whether the values of masks and labels are known to be right, so that they are
            not read here: on a GPU that would wait for it.

    Returns:
        ``[...]``, nats per position. Zero for equal passes and for K = 1; indifferent to the order
        of the passes and to a constant added to a pass at a position.

    Raises:
        ValueError: fewer than two axes, logits that are not floating-point, no pass, no class, or
            a position at which every class is excluded.

    >>> x_divergence(torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]))
    tensor([0.2311])
    """
    z, excluded = _checked(logits, class_mask, passes=True, checked=checked)
    z = _aligned(z)
    p, d = z.softmax(-1), _centred(_zero_where(excluded, z))  # [K, ..., C]
    middle = (p.mean(0) * d).sum(-1, keepdim=True).detach()  # [K, ..., 1]
    return (_centred(p) * (d - middle) / len(z)).sum((0, -1))


@_without_autocast
def js_divergence(
    logits: Tensor, class_mask: Tensor | None = None, *, checked: bool = False
) -> Tensor:
    """Generalised Jensen-Shannon divergence of K passes (the alternative in Xu et al. 2022).

    ``J = (1/K) sum_i KL(p_i || m)`` with m the mean of the ``p_i``; at most X and at most log K.
    Computed as ``(1/K) sum_i <m, f(l_i)>`` with ``l_i = log(p_i / m)`` from centred logits and
    ``f(l) = l exp(l) - exp(l) + 1``, each term of which is non-negative.

    Shapes, units and errors are those of :func:`x_divergence`.

    >>> js_divergence(torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]))
    tensor([0.1109])
    """
    z, excluded = _checked(logits, class_mask, passes=True, checked=checked)
    z = z - z.detach().amax(-1, keepdim=True)
    # log p_i up to a constant that the passes share at a position and class
    log_p = _centred(_zero_where(excluded, z)) - z.logsumexp(-1, keepdim=True)
    ratio = log_p.log_softmax(0) + math.log(len(z))  # log(p_i / m) <= log K
    terms = ratio * ratio.exp() - ratio.expm1()
    return (z.softmax(-1).mean(0) * terms / len(z)).sum((0, -1))


@_without_autocast
def symmetric_kl(
    logits: Tensor, class_mask: Tensor | None = None, *, checked: bool = False
) -> Tensor:
    """Mean over the pairs i < j of ``[KL(p_i || p_j) + KL(p_j || p_i)] / 2``.

    At K = 2 this is the regulariser of R-Drop (Liang et al. 2021). For every K it is
    ``K / (K - 1)`` times the X-divergence, and is computed so; for K = 1 it is zero.

    Shapes, units and errors are those of :func:`x_divergence`.

    >>> symmetric_kl(torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]))
    tensor([0.4621])
    """
    divergence = x_divergence(logits, class_mask, checked=checked)
    return divergence * (len(logits) / max(len(logits) - 1, 1))


@_without_autocast
def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    smoothing: float = 0.0,
    class_mask: Tensor | None = None,
    *,
    checked: bool = False,
) -> Tensor:
    """Cross-entropy to labels, with label smoothing s: ``(1 - s) CE + s mean_c(-log p_c)``.

    The mean runs over the counted classes. Up to a constant this is
    ``(1 - s) CE + s KL(uniform || p)``, distillation from a uniform teacher.

    Args:
        logits: ``[..., C]``.
        labels: int64 ``[...]``, broadcast against leading axes of the logits; also where the
            caller does not count the position, each is a counted class.
        smoothing: s, from 0 to 1.
        class_mask: bool ``[C]`` or ``[..., C]``, ``True`` = counted.
        checked: as in :func:`x_divergence`.

    Returns:
        ``[...]``, nats per position.

    Raises:
        ValueError: as :func:`x_divergence` (one axis is enough here), and for labels that are not
            int64, do not fit the logits, or name no counted class; for s outside 0..1.

    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([1]), smoothing=0.1)
    tensor([0.6931])
    """
    z, excluded = _checked(logits, class_mask, checked=checked)
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"smoothing must lie in 0..1, not {smoothing}")
    index = checked_labels(labels, z, excluded, checked).unsqueeze(-1)  # [..., 1]
    log_p = z.log_softmax(-1)
    hard = -log_p.gather(-1, index).squeeze(-1)
    if smoothing == 0.0:
        return hard
    classes = z.shape[-1] if excluded is None else (~excluded).sum(-1, keepdim=True)
    return (1.0 - smoothing) * hard - smoothing * (_zero_where(excluded, log_p) / classes).sum(-1)


@_without_autocast
def soft_cross_entropy(
    logits: Tensor,
    target_probs: Tensor,
    class_mask: Tensor | None = None,
    *,
    checked: bool = False,
) -> Tensor:
    """Cross-entropy to a distribution: ``-sum_c t_c log p_c``, as in distillation.

    Args:
        logits: ``[..., C]``.
        target_probs: probabilities ``[..., C]`` (they are not renormalised), broadcast against
            leading axes of the logits.
        class_mask: bool ``[C]`` or ``[..., C]``, ``True`` = counted.
        checked: as in :func:`x_divergence`.

    Returns:
        ``[...]``, nats per position.

    Raises:
        ValueError: as :func:`x_divergence` (one axis is enough here), and for targets that are
            not floating-point or do not fit the logits.

    >>> soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]]))
    tensor([0.6931])
    """
    z, excluded = _checked(logits, class_mask, checked=checked)
    if not target_probs.is_floating_point():
        raise ValueError(f"target_probs must be floating-point, not {target_probs.dtype}")
    target = _broadcast(target_probs, z.shape, "target_probs").to(z.dtype)
    return -(_zero_where(excluded, target) * _zero_where(excluded, z.log_softmax(-1))).sum(-1)


DIVERGENCES: dict[Divergence, Callable[..., Tensor]] = {
    "x": x_divergence,
    "js": js_divergence,
    "kl": symmetric_kl,
}
"""The divergences by the name that settings use."""


def full_precision(tensor: Tensor) -> Tensor:
    """``tensor`` in float32 where it is of half precision; float32 and float64 stay."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def _aligned(z: Tensor) -> Tensor:
    """Passes without a large constant of their own; no divergence depends on it.

    Where the largest logits of two passes are over 8 apart, a whole number is taken off, which
    costs next to no digits; closer passes are left exactly as they are.
    """
    top = z.detach().amax(-1, keepdim=True)  # [K, ..., 1]
    gap = top - top[:1]
    return z - gap.round().where(gap.abs() > 8, 0.0)


def _centred(x: Tensor) -> Tensor:
    """``x`` minus its mean over the passes (first axis); exactly 0 where the passes are equal.

    The first pass is taken off before the mean, so that passes that nearly agree lose no digits,
    and each term is divided before the sum, so that large values do not overflow.
    """
    gap = x - x[:1].detach()
    return gap - (gap / len(x)).sum(0)


def _zero_where(excluded: Tensor | None, x: Tensor) -> Tensor:
    return x if excluded is None else x.masked_fill(excluded, 0.0)


def _broadcast(tensor: Tensor, shape: torch.Size, name: str) -> Tensor:
    try:
        return tensor.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}, which does not fit {tuple(shape)}"
        ) from None


def check_logits(
    logits: Tensor, class_mask: Tensor | None, passes: bool = False, checked: bool = False
) -> Tensor | None:
    """Refuse logits and class masks that cannot be meant; return the mask in the logits' shape.

    Args:
        logits: ``[..., C]``, or ``[K, ..., C]`` with ``passes``.
        class_mask: bool ``[C]`` or ``[..., C]``; it may lie on another device.
        passes: whether the first axis is that of the passes, which share the mask.
        checked: whether the mask's values are known to be right, and are not read.

    Raises:
        ValueError: naming the shape or type, and what it has to be.
    """
    axes, least = ("[K, ..., C]", 2) if passes else ("[..., C]", 1)
    if logits.ndim < least:
        raise ValueError(f"logits must have shape {axes}, not {tuple(logits.shape)}")
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating-point, not {logits.dtype}")
    if logits.shape[-1] == 0:
        raise ValueError(f"logits of shape {tuple(logits.shape)} have no classes (last axis)")
    if passes and logits.shape[0] == 0:
        raise ValueError(f"logits of shape {tuple(logits.shape)} have no passes (first axis)")
    if class_mask is None:
        return None
    if class_mask.dtype != torch.bool:
        raise ValueError(f"class_mask must be bool (True = counted), not {class_mask.dtype}")
    mask = _broadcast(class_mask, logits.shape[1:] if passes else logits.shape, "class_mask")
    if not checked and not mask.any(-1).all():
        raise ValueError("class_mask excludes every class of at least one position")
    return mask


def _checked(
    logits: Tensor, class_mask: Tensor | None, passes: bool = False, checked: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Logits in float32 or better, minus infinity in excluded classes, and which those are."""
    mask = check_logits(logits, class_mask, passes, checked)
    z = full_precision(logits)
    return (z, None) if mask is None else (z.masked_fill(~mask, -math.inf), ~mask)


def checked_labels(
    labels: Tensor, z: Tensor, excluded: Tensor | None, checked: bool = False
) -> Tensor:
    """Labels broadcast to the positions of ``z`` ``[..., C]``, each that of a counted class.

    Of ``z``, which may lie on another device, only the shape is read; of labels that are
    ``checked``, nothing but type and shape.

    Raises:
        ValueError: naming a label that is none, and the classes.
    """
    if labels.dtype != torch.int64:
        raise ValueError(f"labels must be int64, not {labels.dtype}")
    labels = _broadcast(labels, z.shape[:-1], "labels")
    if checked:
        return labels
    outside = (labels < 0) | (labels >= z.shape[-1])
    if outside.any():
        label = labels[outside][0].item()
        remedy = f": for positions that do not count give mask=labels != {label}"
        raise ValueError(
            f"label {label} is not a class in 0..{z.shape[-1] - 1}{remedy if label < 0 else ''}"
        )
    if excluded is not None:
        masked = excluded.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        if masked.any():
            raise ValueError(
                f"label {labels[masked][0].item()} is a class that class_mask excludes"
            )
    return labels
