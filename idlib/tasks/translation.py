"""Translation from German to English: the fairseq Transformer on a joint SentencePiece vocabulary.

The settings are the paper's on IWSLT'14 (6 + 6 layers of width 512, 12,000 subwords, 4,096 tokens a
batch). On the embedded LibreOffice Help the smaller profiles train a narrow model on short
sentences. Tokens are those of the vocabulary: subwords, and the end of a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import MarianMTModel

from idlib.data import translation
from idlib.data.batching import token_batches
from idlib.data.translation import Pairs
from idlib.data.vocabulary import BOS, EOS, PAD
from idlib.method.losses import cross_entropy
from idlib.method.targets import Forward, Target
from idlib.method.unprojected import unprojected
from idlib.metrics import bleu
from idlib.models import transformer
from idlib.tasks.base import Curves, Metrics, Task, TaskSettings
from idlib.training.devices import memory_at_hand
from idlib.training.settings import Decay, SettingsError
from idlib.training.trainable import Batch, Selection

POSITIONS = 1024  # fairseq's longest input
LAYERS = {  # by the parameter's module: how sensitivity is reported
    "embed_tokens": "embedding",
    "self_attn": "attention",
    "encoder_attn": "attention",
    "fc1": "feed-forward",
    "fc2": "feed-forward",
    "self_attn_layer_norm": "norm",
    "encoder_attn_layer_norm": "norm",
    "final_layer_norm": "norm",
    "lm_head": "output",
}


class TranslationSettings(TaskSettings):
    """Settings of the translation task; the defaults are the paper's (facts, section 3).

    ``batch_tokens`` is the number of tokens in an update: sentences times the longest side of any
    of them, as fairseq counts. ``batch_size`` limits the sentences too. ``max_tokens`` and
    ``max_ratio`` (longer side over shorter) drop training pairs; ``test_tokens`` shortens
    validation and test, which are whole without it. The best checkpoint has the highest BLEU on
    validation, translated without beams at every ``bleu_every``-th evaluation and at the last.
    """

    layers: int = Field(6, ge=1)
    width: int = Field(512, ge=4, multiple_of=2)  # half of it sines, half cosines
    ffn: int = Field(1024, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    attention_dropout: float = Field(0.1, ge=0, lt=1)

    vocabulary: int = Field(12_000, ge=8)
    max_tokens: int = Field(175, ge=1, lt=POSITIONS)  # and the end of the sentence
    max_ratio: float = Field(1.5, ge=1)
    test_tokens: int | None = Field(None, ge=1, lt=POSITIONS)

    smoothing: float = Field(0.1, ge=0, lt=1)
    epochs: int = Field(46, ge=1)  # the earlier report's 50,000 updates
    batch_tokens: int = Field(4096, ge=1)
    batch_size: int | None = Field(None, ge=1)
    lr_peak: float = Field(5e-4, gt=0)
    warmup: int = Field(8000, ge=0)
    betas: tuple[Decay, Decay] = (0.9, 0.98)
    eps: float = Field(1e-6, gt=0)
    weight_decay: float = Field(1e-4, ge=0)

    bleu_every: int = Field(4, ge=1)  # evaluations: decoding takes many passes
    beams: int = Field(5, ge=1)
    length_penalty: float = 1.0
    decode_tokens: int = Field(200, ge=2, le=POSITIONS)  # fairseq's longest output
    sensitivity_batch: int = Field(48, ge=1)
    sensitivity_examples: int = Field(4000, ge=1)
    lr_head: None = None  # all of the model is new

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> TranslationSettings:
        if self.width % self.heads:
            raise ValueError(
                f"setting heads = {self.heads} does not divide width = {self.width}: set one of "
                "the two so that it does"
            )
        return self


def network_of(settings: TranslationSettings, vocabulary: int) -> MarianMTModel:
    """A fresh Transformer of the settings' size for so many tokens."""
    s = settings
    return transformer.transformer(
        vocabulary,
        layers=s.layers,
        width=s.width,
        ffn=s.ffn,
        heads=s.heads,
        dropout=s.dropout,
        attention_dropout=s.attention_dropout,
        positions=POSITIONS,
    )


_NARROW = {
    "dropout_bits": 16,
    "layers": 2,
    "width": 128,
    "ffn": 256,
    "vocabulary": 2000,
    "max_tokens": 20,
    "test_tokens": 20,
    "batch_tokens": 768,
    "lr_peak": 3e-3,
    "warmup": 200,
    "decode_tokens": 40,
}


