"""Tagging of named entities: trained on English, tested on every language.

The settings are the earlier report's (multilingual BERT on WikiANN). On the embedded LibreOffice
Help the smaller profiles train the first layers of the embedded encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from idlib.data import tagged_text, tagging
from idlib.data.languages import ENGLISH
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics import items, spans
from idlib.metrics.spans import Counts
from idlib.tasks.base import Batch
from idlib.tasks.encoder import EncoderSettings, EncoderTask
from idlib.training.loop import Selection

TEST_SET = f"test/{ENGLISH}"


class TaggingSettings(EncoderSettings):
    """Settings of the tagging task; the defaults are the earlier report's (facts, section 3)."""

    alpha: float = Field(1.0, ge=0)
    epochs: int = Field(10, ge=1)
    micro_batch: int | None = Field(8, ge=1)
    lr_peak: float = Field(2e-5, gt=0)


_SHORT = {
    "freeze_embeddings": True,
    "lr_peak": 5e-4,
    "lr_head": 3e-3,
    "warmup": 20,
    "batch_size": 16,
    "micro_batch": None,
    "epochs": 2,
}


@dataclass(frozen=True)
class Scored:
    """What a model gives on a split: for each item its summed NLL (nats), pieces and spans."""

    summed: np.ndarray  # float64 [N]
    pieces: np.ndarray  # float64 [N], those that are counted
    counts: list[Counts]

    @property
    def nll(self) -> float:
        """Nats a counted piece."""
        return float(self.summed.sum() / self.pieces.sum())

    @property
    def metrics(self) -> dict[str, float]:
        """``nll`` and ``f1``."""
        return {"nll": self.nll, "f1": spans.f1(self.counts)}


class TaggingTask(EncoderTask):
    """LibreOffice Help in 16 languages, WikiANN in 48, or a folder of tagged tokens."""

    name = "tagging"
    revision = 1
    schema = TaggingSettings
    public_encoder = "bert-base-multilingual-cased"
    loading = ("languages",)
    selection = Selection("f1", higher_is_better=True)
    profiles = {
        "paper": {},
        "medium": {
            **_SHORT,
            "layers": 4,
            "epochs": 6,
            "precision": "bf16",
            "examples": {"train": 480, "validation": 300, "test": 200},
            "sensitivity_examples": 320,
        },
        "small": {
            **_SHORT,
            "layers": 3,
            "examples": {"train": 840, "validation": 240, "test": 100},
            "languages": ("en", "de", "es", "ru", "zh-CN", "tr"),
            "sensitivity_examples": 160,
            "sensitivity_batch": 8,
        },
        "smoke": {
            **_SHORT,
            "layers": 1,
            "warmup": 2,
            "batch_size": 8,
            "epochs": 1,
            "examples": {"train": 48, "validation": 24, "test": 16},
            "languages": ("en", "de", "ja"),
        },
    }
    # Is it the trained encoder that carries over, or the script? Random rows have to be trained.
    sweep = ({"pretrained": False, "freeze_embeddings": False},)

    @classmethod
    def load(cls, source: str, tokenizer: Any, **options: Any) -> tagging.TaggingData:
        """English to train on, and the test sets by language."""
        return tagging.load(source, tokenizer, **options)

    def of_folder(self) -> dict[str, Any]:
        """The languages that the folder has a test set of."""
        return {"languages": tagged_text.languages(self.source, self.root)}

    @property
    def outputs(self) -> int:
        """Number of tags."""
        return len(self.data.names)

    def targets(self, batch: Batch) -> Target:
        """The tag of each token, at its first piece; other pieces and padding do not count."""
        return Target(batch["labels"], mask=batch["label_mask"])

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """``nll`` (nats a counted piece) and span ``f1`` of English."""
        return self._scored(model, TEST_SET if split == "test" else split).metrics

    def test(self, model: nn.Module) -> tuple[dict[str, float], dict[str, list[float]]]:
        """NLL and span F1 of English validation, and of the test sets of all languages.

        ``test/f1/de`` is over all items of a language and ``test/f1_parallel/de`` over those that
        every tested language has; ``…/others`` are the means over the languages not trained on.
        Beside them each English test item's NLL, scaled so that their mean is the NLL a piece,
        and the numbers of each language's items with their parts of the F1.
        """
        data = self.data
        tests = {f"test/{language}": language for language in data.languages}
        ids = sorted({item for split in tests for item in data.splits[split].ids})
        numbers = {item: number for number, item in enumerate(ids)}
        metrics = {f"validation/{k}": v for k, v in self.evaluate(model, "validation").items()}
        curves, nll = {}, {}
        for split, language in tests.items():
            scored = self._scored(model, split, progress=True)
            nll[language] = scored.nll
            curves |= {
                f"test/items/{language}": [numbers[item] for item in data.splits[split].ids],
                f"test/f1/{language}/numerators": [2 * c.correct for c in scored.counts],
                f"test/f1/{language}/denominators": [c.predicted + c.gold for c in scored.counts],
            }
            if split == TEST_SET:
                metrics["test/nll"] = scored.nll
                each = scored.summed / scored.pieces.mean()
                curves["test/nll/items"] = [round(value, 4) for value in each.tolist()]
        others = [language for language in data.languages if language != ENGLISH]
        if others:
            metrics["test/nll/others"] = float(np.mean([nll[language] for language in others]))
        for name in ("f1", *["f1_parallel"] * bool(data.parallel)):
            for part in (*data.languages, *[items.OTHERS] * bool(others)):
                metric = f"test/{name}/{part}"
                metrics[metric] = items.score(items.items_of(curves, metric))
        return metrics, curves

    @torch.no_grad()
    def tag(self, model: nn.Module, split: str, indices: Sequence[int]) -> list[list[str]]:
        """The predicted tags of a few items of a split (``validation``, ``test/de``)."""
        data, device = self.data.splits[split], next(model.parameters()).device
        batch = {name: value.to(device) for name, value in data.batch(indices).items()}
        return data.decode(indices, self.forward(model)(batch).argmax(-1))

    def _scored(self, model: nn.Module, split: str, progress: bool = False) -> Scored:
        data = self.data.splits[split]
        summed, pieces = np.zeros((2, len(data)))
        counts: list[Counts] = [Counts(0, 0, 0)] * len(data)
        for part, batch, logits in self.predictions(model, split, progress):
            mask = batch["label_mask"]
            losses = cross_entropy(logits, batch["labels"]).double()  # [B, L]
            summed[part] = losses.where(mask, 0).sum(-1).cpu().numpy()
            pieces[part] = mask.sum(-1).cpu().numpy()
            for index, tags in zip(part, data.decode(part, logits.argmax(-1)), strict=True):
                counts[index] = spans.count(data.tags[index], tags)
        return Scored(summed, pieces, counts)
