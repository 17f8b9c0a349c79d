"""Which cases there are, by suite and by device: all of a benchmark's sizes stand here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from idlib.bench.arms import Case
from idlib.bench.losses import KernelCase, LossCase, MallocCase, ProjectionCase, SizeCase
from idlib.bench.sensitivities import SensitivityCase
from idlib.bench.steps import CompiledCase, StepCase, TaskCase
from idlib.tasks import TASKS
from idlib.training.settings import check_choice

MULTILINGUAL = 119_547  # classes: the vocabulary of multilingual BERT

# The paper's Transformer, of 50 M parameters.
_PAPER: dict[str, Any] = dict(layers=6, width=512, ffn=1024, tokens=64, precision="bf16")
_LARGE, _SMALL = {**_PAPER, "sentences": 256}, {**_PAPER, "sentences": 64}

CPU: tuple[Case, ...] = (
    LossCase(),
    *(SizeCase(passes=k, positions=256) for k in (2, 3, 5)),
    *(SizeCase(positions=n) for n in (32, 1024)),
    *(SizeCase(positions=64, classes=c) for c in (100, 2_000, 32_000, MULTILINGUAL)),
    ProjectionCase(positions=512),
    StepCase(),
    TaskCase("translation", "medium"),
    *(TaskCase(task, "small") for task in TASKS),
    SensitivityCase(StepCase()),
    SensitivityCase(TaskCase("images", "small")),
    MallocCase(),
)
CUDA: tuple[Case, ...] = (
    LossCase(positions=4096, dtype="bfloat16"),
    LossCase(positions=4096, dtype="float32"),
    LossCase(positions=4096, classes=MULTILINGUAL, dtype="bfloat16"),
    KernelCase(positions=4096, dtype="bfloat16"),
    KernelCase(positions=4096, dtype="float32"),
    KernelCase(positions=4096, classes=MULTILINGUAL, dtype="bfloat16"),
    ProjectionCase(positions=4096, dtype="bfloat16"),
    StepCase(**_LARGE),
    StepCase(**_SMALL),
    SensitivityCase(StepCase(**_SMALL)),
    *(SizeCase(passes=k, positions=4096, dtype="bfloat16") for k in (2, 3, 5)),
    *(SizeCase(positions=n, dtype="bfloat16") for n in (256, 1024, 16_384)),
    *(SizeCase(positions=4096, classes=c, dtype="bfloat16") for c in (2_000, 32_000)),
    CompiledCase(**_SMALL, kind="graphs"),
    CompiledCase(**_LARGE, kind="graphs"),
    CompiledCase(**_LARGE, kind="compiled"),
    *(TaskCase(task, "small") for task in TASKS),
    *(TaskCase(task, "paper", "embedded") for task in TASKS),  # the rates of the page of scale
)
_TINY = StepCase(layers=1, width=16, ffn=32, sentences=2, tokens=6, vocabulary=200)
QUICK: tuple[Case, ...] = (
    LossCase(positions=16, classes=500),
    SizeCase(positions=8, classes=500),
    ProjectionCase(positions=16, classes=500, d=16),
    _TINY,
    TaskCase("images", "smoke"),
    TaskCase("translation", "smoke"),
    SensitivityCase(_TINY),
    MallocCase(positions=16, classes=500),
)
CASES = {"cpu": CPU, "cuda": CUDA}
SUITES = (
    *("loss", "kernel", "sizes", "malloc", "projection", "step", "compiled", "tasks"),
    "sensitivity",
)


def cases_of(suites: Sequence[str], device: str, quick: bool = False) -> list[Case]:
    """The cases of these suites on a device, all of them where none is named.

    Args:
        suites: of :data:`SUITES`.
        device: ``cpu`` or ``cuda``.
        quick: tiny cases instead, to see that everything runs.

    Raises:
        SettingsError: an unknown suite, or one that the device has no cases of.
    """
    for suite in suites:
        check_choice("suite", suite, SUITES)
    there: Iterable[Case] = QUICK if quick else CASES[device]
    there = list(there)
    names = tuple(dict.fromkeys(case.suite for case in there))
    for suite in suites:
        check_choice(f"suite on {device}", suite, names)
    return [case for case in there if not suites or case.suite in suites]
