"""The loss of a head of hidden states, whose logits are never formed as a whole.

A language model's last layer makes C logits of H hidden states, and C is much larger than H: the
logits of K passes are by far the largest tensor of an update. Here a chunk of positions at a time
goes through the projection, the loss of :mod:`idlib.method.fused`, and the gradients of hidden
states, weight and bias, so that only a chunk's logits exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from idlib.method.against import Against
from idlib.method.fused import HeadLoss, head_sums, total_of
from idlib.method.losses import full_precision

# Logits of a chunk, all passes: large enough for products to run at the processor's full speed.
# On a CPU measured for 12,000 classes of 512 states; on an accelerator half a GB in float32.
CHUNK_NUMBERS = {"cpu": 6_000_000}
CHUNK_NUMBERS_ELSEWHERE = 2**27


class Projected(NamedTuple):
    """The logits ``states @ weight.T + bias`` of a head, not formed.

    Attributes:
        states: hidden states ``[..., H]``.
        weight: ``[C, H]``; it may be a parameter that is used elsewhere too (tied embeddings).
        bias: ``[C]``, or ``None``.
    """

    states: Tensor
    weight: Tensor
    bias: Tensor | None = None

    @property
    def shape(self) -> torch.Size:
        """Of the logits, ``[..., C]``."""
        return torch.Size((*self.states.shape[:-1], len(self.weight)))


Head = Tensor | Projected
"""What a model gives for a head: logits ``[..., C]``, or the states and the projection of them."""


def check_head(name: str, head: Any) -> None:
    """Refuse what is neither logits nor a projection that fits.

    Raises:
        ValueError: naming the head, what it is, and what it can be.
    """
    if isinstance(head, Tensor):
        return
    if not isinstance(head, Projected):
        raise ValueError(
            f"head {name!r} is of type {type(head).__name__}: the model must give logits (a "
            "tensor), or Projected(states, weight, bias), or a dict of such heads"
        )
    shapes = ", ".join(
        f"{part} {tuple(value.shape)}"
        for part, value in head._asdict().items()
        if value is not None
    )
    states, weight, bias = head
    fits = states.dim() > 0 and weight.dim() == 2 and states.shape[-1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError(
            f"head {name!r}: the projection does not fit ({shapes}): give states [..., H], weight "
            "[C, H] and bias [C] or None"
        )
    if len({tensor.device for tensor in head if tensor is not None}) > 1:
        raise ValueError(f"head {name!r}: states, weight and bias must be on one device")


def logits_of(head: Head) -> Tensor:
    """The logits ``[..., C]``, formed here where they are not."""
    return nn.functional.linear(*head) if isinstance(head, Projected) else head


def outline(head: Head) -> Tensor:
    """What has the shape and type of the logits; where they are not formed, one number's memory."""
    if isinstance(head, Tensor):
        return head
    return head.states.new_empty(()).expand(head.shape)


def states_of(head: Head) -> Tensor:
    """What each pass has of its own: the hidden states, or the logits."""
    return head.states if isinstance(head, Projected) else head


def with_states(head: Head, states: Tensor) -> Head:
    """The head with other states, or other logits."""
    return head._replace(states=states) if isinstance(head, Projected) else states


def check_alike(one: Mapping[str, Head], other: Mapping[str, Head]) -> None:
    """Refuse passes that differ in their heads, in shape, or in the projection.

    Raises:
        ValueError: naming the head and what differs.
    """
    if set(one) != set(other):
        raise ValueError(f"one pass gives the heads {sorted(one)}, another {sorted(other)}")
    for name, pair in {name: (head, other[name]) for name, head in one.items()}.items():
        shapes = [tuple(states_of(head).shape) for head in pair]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"head {name!r} is of shape {shapes[0]} in one pass and {shapes[1]} in another: "
                "the passes of a batch must agree"
            )
        projections = [_trained(head) for head in pair]
        if projections[0] != projections[1]:
            raise ValueError(
                f"head {name!r}: each pass has a weight or bias of its own: give the parameters "
                "themselves to Projected, or give logits, or use mode='stack'"
            )


def _trained(head: Head) -> list[int | None]:
    """Which weight and bias are to have a gradient, by identity."""
    parts = head[1:] if isinstance(head, Projected) else ()
    return [id(part) if part is not None and part.requires_grad else None for part in parts]


def projected_loss(head: Projected, against: Against, teacher: Head | None = None) -> HeadLoss:
    """As :func:`idlib.method.fused.head_loss`, of hidden states in place of logits.

    Under autocast the projection runs in its type, and weight and bias are cast once. Weight and
    bias gather their gradients in float32 or better. On a CPU only the positions that count are
    projected; elsewhere their number would have to be waited for.

    Args:
        head: states ``[K, P, H]``.
        against: what the logits are compared with; ``taught`` is formed here.
        teacher: the teacher's head, logits ``[P, C]`` or states ``[P, H']``.
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in head):
        return HeadLoss(*_ProjectedLoss.apply(*head, against, teacher))
    task, divergence = _by_chunks(head, against, teacher, _Gradients())
    return HeadLoss(total_of(task, divergence, against), task, divergence)


def probabilities(head: Head, class_mask: Tensor | None) -> Tensor:
    """A teacher's distribution, in float32 or better, excluded classes at zero."""
    z = full_precision(logits_of(head).detach())
    return (z if class_mask is None else z.masked_fill(~class_mask, -torch.inf)).softmax(-1)


