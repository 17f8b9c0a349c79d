"""The one training loop: every task and every method goes through :func:`train`.

One update: fetch its micro-batches, count their positions, forward, backward, clip, step. The
loop knows no task: the task gives batches, ``forward``, ``targets`` and ``evaluate``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, gather_object
from torch import Tensor, nn

from idlib.method.objective import Parts
from idlib.method.targets import as_heads
from idlib.training import checkpoints
from idlib.training.meter import Meter
from idlib.training.optim import learning_rate, objective_of, optimizer_of
from idlib.training.randomness import (
    derive_seed,
    generator_states,
    seed_everything,
    set_generator_states,
)
from idlib.training.settings import Settings, SettingsError

_START = (
    "unset the variables of a launcher (WORLD_SIZE, RANK, LOCAL_RANK), or start all processes with "
    "torchrun --standalone --nproc-per-node N -m idlib run ..."
)

Batch = dict[str, Tensor]
Progress = Callable[[int], None]


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the run stopped before the update was made."""


class LaunchError(RuntimeError):
    """Not as many processes run together as were asked for."""


class Selection(NamedTuple):
    """The validation metric that chooses the checkpoint, and whether more of it is better."""

    metric: str
    higher_is_better: bool = False

    def improves(self, value: float, best: float | None) -> bool:
        """Whether ``value`` is strictly better than ``best`` (the earlier one wins a tie)."""
        if best is None:
            return True
        return value > best if self.higher_is_better else value < best


class Trainable(Protocol):
    """What the loop needs of a task."""

    @property
    def selection(self) -> Selection:
        """The validation metric that selects the checkpoint."""

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """One epoch: for each update the indices of its training examples."""

    def batches(self, indices: list[list[int]]) -> Iterator[Batch]:
        """The training batches of these indices, in this order."""

    def forward(self, model: nn.Module) -> Callable[[Batch], Any]:
        """From a model to its function from batch to logits."""

    def targets(self, batch: Batch) -> Any:
        """The targets of a batch."""

    def is_head(self, parameter: str) -> bool:
        """Whether a parameter belongs to the new head of a trained encoder."""

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Metrics of a model in evaluation mode on a split."""


class Trained(NamedTuple):
    """A finished training: its weights, curves, selected update and cost."""

    best: Path
    last: Path
    curves: dict[str, list[float]]
    selected_step: int
    seconds: float
    peak_memory_bytes: int
    energy_joules: float | None


def train(
    model: nn.Module,
    task: Trainable,
    settings: Settings,
    *,
    seed: int,
    folder: Path,
    device: str = "cpu",
    teacher: Callable[[Batch], Any] | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train ``model`` and leave its selected and its last weights in ``folder``.

    A run that was stopped at any point goes on from its last evaluation and ends, on processors
    of one kind (the same instruction sets) with the same threads and versions of the libraries,
    with the same bits as one that never stopped. A finished one is read back at once.

    Args:
        model: freshly initialised; it is trained in place.
        task: batches, forward, targets, evaluation.
        settings: all that decides the numbers but the data.
        seed: one integer; the order of examples and the dropout masks derive from it and from
            the round of self-distillation.
        folder: for checkpoints; belongs to this run alone.
        device: ``cpu`` or ``cuda``.
        teacher: from a batch to the teacher's logits, on the same device.
        progress: called with 1 after each update, and once with the updates found done already.

    Raises:
        NonFiniteLoss: the loss was NaN or infinite; the message names the update, the batch's
            examples and the last good checkpoint.
        checkpoints.CheckpointError: a checkpoint in ``folder`` cannot be read.
    """
    if finished := checkpoints.read_finished(folder):
        return Trained(folder / checkpoints.BEST, folder / checkpoints.LAST, **finished)
    processes(device)
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision={"fp32": "no"}.get(settings.precision, settings.precision),
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
    optimizer = optimizer_of(model, settings, task.is_head)
    model, optimizer = accelerator.prepare(model, optimizer)
    return _Run(model, task, settings, seed, folder, teacher, accelerator, optimizer).go(
        progress or (lambda updates: None)
    )


def launched() -> int:
    """The number of processes that a launcher says it started, 1 without one.

    Raises:
        LaunchError: what it says names no process of a group.
    """
    size, rank = os.environ.get("WORLD_SIZE", "1"), os.environ.get("RANK", "0")
    if not (size.isdecimal() and rank.isdecimal() and int(rank) < int(size)):
        raise LaunchError(
            f"the variables WORLD_SIZE = {size!r} and RANK = {rank!r} name no process of a group: "
            f"{_START}"
        )
    return int(size)


