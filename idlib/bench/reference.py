"""What intra-distillation is compared with, written as plainly as it is described.

:class:`Published` is the authors' procedure (Xu et al. 2022; the facts of the method page): the
batch goes through the model K times, one pass after the other; cross-entropy with label smoothing
of each pass, averaged; the X-divergence from probabilities and their logarithms; the adaptive
weight. :class:`RDrop` is R-Drop's (Liang et al. 2021): the batch stands twice in one pass, and the
divergence is that of the two halves, in both directions. Nothing is made faster here.

Both are called as :class:`~idlib.method.objective.IntraDistillation` is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from idlib.method.passes import repeated
from idlib.method.projection import logits_of
from idlib.method.schedules import adaptive_alpha
from idlib.method.targets import Forward, Target, as_heads, outputs_of

EXCLUDED = -60.0  # below a position's largest logit: a share of 1e-26, whose logarithm is finite


class Total(Protocol):
    """What an objective returns."""

    @property
    def total(self) -> Tensor:
        """The scalar to differentiate."""


class Objective(Protocol):
    """Called with a model's forward, what gives the targets, a batch and where training is."""

    def __call__(
        self,
        forward: Forward,
        targets: Callable[[Any], Target | Mapping[str, Target]],
        batch: Any,
        step: int,
        total_steps: int,
    ) -> Total:
        """Run the passes and return the loss."""


class Loss(NamedTuple):
    """A scalar in nats."""

    total: Tensor


@dataclass(frozen=True)
class Published:
    """The published procedure; the arguments are those of the objective."""

    passes: int = 3
    alpha: float = 5.0
    p: float = 5.0
    q: float = 10.0
    smoothing: float = 0.0

    def __call__(
        self,
        forward: Forward,
        targets: Callable[[Any], Target | Mapping[str, Target]],
        batch: Any,
        step: int,
        total_steps: int,
    ) -> Loss:
        """The mean over the heads of the mean over their counted positions."""
        outputs = [_logits(forward, batch) for _ in range(self.passes)]
        weight = adaptive_alpha(step, total_steps, self.alpha, self.p, self.q)
        heads = []
        for name, target in as_heads(targets(batch)).items():
            logits = [_allowed(heads_of_pass[name], target) for heads_of_pass in outputs]
            losses = [_cross_entropy(z, target, self.smoothing) for z in logits]
            task = sum(losses[1:], losses[0]) / self.passes
            heads.append(task + weight * _mean(published_divergence(logits), target))
        return Loss(torch.stack(heads).mean())


@dataclass(frozen=True)
class RDrop:
    """R-Drop's arrangement: two passes, whose α is ours unchanged (facts, section 1)."""

    alpha: float = 5.0
    smoothing: float = 0.0

    def __call__(
        self,
        forward: Forward,
        targets: Callable[[Any], Target | Mapping[str, Target]],
        batch: Any,
        step: int,
        total_steps: int,
    ) -> Loss:
        """The mean over the heads of the mean over their counted positions."""
        output = _logits(forward, repeated(batch, 2))
        heads = []
        for name, target in as_heads(targets(batch)).items():
            first, second = (_allowed(half, target) for half in output[name].chunk(2))
            task = sum(_cross_entropy(z, target, self.smoothing) for z in (first, second)) / 2
            heads.append(task + self.alpha * _mean(both_directions(first, second), target))
        return Loss(torch.stack(heads).mean())


def published_divergence(logits: Sequence[Tensor]) -> Tensor:
    """X of K passes ``[..., C]``, ``(1/K) Σ_i [KL(p_i || m) + KL(m || p_i)]``: ``[...]``, nats."""
    probabilities = [z.float().softmax(-1) for z in logits]
    logs = [z.float().log_softmax(-1) for z in logits]
    middle = torch.stack(probabilities).mean(0)
    log_middle = middle.log()
    each = [
        (p * (log_p - log_middle)).sum(-1) + (middle * (log_middle - log_p)).sum(-1)
        for p, log_p in zip(probabilities, logs, strict=True)
    ]
    return torch.stack(each).mean(0)


def both_directions(first: Tensor, second: Tensor) -> Tensor:
    """½ [KL(p_1 || p_2) + KL(p_2 || p_1)] of two passes ``[..., C]``: ``[...]``, nats."""
    one, other = first.float().log_softmax(-1), second.float().log_softmax(-1)
    forwards = F.kl_div(other, one, reduction="none", log_target=True).sum(-1)
    backwards = F.kl_div(one, other, reduction="none", log_target=True).sum(-1)
    return (forwards + backwards) / 2


def _logits(forward: Forward, batch: Any) -> dict[str, Tensor]:
    """The logits of a batch by head, formed whole."""
    return {name: logits_of(head) for name, head in outputs_of(forward(batch)).items()}


def _allowed(logits: Tensor, target: Target) -> Tensor:
    """Logits whose excluded classes have next to no probability."""
    if target.class_mask is None:
        return logits
    least = logits.detach().amax(-1, keepdim=True) + EXCLUDED
    return torch.where(target.class_mask, logits, least)


def _cross_entropy(logits: Tensor, target: Target, smoothing: float) -> Tensor:
    labels = target.labels if target.mask is None else target.labels.where(target.mask, 0)
    losses = F.cross_entropy(
        logits.float().flatten(0, -2),
        labels.flatten(),
        label_smoothing=smoothing,
        reduction="none",
    )
    return _mean(losses.view(labels.shape), target)


def _mean(values: Tensor, target: Target) -> Tensor:
    if target.mask is None:
        return values.mean()
    return values.where(target.mask, 0).sum() / target.mask.sum()
