"""Intra-distillation in Hugging Face's Trainer: the loss of training changes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from accelerate import DistributedType
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import Seq2SeqTrainer, Trainer

from idlib.integrations.heads import (
    Batch,
    as_evaluated,
    forward_of,
    own_loss,
    targets_of,
    unwrapped,
)
from idlib.method.objective import IntraDistillation, Parts
from idlib.method.projection import Head
from idlib.method.targets import Target, given_targets
from idlib.method.unprojected import unprojected

ROUNDING, ROUNDING_HALF = 1e-4, 2e-2  # of a loss in 32 bits or more, and in 16

ONE_DEVICE_EACH = (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)


if TYPE_CHECKING:
    Base = Trainer
else:  # the Trainer that stands behind it
    Base = object


class IntraDistillationMixin(Base):
    """Makes the loss of training that of intra-distillation, in any subclass of Trainer.

    Put it before the Trainer of your own:
    ``class MyTrainer(IntraDistillationMixin, TheirTrainer)``.

    Args:
        args, kwargs: the Trainer's own.
        objective: passes, weight and divergence; by default the paper's. Label smoothing is that
            of ``args.label_smoothing_factor``, if it is not 0.
        targets: from a batch to its :class:`~idlib.method.targets.Target`, or to one for each
            output of the model by name; by default the labels that transformers' own losses take
            (:mod:`idlib.integrations.heads`).
        projection: whether the loss may be formed together with the model's last projection, where
            it has one that can be left out (``uses_projection`` tells it after the first update).

    An update averages over all counted positions of all its micro-batches and processes. Beside
    ``loss`` the log has ``task_loss``, ``divergence`` (nats a position, means over the updates
    since the last log) and ``alpha``, the weight in the last of them; updates are counted from 1.
    Evaluation is the Trainer's own: one pass, the model's own loss. A loss that a model adds to
    that of its labels (of the balance of experts, say) is not trained on. Where no ``targets`` are
    given, one pass of the first batch is compared with the model's own loss of it, both in
    evaluation mode.

    Raises:
        ValueError: another loss is given too (``compute_loss_func``), or two label smoothings; at
            the first batch, the model's own loss is another.
    """

    def __init__(
        self,
        *args: Any,
        objective: IntraDistillation | None = None,
        targets: Callable[[Any], Target | Mapping[str, Target]] | None = None,
        projection: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.compute_loss_func is not None:
            raise ValueError(
                "compute_loss_func is another loss: leave it out, or use Trainer; labels of your "
                "own go into targets="
            )
        objective = objective or IntraDistillation()
        smoothing = self.args.label_smoothing_factor
        if smoothing:
            if objective.smoothing not in (0, smoothing):
                raise ValueError(
                    f"the objective's smoothing is {objective.smoothing}, label_smoothing_factor "
                    f"{smoothing}: give one of them"
                )
            objective = replace(objective, smoothing=smoothing)
        self.intra_distillation = objective
        self._targets = targets
        own = targets is not None or type(self).targets is not IntraDistillationMixin.targets
        self._compared = own  # with the model's own loss, if the labels are to be those of it
        self.uses_projection: bool | None = None if projection else False
        self._sums: Tensor | None = None  # task loss and divergence of the updates since the log
        self._updates = 0  # that these are of
        self._alpha: float | Tensor = 0.0

    @property
    def model_accepts_loss_kwargs(self) -> bool:
        """Whether the loss is that of a whole update's positions; of this one's it always is."""
        trains = self.model is not None and self.model.training
        return trains or self._accepts_loss_kwargs

    @model_accepts_loss_kwargs.setter
    def model_accepts_loss_kwargs(self, value: bool) -> None:  # the Trainer's, for evaluation
        self._accepts_loss_kwargs = value

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's own; sums of an earlier training are not those of this one."""
        self._sums, self._updates = None, 0
        return super().train(*args, **kwargs)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, *device: Any
    ) -> tuple[list[Any], Any]:
        """The batches of an update, and its counted positions by head, over all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, *device)
        self._updates += bool(batches)
        counts: dict[str, Tensor] = {}
        for batch in batches:
            for name, target in given_targets(self.targets, batch).items():
                counts[name] = counts.get(name, 0) + target.count
        if self.accelerator.num_processes > 1:
            at = self.accelerator.device
            counts = {n: self.accelerator.reduce(c.to(at), "sum") for n, c in counts.items()}
        return batches, counts or None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The objective of a batch in training, and the Trainer's own loss in evaluation.

        Args:
            model: as it is trained, with what is wrapped around it.
            inputs: its arguments, and the labels.
            return_outputs: whether the outputs of the passes come too, ``{name: [K B, ...]}`` as
                they were run (in the modes ``loop`` and ``cached`` the last pass's).
            num_items_in_batch: counted positions of the update by head, as
                :meth:`get_batch_samples` counts them; without them the batch is the update.
        """
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        counts = num_items_in_batch if isinstance(num_items_in_batch, Mapping) else None
        outputs: dict[str, Tensor] = {}
        parts = self._parts(model, inputs, counts, outputs if return_outputs else None)
        # Gradients are averaged over processes, and this is the update's own sum.
        scale = self.accelerator.num_processes if counts is not None else 1
        if counts is not None:
            sums = scale * torch.stack([parts.task, parts.divergence]).detach()
            self._sums = sums if self._sums is None else self._sums + sums
            self._alpha = parts.alpha
        loss = scale * parts.total
        return (loss, outputs) if return_outputs else loss

    def targets(self, batch: Batch) -> Target | Mapping[str, Target]:
        """The labels of a batch, and the positions that count."""
        if self._targets is not None:
            return self._targets(batch)
        return targets_of(self._inner(self.model), batch)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, and with the training loss its parts and the weight of the divergence."""
        if "loss" in logs and self._sums is not None:
            sums = self.accelerator.gather(self._sums[None]).mean(0) / max(self._updates, 1)
            task, divergence = sums.tolist()
            logs |= {"task_loss": task, "divergence": divergence, "alpha": float(self._alpha)}
            self._sums, self._updates = None, 0
        super().log(logs, *args, **kwargs)

    def _inner(self, model: Any) -> Any:
        """The model of transformers itself."""
        return unwrapped(self.accelerator.unwrap_model(model))

    def _parts(
        self,
        model: nn.Module,
        inputs: Batch,
        counts: Mapping[str, Tensor] | None,
        seen: dict[str, Tensor] | None,
    ) -> Parts:
        """The objective's parts; ``seen`` takes the model's outputs, if they are wanted."""
        names = list(given_targets(self.targets, inputs))
        run = forward_of(model, self._inner(model))

        def forward(batch: Batch) -> dict[str, Head]:
            outputs = run(batch)
            if seen is not None:
                seen.update(outputs)
            return _named(outputs, names)

        if not self._compared:
            self._compare(model, inputs, names)

        def objective(forward: Callable[[Any], Any]) -> Parts:
            with self.accelerator.autocast():
                return self.intra_distillation(
                    forward,
                    self.targets,
                    inputs,
                    step=self.state.global_step + 1,  # of the update that is made
                    total_steps=max(1, self.state.max_steps),
                    counts=counts,
                )

        if seen is None and self.uses_projection is not False:
            if self._can_project(model, names):
                try:
                    parts = objective(unprojected(model, lambda batch: run(batch)["logits"]))
                except ValueError:
                    if self.uses_projection:  # it could be done before: something else is wrong
                        raise
                else:
                    self.uses_projection = True
                    return parts
            self.uses_projection = False
        return objective(forward)

    def _compare(self, model: nn.Module, inputs: Batch, names: list[str]) -> None:
        """Refuse labels of which the model's own loss is another than that of one pass."""
        if not all(target.count > 0 for target in given_targets(self.targets, inputs).values()):
            return  # the next batch tells
        inner = self._inner(model)
        # Not compiled, which would be done again for this, nor as several losses of as many GPUs.
        plain = getattr(model, "_orig_mod", model)
        plain = plain.module if isinstance(plain, nn.DataParallel) else plain
        run = forward_of(plain, inner)
        one_pass = IntraDistillation(passes=1, fused=False)
        with as_evaluated(plain), self.accelerator.autocast():
            ours = one_pass(
                lambda batch: _named(run(batch), names), self.targets, inputs, 0, 1
            ).total
            own = own_loss(plain, inner, inputs)
        self._compared = True
        if own is None:
            return
        rounding = ROUNDING if own.dtype in (torch.float32, torch.float64) else ROUNDING_HALF
        if not torch.allclose(ours, own.to(ours), rounding, rounding, equal_nan=True):
            raise ValueError(
                f"{type(inner).__name__}'s own loss of the first batch is {own.item():.6g}, and "
                f"that of the labels as they are read {ours.item():.6g}: they mean something else "
                "to it (the next token, say), or it weighs them. Give targets=, a function from a "
                "batch to its Target"
            )

    def _can_project(self, model: nn.Module, names: list[str]) -> bool:
        """Whether a projection can be run outside the model, as it is wrapped."""
        if names != ["logits"] or self.accelerator.distributed_type not in ONE_DEVICE_EACH:
            return False
        if isinstance(model, DistributedDataParallel):
            return not model.find_unused_parameters
        return not isinstance(model, nn.DataParallel)


