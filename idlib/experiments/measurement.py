"""What is measured of a trained model: its scores, its sensitivity, and what its data lack."""

from __future__ import annotations

from typing import Any

from torch import nn

from idlib.data.loaded import LoadedData
from idlib.experiments.specs import Plan
from idlib.records import Measured
from idlib.sensitivity.first_order import parameter_sensitivity
from idlib.sensitivity.statistics import Sensitivity
from idlib.tasks.base import Task, TaskSettings
from idlib.training.loop import Trained

# Bins of log10 sensitivity, five a decade: trained networks lie within, the ends hold the rest.
HISTOGRAM_EDGES = [round(-14 + 0.2 * index, 1) for index in range(76)]
QUANTILE_LEVELS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
STATISTICS = ("mean", "std", "cv", "gini")


def measure(plan: Plan, trained: Trained, best: nn.Module, last: nn.Module) -> Measured:
    """Metrics and curves of the selected model ``best``, some of them of the ``last`` one too.

    Those of the last one, after the last update, end in ``/last``.
    """
    task = plan.task
    tested, test_curves = task.test(best)
    at_best = sensitivity(task, best)
    # What was selected after the last update is the last model, and is not measured twice.
    same = trained.selected_step == plan.updates
    at_last = at_best if same else sensitivity(task, last)
    metrics = {
        "selected/step": trained.selected_step,
        **tested,
        **{f"test/{name}/last": value for name, value in task.evaluate(last, "test").items()},
        **_statistics(at_best),
        **_by_layer(task, at_best),
        **_left_out(task),
        **{f"{name}/last": value for name, value in _statistics(at_last).items()},
    }
    curves = {**trained.curves, **test_curves, **_distribution(at_best)}
    return Measured(metrics=metrics, curves=curves)


def sensitivity(task: Task[TaskSettings, LoadedData[Any]], model: nn.Module) -> Sensitivity:
    """Sensitivity of every parameter, on the task's fixed training batches."""
    batches = task.sensitivity_batches()
    return parameter_sensitivity(model, batches, task.loss, task.never_seen(model))


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
