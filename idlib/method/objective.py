"""The training objective: K passes of one batch, their mean task loss, and their divergence.

L = (1/K) Σ_i CE(z_i, y) + α(n) · X(z_1 … z_K)   (Xu et al. 2022)

With one pass and α = 0 this is the ordinary loss: baseline and intra-distillation are one path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from idlib.method.against import Against
from idlib.method.choices import REDUCTIONS, Divergence, Mode, Reduction
from idlib.method.diagnostics import Diagnostics
from idlib.method.fused import HeadLoss, head_loss
from idlib.method.losses import (
    DIVERGENCES,
    check_logits,
    checked_labels,
    cross_entropy,
    full_precision,
    soft_cross_entropy,
)
from idlib.method.modules import observed_modules
from idlib.method.passes import MODES, run_passes
from idlib.method.projection import (
    Head,
    Projected,
    logits_of,
    outline,
    probabilities,
    projected_loss,
    states_of,
    with_states,
)
from idlib.method.schedules import adaptive_alpha
from idlib.method.targets import Forward, Target, check_counts, given_targets, outputs_of


class Parts(NamedTuple):
    """The objective's value and its parts, scalars in nats; ``alpha`` is the weight used.

    ``task`` and ``divergence`` are for logging, and carry no gradient: differentiate ``total``. For
    another weight of the divergence give ``alpha``.
    """

    total: Tensor
    task: Tensor
    divergence: Tensor
    alpha: float | Tensor


@dataclass(frozen=True)
class IntraDistillation:
    """K passes with independent dropout, and a divergence between them added to the task loss.

    Args:
        passes: K. With 1 there is no divergence and this is the ordinary loss.
        alpha: final weight of the divergence.
        p, q: shape of the adaptive weight, p < q: 1 at update N/q, ``alpha`` from N/p on.
        divergence: ``x`` (the paper's), ``js`` or ``kl``.
        smoothing: label smoothing of the cross-entropy to the labels.
        mode: ``stack`` runs the K copies as one batch; ``loop`` runs them in turn, which keeps
            each pass's batch-norm statistics its own; the running ones see the first pass only,
            also in compiled code and where activation checkpointing runs the passes again.
            ``cached`` is ``loop`` with the memory of one pass: passes keep only their outputs, and
            ``total.backward()`` runs all but the last again, with the same random draws, each with
            its own gradient. So it takes K - 1 more forwards, is called once, and adds to the
            gradients of all parameters (``torch.autograd.grad`` has no such thing). A model that
            draws from a generator of its own, or counts its calls, cannot be run again so.
        divergence_reduction: ``mean`` over the counted positions and over heads, as the task loss
            has it. The paper's scripts for tagging, answering and classification add up instead
            (audit A20), so that their α weighs more: ``sum`` adds the counted positions and the
            heads, ``sum_padded`` the padding too.

        fused: whether losses and gradients are formed together where that can be (heads of
            classes, on a CPU or with CUDA): the same values to rounding, in less time and memory.
        overwrite_logits: whether the fused form may write the gradient over the logits, which
            saves their size once more; nobody may read them afterwards.

    It warns, once each, of batch norm in ``stack``, and of passes that are equal because the
    model is in evaluation mode or has no active dropout.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 3))
        >>> objective = IntraDistillation(passes=3, alpha=5.0)
        >>> x, y = torch.randn(2, 4), torch.tensor([0, 2])
        >>> parts = objective(model, lambda batch: Target(y), x, step=1, total_steps=100)
        >>> parts.total.backward()
    """

    passes: int = 3
    alpha: float = 5.0
    p: float = 5.0
    q: float = 10.0
    divergence: Divergence = "x"
    smoothing: float = 0.0
    mode: Mode = "stack"
    divergence_reduction: Reduction = "mean"
    fused: bool = True
    overwrite_logits: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.passes, Integral) or self.passes < 1:
            raise ValueError(f"passes must be a whole number, at least 1, not {self.passes!r}")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must lie in [0, 1), not {self.smoothing}")
        for name, value, choices in (
            ("divergence", self.divergence, DIVERGENCES),
            ("mode", self.mode, MODES),
            ("divergence_reduction", self.divergence_reduction, REDUCTIONS),
        ):
            if value not in choices:
                raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")
        adaptive_alpha(0, 1, self.alpha, self.p, self.q)  # refuses p >= q, and says why

    def __call__(
        self,
        forward: Forward,
        targets: Callable[[Any], Target | Mapping[str, Target]] | Target | Mapping[str, Target],
        batch: Any,
        step: int,
        total_steps: int,
        teacher: Forward | None = None,
        counts: Mapping[str, Tensor] | None = None,
        at_hand: Mapping[str, Target] | None = None,
        alpha: float | Tensor | None = None,
    ) -> Parts:
        """Run the K passes of ``batch`` and return the objective's parts.

        Args:
            forward: from a batch to logits ``[B, ..., C]``, or to a dict of such heads. A head
                may also be :class:`~idlib.method.projection.Projected`, hidden states and the
                projection that makes logits of them, as
                :func:`~idlib.method.unprojected.unprojected` gives it: then the logits of all
                positions never exist at once. Where its model is compiled, it must be it, close
                over it or name it (for batch norm in ``loop`` and ``cached``).
            targets: the :class:`~idlib.method.targets.Target` of the batch, or one for each head,
                or a function from a batch to these.
            batch: a tensor or array whose first dimension is B, or a mapping, sequence or
                dataclass of them; in ``loop`` and ``cached`` anything that ``forward`` takes.
            step: the update, counted from 1, up to ``total_steps``.
            total_steps: N, the updates of the whole run.
            teacher: from a batch to the teacher's logits, or their projection; adds the
                cross-entropy to its distribution, with weight 1.
            counts: for each head the positions counted in the whole update, where this batch is
                only a part of it (micro-batches, processes): the parts' losses then add up to
                the update's. By default the positions of this batch.
            at_hand: the batch's targets by head as they lay in the host's memory, where the batch
                is on a GPU: labels and masks are then checked there, and nothing waits for the
                GPU. Who gives ``counts`` too has checked that they are not zero
                (:func:`~idlib.method.targets.check_counts`).
            alpha: the weight of the divergence where it is not to be that of ``step``, as in a
                step that is recorded once and run again with other weights.

        Raises:
            ValueError: heads without targets (or the reverse), targets that are none, heads that
                are no logits and no projection, shapes that do not fit, an update without a counted
                position, or a batch of a type that ``stack`` cannot copy.
        """
        labelled = given_targets(targets, batch)
        logits, modules = self._run_passes(forward, batch)
        taught = {}
        if teacher is not None:
            with torch.no_grad():  # a teacher is a constant
                taught = outputs_of(teacher(batch))
        check_heads(labelled if at_hand is None else at_hand, logits, taught)
        if modules is not None:  # before anything is written over logits
            states = {name: states_of(head) for name, head in logits.items()}
            self._diagnostics.check(states, modules, self.mode)
        if alpha is None:
            alpha = adaptive_alpha(step, total_steps, self.alpha, self.p, self.q)
        if counts is None:
            readable = labelled if at_hand is None else at_hand
            check_counts({name: target.count for name, target in readable.items()})
            counts = {name: target.count for name, target in labelled.items()}
        elif at_hand is None:
            check_counts(counts)
        heads = {
            name: (logits[name], target, counts[name], taught.get(name))
            for name, target in labelled.items()
        }
        if self.fused and all(map(_can_be_fused, logits.values(), labelled.values())):
            losses = [self._fused(*head, alpha, 1 / len(heads)) for head in heads.values()]
            total, task, divergence = (torch.stack(p).sum() for p in zip(*losses, strict=True))
            return Parts(total, task, divergence, alpha)
        plain = [self._head_loss(*head) for head in heads.values()]
        task, divergence = (torch.stack(parts) for parts in zip(*plain, strict=True))
        task = task.mean()
        divergence = divergence.mean() if self.divergence_reduction == "mean" else divergence.sum()
        total = task + alpha * divergence if self.passes > 1 else task
        return Parts(total, task.detach(), divergence.detach(), alpha)

    def _fused(
        self,
        head: Head,
        target: Target,
        count: Tensor,
        taught: Head | None,
        alpha: float | Tensor,
        share: float,
    ) -> HeadLoss:
        """As :meth:`_head_loss`, value and gradient together; ``share``: of this head among all."""
        mask = check_logits(outline(head), target.class_mask, passes=True, checked=True)
        labels, classes = _counted_labels(target), head.shape[-1]
        if target.class_mask is not None and mask is not None:
            per_position = target.class_mask.dim() > 1
            mask = mask.reshape(-1, classes) if per_position else target.class_mask
        mean = self.divergence_reduction == "mean"
        against = Against(
            labels=labels.flatten(),
            task_weight=share / _number(count),
            divergence_weight=(share if mean else _number(target.count)) / _number(count),
            alpha=alpha,
            divergence=self.divergence,
            smoothing=self.smoothing,
            mask=None if target.mask is None else target.mask.flatten(),
            class_mask=mask,
            padded=self.divergence_reduction == "sum_padded",
        )
        if isinstance(head, Projected):
            head = head._replace(states=_flat(head.states, passes=True))
            if taught is not None:
                taught = with_states(taught, _flat(states_of(taught)))
            return projected_loss(head, against, taught)
        if taught is not None:
            taught = _flat(probabilities(taught, target.class_mask))
            against = against._replace(taught=taught)
        return head_loss(_flat(head, passes=True), against, self.overwrite_logits)

    def _head_loss(
        self, head: Head, target: Target, count: Tensor, taught: Head | None
    ) -> tuple[Tensor, Tensor]:
        """Task loss and divergence of one head, scalars.

        Args:
            head: logits ``[K, B, ..., C]``, or what they are made of.
            target: labels ``[B, ...]``, and which positions and classes count.
            count: the positions counted in the whole update, of which these are a part.
            taught: the teacher's logits ``[B, ..., C]``.
        """
        task, divergence = self._position_losses(
            logits_of(head), target, None if taught is None else logits_of(taught)
        )  # [B, ...]
        count = count.to(task.device, task.dtype)
        task = _counted_sum(task, target.mask) / count
        padded = self.divergence_reduction == "sum_padded"
        divergence = _counted_sum(divergence, None if padded else target.mask) / count
        if self.divergence_reduction != "mean":
            # A part of an update weighs as its share of the counted positions.
            divergence = divergence * target.count.to(count.device, count.dtype)
        return task, divergence

    def _position_losses(
        self, z: Tensor, target: Target, taught: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mean task loss of the passes, and their divergence, of each position ``[B, ...]``."""
        labels = _counted_labels(target)
        # Where nothing counts, logits may be anything (inf, NaN), and have no gradient.
        counted = None if self.divergence_reduction == "sum_padded" else target.mask
        if target.kind == "regression":
            z = full_precision(z.squeeze(-1) if z.dim() > labels.dim() + 1 else z)  # [K, B, ...]
            z = z if counted is None else z.masked_fill(~counted, 0)
            task = (z - labels).square().mean(0)
            if taught is not None:
                task = task + (z - taught.view_as(z[0])).square().mean(0)
            return task, (z - z.mean(0)).square().mean(0)
        z, allowed = full_precision(z), target.class_mask  # once, so that gradients add up in it
        z = z if counted is None else z.masked_fill(~counted.unsqueeze(-1), 0)
        task = cross_entropy(z, labels, self.smoothing, allowed, checked=True).mean(0)
        if taught is not None:
            taught_p = probabilities(taught, allowed)
            task = task + soft_cross_entropy(z, taught_p, allowed, checked=True).mean(0)
        if self.passes == 1:
            return task, torch.zeros_like(task)
        return task, DIVERGENCES[self.divergence](z, allowed, checked=True)

    def _run_passes(
        self, forward: Forward, batch: Any
    ) -> tuple[dict[str, Head], list[nn.Module] | None]:
        """The passes by head, and the modules that ran, where they are to be checked."""
        if self.passes == 1 or not self._diagnostics.is_due():
            return run_passes(forward, batch, self.passes, self.mode), None
        modules: list[nn.Module] = []
        with observed_modules(modules.append, forward):
            return run_passes(forward, batch, self.passes, self.mode), modules

    @cached_property
    def _diagnostics(self) -> Diagnostics:  # no field: it is no part of the objective's value
        return Diagnostics()


