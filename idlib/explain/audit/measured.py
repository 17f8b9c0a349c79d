"""What findings of the audit do to the models that its page has trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from idlib.explain.audit.batch_norm import AS_OURS, AS_PUBLISHED
from idlib.method.losses import cross_entropy
from idlib.report.metrics import NLL
from idlib.report.text import signed
from idlib.tasks.images import ImageTask
from idlib.training.trainable import Batch

ADAMW: dict[str, Any] = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 1e-3}  # facts, section 3
ACCUMULATED = 15  # passes whose gradients it adds up for one update (A9)


def own_teacher_gradient(classes: int = 12, seed: int = 0) -> float:
    """The largest gradient of cross-entropy to a teacher with the student's own probabilities.

    The teacher is a constant, as in the published code: the gradient is p − p.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(64, classes, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = logits.detach().softmax(-1)
    loss = -(teacher * logits.log_softmax(-1)).sum(-1).mean()
    (gradient,) = torch.autograd.grad(loss, logits)
    return float(gradient.abs().max())


def scaled_gradients(
    model: nn.Module, batches: Sequence[Batch], loss: Callable[[nn.Module, Batch], Tensor]
) -> float:
    """How far AdamW goes elsewhere with all gradients times 15 (A9), for an update a batch.

    Args:
        model: where both start; it is left as it is.
        batches: of training data.
        loss: of a model on a batch.

    Returns:
        The distance between the two ends, over the way that the unscaled one has gone.
    """
    ends = []
    for factor in (1.0, float(ACCUMULATED)):
        trained = copy.deepcopy(model).eval()  # no dropout: the same gradients for both
        optimizer = torch.optim.AdamW(trained.parameters(), **ADAMW)
        for batch in batches:
            optimizer.zero_grad()
            (factor * loss(trained, batch)).backward()
            optimizer.step()
        ends.append(_flat(trained))
    start = _flat(model)
    return float((ends[1] - ends[0]).norm() / (ends[0] - start).norm())


def _flat(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def smoothed_gap(
    base: nn.Module, ours: nn.Module, task: ImageTask, smoothing: float = 0.1
) -> tuple[float, float]:
    """How far two models lie apart on validation, in bits: by their smoothed loss, by their NLL.

    Args:
        base, ours: models; the first minus the second.
        task: theirs.
        smoothing: of the loss that is printed for an NLL (A16).
    """
    losses = []
    for model in (base, ours):
        sums, count = torch.zeros(2, dtype=torch.float64), 0
        with torch.no_grad():
            for _, batch, predicted in task.predictions(model, "validation"):
                labels, logits = batch["label"], predicted.double()
                smoothed = cross_entropy(logits, labels, smoothing=smoothing)
                plain = cross_entropy(logits, labels)
                sums += torch.stack([smoothed.sum(), plain.sum()]).cpu()
                count += len(labels)
        losses.append(sums / count / math.log(2))
    smoothed_bits, plain_bits = (losses[0] - losses[1]).tolist()
    return smoothed_bits, plain_bits


def of_models(
    reductions: pd.DataFrame,
    statistics: pd.DataFrame,
    orders: pd.DataFrame,
    scaled: float,
    gap: tuple[float, float],
) -> dict[str, str]:
    """The effects that the audit page measures on its own models, by finding.

    Args:
        reductions: of :func:`idlib.explain.audit.loss.reductions`.
        statistics: of :func:`idlib.explain.audit.batch_norm.reestimated`.
        orders: of :func:`idlib.explain.audit.sensitivity.orders`.
        scaled: of :func:`scaled_gradients`.
        gap: of :func:`smoothed_gap`, between the base models trained with label smoothing.
    """
    effective = next(name for name in map(str, reductions) if name.startswith("effective"))
    means = statistics.groupby(["weights", "statistics"], sort=False)["nll"].mean().unstack()
    moved = means[AS_PUBLISHED] - means[AS_OURS]
    each = ", ".join(
        f"{NLL.difference(change, unit=True)} ({name})" for name, change in moved.items()
    )
    found = {
        "A5": f"{effective} is {reductions[effective].mean():.1f}",
        "A9": f"15 times the gradients move AdamW's first updates by {100 * scaled:.2g} % of their "
        "way",
        "A16": f"our two image base models at s = 0.1, baseline minus ID, lie {_signed(gap[0])} "
        f"bits apart by the smoothed loss and {_signed(gap[1])} by the NLL on validation",
        "A11": f"statistics kept as published move the test NLL by {each}",
    }
    for finding in ("A12", "A13", "A14"):
        turned = {
            figure: orders.loc[(figure, bug), "pairs reversed"]
            for figure, bug in orders.index
            if str(bug).startswith(finding)
        }
        told = " and ".join(f"{count:.0f} ({figure})" for figure, count in turned.items())
        found[finding] = f"of 28 pairs of our models it turns round {told}"
    return found


def _signed(bits: float) -> str:
    return signed(bits, "+.3f")
