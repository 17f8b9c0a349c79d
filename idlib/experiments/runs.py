"""A run: from what is asked to its record, found again by its signature.

``run`` makes one, ``load_model`` gives its trained model. A student's run trains its teacher first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from idlib.experiments.sources import located
from idlib.experiments.workspace import Workspace
from idlib.method.distillation import frozen_teacher
from idlib.records import Asked, Cost, Measured, Record, origin
from idlib.sensitivity.first_order import parameter_sensitivity
from idlib.sensitivity.statistics import Sensitivity
from idlib.tasks import Task, task_class
from idlib.training import checkpoints
from idlib.training.loop import Progress, Trained, is_main_process, launched, processes, train
from idlib.training.optim import check_rates
from idlib.training.randomness import derive_seed, seed_everything
from idlib.training.settings import (
    Settings,
    SettingsError,
    check_choice,
    check_kept,
    resolve,
)

DEVICES = ("auto", "cpu", "cuda")

# Bins of log10 sensitivity, five a decade: trained networks lie within, the ends hold the rest.
HISTOGRAM_EDGES = [round(-14 + 0.2 * index, 1) for index in range(76)]
QUANTILE_LEVELS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
STATISTICS = ("mean", "std", "cv", "gini")


@dataclass(frozen=True)
class Spec:
    """What somebody asks for: one run.

    Args:
        task: a name of :data:`idlib.tasks.TASKS`.
        method: ``baseline``, ``id``, ``passes`` or ``compute``.
        profile: ``smoke``, ``small``, ``medium`` or ``paper``.
        source: ``embedded``, ``hub``, or the path of a folder of the task's data (or of one with
            a folder for each task, by its name); by default the profile's.
        seed: initial weights, order and dropout derive from it.
        overrides: settings laid over the profile's; ``None`` leaves one as it is.
        device: ``auto`` takes a GPU where there is one.
    """

    task: str
    method: str = "id"
    profile: str = "small"
    source: str | None = None
    seed: int = 1
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"

    @cached_property
    def plan(self) -> Plan:
        """The spec with everything decided and checked; data are verified here."""
        return _plan(self)

    @property
    def signature(self) -> str:
        """The signature of the record that this spec asks for."""
        return self.plan.asked.signature

    def round(self, number: int) -> Spec:
        """The same run in another round of self-distillation."""
        return replace(self, overrides={**self.overrides, "round": number})


@dataclass(frozen=True)
class Plan:
    """A checked spec: the task to train and what its record will say was asked."""

    spec: Spec
    task: Task
    asked: Asked

    @property
    def settings(self) -> Settings:
        """All settings of the run."""
        return self.task.settings

    @cached_property
    def updates(self) -> int:
        """Number of updates of the run."""
        updates = len(self.task.epoch(torch.Generator()))
        return updates * self.settings.epochs * self.settings.stretch


def run(spec: Spec, workspace: Workspace | None = None, progress: Progress | None = None) -> Record:
    """The record of ``spec``: found in the store, or made by training and measuring.

    Raises:
        SettingsError: something in the spec does not exist or cannot be meant.
        idlib.data.DataError: the data are missing, damaged, or not what they should be.
        idlib.training.loop.NonFiniteLoss: the loss became NaN or infinite.
        idlib.records.RecordError, idlib.training.checkpoints.CheckpointError: a damaged file.
    """
    workspace, plan = workspace or Workspace(), spec.plan
    found = workspace.store.answer(plan.asked)
    if found is not None:
        if progress:
            progress(plan.updates)
        return found
    if is_main_process():
        workspace.check()
    with _threads(plan.settings.threads):
        trained = _trained(plan, workspace, progress)
        group = processes(plan.asked.device_type)
        if group.is_main_process:
            with _lock(workspace, plan):
                workspace.store.save(_record(plan, trained))
        group.wait_for_everyone()
    made = workspace.store.find(plan.asked.signature)
    assert made is not None, "the record was just saved"
    return made


def load_model(
    spec: Spec, checkpoint: str = "best", workspace: Workspace | None = None
) -> nn.Module:
    """A run's model in evaluation mode, trained now if its weights are not there.

    Args:
        spec: the run.
        checkpoint: ``best`` (lowest validation loss) or ``last`` (after the last update).
        workspace: where checkpoints lie.
    """
    check_choice("checkpoint", checkpoint, ("best", "last"))
    workspace = workspace or Workspace()
    with _threads(spec.plan.settings.threads):
        trained = _trained(spec.plan, workspace, None)
        return _load(spec.plan, getattr(trained, checkpoint))


def _plan(spec: Spec) -> Plan:
    task_type = task_class(spec.task)
    check_choice("device", spec.device, DEVICES)
    if type(spec.seed) is not int:
        raise SettingsError(f"seed {spec.seed!r}: give a whole number")
    wanted = resolve(
        task_type.schema, task_type.profiles, spec.profile, spec.method, dict(spec.overrides)
    )
    source, root = located(spec.source, spec.task, spec.profile)
    adapted = task_type.adapt(wanted, source)
    check_kept(wanted, adapted, spec.overrides, source)
    named = {name for name, value in spec.overrides.items() if value is not None}
    task = task_type(adapted, source, root).fitted(named)
    settings = task.settings
    task.check()
    device = spec.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    asked = Asked(
        task=spec.task,
        method=spec.method,
        profile=spec.profile,
        source=source,
        seed=spec.seed,
        settings=_named(settings),
        data=task.checksums,
        precision=settings.precision,
        device_type=device,
        threads=settings.threads,
        processes=launched(),
        revision=task.revision,
    )
    plan = Plan(spec, task, asked)
    if settings.schedule == "linear":  # which alone depends on the number of updates
        check_rates(settings, plan.updates)
    return plan


def _named(settings: Settings) -> dict[str, Any]:
    # What is not set plays no part: an optional setting added later leaves signatures as they are.
    return settings.model_dump(mode="json", exclude={"precision", "threads"}, exclude_none=True)


def _trained(plan: Plan, workspace: Workspace, progress: Progress | None) -> Trained:
    """Train, or read back what was trained, this run and before it its teachers."""
    if plan.asked.device_type == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device cuda was asked for, and torch finds no GPU: use cpu or auto")
    processes(plan.asked.device_type)
    with _lock(workspace, plan):
        teacher = None
        folder = workspace.checkpoints / plan.asked.signature
        if plan.settings.round and checkpoints.read_finished(folder) is None:
            before = plan.spec.round(plan.settings.round - 1).plan
            weights = _trained(before, workspace, None).best
            teacher = frozen_teacher(_load(before, weights), before.task.forward)
        seed_everything(derive_seed(plan.spec.seed, "round", plan.settings.round, "weights"))
        return train(
            plan.task.model(),
            plan.task,
            plan.settings,
            seed=plan.spec.seed,
            folder=folder,
            device=plan.asked.device_type,
            teacher=teacher,
            progress=progress,
        )


def _load(plan: Plan, weights: Path) -> nn.Module:
    model = checkpoints.load_weights(plan.task.model(), weights)
    return model.to(plan.asked.device_type).eval()


def _record(plan: Plan, trained: Trained) -> Record:
    best, last = _load(plan, trained.best), _load(plan, trained.last)
    metrics, at_test = plan.task.test(best)
    metrics = {"selected/step": trained.selected_step, **metrics}
    metrics |= {f"test/{k}/last": v for k, v in plan.task.evaluate(last, "test").items()}
    measured = _sensitivity(plan, best)
    metrics |= {**_balance(measured), **_layers(plan.task, measured), **_dropped(plan.task)}
    curves = {**trained.curves, **at_test, **_distribution(measured)}
    # What was selected after the last update is the last model, and is not measured twice.
    at_end = measured if trained.selected_step == plan.updates else _sensitivity(plan, last)
    metrics |= {f"{name}/last": value for name, value in _balance(at_end).items()}
    return Record(
        signature=plan.asked.signature,
        asked=plan.asked,
        measured=Measured(metrics=metrics, curves=curves),
        cost=Cost(
            seconds=trained.seconds,
            peak_memory_bytes=trained.peak_memory_bytes,
            energy_joules=trained.energy_joules,
        ),
        origin=origin(_accelerator(next(best.parameters()).device)),
    )


def _accelerator(device: torch.device) -> str | None:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def _sensitivity(plan: Plan, model: nn.Module) -> Sensitivity:
    batches = plan.task.sensitivity_batches()
    return parameter_sensitivity(model, batches, plan.task.loss, plan.task.never_seen(model))


def _balance(measured: Sensitivity) -> dict[str, float]:
    names = [*STATISTICS, *(f"{name}_normalized" for name in STATISTICS)]
    figures = {f"sensitivity/{name}": getattr(measured, name) for name in names}
    size = {"sensitivity/parameters": measured.count, "sensitivity/batches": measured.batches}
    if measured.excluded_count:
        size["sensitivity/excluded"] = measured.excluded_count
    return {**figures, **size, "train/nll": measured.loss}


def _layers(task: Task, measured: Sensitivity) -> dict[str, float]:
    return {
        f"sensitivity/{name}/{row.layer}": getattr(row, name)
        for row in measured.by_layer(task.layer)
        for name in ("mean", "std")
    }


def _dropped(task: Task) -> dict[str, int]:
    """``dropped/<split>/<reason>``: items that were left out of the data, where there are any."""
    return {
        f"dropped/{split}/{reason}": count
        for split, reasons in task.data.dropped.items()
        for reason, count in reasons.items()
        if count
    }


def _distribution(measured: Sensitivity) -> dict[str, list[float]]:
    return {
        "sensitivity/histogram/edges": HISTOGRAM_EDGES,
        "sensitivity/histogram/counts": measured.histogram(HISTOGRAM_EDGES),
        "sensitivity/quantiles/levels": QUANTILE_LEVELS,
        "sensitivity/quantiles/values": measured.quantiles(QUANTILE_LEVELS),
    }


def _lock(workspace: Workspace, plan: Plan) -> Any:
    """One process (or one group of them) at a time works on a run's folder."""
    if not is_main_process():
        return nullcontext()
    workspace.check_checkpoints()
    folder = workspace.checkpoints / plan.asked.signature
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
