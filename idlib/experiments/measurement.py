"""What is measured of a trained model: its scores, its sensitivity, and what its data lack."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from idlib.data.loaded import LoadedData
from idlib.experiments.specs import Plan
from idlib.metrics.names import BEST, LOSS, SELECTIONS, at
from idlib.records import Measured
from idlib.sensitivity.first_order import parameter_sensitivity
from idlib.sensitivity.parameter_sets import kinds
from idlib.sensitivity.pruning import magnitudes, pruning_curve
from idlib.sensitivity.statistics import Sensitivity
from idlib.tasks.base import Curves, Metrics, Task, TaskSettings
from idlib.training.loop import Trained

# Bins of log10 sensitivity, five a decade: trained networks lie within, the ends hold the rest.
HISTOGRAM_EDGES = [round(-14 + 0.2 * index, 1) for index in range(76)]
QUANTILE_LEVELS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
STATISTICS = ("mean", "std", "cv", "gini")


def measure(plan: Plan, trained: Trained, load: Callable[[str], nn.Module]) -> Measured:
    """Metrics of the three selected models by their names, and the curves of the first.

    Selections of one update are one model, which is measured once.

    Args:
        plan: of the run.
        trained: the run.
        load: from a selection to its model.
    """
    models: dict[int, tuple[Metrics, Curves]] = {}  # by update
    metrics: Metrics = {}
    pruning: Curves = {}
    for selection in SELECTIONS:
        step = trained.selected[selection]
        if step not in models:
            model = load(selection)
            found = sensitivity(plan.task, model)
            models[step] = _model(plan.task, model, found)
            if step == trained.selected[LOSS]:
                pruning = _without_weights(plan.task, model, found)
        measured = {"selected/step": step, **models[step][0]}
        metrics |= {at(name, selection): value for name, value in measured.items()}
    curves = {**trained.curves, **models[trained.selected[BEST]][1], **pruning}
    return Measured(metrics={**metrics, **_left_out(plan.task)}, curves=curves)


def _model(
    task: Task[TaskSettings, LoadedData[Any]], model: nn.Module, found: Sensitivity
) -> tuple[Metrics, Curves]:
    metrics, curves = task.test(model)
    metrics = {**metrics, **_statistics(found), **_by_layer(task, found), **_by_kind(model, found)}
    return metrics, {**curves, **_distribution(found)}


def _without_weights(
    task: Task[TaskSettings, LoadedData[Any]], model: nn.Module, found: Sensitivity
) -> Curves:
    """Test NLL without the shares of the weights that ``pruned`` names, by what ranks them."""
    shares = task.settings.pruned
    if shares is None:
        return {}
    ranks = {"sensitivity": found.values, "magnitude": magnitudes(model)}
    curves = {
        f"pruned/{name}/nll": pruning_curve(
            model, importance, shares, lambda m: task.evaluate(m, "test")["nll"]
        )
        for name, importance in ranks.items()
    }
    return {"pruned/shares": list(shares), **curves}


def sensitivity(task: Task[TaskSettings, LoadedData[Any]], model: nn.Module) -> Sensitivity:
    """Sensitivity of every parameter, on the task's fixed training batches.

    Raises:
        ValueError: the loss of one of them is not above 0, and a record has finite numbers alone.
    """
    batches = task.sensitivity_batches()
    measured = parameter_sensitivity(model, batches, task.loss, task.never_seen(model))
    if not math.isfinite(measured.mean_normalized):
        raise ValueError(
            "the loss of a batch of training data is not above 0: sensitivity cannot be normalised "
            "by it"
        )
    return measured


def _statistics(measured: Sensitivity) -> dict[str, float]:
    names = [*STATISTICS, *(f"{name}_normalized" for name in STATISTICS)]
    figures = {f"sensitivity/{name}": getattr(measured, name) for name in names}
    figures["sensitivity/parameters"] = measured.count
    figures["sensitivity/batches"] = measured.batches
    if measured.excluded_count:
        figures["sensitivity/excluded"] = measured.excluded_count
    return {**figures, "train/nll": measured.loss}


def _by_layer(task: Task[TaskSettings, LoadedData[Any]], measured: Sensitivity) -> dict[str, float]:
    return {
        f"sensitivity/{name}/{row.layer}": getattr(row, name)
        for row in measured.by_layer(task.layer)
        for name in ("mean", "std")
    }


def _by_kind(model: nn.Module, measured: Sensitivity) -> Metrics:
    """``kinds/<figure>/<kind>``: norms, embeddings, biases and weights apart."""
    kind_of = kinds(model)
    metrics: Metrics = {}
    for row in measured.by_layer(kind_of.__getitem__):
        metrics[f"kinds/parameters/{row.layer}"] = row.count
        metrics[f"kinds/mean/{row.layer}"] = row.mean
        metrics[f"kinds/std/{row.layer}"] = row.std
    return metrics


def _left_out(task: Task[TaskSettings, LoadedData[Any]]) -> dict[str, float]:
    """``dropped/<split>/<reason>``: how many items were left out of the data, if any were."""
    return {
        f"dropped/{split}/{reason}": count
        for split, reasons in task.data.dropped.items()
        for reason, count in reasons.items()
        if count
    }


def _distribution(measured: Sensitivity) -> dict[str, list[float]]:
    return {
        "sensitivity/histogram/edges": HISTOGRAM_EDGES,
        "sensitivity/histogram/counts": [*map(float, measured.histogram(HISTOGRAM_EDGES))],
        "sensitivity/quantiles/levels": QUANTILE_LEVELS,
        "sensitivity/quantiles/values": measured.quantiles(QUANTILE_LEVELS),
    }