def is_main_process() -> bool:
    """Whether this process is the only one, or the first that ``torchrun`` started."""
    return os.environ.get("RANK", "0") == "0"


def processes(device: str) -> PartialState:
    """The processes of this run, one or as many as ``torchrun`` started, on ``device``.

    Raises:
        LaunchError: fewer run than were asked for, as some launchers do without a word.
    """
    asked = launched()
    # An earlier run of this process may have had another precision, or another device.
    AcceleratorState._reset_state(reset_partial_state=asked == 1)
    try:
        together = PartialState(cpu=device == "cpu")
    except (ValueError, RuntimeError) as error:  # a variable that is missing, or no answer
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LaunchError(
            f"{asked} processes were asked for and do not come together ({reason}): {_START}"
        ) from error
    if together.num_processes != asked:
        raise LaunchError(
            f"{asked} processes were asked for and {together.num_processes} run together: {_START}"
        )
    return together


class _Run:
    """The state of one training; :meth:`go` is the loop."""

    def __init__(self, model, task, settings, seed, folder, teacher, accelerator, optimizer):
        self.model, self.task, self.settings = model, task, settings
        self.folder, self.teacher = folder, teacher
        self.accelerator, self.optimizer = accelerator, optimizer
        self.objective = objective_of(settings)
        self.lr_factors = (1.0, (settings.lr_head or settings.lr_peak) / settings.lr_peak)
        self.forward = task.forward(model)
        self.seeds = (seed, "round", settings.round)
        self.updates_per_epoch = len(self._order(epoch=0))
        self.total_steps = self.updates_per_epoch * settings.epochs * settings.stretch
        every = settings.evaluate_every or self.updates_per_epoch
        self.evaluate_every = every * settings.stretch  # as many checkpoints as its baseline
        self.step, self.best, self.selected_step = 0, None, 0
        self.curves: dict[str, list[float]] = {}
        self.meter = Meter(accelerator.device)

    def go(self, progress: Progress) -> Trained:
        seed_everything(derive_seed(*self.seeds, "dropout", self.accelerator.process_index))
        self._resume()
        progress(self.step)
        self.model.train()
        recent = _Recent()
        for indices, micro_batches in self._updates():
            self.step += 1
            rate = learning_rate(self.settings, self.step, self.total_steps)
            parts = self._update(indices, micro_batches, rate)
            recent.add(parts, rate)
            if self.step % self.evaluate_every == 0 or self.step == self.total_steps:
                self._evaluate(recent)
                recent = _Recent()
            progress(1)
        return self._finish()

    def _update(self, indices: list[int], micro_batches: list[Batch], rate: float) -> Parts:
        accelerator, device = self.accelerator, self.accelerator.device
        micro_batches = [{k: v.to(device) for k, v in batch.items()} for batch in micro_batches]
        counts = self._counts(micro_batches)
        summed = None
        for position, batch in enumerate(micro_batches):
            last = position == len(micro_batches) - 1
            with nullcontext() if last else accelerator.no_sync(self.model):
                with accelerator.autocast():
                    parts = self.objective(
                        self.forward,
                        self.task.targets,
                        batch,
                        step=self.step,
                        total_steps=self.total_steps,
                        teacher=self.teacher,
                        counts=counts,
                    )
                # Gradients are averaged over processes, and this is the update's own sum.
                accelerator.backward(parts.total * accelerator.num_processes)
            losses = torch.stack([part.detach() for part in parts[:3]])
            summed = losses if summed is None else summed + losses
        summed = accelerator.reduce(summed, "sum")
        if not torch.isfinite(summed).all():
            self._stop_at_non_finite(indices, summed)
        if self.settings.clip is not None:
            accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        for index, group in enumerate(self.optimizer.param_groups):
            group["lr"] = rate * self.lr_factors[index]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return Parts(*summed, parts.alpha)

    def _counts(self, micro_batches: list[Batch]) -> dict[str, Tensor]:
        """Counted positions of the whole update by head, over micro-batches and processes."""
        totals: dict[str, Tensor] = {}
        for batch in micro_batches:
            for name, target in as_heads(self.task.targets(batch)).items():
                totals[name] = totals.get(name, 0) + target.count
        return {name: self.accelerator.reduce(count, "sum") for name, count in totals.items()}

    def _updates(self) -> Iterator[tuple[list[int], list[Batch]]]:
        """The updates still to make: the examples' indices, and this process's micro-batches."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        for epoch in range(self.step // self.updates_per_epoch, self._epochs()):
            order = self._order(epoch)[self.step - epoch * self.updates_per_epoch :]
            slices = [_slices(indices[rank::world], self.settings.micro_batch) for indices in order]
            loaded = iter(self.task.batches([part for update in slices for part in update]))
            for indices, parts in zip(order, slices, strict=True):
                yield indices, [next(loaded) for _ in parts]

    def _epochs(self) -> int:
        return self.settings.epochs * self.settings.stretch

    def _order(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(derive_seed(*self.seeds, "order", epoch))
        order = self.task.epoch(generator)
        world = self.accelerator.num_processes
        if not order or min(map(len, order)) < world:
            raise SettingsError(
                f"an update needs at least one example for each of {world} processes; the "
                f"smallest here has {min(map(len, order), default=0)}: start fewer processes, or "
                "set batch_size or examples so that more is left for the last update"
            )
        return order

    def _evaluate(self, recent: _Recent) -> None:
        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        metrics = self.task.evaluate(model, "validation")
        self.model.train()
        points = {"train/step": self.step, **recent.means(), "validation/step": self.step}
        points |= {f"validation/{name}": value for name, value in metrics.items()}
        for name, value in points.items():
            self.curves.setdefault(name, []).append(float(value))
        value, selection = metrics[self.task.selection.metric], self.task.selection
        if not math.isfinite(value):
            raise NonFiniteLoss(
                f"validation {selection.metric} is {value} at update {self.step}. {self._good()}"
            )
        weights = {}
        if selection.improves(value, self.best):
            self.best, self.selected_step = value, self.step
            weights = model.state_dict()
        self._save(weights)

    def _save(self, best_weights: dict[str, Tensor]) -> None:
        generators = gather_object([generator_states()])
        if not self.accelerator.is_main_process:
            return
        checkpoints.save(
            self.folder,
            best_weights,
            {
                "step": self.step,
                "best": self.best,
                "selected_step": self.selected_step,
                "curves": self.curves,
                "seconds": self.meter.seconds,
                "energy_joules": self.meter.energy_joules,
                "peak_memory_bytes": self.meter.peak_memory_bytes,
                "model": self.accelerator.unwrap_model(self.model).state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
                "generators": generators,
            },
        )

    def _resume(self) -> None:
        state = checkpoints.load(self.folder)
        if state is None:
            return
        self.accelerator.unwrap_model(self.model).load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        set_generator_states(state["generators"][self.accelerator.process_index])
        self.step, self.curves = state["step"], state["curves"]
        self.best, self.selected_step = state["best"], state["selected_step"]
        self.meter.add(state["seconds"], state["energy_joules"], state["peak_memory_bytes"])

    def _finish(self) -> Trained:
        finished: dict[str, Any] = {
            "curves": self.curves,
            "selected_step": self.selected_step,
            "seconds": self.meter.seconds,
            "peak_memory_bytes": self.meter.peak_memory_bytes,
            "energy_joules": self.meter.energy_joules,
        }
        if self.accelerator.is_main_process:
            last = self.accelerator.unwrap_model(self.model).state_dict()
            checkpoints.finish(self.folder, self.selected_step, last, finished)
        self.accelerator.wait_for_everyone()
        return Trained(self.folder / checkpoints.BEST, self.folder / checkpoints.LAST, **finished)

    def _stop_at_non_finite(self, indices: list[int], summed: Tensor) -> None:
        names = zip(("total", "task", "divergence"), summed.tolist(), strict=True)
        raise NonFiniteLoss(
            f"the loss is not finite at update {self.step} of {self.total_steps} "
            f"({', '.join(f'{name} {value:g}' for name, value in names)}); its training examples "
            f"were {json.dumps(indices)}. {self._good()}"
        )

    def _good(self) -> str:
        state = checkpoints.load(self.folder)
        if state is None:
            return "There is no checkpoint before it."
        path = checkpoints.state_path(self.folder)
        return f"The last good checkpoint is {path}, update {state['step']}."


class _Recent:
    """Means of the objective's parts since the last evaluation."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.updates = 0

    def add(self, parts: Parts, rate: float) -> None:
        values = {**parts._asdict(), "lr": rate}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.updates += 1

    def means(self) -> dict[str, float]:
        return {f"train/{name}": total / self.updates for name, total in self.sums.items()}


def _slices(indices: list[int], size: int | None) -> list[list[int]]:
    size = size or len(indices)
    return [indices[start : start + size] for start in range(0, len(indices), size)]
