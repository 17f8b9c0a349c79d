"""The training objective: K passes of one batch, their mean task loss, and their divergence.

L = (1/K) Σ_i CE(z_i, y) + α(n) · X(z_1 … z_K)   (Xu et al. 2022)

With one pass and α = 0 this is the ordinary loss: baseline and intra-distillation are one path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from idlib.method.batches import repeated
from idlib.method.losses import DIVERGENCES, cross_entropy, soft_cross_entropy
from idlib.method.passes import frozen_batch_norm, keep_in_backward, modules_at_work
from idlib.method.schedules import adaptive_alpha
from idlib.method.targets import Target
from idlib.method.watch import Watch

Forward = Callable[[Any], "Tensor | Mapping[str, Tensor]"]
ONE_HEAD = "logits"
REDUCTIONS = ("mean", "sum", "sum_padded")


class Parts(NamedTuple):
    """The objective's value and its parts, scalars in nats; ``alpha`` is the weight used."""

    total: Tensor
    task: Tensor
    divergence: Tensor
    alpha: float


@dataclass(frozen=True)
class IntraDistillation:
    """K passes with independent dropout, and a divergence between them added to the task loss.

    Args:
        passes: K. With 1 there is no divergence and this is the ordinary loss.
        alpha: final weight of the divergence.
        p, q: shape of the adaptive weight, p < q: 1 at update N/q, ``alpha`` from N/p on.
        divergence: ``x`` (the paper's), ``js`` or ``kl``.
        smoothing: label smoothing of the cross-entropy to the labels.
        divergence_reduction: ``mean`` over the counted positions and over heads, as the task loss
            has it. The paper's scripts for tagging, answering and classification add up instead
            (audit A20), so that their α weighs more: ``sum`` adds the counted positions and the
            heads, ``sum_padded`` the padding too.
        mode: ``stack`` runs the K copies as one batch; ``loop`` runs them in turn, which keeps
            each pass's batch-norm statistics its own; the running ones see the first pass only,
            also in compiled code and where activation checkpointing runs the passes anew.

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
    divergence: str = "x"
    smoothing: float = 0.0
    mode: str = "stack"
    divergence_reduction: str = "mean"

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise ValueError(f"passes must be at least 1, not {self.passes}")
        if self.divergence not in DIVERGENCES:
            choices = ", ".join(DIVERGENCES)
            raise ValueError(f"unknown divergence {self.divergence!r}: choose one of {choices}")
        if self.mode not in ("stack", "loop"):
            raise ValueError(f"unknown mode {self.mode!r}: choose one of stack, loop")
        if self.divergence_reduction not in REDUCTIONS:
            raise ValueError(
                f"unknown divergence_reduction {self.divergence_reduction!r}: choose one of "
                f"{', '.join(REDUCTIONS)}"
            )
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must lie in [0, 1), not {self.smoothing}")
        adaptive_alpha(0, 1, self.alpha, self.p, self.q)  # refuses p >= q, and says why
        object.__setattr__(self, "_watch", Watch())  # no field: it is no part of the value

    def __call__(
        self,
        forward: Forward,
        targets: Callable[[Any], Target | Mapping[str, Target]],
        batch: Any,
        step: int,
        total_steps: int,
        teacher: Forward | None = None,
        counts: Mapping[str, Tensor] | None = None,
    ) -> Parts:
        """Run the K passes of ``batch`` and return the objective's parts.

        Args:
            forward: from a batch to logits ``[B, ..., C]``, or to a dict of such heads. Where its
                model is compiled, it must be it, close over it or name it (for batch norm in
                ``loop``).
            targets: from a batch to its :class:`~idlib.method.targets.Target`, or to one for each
                head.
            batch: a tensor or array whose first dimension is B, or a mapping, sequence or
                dataclass of them; in ``loop`` anything that ``forward`` takes.
            step: the update, from 0 to ``total_steps``.
            total_steps: N, the updates of the whole run.
            teacher: from a batch to the teacher's logits; adds the cross-entropy to its
                distribution, with weight 1.
            counts: for each head the positions counted in the whole update, where this batch is
                only a part of it (micro-batches, processes): the parts' losses then add up to
                the update's. By default the positions of this batch.

        Raises:
            ValueError: heads without targets (or the reverse), shapes that do not fit, an update
                without a counted position, or a batch of a type that ``stack`` cannot copy.
        """
        wanted = as_heads(targets(batch))
        outputs, modules = self._run_passes(forward, batch)
        taught = {} if teacher is None else as_heads(teacher(batch))
        _check_heads(wanted, outputs, taught)
        alpha = adaptive_alpha(step, total_steps, self.alpha, self.p, self.q)
        task, divergence = [], []
        for name, target in wanted.items():
            losses, divergences = self._losses(outputs[name], target, taught.get(name))
            count = target.count if counts is None else counts[name]
            if not count > 0:
                raise ValueError(f"head {name!r}: no position of this update is counted")
            count = count.to(losses.device, losses.dtype)
            task.append(_counted_sum(losses, target.mask) / count)
            divergence.append(self._reduced(divergences, target, count))
        task_loss = torch.stack(task).mean()
        joined = torch.stack(divergence)
        divergence_loss = joined.mean() if self.divergence_reduction == "mean" else joined.sum()
        total = task_loss + alpha * divergence_loss if self.passes > 1 else task_loss
        if modules is not None:
            self._watch.look(outputs, modules, self.mode)
        return Parts(total, task_loss, divergence_loss, alpha)

    def _reduced(self, divergences: Tensor, target: Target, count: Tensor) -> Tensor:
        """One head's divergence; a part of an update weighs as its share of counted positions."""
        mask = None if self.divergence_reduction == "sum_padded" else target.mask
        mean = _counted_sum(divergences, mask) / count
        if self.divergence_reduction == "mean":
            return mean
        return mean * target.count.to(count.device, count.dtype)

    def _run_passes(
        self, forward: Forward, batch: Any
    ) -> tuple[dict[str, Tensor], list[nn.Module] | None]:
        """Logits of the K passes by head, ``[K, B, ..., C]``; what ran, where that is looked at."""
        run = self._loop if self.mode == "loop" and self.passes > 1 else self._stack
        if self.passes == 1 or not self._watch.is_due():
            return run(forward, batch), None
        modules: list[nn.Module] = []
        with modules_at_work(modules.append, forward):
            return run(forward, batch), modules

    def _stack(self, forward: Forward, batch: Any) -> dict[str, Tensor]:
        heads = as_heads(forward(repeated(batch, self.passes)))
        for name, z in heads.items():
            if z.dim() == 0 or len(z) % self.passes:
                raise ValueError(
                    f"head {name!r}: logits of shape {tuple(z.shape)} are not {self.passes} "
                    "copies of a batch, as mode 'stack' needs them: use mode='loop'"
                )
        return {name: z.unflatten(0, (self.passes, -1)) for name, z in heads.items()}

    def _loop(self, forward: Forward, batch: Any) -> dict[str, Tensor]:
        # A step that is compiled as a whole leaves the loop out: hooks would not be called in it.
        runs = (_not_compiled if torch.compiler.is_compiling() else _in_turn)(
            forward, batch, self.passes
        )
        return {name: torch.stack([run[name] for run in runs]) for name in runs[0]}

    def _losses(self, z: Tensor, target: Target, taught: Tensor | None) -> tuple[Tensor, Tensor]:
        """Task loss and divergence of each position, ``[B, ...]`` each."""
        # Where nothing counts, a label may be anything (-100, NaN): it must not reach a gradient.
        labels = target.labels if target.mask is None else target.labels.where(target.mask, 0)
        if target.kind == "regression":
            z = z.squeeze(-1) if z.dim() > target.labels.dim() + 1 else z
            z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
            reference = [labels] if taught is None else [labels, taught.view_as(z[0])]
            task = sum((z - y).square().mean(0) for y in reference)
            return task, (z - z.mean(0)).square().mean(0)
        task = cross_entropy(
            z, labels.expand(z.shape[:-1]), smoothing=self.smoothing, class_mask=target.class_mask
        ).mean(0)
        if taught is not None:
            probabilities = _probabilities(taught, target.class_mask)
            task = task + soft_cross_entropy(
                z, probabilities.expand(z.shape), class_mask=target.class_mask
            ).mean(0)
        if self.passes == 1:
            return task, torch.zeros_like(task)
        return task, DIVERGENCES[self.divergence](z, class_mask=target.class_mask)


