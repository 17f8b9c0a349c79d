"""Tagging of named entities: trained on English, tested on every language.

The settings are the earlier report's (multilingual BERT on WikiANN). On the embedded LibreOffice
Help the smaller profiles train the first layers of the embedded encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import nn

from idlib.data import tagging
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics import spans
from idlib.metrics.spans import Counts
from idlib.tasks.encoder import CrossLingualTask, EncoderSettings, LanguageScores
from idlib.training.trainable import Batch


class TaggingSettings(EncoderSettings):
    """Settings of the tagging task; the defaults are the earlier report's (facts, section 3)."""

    alpha: float = Field(1.0, ge=0)
    epochs: int = Field(10, ge=1)
    micro_batch: int | None = Field(8, ge=1)
    lr_peak: float = Field(2e-5, gt=0)


_SHORT = {
    "dropout_bits": 16,
    "freeze_embeddings": True,
    "lr_peak": 5e-4,
    "lr_head": 3e-3,
    "warmup": 20,
    "batch_size": 16,
    "micro_batch": None,
    "epochs": 2,
}


class TaggingTask(CrossLingualTask[TaggingSettings, tagging.TaggingData]):
    """LibreOffice Help in 16 languages, WikiANN in 48, or a folder of tagged tokens."""

    name = "tagging"
    revision = 2
    schema = TaggingSettings
    load = staticmethod(tagging.load)
    public_encoder = "bert-base-multilingual-cased"
    profiles = {
        "paper": {},
        # Of 2e-5, 5e-5, 1e-4 and 2e-4 the rate with the best baseline on English validation.
        "large": {
            "lr_peak": 2e-4,
            "lr_head": 1e-3,
            "warmup": 100,
            "micro_batch": None,
            "epochs": 6,
            "precision": "bf16",
        },
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

    @property
    def outputs(self) -> int:
        """Number of tags."""
        return len(self.data.names)

    def targets(self, batch: Batch) -> Target:
        """The tag of each word, at its first subword; other subwords and padding do not count."""
        return Target(batch["labels"], mask=batch["label_mask"])

    def scores(self, model: nn.Module, split: str, progress: bool = False) -> LanguageScores:
        """``nll`` (nats a word) and span ``f1`` of a split."""
        data = self.data.splits[split]
        nll, words = np.zeros((2, len(data)))  # summed over the words of each item, and these
        counts: list[Counts] = [Counts(0, 0, 0)] * len(data)
        for part, batch, logits in self.predictions(model, split, progress):
            mask = batch["label_mask"]
            losses = cross_entropy(logits, batch["labels"]).double()  # [B, L]
            nll[part] = losses.where(mask, 0).sum(-1).cpu().numpy()
            words[part] = mask.sum(-1).cpu().numpy()
            for index, tags in zip(part, data.decode(part, logits.argmax(-1)), strict=True):
                counts[index] = spans.count(data.tags[index], tags)
        return LanguageScores(
            metrics={"nll": float(nll.sum() / words.sum()), "f1": spans.f1(counts)},
            f1_items={
                "numerators": [2 * count.correct for count in counts],
                "denominators": [count.predicted + count.gold for count in counts],
            },
            nll_items=(nll / words.mean()).tolist(),
        )

    @torch.no_grad()
    def tag(self, model: nn.Module, split: str, indices: Sequence[int]) -> list[list[str]]:
        """The predicted tags of a few items of a split (``validation``, ``test/de``)."""
        data, device = self.data.splits[split], next(model.parameters()).device
        batch = {name: value.to(device) for name, value in data.batch(indices).items()}
        return data.decode(indices, self.forward(model)(batch).argmax(-1))
