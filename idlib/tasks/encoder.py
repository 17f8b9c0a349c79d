"""What the tasks on a pretrained encoder share: settings, model with its head, batches, layers.

Those that are trained on English and tested in several languages share their test too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from idlib.data import languages
from idlib.data.batching import token_batches
from idlib.data.languages import ENGLISH, Multilingual
from idlib.metrics import items
from idlib.models import encoders
from idlib.tasks.base import Curves, D, Metrics, Task, TaskSettings
from idlib.training.trainable import Batch, Selection

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from typing_extensions import Self

HEAD = "head."
LAYERS = (  # part of the parameter's name -> how sensitivity is reported; the first that fits
    (HEAD, "head"),
    ("norm", "norm"),
    ("embed", "embedding"),
    ("attention", "attention"),
    ("", "feed-forward"),
)


class EncoderSettings(TaskSettings):
    """Settings of the tasks on an encoder.

    ``encoder`` is ``embedded``, or a name on the hub or a folder that transformers can load; by
    default the one that comes with the source. ``layers`` keeps its first layers, ``pretrained``
    off gives random weights of the same size, ``freeze_embeddings`` leaves the word embeddings as
    they are. ``dropout`` is that of the encoder and of the head, ``max_length`` counts the
    encoder's tokens. ``languages`` names those that are tested, and ``test`` in ``examples`` the
    test items of each of them.

    The defaults are what the paper and the earlier report have in common (facts, section 3).
    """

    encoder: str | None = Field(None, min_length=1)
    layers: int | None = Field(None, ge=1)
    pretrained: bool = True
    freeze_embeddings: bool = False
    dropout: float = Field(0.1, ge=0, lt=1)
    max_length: int = Field(128, ge=8)
    languages: tuple[str, ...] | None = None
    sensitivity_examples: int = Field(1000, ge=1)

    batch_size: int = Field(32, ge=1)
    schedule: Literal["inverse_sqrt", "linear", "constant"] = "linear"
    sensitivity_batch: int = Field(32, ge=1)


E = TypeVar("E", bound=EncoderSettings)
M = TypeVar("M", bound="Multilingual[Any]")


class EncoderTask(Task[E, D]):
    """A task whose model is an encoder with a new head: each token's or each text's logits.

    Attributes:
        public_encoder: of sources other than the embedded one.
    """

    public_encoder: ClassVar[str]
    loaded_by: ClassVar[tuple[str, ...]] = ("encoder", "max_length")
    limits: ClassVar[tuple[str, ...]] = ("encoder", "max_length")

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of logits of a token or text."""

    @property
    def pooling(self) -> str | None:
        """How a text's states become one; ``None`` keeps them, for logits of every token."""
        return None

    @classmethod
    def adapt(cls, settings: E, source: str) -> E:
        """The encoder that comes with the source, unless one is asked for."""
        if settings.encoder is not None:
            return settings
        name = encoders.EMBEDDED if source == "embedded" else cls.public_encoder
        return settings.model_copy(update={"encoder": name})

    def fitted(self, named: Collection[str]) -> Self:
        """See :meth:`idlib.tasks.base.Task.fitted`; the encoder is looked at before any text."""
        self.check()
        return super().fitted(named)

    def check(self) -> None:
        """Refuse layers and lengths that the encoder has not, before any text is read.

        Raises:
            EncoderError: naming the setting and what it can be.
        """
        s = self.settings
        encoders.check(self.encoder, layers=s.layers, max_length=s.max_length)

    @property
    def encoder(self) -> str:
        """The encoder by name or folder."""
        assert self.settings.encoder is not None, "adapt names one"
        return self.settings.encoder

    @classmethod
    def loaded(cls, source: str, **options: Any) -> D:
        """The data of a source in the encoder's tokens.

        Raises:
            EncoderError: the encoder does not know the text.
        """
        tokenizer = encoders.tokenizer(options.pop("encoder"))
        data = super().loaded(source, tokenizer=tokenizer, **options)
        for name, split in data.splits.items():
            encoders.check_coverage(tokenizer, split.input_ids, f"the text of split {name}")
        return data

    @property
    def checksums(self) -> dict[str, str]:
        """Sha256 of each split's content, and of the encoder's files."""
        return {**self.data.checksums, "encoder": encoders.checksum(self.encoder)}

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """All training examples once, in batches of like length, in a random order."""
        s, lengths = self.settings, self.data.splits["train"].lengths
        longest = max(s.max_length, *lengths)
        return token_batches(lengths, s.batch_size * longest, generator, s.batch_size)

    def evaluation_batches(self, split: str) -> list[list[int]]:
        """All examples of a split, in batches of like length."""
        lengths, size = self.data.splits[split].lengths, 4 * self.settings.batch_size
        return token_batches(lengths, size * max(lengths, default=1), None, size)

    def model(self) -> nn.Module:
        """The encoder with a fresh head."""
        s = self.settings
        encoder = encoders.load(
            self.encoder,
            layers=s.layers,
            pretrained=s.pretrained,
            dropout=s.dropout,
            freeze_embeddings=s.freeze_embeddings,
        )
        return encoders.Headed(encoder, self.outputs, dropout=s.dropout, pooling=self.pooling)

    def forward(self, model: nn.Module) -> Callable[[Batch], Any]:
        """From a batch to logits [B, L, outputs], or [B, outputs] where the texts are pooled."""
        names = ("input_ids", "attention_mask", "token_type_ids")
        return lambda batch: model(**{name: batch[name] for name in names if name in batch})

    def is_head(self, parameter: str) -> bool:
        """Whether a parameter belongs to the new head."""
        return parameter.startswith(HEAD)

    def layer(self, parameter: str) -> str:
        """Embedding, attention, feed-forward or norm of the encoder, or the head."""
        return next(layer for part, layer in LAYERS if part in parameter.lower())

    def never_seen(self, model: nn.Module) -> Mapping[str, Tensor]:
        """Embedding rows of tokens that are not in the sensitivity batches, if rows are trained."""
        encoder = cast("PreTrainedModel", model.encoder)
        rows = cast(Tensor, encoder.get_input_embeddings().weight)
        names = [name for name, weight in model.named_parameters() if weight is rows]
        if not names or not rows.requires_grad:
            return {}
        unseen = torch.ones(rows.shape, dtype=torch.bool)
        for batch in self.sensitivity_batches():
            unseen[batch["input_ids"].flatten()] = False
        return {names[0]: unseen}


