"""Classification of sentences and of pairs of sentences, and regression on pairs: GLUE's tasks.

The settings are the paper's (BERT-base on GLUE; facts, section 3). On the embedded LibreOffice
Help the smaller profiles train the first layers of the embedded encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from idlib.data import classification
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics.classification import of_classes, of_values
from idlib.models.encoders import EMBEDDED
from idlib.tasks.base import Curves, Metrics
from idlib.tasks.encoder import EncoderSettings, EncoderTask
from idlib.training.settings import check_choice
from idlib.training.trainable import Batch, Selection

SCORES = {  # of GLUE's data sets; of all others accuracy, or Pearson of a regression
    "cola": "matthews",
    "mrpc": "f1",
    "qqp": "f1",
    "stsb": "pearson",
}


class ClassificationSettings(EncoderSettings):
    """Settings of the classification task; the defaults are the paper's (facts, section 3).

    ``dataset`` names one of the source's; by default its first, or the folder's only one.
    ``pooling`` makes one state of a text: ``mean`` of its tokens' states, or the ``first`` one (of
    the encoder's pooler where it has one); by default what the encoder was trained with, the mean
    for the embedded one. How the rate falls is not stated by the paper: linearly, as for tagging.
    """

    dataset: str | None = None
    pooling: Literal["mean", "first"] | None = None
    languages: None = None  # the data are in one language

    alpha: float = Field(0.5, ge=0)
    epochs: int = Field(20, ge=1)
    optimizer: Literal["adamw", "adamax"] | None = "adamax"
    lr_peak: float = Field(2e-4, gt=0)


_SHORT = {
    "dropout_bits": 16,
    "freeze_embeddings": True,
    "lr_peak": 5e-4,
    "lr_head": 1e-3,
    "epochs": 3,
}


class Outcome(NamedTuple):
    """A model's losses and predictions on a split, each [N], in the split's order, on the CPU."""

    losses: Tensor  # float64: nats, or squared errors
    predicted: Tensor  # int64 classes, or float64 values
    labels: Tensor


class ClassificationTask(EncoderTask[ClassificationSettings, classification.ClassificationData]):
    """LibreOffice Help, GLUE, or tables in folders: one class or value for each text or pair.

    The loss of a regression is the squared error. It stands wherever a classification has its
    cross-entropy, also under the name ``nll``: up to constants it is the negative log-likelihood
    of a normal distribution around the prediction.
    """

    name = "classification"
    revision = 2
    schema = ClassificationSettings
    load = staticmethod(classification.load)
    public_encoder = "bert-base-uncased"
    selection = Selection("score", higher_is_better=True)
    loaded_by = (*EncoderTask.loaded_by, "dataset")
    datasets = {source: tuple(names) for source, names in classification.DATASETS.items()}
    profiles = {
        "paper": {},
        # Of 2e-4, 5e-4, 1e-3 and 2e-3 the rate with the lowest validation loss of the baseline.
        "large": {"lr_head": 1e-3, "warmup": 100, "epochs": 10, "precision": "bf16"},
        "medium": {
            **_SHORT,
            "layers": 4,
            "lr_head": 2e-3,
            "batch_size": 16,
            "epochs": 4,
            "precision": "bf16",
            "examples": {"train": 600},
            "sensitivity_examples": 320,
        },
        "small": {
            **_SHORT,
            "layers": 3,
            "max_length": 64,
            "lr_peak": 1e-3,
            "lr_head": 5e-3,
            "examples": {"train": 400, "validation": 200, "test": 200},
            "sensitivity_examples": 96,
        },
        "smoke": {
            **_SHORT,
            "layers": 1,
            "epochs": 1,
            "batch_size": 8,
            "max_length": 32,
            "examples": {"train": 48, "validation": 24, "test": 24},
        },
    }

    @classmethod
    def adapt(cls, settings: ClassificationSettings, source: str) -> ClassificationSettings:
        """Encoder, pooling and data set that come with the source, unless others are asked for."""
        settings = super().adapt(settings, source)
        pooling, dataset = settings.pooling, settings.dataset
        if pooling is None:
            pooling = "mean" if settings.encoder == EMBEDDED else "first"
        if choices := cls.datasets[source]:
            dataset = dataset or choices[0]
            check_choice("dataset", dataset, choices)
        return settings.model_copy(update={"pooling": pooling, "dataset": dataset})

    def of_folder(self) -> dict[str, Any]:
        """The data set: the one named, or the folder's only one."""
        return {"dataset": classification.dataset_of("path", self.root, self.settings.dataset)}

    @classmethod
    def datasets_of(cls, source: str, root: Path | None) -> tuple[str, ...]:
        """Those that the source publishes, or those of the folder."""
        return classification.datasets(source, root) if source == "path" else cls.datasets[source]

    @property
    def report(self) -> list[str]:
        """Lines of text on what was left out of the data set, each with its name."""
        return [f"{self.data.dataset}: {line}" for line in self.data.report]

    @property
    def pooling(self) -> str | None:
        """How the states of a text's tokens become one."""
        return self.settings.pooling

    @property
    def outputs(self) -> int:
        """Number of classes; 1 for a regression."""
        return len(self.data.classes) or 1

    @property
    def score(self) -> str:
        """Name of the data set's main metric."""
        if self.source == "hub":
            return SCORES.get(self.data.dataset, "accuracy")
        return "pearson" if self.data.regression else "accuracy"

    def targets(self, batch: Batch) -> Target:
        """The class, or the value, of each text."""
        labels = batch[classification.LABEL]
        return Target(labels, kind="regression" if self.data.regression else "classes")

    def evaluate(self, model: nn.Module, split: str) -> Metrics:
        """``nll`` (nats; of a regression the squared error), ``score``, and all that apply.

        These are ``accuracy``, ``matthews`` and ``f1`` (of class 1 of two; of more ``f1_macro``),
        or ``pearson`` and ``spearman`` of a regression; ``score`` is one of them.
        """
        return self._metrics(self._outcome(model, split))

    def test(self, model: nn.Module) -> tuple[Metrics, Curves]:
        """All metrics of validation and test, and what each test item adds to them.

        The curves are each item's ``nll``, its number, and for classes whether it was right: the
        numerators of the accuracy, and of the score where that is the accuracy.
        """
        metrics: Metrics = {}
        for split in ("validation", "test"):
            outcome = self._outcome(model, split, progress=True)
            scores = self._metrics(outcome)
            metrics |= {f"{split}/{name}": value for name, value in scores.items()}
        ids = self.data.splits["test"].ids
        numbers = {item: number for number, item in enumerate(sorted(ids))}
        curves: Curves = {
            "test/items/en": [numbers[item] for item in ids],
            "test/nll/items": [round(value, 4) for value in outcome.losses.tolist()],
        }
        if not self.data.regression:
            right = (outcome.predicted == outcome.labels).long().tolist()
            curves["test/accuracy/numerators"] = right
            if self.score == "accuracy":
                curves["test/score/numerators"] = right
        return metrics, curves

    def _metrics(self, outcome: Outcome) -> Metrics:
        predicted, labels = outcome.predicted.numpy(), outcome.labels.numpy()
        if self.data.regression:
            scores = of_values(predicted, labels)
        else:
            scores = of_classes(predicted, labels, self.outputs)
        return {"nll": outcome.losses.mean().item(), "score": scores[self.score], **scores}

    def _outcome(self, model: nn.Module, split: str, progress: bool = False) -> Outcome:
        labels, regression = self.data.splits[split].labels, self.data.regression
        losses = torch.zeros(len(labels), dtype=torch.float64)
        predicted = torch.zeros(len(labels), dtype=torch.float64 if regression else torch.int64)
        for part, batch, logits in self.predictions(model, split, progress):
            wanted = batch[classification.LABEL]
            if regression:
                values = logits.squeeze(-1).double()
                losses[part] = (values - wanted).square().cpu()
                predicted[part] = values.cpu()
            else:
                losses[part] = cross_entropy(logits, wanted).double().cpu()
                predicted[part] = logits.argmax(-1).cpu()
        return Outcome(losses, predicted, labels)
