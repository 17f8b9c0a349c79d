"""Pruning: how well a model does without the weights that matter least, by some measure.

A model whose parameters contribute more evenly should bear less well to lose its least important
ones, and a measure of importance is the better, the later the loss rises. Weights are ranked over
the whole model; norms, biases and other parameters with fewer than two axes stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from idlib.sensitivity.parameter_sets import trainable


def magnitudes(model: nn.Module) -> dict[str, Tensor]:
    """``|θ|`` of every trainable parameter, by name: the usual measure of importance."""
    return {name: p.detach().abs() for name, p in trainable(model).items()}


@contextmanager
def pruned(model: nn.Module, importance: Mapping[str, Tensor], share: float) -> Iterator[None]:
    """Inside, the least important weights are zero; afterwards they are as they were.

    Args:
        model: whose trainable parameters with two axes or more are ranked together.
        importance: of each entry of these, by name, in their shape; of equal entries those that
            come first go first.
        share: of the ranked entries, from 0 to 1.

    Raises:
        ValueError: a share outside 0..1, no weight to prune, or importance that is missing, NaN
            or of another shape.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in 0..1, not {share}")
    weights = {name: p for name, p in trainable(model).items() if p.ndim >= 2}
    if not weights:
        raise ValueError("the model has no trainable parameter with two axes or more")
    for name, weight in weights.items():
        if name not in importance or importance[name].shape != weight.shape:
            raise ValueError(f"importance of {name!r} must have shape {tuple(weight.shape)}")
    device = next(iter(weights.values())).device
    ranked = torch.cat([importance[name].flatten().to(device) for name in weights])
    if ranked.isnan().any():
        raise ValueError("importance must be a number everywhere, and some is NaN")
    dropped = _least(ranked, round(share * len(ranked)))
    sizes = [weight.numel() for weight in weights.values()]
    saved = [weight.detach().clone() for weight in weights.values()]
    try:
        with torch.no_grad():
            for weight, part in zip(weights.values(), dropped.split(sizes), strict=True):
                weight.masked_fill_(part.view(weight.shape).to(weight.device), 0.0)
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(weights.values(), saved, strict=True):
                weight.copy_(before)


def _least(values: Tensor, count: int) -> Tensor:
    """Where the ``count`` least values [n] are, of equal ones the first; bool [n].

    By the value that they end at: to sort them all takes several times as long.
    """
    if count == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    last = values.kthvalue(count).values
    chosen = values < last
    equal = (values == last).nonzero().flatten()
    chosen[equal[: count - int(chosen.sum())]] = True
    return chosen


def pruning_curve(
    model: nn.Module,
    importance: Mapping[str, Tensor],
    shares: Sequence[float],
    evaluate: Callable[[nn.Module], float],
) -> list[float]:
    """What ``evaluate`` gives of the model without each share of its least important weights.

    Args:
        model: left as it was found.
        importance: as for :func:`pruned`.
        shares: of the weights to remove, each from the whole model.
        evaluate: from a model to a number, such as its test loss.
    """
    values = []
    for share in shares:
        with pruned(model, importance, share):
            values.append(evaluate(model))
    return values
