"""The one training loop: every task and every method goes through :func:`train`.

It knows no task: the task gives batches, ``forward``, ``targets`` and ``evaluate``. What is
optional is a callback (``progress``) or a function that it is given (``teacher``).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, gather_object
from torch import Tensor, nn

from idlib.method.projection import Head, outline
from idlib.method.schedules import adaptive_alpha
from idlib.method.targets import Forward, Target, as_heads, check_counts, outputs_of
from idlib.metrics.names import BEST, LAST, LOSS, steps_name
from idlib.training import checkpoints
from idlib.training.buckets import Targets, in_bucket, of_rows_that_count
from idlib.training.compiled import compile_errors_explained, compiled
from idlib.training.devices import Arrivals, Losses, Means, to_device
from idlib.training.dropout import dropout_from_bits
from idlib.training.graphs import Graphs, Inputs
from idlib.training.memory import keep_freed_memory
from idlib.training.meter import Cost, Meter
from idlib.training.optim import forward_of, objective_of, optimizer_of, set_learning_rate
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

_log = logging.getLogger(__name__)

Progress = Callable[[int], object]


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the run stopped before anything of it was kept."""


class Trained(NamedTuple):
    """A finished training: its weights, curves, the update of each selection, and its cost."""

    folder: Path
    curves: dict[str, list[float]]
    selected: dict[str, int]
    seconds: float
    peak_memory_bytes: int
    energy_joules: float | None

    def weights(self, selection: str) -> Path:
        """The file of the weights that a selection chose: ``best``, ``loss`` or ``last``."""
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

    A run that was stopped at any point goes on from its last evaluation. On a CPU it ends, on
    processors of one kind (the same instruction sets) with the same threads and versions of the
    libraries, with the same bits as one that never stopped; on a GPU, where sums may be formed in
    another order each time, that is not promised. A finished one is read back at once.

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
    if device == "cpu":
        keep_freed_memory()
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
            rate = set_learning_rate(run.optimizer, settings, run.step, run.order.total_updates)
            losses = run.update(micro_batches)
            recent.add(losses, alpha=run.alpha, lr=rate)
            run.arrivals.send(Losses(run.step, indices, run.alpha, losses))
            run.check_finite()
            if run.step % run.evaluate_every == 0 or run.step == run.order.total_updates:
                run.check_finite(everything=True)  # before anything is kept
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
        self.arrivals = Arrivals()
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
        # Autocast is the loop's own: accelerate's would make all logits float32, too.
        inner = accelerator.unwrap_model(self.model)
        if "_original_forward" in vars(inner):
            inner.forward = vars(inner).pop("_original_forward")
        self.objective = objective_of(settings)
        self.targets: Targets = task.targets
        trained = compiled(self.model) if settings.compile else self.model
        self.forward = forward_of(task, trained)
        if settings.compile:
            self.targets = of_rows_that_count(task.targets)
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
        self.device = accelerator.device
        self.meter = Meter(self.device)
        rank = accelerator.process_index
        seed_everything(derive_seed(seed, "round", settings.round, "dropout", rank))
        self.model.train()

    @property
    def alpha(self) -> float:
        """The weight of the divergence in this update."""
        a = self.objective
        return adaptive_alpha(self.step, self.order.total_updates, a.alpha, a.p, a.q)

    def update(self, micro_batches: list[Batch]) -> Tensor:
        """Make one update, and return its losses: total, task and divergence ``[3]``.

        Nothing here waits for a GPU: what has to be read of a batch is read before it goes there.
        """
        if not self.settings.compile:
            return self._update(micro_batches)
        with compile_errors_explained():
            return self._update([in_bucket(batch) for batch in micro_batches])

    def _update(self, micro_batches: list[Batch]) -> Tensor:
        if self.graphs is not None:
            at_hand = as_heads(self.targets(micro_batches[0]))
            counts = self.counts([at_hand])
            return self.graphs.update(micro_batches[0], counts, self.alpha, at_hand)
        losses = self.forward_backward(micro_batches)
        self.apply_gradients()
        return losses

    def forward_backward(self, micro_batches: list[Batch]) -> Tensor:
        """The gradients of one update, and its losses, over micro-batches and processes."""
        accelerator = self.accelerator
        labelled = [as_heads(self.targets(batch)) for batch in micro_batches]
        on_device = to_device(self.counts(labelled), self.device)
        counts = {name: accelerator.reduce(count, "sum") for name, count in on_device.items()}
        if accelerator.num_processes > 1 and self.device.type == "cpu":
            check_counts(counts)  # on several GPUs the loss would not be finite
        summed: Tensor | None = None
        for batch, at_hand in zip(micro_batches, labelled, strict=True):
            is_last = batch is micro_batches[-1]
            with nullcontext() if is_last else accelerator.no_sync(self.model):
                losses = self.part(
                    to_device(batch, self.device), at_hand, counts, self.alpha, self.forward
                )
            summed = losses if summed is None else summed + losses
        reduced: Tensor = accelerator.reduce(summed, "sum")
        return reduced

    def part(
        self,
        batch: Batch,
        at_hand: Mapping[str, Target],
        counts: dict[str, Tensor],
        alpha: float | Tensor,
        forward: Forward,
    ) -> Tensor:
        """Add the gradients of a micro-batch, and return its part of the update's losses.

        Args:
            batch: on the device.
            at_hand: its targets by head, on the host.
            counts: counted positions of the whole update by head, on the device.
            alpha: the weight of the divergence.
            forward: of the task and the model.
        """
        accelerator = self.accelerator
        with accelerator.autocast():
            parts = self.objective(
                forward,
                self.targets,
                batch,
                step=self.step,
                total_steps=self.order.total_updates,
                teacher=self.teacher,
                counts=counts,
                at_hand=at_hand,
                alpha=alpha,
            )
        # Gradients are averaged over processes, and this is the update's own sum.
        accelerator.backward(parts.total * accelerator.num_processes)
        return torch.stack([parts.total, parts.task, parts.divergence]).detach()

    def apply_gradients(self) -> None:
        """Clip the gradients, step, and clear them."""
        if self.settings.clip is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

    @cached_property
    def graphs(self) -> Graphs | None:
        """What records updates and replays them, where that is asked for and can be had."""
        s = self.settings
        if s.compile != "reduce-overhead":
            return None
        hindrances = {
            "the device is no GPU": self.device.type != "cuda",
            "there are several processes": self.accelerator.num_processes > 1,
            f"micro_batch = {s.micro_batch}": s.micro_batch is not None,
            f"mode = {s.mode}": s.mode != "stack" and s.passes > 1,
            f"optimizer = {s.optimizer}": s.optimizer == "adamax",
            f"precision = {s.precision}": s.precision == "fp16",
        }
        if found := [reason for reason, applies in hindrances.items() if applies]:
            _log.warning(
                "setting compile = %s: updates are not recorded as CUDA graphs, since %s; the "
                "model is compiled as with compile = default",
                *(s.compile, " and ".join(found)),
            )
            return None

        def step(inputs: Inputs, at_hand: Mapping[str, Target]) -> tuple[Tensor, dict[str, Tensor]]:
            shapes: dict[str, Tensor] = {}

            def forward(batch: Batch) -> dict[str, Head]:
                heads = outputs_of(self.forward(batch))
                for name, head in heads.items():
                    z = outline(head).detach().to("meta")
                    shapes[name] = z.unflatten(0, (s.passes, -1))
                return heads

            losses = self.part(inputs.batch, at_hand, inputs.counts, inputs.alpha, forward)
            self.apply_gradients()
            return losses, shapes

        return Graphs(step, self.optimizer, self.device)

    def counts(self, labelled: list[dict[str, Target]]) -> dict[str, Tensor]:
        """Counted positions of this process's micro-batches by head, on the host.

        Args:
            labelled: the targets of each micro-batch by head, on the host.
        """
        totals: dict[str, Tensor] = {}
        for heads in labelled:
            for name, target in heads.items():
                totals[name] = totals[name] + target.count if name in totals else target.count
        if self.accelerator.num_processes == 1:
            check_counts(totals)
        return totals

    def check_finite(self, everything: bool = False) -> None:
        """Stop where a loss is not finite, of the updates whose losses are due or of all."""
        for losses in self.arrivals.take(everything):
            if losses.values.isfinite().all():
                continue
            total, task, divergence = losses.values.tolist()
            self.stop(
                f"the loss is not finite at update {losses.step} of {self.order.total_updates} "
                f"(total {total:g}, task {task:g}, divergence {divergence:g}, alpha "
                f"{losses.alpha:g}); its training examples were {json.dumps(losses.indices)}"
            )

    def evaluate(self, recent: Means) -> None:
        """Extend the curves, and let each rule look at the model."""
        model = self.accelerator.unwrap_model(self.model)
        model.eval()
        with self.accelerator.autocast():
            metrics = self.task.evaluate(model, "validation")
            costly = self.task.costly(model, "validation") if self.is_costly_due() else {}
        self.model.train()
        points = {"train/step": self.step, **recent.means(), "validation/step": self.step}
        points |= {f"validation/{name}": value for name, value in {**metrics, **costly}.items()}
        points |= {steps_name(f"validation/{name}"): self.step for name in costly}
        for name, value in points.items():
            self.curves.setdefault(name, []).append(float(value))
        for name, rule in self.rules.items():
            found = {**metrics, **costly}.get(rule.metric)
            if found is None:  # it was not measured this time
                continue
            if not math.isfinite(found):
                self.stop(f"validation {rule.metric} is {found} at update {self.step}")
            if rule.improves(found, self.best.get(name)):
                self.best[name], self.selected[name] = found, self.step

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
        """Stop the run; the message names the last good checkpoint, which need not be read."""
        try:
            path = checkpoints.state_path(self.folder)
        except checkpoints.CheckpointError as error:
            good = str(error)
        else:
            good = "There is no checkpoint before it."
            if path is not None:
                update = path.stem.rpartition("-")[2]
                good = f"The last good checkpoint is {path}, update {update}."
        raise NonFiniteLoss(f"{reason}. {good}")