def _in_turn(forward: Forward, batch: Any, passes: int) -> list[dict[str, Tensor]]:
    """Logits of each pass by head; running statistics see the first pass only."""
    runs = [as_heads(forward(batch))]
    with frozen_batch_norm(forward) as kept:
        runs += [as_heads(forward(batch)) for _ in range(passes - 1)]
    keep_in_backward(runs, kept)
    return runs


_not_compiled = torch._disable_dynamo(_in_turn)


def as_heads(value: Any) -> dict[str, Any]:
    """``value`` by head: a mapping as it is, anything else as the one head ``logits``."""
    return dict(value) if isinstance(value, Mapping) else {ONE_HEAD: value}


def _check_heads(wanted: Mapping, outputs: Mapping, taught: Mapping) -> None:
    if set(wanted) != set(outputs) or (taught and set(taught) != set(outputs)):
        raise ValueError(
            f"the model gives the heads {sorted(outputs)}, the targets {sorted(wanted)}"
            + (f", the teacher {sorted(taught)}" if taught else "")
            + ": they must be the same"
        )
    for name, target in wanted.items():
        labels, shape = tuple(target.labels.shape), tuple(outputs[name].shape[1:])
        fits = shape[:-1] == labels if target.kind == "classes" else shape in (labels, (*labels, 1))
        if not fits:
            raise ValueError(
                f"head {name!r}: labels of shape {labels} do not fit logits of shape {shape} a pass"
            )
        if target.class_mask is not None and target.class_mask.shape[-1] != shape[-1]:
            raise ValueError(
                f"head {name!r}: class_mask is for {target.class_mask.shape[-1]} classes, the "
                f"logits for {shape[-1]}"
            )


def _counted_sum(values: Tensor, mask: Tensor | None) -> Tensor:
    return values.sum() if mask is None else values.where(mask, 0).sum()


def _probabilities(logits: Tensor, class_mask: Tensor | None) -> Tensor:
    """The teacher's distribution, in float32 or better, excluded classes at zero."""
    wide = logits.detach()
    wide = wide.float() if wide.dtype in (torch.float16, torch.bfloat16) else wide
    return (wide if class_mask is None else wide.masked_fill(~class_mask, -torch.inf)).softmax(-1)
