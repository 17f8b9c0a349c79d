"""What the report must know of a task, in one place for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from idlib.metrics.names import BEST, parted
from idlib.protocol import Side
from idlib.report.conditions import Condition
from idlib.report.metrics import COMMON, Metric, percentage

Figures = Mapping[str, Mapping[Condition, float]]  # by the metric's key; values as in records


class PublishedCost(NamedTuple):
    """What the earlier report says a model cost on its GPU.

    ``about`` marks rounded seconds. ``logged_gb`` is the largest peak in its published logs, where
    they contradict what it states.
    """

    seconds: float
    gpu: str
    gpu_gb: float
    about: bool = False
    logged_gb: float | None = None


class PublishedJointCost(NamedTuple):
    """Seconds that the earlier report states for baseline and intra-distillation together."""

    seconds: float
    epochs: int
    gpu: str
    gpu_gb: float


@dataclass(frozen=True)
class TaskReport:
    """How the records of one task are shown: all that tables, figures and pages know of it.

    What is judged, and in which direction, stands in :mod:`idlib.report.designs`.

    Args:
        task: its name in records.
        metrics: its own, beside those that every task has (``idlib.report.metrics.COMMON``);
            one of the same key takes the other's place.
        smoothings: amounts of label smoothing in the grid; the controls run at the first.
        layers: in the order of the network, as records name them.
        settings: the names of those that decide the size of a run.
        compared: keys of the metrics that methods are compared by.
        by_round: keys of the metrics that rounds of self-distillation are compared by.
        curves: keys of the metrics whose course on validation is shown.
        swept: keys of the validation metrics that a sweep of settings shows the gain in, each
            with its better side.
        by_language: scores that records have for each language: name by the part of the key.
        paper: the paper's figures.
        earlier_report: the earlier report's figures.
        cost: what the earlier report says a model cost, by method.
        joint_cost: the same for both methods together.
    """

    task: str
    metrics: tuple[Metric, ...]
    smoothings: tuple[float, ...]
    layers: tuple[str, ...]
    settings: tuple[str, ...]
    compared: tuple[str, ...]
    by_round: tuple[str, ...] = ()
    curves: tuple[str, ...] = ("validation/nll",)
    swept: tuple[tuple[str, Side], ...] = (("validation/nll", "below"),)
    by_language: Mapping[str, str] = field(default_factory=dict)
    paper: Figures = field(default_factory=dict)
    earlier_report: Figures = field(default_factory=dict)
    cost: Mapping[str, PublishedCost] = field(default_factory=dict)
    joint_cost: PublishedJointCost | None = None

    def metric(self, key: str) -> Metric:
        """How a metric is written; one that nobody listed by its own name.

        That of another checkpoint (``test/bleu@last``) is written as the first one's.
        """
        plain, selection = parted(key)
        if selection != BEST:
            return self.metric(plain).at(selection)
        for metric in (*self.metrics, *COMMON):
            if metric.key == key:
                return metric
        kind, _, language = key.removeprefix("test/").partition("/")
        if language and kind in self.by_language:
            return percentage(key, f"{self.by_language[kind]} in {language}")
        return Metric(key, key)
