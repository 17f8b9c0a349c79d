"""The one training loop: every task and every method goes through :func:`train`.

It knows no task: the task gives batches, ``forward``, ``targets`` and ``evaluate``. What is
optional is a callback (``progress``) or a function that it is given (``teacher``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, gather_object
from torch import Tensor, nn

from idlib.method.targets import Forward, as_heads
from idlib.metrics.names import BEST, LAST, LOSS, steps_name
from idlib.training import checkpoints
from idlib.training.dropout import dropout_from_bits
from idlib.training.meter import Cost, Meter
from idlib.training.optim import objective_of, optimizer_of, set_learning_rate
from idlib.training.order import Order
from idlib.training.processes import processes
from idlib.training.randomness import (
    derive_seed,
    generator_states,
    seed_everything,
    set_generator_states,
)
from idlib.training.settings import Settings
from idlib.training.trainable import Batch, Selection, Trainable

Progress = Callable[[int], object]


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the run stopped before the update was made."""


class Trained(NamedTuple):
    """A finished training: its weights, curves, the update of each selection, and its cost."""

    folder: Path
    curves: dict[str, list[float]]
    selected: dict[str, int]
    seconds: float
    peak_memory_bytes: int
    energy_joules: float | None

    def weights(self, selection: str) -> Path:
        """The file of the weights that one of :data:`idlib.metrics.names.SELECTIONS` chose."""
        return checkpoints.weights_path(self.folder, self.selected[selection])


