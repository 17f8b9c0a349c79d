"""What a run is asked for: a spec, and the plan that it makes once it has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from idlib.data.loaded import LoadedData
from idlib.experiments.sources import locate
from idlib.records import Asked
from idlib.tasks import task_class
from idlib.tasks.base import Task, TaskSettings
from idlib.training.optim import check_rates
from idlib.training.processes import launched
from idlib.training.settings import SettingsError, check_choice, check_kept, resolve

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Spec:
    """What somebody asks for: one run.

    Args:
        task: a name of :data:`idlib.tasks.TASKS`.
        method: ``baseline``, ``id``, ``passes`` or ``compute``.
        profile: ``smoke``, ``small``, ``medium``, ``large`` or ``paper``.
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
        """The spec with everything decided and checked; the data are read and verified here.

        Raises:
            SettingsError: something in the spec does not exist or cannot be meant.
            idlib.data.DataError: the data are missing, damaged, or not what they should be.
            idlib.models.encoders.EncoderError: the encoder is not there, or does not fit.
        """
        return _plan(self)

    @property
    def signature(self) -> str:
        """The signature of the record that this spec asks for."""
        return self.plan.asked.signature

    def round(self, number: int) -> Spec:
        """The same run in another round of self-distillation."""
        return replace(self, overrides={**self.overrides, "round": number})

    def with_seed(self, seed: int) -> Spec:
        """The same run with another seed; what has been checked of it is not checked again."""
        other = replace(self, seed=seed)
        plan = replace(
            self.plan, spec=other, asked=self.plan.asked.model_copy(update={"seed": seed})
        )
        other.__dict__["plan"] = plan  # where the cached property keeps it
        return other

    @property
    def description(self) -> str:
        """The run in a few words, for progress bars and errors."""
        settings = self.plan.settings
        dataset = getattr(settings, "dataset", None)
        named = f"{self.task} ({dataset})" if dataset else self.task
        return (
            f"{named} {self.method}, s = {settings.smoothing:g}, round {settings.round}, "
            f"seed {self.seed}, profile {self.profile}"
        )


@dataclass(frozen=True)
class Plan:
    """A checked spec: the task to train, and what its record will say was asked."""

    spec: Spec
    task: Task[TaskSettings, LoadedData[Any]]
    asked: Asked

    @property
    def settings(self) -> TaskSettings:
        """All settings of the run."""
        return self.task.settings

    @cached_property
    def updates(self) -> int:
        """Number of updates of the run."""
        updates = len(self.task.epoch(torch.Generator()))
        return updates * self.settings.epochs * self.settings.stretch


def _plan(spec: Spec) -> Plan:
    task_type = task_class(spec.task)
    check_choice("device", spec.device, DEVICES)
    if type(spec.seed) is not int:
        raise SettingsError(f"seed {spec.seed!r}: give a whole number")
    named = {name: value for name, value in spec.overrides.items() if value is not None}
    wanted = resolve(task_type.schema, task_type.profiles, spec.profile, spec.method, named)
    source, root = locate(spec.source, spec.task, spec.profile)
    adapted = task_type.adapt(wanted, source)
    check_kept(wanted, adapted, named, source)
    task = task_type(adapted, source, root).fitted(named)
    task.check()
    device = spec.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = task.settings
    if settings.precision == "fp16" and device == "cpu":
        raise SettingsError(
            "precision = fp16 takes a GPU, and is left unheeded on a CPU: set precision to bf16 "
            "or fp32"
        )
    asked = Asked(
        task=spec.task,
        method=spec.method,
        profile=spec.profile,
        source=source,
        seed=spec.seed,
        # What is None plays no part: an optional setting added later leaves signatures alone.
        settings=settings.model_dump(
            mode="json", exclude={"precision", "threads"}, exclude_none=True
        ),
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