class _ProjectedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        against: Against,
        teacher: Head | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        head = Projected(states, weight, bias)
        gradients = _Gradients(
            *(
                torch.zeros_like(tensor, dtype=dtype) if tensor is not None and needed else None
                for tensor, needed, dtype in zip(
                    head,
                    ctx.needs_input_grad[:3],
                    (_whole(states.dtype), _summed_in(weight), _summed_in(weight)),
                    strict=True,
                )
            )
        )
        task, divergence = _by_chunks(head, against, teacher, gradients)
        ctx.save_for_backward(*gradients)
        ctx.types = [None if tensor is None else tensor.dtype for tensor in head]
        ctx.mark_non_differentiable(task, divergence)
        return total_of(task, divergence, against), task, divergence

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        # Elsewhere than on a CPU, reading the number would wait for the device.
        as_it_is = upstream.device.type == "cpu" and upstream.item() == 1.0
        gradients = (
            None if gradient is None else (gradient if as_it_is else gradient * upstream).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.types, strict=True)
        )
        return (*gradients, None, None)


class _Gradients(NamedTuple):
    """What the gradients of a head are added to; ``None`` where none is wanted."""

    states: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None

    def add(self, places: slice | Tensor, of_logits: Tensor, h: Tensor, weight: Tensor) -> None:
        """Those of the positions ``places``, from the gradient of their logits ``[K n, C]``.

        Args:
            places: positions, of P.
            of_logits: the gradient of the logits.
            h: the states that the logits were made of, ``[K n, H]``.
            weight: that made them, in the same type.
        """
        if self.states is not None:
            of_states = (of_logits @ weight).to(self.states.dtype)
            self.states[:, places] = of_states.view(len(self.states), -1, h.shape[-1])
        if self.weight is not None and self.weight.dtype == h.dtype:
            self.weight.addmm_(of_logits.T, h)
        elif self.weight is not None:
            self.weight.add_(of_logits.T @ h)
        if self.bias is not None:
            self.bias.add_(of_logits.sum(0, dtype=self.bias.dtype))


def _by_chunks(
    head: Projected, against: Against, teacher: Head | None, gradients: _Gradients
) -> tuple[Tensor, Tensor]:
    """Sums of task loss and divergence over positions; the total's gradients are added up."""
    summed = _summed_in(head.weight)
    states, weight, bias = _as_computed(head)
    teacher = _as_computed(teacher) if isinstance(teacher, Projected) else teacher
    dtype, whole, device = weight.dtype, _whole(weight.dtype), weight.device
    passes, positions, width = states.shape
    classes, wanted = len(weight), any(gradient is not None for gradient in gradients)
    numbers = CHUNK_NUMBERS.get(device.type, CHUNK_NUMBERS_ELSEWHERE)
    size = max(1, min(positions, numbers // (passes * classes)))
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        buffer = torch.empty(passes * size, classes, dtype=dtype, device=device)
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        for places in _places(against, positions, size):
            h = states[:, places].reshape(-1, width)  # [K n, H]
            z = buffer[: len(h)]  # [K n, C]
            if bias is None:
                torch.mm(h, weight.T, out=z)
            else:
                torch.addmm(bias, h, weight.T, out=z)
            gradient = z if whole == dtype else torch.empty_like(z, dtype=whole)
            shape = (passes, -1, classes)
            here = _at(against, teacher, places, summed)
            sums += torch.stack(
                head_sums(z.view(shape), here, gradient.view(shape) if wanted else None)
            )
            if wanted:
                gradients.add(places, gradient, h.to(whole), weight.to(whole))
        return sums[0].to(summed), sums[1].to(summed)


def _whole(dtype: torch.dtype) -> torch.dtype:
    """In float16 gradients vanish that a loss scale would keep, and it is not there yet."""
    return torch.float32 if dtype == torch.float16 else dtype


def _as_computed(head: Projected) -> Projected:
    """States and projection in the type of their product, which autocast decides."""
    dtype, device = torch.promote_types(head.states.dtype, head.weight.dtype), head.states.device
    if torch.is_autocast_enabled(device.type) and dtype != torch.float64:
        dtype = torch.get_autocast_dtype(device.type)
    states, weight, bias = (None if part is None else part.detach().to(dtype) for part in head)
    assert states is not None and weight is not None
    return Projected(states, weight, bias)


def _summed_in(tensor: Tensor) -> torch.dtype:
    """The type in which numbers of a tensor's type are added up."""
    return full_precision(tensor[:0]).dtype


def _places(against: Against, positions: int, size: int) -> Iterator[slice | Tensor]:
    """Positions in chunks; on a CPU those alone that count, where all count as slices."""
    mask = against.mask
    if mask is not None and mask.device.type == "cpu" and not against.padded and not mask.all():
        yield from mask.nonzero().squeeze(-1).split(size)
        return
    for start in range(0, positions, size):
        yield slice(start, min(start + size, positions))


def _at(
    against: Against, teacher: Head | None, places: slice | Tensor, dtype: torch.dtype
) -> Against:
    """At some of the positions, with the teacher's distribution there."""
    here = against.at(places, dtype)
    if teacher is not None:
        part = with_states(teacher, states_of(teacher)[places])
        here = here._replace(taught=probabilities(part, here.class_mask))
    mask = None if against.mask is None or isinstance(places, Tensor) else against.mask[places]
    return here._replace(mask=mask)