class LanguageScores(NamedTuple):
    """What a model scores on one split of a :class:`CrossLingualTask`.

    Attributes:
        metrics: of the split; ``nll`` (nats) and ``f1`` (0–1) are among them.
        f1_items: each item's part of the F1, by column (the ratio of sums).
        nll_items: each item's NLL (nats), so scaled that their mean is the NLL.
    """

    metrics: Metrics
    f1_items: dict[str, list[float]]
    nll_items: list[float]


class CrossLingualTask(EncoderTask[E, M]):
    """A task that is trained on English and tested in every language of its data.

    Splits are ``train``, ``validation`` and ``test/<language>``; ``test`` stands for English.
    """

    loaded_by: ClassVar[tuple[str, ...]] = (*EncoderTask.loaded_by, "languages")
    selection = Selection("f1", higher_is_better=True)

    def of_folder(self) -> dict[str, Any]:
        """The languages that the folder has a test set of."""
        assert self.root is not None, "source path has a folder"
        return {"languages": languages.of_folder(self.root)}

    @abstractmethod
    def scores(self, model: nn.Module, split: str, progress: bool = False) -> LanguageScores:
        """A model's scores on a split by its full name."""

    def reference_scores(self, split: str) -> Metrics:
        """Scores of rules that need no model, to compare with."""
        return {}

    def evaluate(self, model: nn.Module, split: str) -> Metrics:
        """The metrics of English validation or test, or of the split ``test/<language>``."""
        return self.scores(model, f"test/{ENGLISH}" if split == "test" else split).metrics

    def test(self, model: nn.Module) -> tuple[Metrics, Curves]:
        """Metrics of English validation, and of the test sets of all languages.

        ``test/f1/de`` is over all items of a language, ``test/f1_parallel/de`` over those that
        every tested language has, and ``…/others`` are the means over the languages not trained
        on. ``test/nll`` is that of English. The curves hold each English item's NLL, and the
        numbers of each language's items with their parts of the F1.
        """
        data = self.data
        metrics = {f"validation/{k}": v for k, v in self.evaluate(model, "validation").items()}
        curves: Curves = {}
        ids = sorted({item for name in data.languages for item in data.splits[f"test/{name}"].ids})
        numbers = {item: number for number, item in enumerate(ids)}
        by_metric: dict[str, Metrics] = {}  # each of them by language
        for language in data.languages:
            split = f"test/{language}"
            scores = self.scores(model, split, progress=True)
            curves[f"test/items/{language}"] = [numbers[item] for item in data.splits[split].ids]
            for column, parts in scores.f1_items.items():
                curves[f"test/f1/{language}/{column}"] = parts
            if language == ENGLISH:
                curves["test/nll/items"] = [round(value, 4) for value in scores.nll_items]
            for name, value in {**scores.metrics, **self.reference_scores(split)}.items():
                by_metric.setdefault(name, {})[language] = value
        del by_metric["f1"]  # it follows from the items, as that of the parallel ones does
        others = [language for language in data.languages if language != ENGLISH]
        for name, values in by_metric.items():
            if name == "nll":
                metrics["test/nll"] = values[ENGLISH]
            else:
                metrics |= {f"test/{name}/{language}": values[language] for language in values}
            if others:
                mean = np.mean([values[language] for language in others])
                metrics[f"test/{name}/{items.OTHERS}"] = float(mean)
        averaged = [items.OTHERS] if others else []
        for score in ("f1", f"f1{items.PARALLEL}") if data.parallel else ("f1",):
            for name in (*data.languages, *averaged):
                metric = f"test/{score}/{name}"
                metrics[metric] = items.score(items.items_of(curves, metric))
        return metrics, curves
