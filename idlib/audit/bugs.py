"""The earlier report's evaluation as published, each of its bugs by name, to measure what it did.

Every function here is the right measure of this package with one thing changed, so that a bug can
be switched on alone or with others. Nothing here is the report's code. The findings A1–A22, by
which the bugs are named, are in :mod:`idlib.audit.findings`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any, NamedTuple

import torch
from scipy.stats import kendalltau, spearmanr
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from idlib.method.losses import x_divergence
from idlib.records import Record
from idlib.report.conditions import Condition, by_condition
from idlib.sensitivity.measuring import Loss
from idlib.sensitivity.parameter_sets import trainable

MICRO_BATCH, ACCUMULATED = 4, 15  # images in a forward pass; passes in an update (or a group)

#: The eight models in the order of the published evaluation; the first one's parameters were
#: used for all (A12).
EVALUATION_ORDER: tuple[Condition, ...] = tuple(
    Condition(method, r, s) for method in ("id", "baseline") for s in (0.0, 0.1) for r in (0, 1)
)


class Bugs(NamedTuple):
    """What the published sensitivity does differently; without arguments it is the right one.

    Attributes:
        first_model_parameters: θ of the first model for every model (A12).
        accumulate: gradients and the running loss are never reset between batches (A13).
        divisor: what the sum over batches is divided by (A14); ``None`` is their number.
    """

    first_model_parameters: bool = False
    accumulate: bool = False
    divisor: float | None = None


class Spread(NamedTuple):
    """Standard deviation over all parameters of the sensitivity, raw and loss-normalised."""

    std: float
    std_normalized: float


def published_divisor(images: int) -> float:
    """What the published evaluation divides by for a number of images (A14): 12.5 for 3,000.

    It divides the number of passes (images / 4) by the 60 images of a group, not by the 15
    passes of a group.

    >>> published_divisor(3000)
    12.5
    """
    return images / MICRO_BATCH / (MICRO_BATCH * ACCUMULATED)


def without_divisor_bug(value: float) -> float:
    """A published sensitivity with A14 alone corrected: divided by the number of groups of 60.

    >>> round(without_divisor_bug(0.00564), 5)
    0.00141
    """
    return value / MICRO_BATCH


def bug_combinations(divisor: float) -> dict[str, Bugs]:
    """The right evaluation, each bug alone, and all of them together as published."""
    return {
        "right": Bugs(),
        "A12 alone": Bugs(first_model_parameters=True),
        "A13 alone": Bugs(accumulate=True),
        "A14 alone": Bugs(divisor=divisor),
        "published": Bugs(True, True, divisor),
    }


def sensitivity_with_bugs(
    bugs: Mapping[str, Bugs],
    models: Mapping[str, nn.Module],
    batches: Sequence[object],
    loss: Loss,
) -> dict[str, dict[str, Spread]]:
    """Spread of each model's sensitivity under each combination of bugs, from one pass.

    Args:
        bugs: combinations by name; ``Bugs()`` gives
            :func:`idlib.sensitivity.first_order.parameter_sensitivity`.
        models: by name, of one architecture; the order matters for A12.
        batches: one batch is one group (60 images in the report).
        loss: mean loss in nats of a model on a batch.

    Returns:
        The spreads by name of the combination, then by name of the model.

    Raises:
        ValueError: no models, no batches, or models of different numbers of parameters.
    """
    if not models or not len(batches):
        raise ValueError("the evaluation needs at least one model and one batch")
    sizes = {name: _flat(trainable(model).values()).numel() for name, model in models.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"models of one architecture are needed, not of sizes {sizes}")
    first = _flat(trainable(next(iter(models.values()))).values())
    result: dict[str, dict[str, Spread]] = {name: {} for name in bugs}
    for model_name, model in models.items():
        own = _flat(trainable(model).values())
        sums = {name: (torch.zeros_like(own), torch.zeros_like(own)) for name in bugs}
        running, running_loss = torch.zeros_like(own), 0.0
        for gradient, value in _gradients(model, batches, loss):
            running, running_loss = running + gradient, running_loss + value
            for name, bug in bugs.items():
                theta = first.to(own.device) if bug.first_model_parameters else own
                g, level = (running, running_loss) if bug.accumulate else (gradient, value)
                batch = (theta * g).abs()
                sums[name][0].add_(batch)
                sums[name][1].add_(batch / level)
        for name, bug in bugs.items():
            divisor = len(batches) if bug.divisor is None else bug.divisor
            spreads = [float((total / divisor).std(correction=0)) for total in sums[name]]
            result[name][model_name] = Spread(*spreads)
    return result


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    """All entries in one float64 vector, apart from the graph."""
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def _gradients(
    model: nn.Module, batches: Iterable[object], loss: Loss
) -> Iterator[tuple[Tensor, float]]:
    """Gradient and loss of each batch, of a copy in evaluation mode."""
    model = copy.deepcopy(model).eval()
    parameters = list(trainable(model).values())
    for batch in batches:
        value = loss(model, batch)
        gradients = torch.autograd.grad(value, parameters, materialize_grads=True)
        yield _flat(gradients), value.item()


def rank_agreement(values: Sequence[float], right: Sequence[float]) -> dict[str, float]:
    """How far two measures order the same models alike.

    Returns Kendall's ``kendall`` and Spearman's ``spearman`` coefficient, and ``reversed``, the
    number of pairs of models that stand the other way round.
    """
    pairs = combinations(zip(values, right, strict=True), 2)
    turned = sum((a - b) * (right_a - right_b) < 0 for (a, right_a), (b, right_b) in pairs)
    tau, rho = kendalltau(values, right).statistic, spearmanr(values, right).statistic
    return {"kendall": float(tau), "spearman": float(rho), "reversed": turned}


def comparisons_won(values: Mapping[Condition, float]) -> dict[str, int]:
    """In how many of the four pairs each is lower: ``id`` than baseline, ``student`` than teacher.

    ``values`` holds the eight models of :data:`EVALUATION_ORDER`.
    """
    lower = {"id": 0, "student": 0}
    for smoothing in (0.0, 0.1):
        for r in (0, 1):
            better, other = Condition("id", r, smoothing), Condition("baseline", r, smoothing)
            lower["id"] += values[better] < values[other]
        for method in ("id", "baseline"):
            better, other = Condition(method, 1, smoothing), Condition(method, 0, smoothing)
            lower["student"] += values[better] < values[other]
    return lower


def published_divergence(logits: Tensor, micro_batch: int = MICRO_BATCH) -> Tensor:
    """The divergence term as published (A5): X summed over each micro-batch, then their mean.

    The right one is ``x_divergence(logits).mean()``, like the cross-entropy.

    Args:
        logits: ``[K, B, C]``; B a multiple of ``micro_batch``, as the published code needs.

    Returns:
        A scalar in nats.
    """
    size = logits.shape[1]
    if size % micro_batch:
        raise ValueError(f"{size} images do not fill micro-batches of {micro_batch}")
    return x_divergence(logits).reshape(-1, micro_batch).sum(-1).mean()


def published_divergence_reduction(
    logits: Tensor, alpha: float = 5.0, micro_batch: int = MICRO_BATCH
) -> dict[str, float]:
    """The divergence as ``published`` and as averaged (``right``), nats, from logits ``[K, B, C]``.

    Beside them their ``ratio``, and the ``effective_alpha`` on the averaged divergence.
    """
    published = float(published_divergence(logits.double(), micro_batch))
    right = float(x_divergence(logits.double()).mean())
    ratio = published / right
    return dict(published=published, right=right, ratio=ratio, effective_alpha=alpha * ratio)


def effective_images(batch_size: int, updates_per_batch: int, momentum: float = 0.1) -> float:
    """How many images batch norm's running statistics rest on, as an effective sample size.

    A batch's weight in the exponential average falls by (1 − momentum) an update. Kish's
    (Σw)²/Σw² counts the batches, with the repeats on one batch as one.

    >>> round(effective_images(60, 1)), round(effective_images(4, 3))
    (1140, 26)
    """
    kept = (1 - momentum) ** updates_per_batch
    return batch_size * (1 + kept) / (1 - kept)


def reestimate_statistics(
    model: nn.Module,
    batches: Iterable[Any],
    forward: Callable[[nn.Module, Any], object],
    *,
    updates_per_batch: int = 3,
    seed: int = 0,
) -> nn.Module:
    """A copy of ``model``, in evaluation mode, with running statistics as training leaves them.

    Weights stay. The batches are run in training mode, dropout active. As published (A11):
    batches of 4, and all K = 3 passes move the statistics. The right way: batches of 60 and
    ``updates_per_batch=1``, the first pass only.
    """
    refreshed = copy.deepcopy(model).train()
    if not any(isinstance(module, _BatchNorm) for module in refreshed.modules()):
        raise ValueError("this model has no batch norm: there are no running statistics")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for batch in batches:
            for _ in range(updates_per_batch):
                forward(refreshed, batch)
    return refreshed.eval()


def smoothing_confound(
    records: Iterable[Record], metric: str = "test/nll"
) -> list[dict[str, float]]:
    """The gain of intra-distillation as it was compared (A2), beside the matched comparisons.

    What was compared is ID at s = 0.1 with baselines at s = 0, under every label. One row for
    each round that has all four models: ``round``, ``seeds``, the baseline minus ID ``as
    compared``, ``matched, s = 0``, ``matched, s = 0.1``, and ``smoothing alone``, the
    baseline's own gain from s = 0.1. Means over the seeds that all four have; positive: lower
    with ID (or with smoothing).
    """
    runs, rows = by_condition(records), []
    for round_ in sorted({condition.round for condition in runs}):
        cells = [
            runs.get(Condition(method, round_, smoothing), {})
            for method in ("id", "baseline")
            for smoothing in (0.0, 0.1)
        ]
        seeds = set.intersection(*map(set, cells))
        if not seeds:
            continue
        id0, id1, base0, base1 = (
            fmean(cell[seed].measured.metrics[metric] for seed in seeds) for cell in cells
        )
        rows.append(
            {
                "round": round_,
                "seeds": len(seeds),
                "as compared": base0 - id1,
                "matched, s = 0": base0 - id0,
                "matched, s = 0.1": base1 - id1,
                "smoothing alone": base0 - base1,
            }
        )
    return rows
