"""What the tasks on a trained encoder share: settings, model with its head, batches, layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn
from tqdm.auto import tqdm

from idlib.data.batching import token_batches
from idlib.tasks.base import Batch, Task
from idlib.training.settings import Settings

EMBEDDED = "embedded"
HEAD = "head."
LAYERS = (  # part of the parameter's name -> how sensitivity is reported; the first that fits
    (HEAD, "head"),
    ("norm", "norm"),
    ("embed", "embedding"),
    ("attention", "attention"),
    ("", "feed-forward"),
)


class Split(Protocol):
    """One split of one language, in word pieces."""

    input_ids: Sequence[Sequence[int]]  # of each example, special pieces included
    lengths: Sequence[int]

    def batch(self, indices: Sequence[int]) -> Batch:
        """These examples, padded to the longest of them."""


class EncoderSettings(Settings):
    """Settings of the tasks on an encoder.

    ``encoder`` is ``embedded``, or a name on the hub or a folder that transformers can load; by
    default the one that comes with the source. ``layers`` keeps its first layers, ``pretrained``
    off gives random weights of the same size, ``freeze_embeddings`` leaves the word embeddings as
    they are. ``dropout`` is that of the encoder and of the head. ``examples`` samples a split
    (``test``: of each language), ``languages`` names those that are tested.

    The defaults are what the paper and the earlier report have in common (facts, section 3).
    """

    encoder: str | None = Field(None, min_length=1)
    layers: int | None = Field(None, ge=1)
    pretrained: bool = True
    freeze_embeddings: bool = False
    dropout: float = Field(0.1, ge=0, lt=1)
    max_length: int = Field(128, ge=8)
    examples: dict[str, int] = Field(default_factory=dict)
    languages: tuple[str, ...] | None = None
    sensitivity_examples: int = Field(1000, ge=1)

    batch_size: int = Field(32, ge=1)
    schedule: Literal["inverse_sqrt", "linear", "constant"] = "linear"
    sensitivity_batch: int = Field(32, ge=1)


class EncoderTask(Task):
    """A task whose model is an encoder with a new head: each token's or each text's logits."""

    public_encoder: ClassVar[str]  # of sources other than the embedded one
    pooling: ClassVar[str | None] = None  # None: logits of every token
    loading: ClassVar[tuple[str, ...]] = ()  # settings that ``load`` takes, beside max_length
    limits = ("encoder", "max_length")

    @classmethod
    def adapt(cls, settings: EncoderSettings, source: str) -> EncoderSettings:
        """The encoder that comes with the source, unless one is asked for."""
        if settings.encoder is not None:
            return settings
        name = EMBEDDED if source == EMBEDDED else cls.public_encoder
        return settings.model_copy(update={"encoder": name})

    def fitted(self, named: Collection[str]) -> Task:
        """See :meth:`idlib.tasks.base.Task.fitted`; the encoder is looked at before any text."""
        self.check()
        return super().fitted(named)

    def check(self) -> None:
        """Refuse layers and lengths that the encoder has not, before any text is read.

        Raises:
            EncoderError: naming the setting and what it can be.
        """
        from idlib.models import encoders

        s = self.settings
        encoders.check(s.encoder, layers=s.layers, max_length=s.max_length)

    @property
    def data(self) -> Any:
        """``splits`` by name (``train``, ``validation``, ``test/en``, …) and ``checksums``."""
        s, root = self.settings, None if self.root is None else str(self.root)
        options = tuple((name, getattr(s, name)) for name in ("max_length", *self.loading))
        sizes = tuple(sorted(s.examples.items()))
        return _load(type(self), self.source, root, s.encoder, options, sizes)

    @classmethod
    @abstractmethod
    def load(cls, source: str, tokenizer: Any, **options: Any) -> Any:
        """The data of a source in pieces of a tokenizer, by the task's data module."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of logits of a token or text."""

    @property
    def tokenizer(self) -> Any:
        """The encoder's fast tokenizer."""
        from idlib.models import encoders  # transformers takes seconds to import

        return encoders.tokenizer(self.settings.encoder)

    @property
    def checksums(self) -> dict[str, str]:
        """Sha256 of each split's content, and of the encoder's files."""
        from idlib.models import encoders

        return {**self.data.checksums, "encoder": encoders.checksum(self.settings.encoder)}

    def model(self) -> nn.Module:
        """The encoder with a fresh head."""
        from idlib.models import encoders

        s = self.settings
        encoder = encoders.load(
            s.encoder,
            layers=s.layers,
            pretrained=s.pretrained,
            dropout=s.dropout,
            freeze_embeddings=s.freeze_embeddings,
        )
        return encoders.Headed(encoder, self.outputs, dropout=s.dropout, pooling=self.pooling)

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """All training examples once, in batches of like length, in a random order."""
        s, lengths = self.settings, self.data.splits["train"].lengths
        longest = max(s.max_length, *lengths)
        return token_batches(lengths, s.batch_size * longest, generator, s.batch_size)

    def batches(self, indices: list[list[int]], split: str = "train") -> Iterator[Batch]:
        """Batches of word pieces [B, L], their mask, and the task's own columns."""
        return map(self.data.splits[split].batch, indices)

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

    def sensitivity_batches(self) -> Iterable[Batch]:
        """The first training examples in their fixed order, equally many a batch."""
        return self.batches(self._measured())

    def never_seen(self, model: nn.Module) -> Mapping[str, Tensor]:
        """Embedding rows of pieces that do not occur in the measured batches, if trained."""
        rows = model.encoder.get_input_embeddings().weight
        names = [name for name, weight in model.named_parameters() if weight is rows]
        if not names or not rows.requires_grad:
            return {}
        seen = torch.cat([batch["input_ids"].flatten() for batch in self.sensitivity_batches()])
        unseen = torch.ones(rows.shape, dtype=torch.bool)
        unseen[seen.unique()] = False
        return {names[0]: unseen}

    @torch.no_grad()
    def predictions(
        self, model: nn.Module, split: str, progress: bool = False
    ) -> Iterator[tuple[list[int], Batch, Any]]:
        """Indices, batch and logits of every example of a split, in batches of like length.

        Batch and logits are on the model's device.
        """
        data, size = self.data.splits[split], 4 * self.settings.batch_size
        parts = token_batches(data.lengths, size * max(data.lengths, default=1), None, size)
        forward, device = self.forward(model), next(model.parameters()).device
        bar = tqdm(parts, desc=split, unit="batch", leave=False, disable=not progress)
        for part in bar:
            batch = {name: value.to(device) for name, value in data.batch(part).items()}
            yield part, batch, forward(batch)

    def _measured(self) -> list[list[int]]:
        s = self.settings
        count = min(len(self.data.splits["train"].lengths), s.sensitivity_examples)
        return [part.tolist() for part in torch.arange(count).split(s.sensitivity_batch)]


@lru_cache(maxsize=16)  # the main grid, and this build, of several data sets
def _load(
    task: type[EncoderTask],
    source: str,
    root: str | None,
    encoder: str,
    options: tuple[tuple[str, Any], ...],
    sizes: tuple[tuple[str, int], ...],
) -> Any:
    from idlib.models import encoders

    tokenizer = encoders.tokenizer(encoder)
    folder = None if root is None else Path(root)
    data = task.load(source, tokenizer, root=folder, sizes=dict(sizes), **dict(options))
    for name, split in data.splits.items():
        encoders.check_coverage(tokenizer, split.input_ids, f"the text of split {name}")
    return data
