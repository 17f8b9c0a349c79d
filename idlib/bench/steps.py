"""Whole updates: the model's passes, the loss, the gradients and the optimizer's step."""

from __future__ import annotations

import copy
import itertools
import tempfile
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from idlib.bench.arms import (
    TITLES,
    Arm,
    Call,
    Case,
    Method,
    baseline,
    changed,
    published,
    rdrop,
    total_of,
)
from idlib.costs import About
from idlib.experiments.specs import Spec
from idlib.method.objective import IntraDistillation
from idlib.tasks.translation import TranslationSettings, TranslationTask, network_of
from idlib.training.dropout import dropout_from_bits
from idlib.training.loop import Run
from idlib.training.optim import forward_of, objective_of, optimizer_of
from idlib.training.randomness import seed_everything
from idlib.training.settings import Settings
from idlib.training.trainable import Batch, Trainable


class Way(NamedTuple):
    """A way to make an update: its objective, and settings of a run beside it.

    With ``compile`` the training loop itself makes the update, since it does the compiling.
    """

    method: Method
    compile: str | None = None
    dropout_bits: int | None = None
    projected: bool = False  # whether the model's projection is left to the loss


GRAPHS = "reduce-overhead"  # the setting for CUDA graphs of whole updates
WAYS: dict[str, Way] = {
    "baseline": Way(baseline),
    "published": Way(published),
    "rdrop": Way(rdrop),
    "id-plain": Way(changed(fused=False)),
    "id": Way(changed()),
    "id-loop": Way(changed(mode="loop")),
    "id-cached": Way(changed(mode="cached")),
    "baseline-projection": Way(baseline, projected=True),
    "id-projection": Way(changed(), projected=True),
    "id-cached-projection": Way(changed(mode="cached"), projected=True),
    "baseline-bits": Way(baseline, dropout_bits=16),
    "id-bits": Way(changed(), dropout_bits=16),
    "baseline-compiled": Way(baseline, compile="default"),
    "id-compiled": Way(changed(), compile="default"),
    "baseline-graphs": Way(baseline, compile=GRAPHS),
    "id-graphs": Way(changed(), compile=GRAPHS),
}
ON_A_CPU_ALONE = ("baseline-bits", "id-bits")
LARGE = 8192  # rows and columns of the product that utilisation is measured against
BATCHES = 8  # that a task's updates go through in turn


class Parts(NamedTuple):
    """What an update is made of.

    Attributes:
        task: gives forward and targets.
        settings: of a run of intra-distillation.
        model: gives a copy of one model, on the device.
        batches: of updates, in the host's memory.
        device: to make updates on.
    """

    task: Trainable
    settings: Settings
    model: Callable[[], nn.Module]
    batches: list[Batch]
    device: torch.device

    @property
    def objective(self) -> IntraDistillation:
        """That of a run."""
        return objective_of(self.settings)

    def autocast(self) -> AbstractContextManager[Any]:
        """As the training loop's."""
        bf16 = self.settings.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)


class UpdateCase(Case):
    """One update of a model in training mode, in some of :data:`WAYS`."""

    references: ClassVar[tuple[str, ...]] = ("baseline", "published", "id-plain", "floor")
    ways: ClassVar[tuple[str, ...]] = (
        *("baseline", "published", "rdrop", "id-plain", "id", "id-cached"),
        *("id-projection", "id-cached-projection", *ON_A_CPU_ALONE),
    )

    @abstractmethod
    def set_up(self, device: torch.device) -> Parts:
        """Model, batches, objective and optimizer."""

    def arms(self, setup: Parts) -> list[Arm]:
        """The methods; K times the baseline's forward and backward; on a GPU the ceiling."""
        flops = _flops(setup) if setup.device.type == "cuda" else None
        passes = {"baseline": 1, "rdrop": 2}
        arms = [
            Arm(
                name,
                TITLES[name],
                partial(prepare, WAYS[name]),
                flops=flops and flops * passes.get(name.split("-")[0], setup.settings.passes),
            )
            for name in self.ways
            if setup.device.type == "cpu" or name not in ON_A_CPU_ALONE
        ]
        forward_backward = partial(prepare, WAYS["baseline"], step=False)
        factor = setup.settings.passes
        title = "K × the baseline's forward and backward"
        arms.append(Arm("floor", title, forward_backward, factor=factor))
        if flops:
            arms.append(Arm("ceiling", TITLES["ceiling"], product, flops=2 * LARGE**3))
        return arms


def prepare(way: Way, setup: Parts, step: bool = True) -> Call:
    """One update; without ``step`` its forward and backward alone."""
    if way.compile is not None:
        return of_training_loop(way, setup)
    objective = way.method(setup.objective)
    seed_everything(1)
    model = setup.model()
    model.train()
    optimizer = optimizer_of(model, setup.settings, setup.task.is_head)
    forward = forward_of(setup.task, model, way.projected)
    batches = itertools.cycle(setup.batches)

    def make() -> tuple[Batch, ExitStack]:
        stack = ExitStack()
        stack.enter_context(dropout_from_bits(way.dropout_bits))
        return next(batches), stack

    def run(made: tuple[Batch, ExitStack]) -> None:
        batch, stack = made
        with stack:
            with setup.autocast():
                total = total_of(objective, forward, setup.task.targets, batch, setup.device)
            total.backward()
            if step:
                optimizer.step()
            optimizer.zero_grad()

    return Call(run, make)


