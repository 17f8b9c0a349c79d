"""Translation from German to English: the fairseq Transformer on a joint SentencePiece vocabulary.

The settings are the paper's on IWSLT'14 (6 + 6 layers of width 512, 12,000 pieces, 4,096 tokens a
batch). On the embedded LibreOffice Help the smaller profiles train a narrow model on short
sentences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from idlib.data import translation
from idlib.data.vocabulary import BOS, EOS, PAD
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics import bleu
from idlib.tasks.base import Batch, Task
from idlib.tasks.translating import by_length, translated
from idlib.tasks.translation_settings import POSITIONS, TranslationSettings
from idlib.training.settings import SettingsError

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


_NARROW = {
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


class TranslationTask(Task):
    """LibreOffice Help, IWSLT'14, or two aligned text files: German to English."""

    name = "translation"
    revision = 1
    schema = TranslationSettings
    profiles = {
        "paper": {"threads": 8},
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
            "examples": {"train": 160, "validation": 40, "test": 40},
        },
    }
    smoothing = (0.1,)  # the paper's
    limits = ("vocabulary", "max_tokens", "max_ratio", "test_tokens")
    sweep = (
        {"epochs": 12},
        {"epochs": 24},
        {"epochs": 24, "examples": {"train": 500}},
        {"epochs": 24, "examples": {"train": 1000}},
        {"epochs": 24, "examples": {"train": 4000}},
    )

    @property
    def data(self) -> translation.TranslationData:
        """The three splits and their vocabulary."""
        s = self.settings
        sizes = tuple(sorted(s.examples.items()))
        root = None if self.root is None else str(self.root)
        limits = (s.vocabulary, s.max_tokens, s.max_ratio, s.test_tokens)
        return _load(self.source, root, limits, sizes)

    @property
    def checksums(self) -> dict[str, str]:
        """Sha256 of each split's content, and of the vocabulary that is made from it."""
        return {**self.data.checksums, "vocabulary": self.data.vocabulary.checksum}

    def check(self) -> None:
        """Refuse more beams than pieces, and sentences beyond the positions of the model.

        Raises:
            SettingsError: naming the setting and what it can be.
        """
        s, pieces = self.settings, self.data.vocabulary.size
        most = pieces - len({PAD, EOS, BOS})
        if s.beams > most:
            raise SettingsError(
                f"setting beams = {s.beams}: {most} of the {pieces} pieces can begin a sentence; "
                "set beams to less, or vocabulary to more"
            )
        for name, pairs in self.data.splits.items():
            if (longest := max(pairs.lengths)) > POSITIONS:
                raise SettingsError(
                    f"setting test_tokens = {s.test_tokens}: {name} has a sentence of {longest} "
                    f"pieces, more than the {POSITIONS} positions of the model; set test_tokens "
                    f"below {POSITIONS}, or shorten it"
                )

    def model(self) -> nn.Module:
        """A fresh Transformer."""
        from idlib.models.transformer import transformer  # transformers takes seconds to import

        s = self.settings
        return transformer(
            self.data.vocabulary.size,
            layers=s.layers,
            width=s.width,
            ffn=s.ffn,
            heads=s.heads,
            dropout=s.dropout,
            attention_dropout=s.attention_dropout,
            positions=POSITIONS,
        )

    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """All training pairs once, in batches by token count, in a random order."""
        s, lengths = self.settings, self.data.splits["train"].lengths
        return translation.token_batches(lengths, s.batch_tokens, generator, s.batch_size)

    def batches(self, indices: list[list[int]], split: str = "train") -> Iterator[Batch]:
        """Batches of source pieces [B, S], decoder inputs and labels [B, T], and their masks."""
        return map(self.data.splits[split].batch, indices)

    def forward(self, model: nn.Module) -> Callable[[Batch], Tensor]:
        """From a batch to logits [B, T, V]."""
        return lambda batch: (
            model(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                decoder_input_ids=batch["decoder_input_ids"],
                use_cache=False,
            ).logits
        )

    def targets(self, batch: Batch) -> Target:
        """The pieces of the English sentence and its end; padding does not count."""
        return Target(batch["labels"], mask=batch["label_mask"])

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """``nll`` (nats a token) and ``bits`` (a token) of one pass, without smoothing."""
        return _likelihood(*self._sentence_nll(model, split))

    def test(self, model: nn.Module) -> tuple[dict[str, float], dict[str, list[float]]]:
        """NLL, SacreBLEU, chrF++ and length ratio of validation and test, by beam search.

        Beside them each test sentence's NLL, scaled so that their mean is the NLL a token, and
        its statistics for SacreBLEU.
        """
        metrics, curves = {}, {}
        for split in ("validation", "test"):
            summed, tokens = self._sentence_nll(model, split)
            hypotheses, references = self.translate(model, split), self.data.splits[split].targets
            found = _likelihood(summed, tokens) | bleu.score(hypotheses, references)._asdict()
            metrics |= {f"{split}/{name}": value for name, value in found.items()}
        items = summed / tokens.double().mean()
        curves["test/nll/items"] = [round(value, 4) for value in items.tolist()]
        curves |= bleu.as_curves(bleu.sentence_statistics(hypotheses, references))
        return metrics, curves

    def translate(
        self, model: nn.Module, split: str, indices: Sequence[int] | None = None
    ) -> list[str]:
        """Translations of a split (or of these sentences of it), by beam search, in their order."""
        pairs = self.data.splits[split]
        wanted = range(len(pairs)) if indices is None else indices
        return translated(model, pairs, wanted, self.data.vocabulary, self.settings, split)

    def sensitivity_batches(self) -> Iterable[Batch]:
        """The first training pairs in their fixed order, equally many sentences a batch."""
        return self.batches([part.tolist() for part in self._measured()])

    def never_seen(self, model: nn.Module) -> Mapping[str, Tensor]:
        """Embedding rows of pieces that do not occur in the measured batches."""
        pairs, rows = self.data.splits["train"], torch.cat(self._measured()).tolist()
        sides = {"encoder": pairs.source_ids, "decoder": pairs.target_ids}
        masks = {}
        for side, ids in sides.items():
            name = f"model.{side}.embed_tokens.weight"
            unseen = torch.ones_like(model.get_parameter(name), dtype=torch.bool)
            unseen[sorted({piece for row in rows for piece in ids[row]})] = False
            masks[name] = unseen.cpu()
        return masks

    def layer(self, parameter: str) -> str:
        """Embedding, attention, feed-forward, norm, or the output projection."""
        return next(LAYERS[part] for part in parameter.split(".") if part in LAYERS)

    def _measured(self) -> list[Tensor]:
        s, pairs = self.settings, self.data.splits["train"]
        return list(
            torch.arange(min(len(pairs), s.sensitivity_examples)).split(s.sensitivity_batch)
        )

    @torch.no_grad()
    def _sentence_nll(self, model: nn.Module, split: str) -> tuple[Tensor, Tensor]:
        """Summed NLL (nats, float64) and number of tokens of each sentence, on the CPU."""
        pairs, forward = self.data.splits[split], self.forward(model)
        device = next(model.parameters()).device
        summed = torch.zeros(len(pairs), dtype=torch.float64)
        tokens = torch.zeros(len(pairs), dtype=torch.int64)
        for part in by_length(pairs.lengths, range(len(pairs)), 4 * self.settings.batch_tokens):
            batch = {name: value.to(device) for name, value in pairs.batch(part).items()}
            losses = cross_entropy(forward(batch), batch["labels"])
            counted = batch["label_mask"]
            summed[part] = losses.double().where(counted, 0).sum(-1).cpu()
            tokens[part] = counted.sum(-1).cpu()
        return summed, tokens


def _likelihood(summed: Tensor, tokens: Tensor) -> dict[str, float]:
    nll = (summed.sum() / tokens.sum()).item()
    return {"nll": nll, "bits": nll / math.log(2)}


@lru_cache(maxsize=8)  # the main grid, the sweep, and this build
def _load(
    source: str,
    root: str | None,
    limits: tuple[int, int, float, int | None],
    sizes: tuple[tuple[str, int], ...],
) -> translation.TranslationData:
    vocabulary, max_tokens, max_ratio, test_tokens = limits
    return translation.load(
        source,
        root=None if root is None else Path(root),
        vocabulary=vocabulary,
        max_tokens=max_tokens,
        max_ratio=max_ratio,
        test_tokens=test_tokens,
        sizes=dict(sizes),
    )