def train(
    model: nn.Module,
    task: Trainable,
    settings: Settings,
    *,
    seed: int,
    folder: Path,
    device: str = "cpu",
    teacher: Forward | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train ``model`` and leave three sets of weights in ``folder``.

    They are those of the task's best validation metric, of the lowest validation loss, and of the
    last update.

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
        progress: called with 1 after each update, and first with the updates that were done
            before.

    Raises:
        NonFiniteLoss: the loss was NaN or infinite; the message names the update, the batch's
            examples and the last good checkpoint.
        checkpoints.CheckpointError: a checkpoint in ``folder`` cannot be read.
    """
    if finished := checkpoints.read_finished(folder):
        return Trained(folder, **finished)
    progress = progress or (lambda updates: None)
    run = Run(model, task, settings, seed, folder, device, teacher)
    run.resume()
    progress(run.step)
    recent = Means()
    with dropout_from_bits(settings.dropout_bits):
        for indices, micro_batches in run.order.updates_after(run.step):  # fetch
            run.step += 1
            losses = run.forward_backward(micro_batches)
            run.check_finite(losses, indices)
            if settings.clip is not None:
                run.accelerator.clip_grad_norm_(run.model.parameters(), settings.clip)
            rate = set_learning_rate(run.optimizer, settings, run.step, run.order.total_updates)
            run.optimizer.step()
            run.optimizer.zero_grad()
            recent.add({**losses, "lr": rate})
            if run.step % run.evaluate_every == 0 or run.step == run.order.total_updates:
                run.evaluate(recent)
                run.save()
                recent = Means()
            progress(1)
    return run.finish()


class Run:
    """The state of one training, and the steps that :func:`train` is made of."""

    def __init__(
        self,
        model: nn.Module,
        task: Trainable,
        settings: Settings,
        seed: int,
        folder: Path,
        device: str,
        teacher: Forward | None,
    ) -> None:
        processes(device)
        self.accelerator = accelerator = Accelerator(
            cpu=device == "cpu",
            mixed_precision={"fp32": "no"}.get(settings.precision, settings.precision),
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        self.optimizer: torch.optim.Optimizer
        self.model, self.optimizer = accelerator.prepare(
            model, optimizer_of(model, settings, task.is_head)
        )
        self.task, self.settings, self.folder, self.teacher = task, settings, folder, teacher
        self.objective, self.forward = objective_of(settings), task.forward(self.model)
        self.order = Order(
            task, settings, seed, accelerator.process_index, accelerator.num_processes
        )
        every = settings.evaluate_every or self.order.updates_per_epoch
        self.evaluate_every = every * settings.stretch  # as many checkpoints as its baseline
        self.step = 0
        self.rules = {BEST: task.selection, LOSS: Selection("nll")}
        self.selected: dict[str, int] = {}  # the update that each rule has chosen so far
        self.best: dict[str, float] = {}  # and its value
        self.curves: dict[str, list[float]] = {}
        self.meter = Meter(accelerator.device)
        rank = accelerator.process_index
        seed_everything(derive_seed(seed, "round", settings.round, "dropout", rank))
        self.model.train()

    def forward_backward(self, micro_batches: list[Batch]) -> dict[str, float]:
        """The gradients of one update, and its losses, over micro-batches and processes."""
        accelerator = self.accelerator
        batches = [
            {name: value.to(accelerator.device) for name, value in batch.items()}
            for batch in micro_batches
        ]
        counts = self.counts(batches)
        summed: Tensor | None = None
        for number, batch in enumerate(batches, start=1):
            is_last = number == len(batches)
            with nullcontext() if is_last else accelerator.no_sync(self.model):
                with accelerator.autocast():
                    parts = self.objective(
                        self.forward,
                        self.task.targets,
                        batch,
                        step=self.step,
                        total_steps=self.order.total_updates,
                        teacher=self.teacher,
                        counts=counts,
                    )
                # Gradients are averaged over processes, and this is the update's own sum.
                accelerator.backward(parts.total * accelerator.num_processes)
            losses = torch.stack([parts.total, parts.task, parts.divergence]).detach()
            summed = losses if summed is None else summed + losses
        total, task, divergence = accelerator.reduce(summed, "sum").tolist()
        return {"total": total, "task": task, "divergence": divergence, "alpha": parts.alpha}

    def counts(self, batches: list[Batch]) -> dict[str, Tensor]:
        """Counted positions of the whole update by head, over micro-batches and processes."""
        totals: dict[str, Tensor] = {}
        for batch in batches:
            for name, target in as_heads(self.task.targets(batch)).items():
                totals[name] = totals[name] + target.count if name in totals else target.count
        return {name: self.accelerator.reduce(count, "sum") for name, count in totals.items()}

    def check_finite(self, losses: Mapping[str, float], indices: list[int]) -> None:
        """Stop where a loss of an update is not finite, of the examples of these indices."""
        if not all(map(math.isfinite, losses.values())):
            values = ", ".join(f"{name} {value:g}" for name, value in losses.items())
            self.stop(
                f"the loss is not finite at update {self.step} of {self.order.total_updates} "
                f"({values}); its training examples were {json.dumps(indices)}"
            )

    def evaluate(self, recent: Means) -> None:
        """Extend the curves, and let each rule look at the model."""
        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        metrics = self.task.evaluate(model, "validation")
        costly = self.task.costly(model, "validation") if self.is_costly_due() else {}
        self.model.train()
        points = {"train/step": self.step, **recent.means(), "validation/step": self.step}
        points |= {f"validation/{name}": value for name, value in {**metrics, **costly}.items()}
        points |= {steps_name(f"validation/{name}"): self.step for name in costly}
        for name, value in points.items():
            self.curves.setdefault(name, []).append(float(value))
        for name, rule in self.rules.items():
            value = {**metrics, **costly}.get(rule.metric)
            if value is None:  # it was not measured this time
                continue
            if not math.isfinite(value):
                self.stop(f"validation {rule.metric} is {value} at update {self.step}")
            if rule.improves(value, self.best.get(name)):
                self.best[name], self.selected[name] = value, self.step

    def is_costly_due(self) -> bool:
        """Whether this evaluation has the costly metrics; the last one always has."""
        number, more = divmod(self.step, self.evaluate_every)
        at_interval = not more and number % self.task.costly_every == 0
        return at_interval or self.step == self.order.total_updates

    def save(self) -> None:
        """Save all that a resume needs, and the weights where a rule has just chosen them."""
        generators = gather_object([generator_states()])
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "step": self.step,
            "best": self.best,
            "selected": self.selected,
            "curves": self.curves,
            **self.meter.cost._asdict(),
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler else {},
            "generators": generators,
        }
        checkpoints.save(self.folder, state["model"], state)

    def resume(self) -> None:
        """Go on from the saved state, if there is one."""
        state = checkpoints.load(self.folder)
        if state is None:
            return
        self.accelerator.unwrap_model(self.model).load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        set_generator_states(state["generators"][self.accelerator.process_index])
        self.step, self.curves = state["step"], state["curves"]
        self.best, self.selected = state["best"], state["selected"]
        self.meter.before = Cost(*(state[name] for name in Cost._fields))

    def finish(self) -> Trained:
        """Leave the selected weights and the account of the training."""
        finished: dict[str, Any] = {
            "curves": self.curves,
            "selected": {**self.selected, LAST: self.step},
            **self.meter.cost._asdict(),
        }
        if self.accelerator.is_main_process:
            checkpoints.finish(self.folder, self.step, self.weights(), finished)
        self.accelerator.wait_for_everyone()
        return Trained(self.folder, **finished)

    def weights(self) -> dict[str, Tensor]:
        """The model's state, without a wrapper's names."""
        state: dict[str, Tensor] = self.accelerator.unwrap_model(self.model).state_dict()
        return state

    def stop(self, reason: str) -> NoReturn:
        """Stop the run; the message names the last good checkpoint."""
        state = checkpoints.load(self.folder)
        good = "There is no checkpoint before it."
        if state is not None:
            path = checkpoints.state_path(self.folder)
            good = f"The last good checkpoint is {path}, update {state['step']}."
        raise NonFiniteLoss(f"{reason}. {good}")


class Means:
    """Means of named numbers over updates."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.updates = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Count the numbers of one update."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.updates += 1

    def means(self) -> dict[str, float]:
        """The mean of each, by its name as a curve."""
        return {f"train/{name}": total / self.updates for name, total in self.sums.items()}