def _named(outputs: Mapping[str, Tensor], names: list[str]) -> dict[str, Head]:
    """The outputs for which there are targets."""
    if missing := [name for name in names if name not in outputs]:
        raise ValueError(
            f"the model gives {', '.join(outputs)}, and not {', '.join(missing)}, for which there "
            "are targets"
        )
    return {name: outputs[name] for name in names}


class IntraDistillationTrainer(IntraDistillationMixin, Trainer):
    """Hugging Face's Trainer with the loss of intra-distillation.

    Sequence and token classification, question answering, language modelling; see
    :class:`IntraDistillationMixin` for its arguments.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from transformers import BertConfig, BertForSequenceClassification, TrainingArguments
        >>> size = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=50)
        >>> model = BertForSequenceClassification(BertConfig(**size, intermediate_size=16))
        >>> data = [{"input_ids": [2, 7 + n, 3], "labels": n % 2} for n in range(8)]
        >>> with TemporaryDirectory() as folder:
        ...     args = TrainingArguments(folder, max_steps=2, report_to="none")
        ...     trainer = IntraDistillationTrainer(
        ...         model, args, train_dataset=data, objective=IntraDistillation(passes=2)
        ...     )
    """


class IntraDistillationSeq2SeqTrainer(IntraDistillationMixin, Seq2SeqTrainer):
    """The same for models from a sequence to another, with ``predict_with_generate``."""
