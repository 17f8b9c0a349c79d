"""How evenly a measure is spread over parameters: statistics of the sensitivity of each.

The degree of contribution balance of Xu et al. 2022 is the standard deviation; beside it stand
figures that do not depend on scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def layer_of(name: str) -> str:
    """The layer that a parameter's name tells: up to its first number, or else its first part.

    >>> [layer_of(n) for n in ("bert.encoder.layer.3.output.dense.bias", "classifier.weight")]
    ['bert.encoder.layer.3', 'classifier']
    """
    parts = name.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdecimal()), 0)
    return ".".join(parts[: number + 1])


class LayerSensitivity(NamedTuple):
    """One row of :meth:`Sensitivity.by_layer`."""

    layer: str
    count: int  # type: ignore[assignment]  # hides tuple.count, of which a row has no use
    mean: float
    std: float


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """First-order sensitivity of every parameter, and how balanced it is.

    Attributes:
        values: parameter name -> batch mean of ``|theta dL/dtheta|`` (nats if the loss is), on
            the CPU, in the shape of the parameter.
        normalized: the same, each batch's value divided by that batch's loss (no unit); NaN, as
            are all figures of it, where the loss of a batch is not above 0.
        count: number of parameters in the statistics.
        batches: number of batches.
        loss: mean loss over the batches.
        mean: over all counted parameters; ``mean_normalized`` likewise, as for those below.
        std: population standard deviation (divided by ``count``) over all counted parameters: the
            degree of contribution balance of Xu et al. 2022.
        cv: ``std / mean``; 0 if the mean is 0.
        gini: Gini coefficient.
        excluded: parameter name -> bool mask of the entries left out of the statistics.
        excluded_count: how many entries those are.
    """

    values: dict[str, Tensor] = field(repr=False)
    normalized: dict[str, Tensor] = field(repr=False)
    count: int
    batches: int
    loss: float
    mean: float
    std: float
    cv: float
    gini: float
    mean_normalized: float
    std_normalized: float
    cv_normalized: float
    gini_normalized: float
    excluded: dict[str, Tensor] = field(default_factory=dict, repr=False)
    excluded_count: int = 0

    def quantiles(self, levels: Sequence[float]) -> list[float]:
        """Quantiles over all counted parameters, with linear interpolation.

        Computed as torch.quantile does, which takes 16 million values at most; NumPy's differ in
        the last digit from those in committed records.

        Raises:
            ValueError: a level is outside 0..1.
        """
        at = torch.tensor(list(levels), dtype=torch.float64)
        if not ((at >= 0) & (at <= 1)).all():
            raise ValueError(f"levels must lie in 0..1, not {list(levels)}")
        x = _sorted(_flat(self.values, self.excluded)).double()
        place = at * (len(x) - 1)
        low = place.floor().long()
        quantiles: list[float] = torch.lerp(x[low], x[place.ceil().long()], place - low).tolist()
        return quantiles

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """Numbers of counted parameters in each bin of log10.

        Args:
            edges: n + 1 rising edges, in log10; a value on an edge belongs to the bin above it.

        Returns:
            n counts. The first bin also holds zeros and all that is smaller, the last all that is
            larger, so that they sum to ``count``.

        Raises:
            ValueError: fewer than two edges, or edges that do not rise.
        """
        at = torch.tensor(list(edges), dtype=torch.float64)
        if len(at) < 2 or not (at.diff() > 0).all():
            raise ValueError(f"edges must be at least two rising numbers, not {list(edges)}")
        bins = len(at) - 1
        x = _flat(self.values, self.excluded).double()
        place = torch.bucketize(x.log10(), at, right=True) - 1
        counts: list[int] = place.clamp(0, bins - 1).bincount(minlength=bins).tolist()
        return counts

    def by_layer(self, key: Callable[[str], str] = layer_of) -> list[LayerSensitivity]:
        """Count, mean and population std of each layer, in the order of the model.

        Args:
            key: gives the layer of a parameter name; by default :func:`layer_of`.
        """
        layers: dict[str, list[Tensor]] = {}
        for name, x in _counted(self.values, self.excluded):
            layers.setdefault(key(name), []).append(x)
        rows = ((layer, torch.cat(parts)) for layer, parts in layers.items())
        return [LayerSensitivity(layer, len(x), *_moments(x)) for layer, x in rows if len(x)]


def summary(
    raw: dict[str, Tensor],
    normalized: dict[str, Tensor],
    losses: list[float],
    excluded: dict[str, Tensor],
) -> Sensitivity:
    """The statistics of all counted values, raw and normalised, as a :class:`Sensitivity`."""
    flat, flat_normalized = _flat(raw, excluded), _flat(normalized, excluded)
    mean, std = _moments(flat)
    mean_normalized, std_normalized = _moments(flat_normalized)
    return Sensitivity(
        values=raw,
        normalized=normalized,
        count=len(flat),
        batches=len(losses),
        loss=math.fsum(losses) / len(losses),
        mean=mean,
        std=std,
        cv=std / mean if mean else 0.0,
        gini=gini(flat),
        mean_normalized=mean_normalized,
        std_normalized=std_normalized,
        cv_normalized=std_normalized / mean_normalized if mean_normalized else 0.0,
        gini_normalized=gini(flat_normalized) if math.isfinite(mean_normalized) else math.nan,
        excluded=excluded,
        excluded_count=sum(int(mask.sum()) for mask in excluded.values()),
    )


def on_cpu(sensitivity: Sensitivity) -> Sensitivity:
    """The same with its values on the CPU; a GPU sorts fifty million far sooner."""

    def moved(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.cpu() for name, value in values.items()}

    return replace(
        sensitivity,
        values=moved(sensitivity.values),
        normalized=moved(sensitivity.normalized),
    )


def gini(values: Tensor) -> float:
    """Gini coefficient: 0 if all values are equal, towards 1 if one of many holds everything.

    ``sum_i (2 i - n - 1) x_i / (n sum x)`` over the values in rising order, which equals half the
    mean absolute difference of all pairs over the mean. Computed in float64; 0 if all are zero.

    Raises:
        ValueError: no values, a negative one, or one that is not finite.

    >>> gini(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    0.75
    """
    x = _sorted(torch.as_tensor(values).detach().flatten()).double()
    if len(x) == 0:
        raise ValueError("gini needs at least one value")
    if not torch.isfinite(x[[0, -1]]).all():  # what is not a number comes last
        raise ValueError("gini needs finite values")
    if x[0] < 0:
        raise ValueError(f"gini needs values that are not negative, not {x[0].item()}")
    n, total = len(x), x.sum().item()
    if total == 0:
        return 0.0
    weight = torch.arange(1 - n, n, 2, dtype=torch.float64, device=x.device)  # sums to zero
    return torch.dot(weight, x - x[0]).item() / (n * total)


def _sorted(x: Tensor) -> Tensor:
    """Rising; on a CPU by NumPy, whose sort uses vector instructions (ten times as fast)."""
    if x.device.type != "cpu":
        return x.sort().values
    known = x.float() if x.dtype == torch.bfloat16 else x  # to NumPy
    return torch.from_numpy(np.sort(known.numpy(force=True)))


def _moments(x: Tensor) -> tuple[float, float]:
    """Mean and population standard deviation, in float64."""
    x = x.double()
    mean = x.mean()
    return mean.item(), (x - mean).square().mean().sqrt().item()


def _counted(
    values: Mapping[str, Tensor], excluded: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """Names and flat values of the entries that are not excluded."""
    for name, value in values.items():
        if name in excluded:
            value = value[~excluded[name].to(value.device)]
        yield name, value.flatten()


def _flat(values: Mapping[str, Tensor], excluded: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([x for _, x in _counted(values, excluded)])