class TranslationTask(Task[TranslationSettings, translation.TranslationData]):
    """LibreOffice Help, IWSLT'14, or two aligned text files: German to English."""

    name = "translation"
    revision = 2
    schema = TranslationSettings
    profiles = {
        "paper": {"threads": 8},
        # The paper's model on all pairs; at a rate of 1e-3 the baseline does not train.
        "large": {"vocabulary": 4000, "warmup": 500, "epochs": 24, "precision": "bf16"},
        # 2,112 updates: the baseline's validation NLL is lowest in the first half of them.
        "medium": {**_NARROW, "examples": {"train": 2000}, "epochs": 48},
        "small": {**_NARROW, "examples": {"train": 4000}, "epochs": 7},
        "smoke": {
            **_NARROW,
            "width": 16,
            "ffn": 32,
            "layers": 1,
            "vocabulary": 400,
            "warmup": 2,
            "epochs": 2,
            "bleu_every": 1,
            "examples": {"train": 160, "validation": 40, "test": 40},
        },
    }
    load = staticmethod(translation.load)
    loaded_by = limits = ("vocabulary", "max_tokens", "max_ratio", "test_tokens")
    selection = Selection("bleu", higher_is_better=True)
    smoothing = (0.1,)  # the paper's
    sweep = (
        {"epochs": 12},
        {"epochs": 24},
        {"epochs": 24, "examples": {"train": 500}},
        {"epochs": 24, "examples": {"train": 1000}},
        {"epochs": 24, "examples": {"train": 4000}},
    )

    def check(self) -> None:
        """Refuse more beams than tokens, and sentences beyond the positions of the model.

        Raises:
            SettingsError: naming the setting and what it can be.
        """
        s, size = self.settings, self.data.vocabulary.size
        most = size - len({PAD, EOS, BOS})
        if s.beams > most:
            raise SettingsError(
                f"setting beams = {s.beams}: {most} of the {size} tokens can begin a sentence; "
                "set beams to less, or vocabulary to more"
            )
        for name, pairs in self.data.splits.items():
            if (longest := max(pairs.lengths)) > POSITIONS:
                raise SettingsError(
                    f"setting test_tokens = {s.test_tokens}: {name} has a sentence of {longest} "
                    f"tokens, more than the {POSITIONS} positions of the model; set test_tokens "
                    f"below {POSITIONS}, or shorten it"
                )

    @property
    def checksums(self) -> dict[str, str]:
        """Sha256 of each split's content, and of the vocabulary that is made from it."""
        return {**self.data.checksums, "vocabulary": self.data.vocabulary.checksum}

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """All training pairs once, in batches by token count, in a random order."""
        s, lengths = self.settings, self.data.splits["train"].lengths
        return token_batches(lengths, s.batch_tokens, generator, s.batch_size)

    def evaluation_batches(self, split: str) -> list[list[int]]:
        """All pairs of a split, in batches of like length."""
        pairs = self.data.splits[split]
        return _by_length(pairs, range(len(pairs)), 4 * self.settings.batch_tokens)

    def model(self) -> nn.Module:
        """A fresh Transformer."""
        return network_of(self.settings, self.data.vocabulary.size)

    def forward(self, model: nn.Module) -> Callable[[Batch], Tensor]:
        """From a batch of source tokens [B, S] and decoder inputs [B, T] to logits [B, T, V]."""
        return lambda batch: (
            model(
                input_ids=batch["input_ids"],
                decoder_input_ids=batch["decoder_input_ids"],
                use_cache=False,
                **transformer.masks(batch["attention_mask"], batch["decoder_input_ids"]),
            ).logits
        )

    def unprojected(self, model: nn.Module) -> Forward:
        """From a batch to the decoder's states [B, T, width] and the output embeddings."""
        return unprojected(model, self.forward(model))

    def targets(self, batch: Batch) -> Target:
        """The tokens of the English sentence and its end [B, T]; padding does not count."""
        return Target(batch["labels"], mask=batch["label_mask"])

    def layer(self, parameter: str) -> str:
        """Embedding, attention, feed-forward, norm, or the output projection."""
        return next(LAYERS[part] for part in parameter.split(".") if part in LAYERS)

    def never_seen(self, model: nn.Module) -> Mapping[str, Tensor]:
        """Embedding rows of tokens that do not occur in the sensitivity batches."""
        seen: dict[str, set[int]] = {"encoder": set(), "decoder": set()}
        for batch in self.sensitivity_batches():
            seen["encoder"].update(batch["input_ids"][batch["attention_mask"].bool()].tolist())
            seen["decoder"].update(batch["labels"][batch["label_mask"]].tolist())
        masks = {}
        for side, tokens in seen.items():
            name = f"model.{side}.embed_tokens.weight"
            masks[name] = torch.ones(model.get_parameter(name).shape, dtype=torch.bool)
            masks[name][sorted(tokens)] = False
        return masks

    def evaluate(self, model: nn.Module, split: str) -> Metrics:
        """``nll`` (nats a token) and ``bits`` (a token) of one pass, without smoothing."""
        return _likelihood(*self._sentence_nll(model, split))

    @property
    def costly_every(self) -> int:  # type: ignore[override]  # here a setting says it
        """Evaluations from one with BLEU to the next."""
        return self.settings.bleu_every

    def costly(self, model: nn.Module, split: str) -> Metrics:
        """SacreBLEU, chrF++ and length ratio of a split by greedy search."""
        pairs = self.data.splits[split]
        texts = self.translate_pairs(model, pairs, range(len(pairs)), split, beams=1)
        return bleu.score(texts, pairs.targets)._asdict()

    def test(self, model: nn.Module) -> tuple[Metrics, Curves]:
        """NLL, SacreBLEU, chrF++ and length ratio of validation and test.

        The test set is translated by beam search, validation as it is for the choice of the
        checkpoint. Beside them each test sentence's NLL, scaled so that their mean is the NLL a
        token, and its statistics for SacreBLEU.
        """
        validation = self.evaluate(model, "validation") | self.costly(model, "validation")
        summed, tokens = self._sentence_nll(model, "test")
        texts, references = self.translate(model, "test"), self.data.splits["test"].targets
        test = _likelihood(summed, tokens) | bleu.score(texts, references)._asdict()
        metrics = {f"validation/{name}": value for name, value in validation.items()}
        metrics |= {f"test/{name}": value for name, value in test.items()}
        items = (summed / tokens.double().mean()).tolist()
        curves = {"test/nll/items": [round(value, 4) for value in items]}
        return metrics, curves | bleu.as_curves(bleu.sentence_statistics(texts, references))

    def translate(
        self, model: nn.Module, split: str, indices: Sequence[int] | None = None
    ) -> list[str]:
        """Translations of a split (or of these sentences of it), by beam search, in their order."""
        pairs = self.data.splits[split]
        wanted = range(len(pairs)) if indices is None else indices
        return self.translate_pairs(model, pairs, wanted, split)

    def translate_pairs(
        self,
        model: nn.Module,
        pairs: Pairs,
        indices: Sequence[int],
        name: str,
        beams: int | None = None,
    ) -> list[str]:
        """Translations of the sources of any pairs in the task's vocabulary.

        Args:
            model: of this task.
            pairs: any; their targets play no part but in the sizes of batches.
            indices: of the pairs to translate, in the order that the translations come in.
            name: for the progress bar.
            beams: hypotheses kept in the search; by default the setting's.
        """
        s, device = self.settings, next(model.parameters()).device
        texts: dict[int, str] = {}
        beams = beams or s.beams
        parts = _by_length(pairs, indices, s.batch_tokens)
        if device.type == "cuda":  # fewer batches are fewer steps, each of which waits for it
            longest = max(map(len, pairs.source_ids))
            each = transformer.search_bytes(
                cast(MarianMTModel, model), beams, longest, s.decode_tokens
            )
            at_once = max(1, memory_at_hand(device) // each)
            larger = _by_length(pairs, indices, at_once * POSITIONS, at_once)
            parts = min(parts, larger, key=len)
        for part in tqdm(parts, desc=f"translating {name}", unit="batch", leave=False):
            batch = pairs.batch(part)
            tokens = transformer.beam_search(
                cast(MarianMTModel, model),
                batch["input_ids"].to(device),
                batch["attention_mask"].to(device),
                beams=beams,
                length_penalty=s.length_penalty,
                max_length=s.decode_tokens,
            )
            texts |= zip(part, self.data.vocabulary.decode(tokens.tolist()), strict=True)
        return [texts[index] for index in indices]

    def _sentence_nll(self, model: nn.Module, split: str) -> tuple[Tensor, Tensor]:
        """Summed NLL (nats, float64) and number of tokens of each sentence, on the CPU."""
        count = len(self.data.splits[split])
        summed = torch.zeros(count, dtype=torch.float64)
        tokens = torch.zeros(count, dtype=torch.int64)
        order: list[int] = []
        found: list[tuple[Tensor, Tensor]] = []  # of the batches, on the device
        for part, batch, logits in self.predictions(model, split):
            mask = batch["label_mask"]
            # On a GPU a check of the labels would wait for it.
            losses = cross_entropy(logits, batch["labels"], checked=logits.is_cuda)  # [B, T]
            found.append((losses.double().where(mask, 0).sum(-1), mask.sum(-1)))
            order += part
        summed[order], tokens[order] = (
            torch.cat(column).cpu() for column in zip(*found, strict=True)
        )
        return summed, tokens


def _likelihood(summed: Tensor, tokens: Tensor) -> Metrics:
    nll = (summed.sum() / tokens.sum()).item()
    return {"nll": nll, "bits": nll / math.log(2)}


def _by_length(
    pairs: Pairs, indices: Sequence[int], tokens: int, examples: int | None = None
) -> list[list[int]]:
    """These indices in batches of pairs of like length; a longer pair is a batch of its own."""
    lengths = [pairs.lengths[index] for index in indices]
    parts = token_batches(lengths, max([tokens, *lengths]), None, examples)
    return [[indices[place] for place in part] for part in parts]