def check_heads(
    labelled: Mapping[str, Target],
    logits: Mapping[str, Head],
    taught: Mapping[str, Head] | None = None,
) -> None:
    """Refuse labels and masks that do not fit the logits, or cannot be meant.

    Args:
        labelled: targets by head; their values are read.
        logits: of the passes by head ``[K, B, ..., C]``, of which only shape and type are read.
        taught: the teacher's logits by head, if there are any.

    Raises:
        ValueError: naming the head, and what does not fit.
    """
    if set(labelled) != set(logits) or (taught and set(taught) != set(logits)):
        raise ValueError(
            f"the model gives the heads {sorted(logits)}, the targets {sorted(labelled)}"
            + (f", the teacher {sorted(taught)}" if taught else "")
            + ": they must be the same"
        )
    for name, target in labelled.items():
        labels, shape = tuple(target.labels.shape), tuple(logits[name].shape[1:])
        fits = shape[:-1] == labels if target.kind == "classes" else shape in (labels, (*labels, 1))
        if not fits:
            raise ValueError(
                f"head {name!r}: labels of shape {labels} do not fit logits of shape {shape} a pass"
            )
        given = tuple(taught[name].shape) if taught else shape
        if given != shape and (target.kind == "classes" or given not in (labels, (*labels, 1))):
            raise ValueError(
                f"head {name!r}: the teacher's logits have shape {given} and those of a pass "
                f"{shape}: they must be the same"
            )
        if target.class_mask is not None and target.class_mask.shape[-1] != shape[-1]:
            raise ValueError(
                f"head {name!r}: class_mask is for {target.class_mask.shape[-1]} classes, the "
                f"logits for {shape[-1]}"
            )
        if target.kind == "classes":
            z = outline(logits[name])
            mask = check_logits(z, target.class_mask, passes=True)
            excluded = None if mask is None else ~mask
            if excluded is not None and target.mask is not None:
                excluded = excluded & target.mask.unsqueeze(-1)  # where nothing counts, no label is
            checked_labels(_counted_labels(target), z[0], excluded)


def _can_be_fused(head: Head, target: Target) -> bool:
    if target.kind != "classes":
        return False
    return isinstance(head, Projected) or head.device.type in ("cpu", "cuda")


def _number(count: Tensor) -> Tensor | float:
    """A count as a number; a GPU's stays there, so that nothing waits for it."""
    return count if count.device.type == "cuda" else float(count)


def _flat(states: Tensor, passes: bool = False) -> Tensor:
    """All positions on one axis; ``passes``: after that of the passes."""
    return states.reshape(*states.shape[:passes], -1, states.shape[-1])


def _counted_labels(target: Target) -> Tensor:
    """Labels, 0 where nothing counts: there they may be anything (-100, NaN), not in a gradient."""
    return target.labels if target.mask is None else target.labels.where(target.mask, 0)


def _counted_sum(values: Tensor, mask: Tensor | None) -> Tensor:
    return values.sum() if mask is None else values.where(mask, 0).sum()