def of_training_loop(way: Way, setup: Parts) -> Call:
    """An update as a run makes it."""
    objective = way.method(setup.objective)
    assert isinstance(objective, IntraDistillation), "a run has no other objective"
    changes = {"compile": way.compile, "passes": objective.passes, "alpha": objective.alpha}
    settings = setup.settings.model_copy(update=changes)
    with tempfile.TemporaryDirectory() as folder:  # nothing is written
        device = setup.device.type
        run = Run(setup.model(), setup.task, settings, 1, Path(folder), device, None)
    run.step = run.order.total_updates
    batches = itertools.cycle(setup.batches)
    return Call(lambda batch: run.update([batch]), lambda: next(batches))


def product(setup: Parts) -> Call:
    """A product of two large matrices in the case's precision."""
    dtype = torch.bfloat16 if setup.settings.precision == "bf16" else torch.float32
    one, other = torch.randn(2, LARGE, LARGE, device=setup.device, dtype=dtype)
    return Call(lambda _: one @ other)


def _flops(setup: Parts) -> float:
    """Of a baseline's forward and backward, in products of matrices."""
    call = prepare(WAYS["baseline"], setup, step=False)
    with FlopCounterMode(display=False) as counter:
        call.run(call.make())
    return float(counter.get_total_flops())


class Sentences(TranslationTask):
    """The translation task with one update of made-up sentences."""

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """All of them."""
        return [list(range(self.settings.batch_size or 1))]


@dataclass(frozen=True)
class StepCase(UpdateCase):
    """An update of the translation task's Transformer on made-up sentences of one length."""

    suite: ClassVar[str] = "step"

    layers: int = 3
    width: int = 256
    ffn: int = 1024
    sentences: int = 32
    tokens: int = 32
    vocabulary: int = 12_000
    passes: int = 3
    precision: str = "fp32"
    memory_kept: bool = True

    @property
    def name(self) -> str:
        """Its sizes."""
        size = f"{self.layers}+{self.layers}x{self.width}"
        return f"{size}-{self.sentences}x{self.tokens}-K{self.passes}-{self.precision}"

    @property
    def about(self) -> About:
        """Model, batch, K, precision."""
        names = ("layers", "width", "ffn", "sentences", "tokens", "vocabulary", "passes")
        return {**{name: getattr(self, name) for name in names}, "precision": self.precision}

    def set_up(self, device: torch.device) -> Parts:
        """A model with fresh weights, its dropout that of the paper, and one batch."""
        sizes: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("layers", "width", "ffn", "vocabulary", "passes", "precision")
        }
        settings = TranslationSettings(**sizes, epochs=1, batch_size=self.sentences)
        model: nn.Module = network_of(settings, settings.vocabulary)
        generator = torch.Generator().manual_seed(1)
        shape = (3, self.sentences, self.tokens)
        source, target, labels = torch.randint(3, self.vocabulary, shape, generator=generator)
        batch = {
            "input_ids": source,
            "attention_mask": torch.ones_like(source),
            "decoder_input_ids": target,
            "labels": labels,
            "label_mask": torch.ones_like(labels, dtype=torch.bool),
        }
        task = Sentences(settings, "embedded")  # whose data are not asked for
        return Parts(task, settings, partial(copy.deepcopy, model.to(device)), [batch], device)


@dataclass(frozen=True)
class CompiledCase(StepCase):
    """The same with the body compiled by ``torch.compile``, beside the baseline that is not."""

    suite: ClassVar[str] = "compiled"
    references: ClassVar[tuple[str, ...]] = ("baseline", "floor")

    kind: str = "compiled"  # or graphs

    @property
    def name(self) -> str:
        """Its sizes and the kind."""
        return f"{super().name}-{self.kind}"

    @property
    def ways(self) -> tuple[str, ...]:  # type: ignore[override]
        """Baseline and intra-distillation in one mode of the compiler."""
        return "baseline", "id", f"baseline-{self.kind}", f"id-{self.kind}"


@dataclass(frozen=True)
class TaskCase(UpdateCase):
    """An update of one of the five tasks on its own first batches, as its settings have it."""

    suite: ClassVar[str] = "tasks"
    ways: ClassVar[tuple[str, ...]] = (
        *("baseline", "published", "id-plain", "id", "id-cached", "baseline-bits", "id-bits"),
    )

    task: str = "translation"
    profile: str = "medium"
    source: str | None = None
    memory_kept: bool = True

    @property
    def name(self) -> str:
        """Task and profile."""
        return f"{self.task}-{self.profile}"

    @property
    def about(self) -> About:
        """Task, profile, K, mode, precision."""
        settings = Spec(self.task, "id", self.profile, self.source).plan.settings
        return {
            "task": self.task,
            "profile": self.profile,
            "passes": settings.passes,
            "mode": settings.mode,
            "precision": settings.precision,
        }

    def set_up(self, device: torch.device) -> Parts:
        """What a run of the task has, and its first batches."""
        plan = Spec(self.task, "id", self.profile, self.source, device=device.type).plan
        task, settings = plan.task, plan.settings
        order = task.epoch(torch.Generator().manual_seed(1))[:BATCHES]
        model = task.model().to(device)
        batches = list(task.batches(order))
        return Parts(task, settings, partial(copy.deepcopy, model), batches, device)
