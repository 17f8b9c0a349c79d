"""Every task on made-up data of its own, in runs that take moments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from made_up import pairs, questions, tags, texts
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from idlib.experiments.specs import Spec

# Enough to learn something.
LEARNING = {"batch_size": 8, "epochs": 10, "lr_peak": 0.02, "lr_head": 0.05, "pooling": "mean"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {  # the task, and settings over profile smoke
    "images": ("images", {"batch_size": 6, "sensitivity_batch": 5}),
    "translation": (
        "translation",
        {"vocabulary": pairs.TOKENS, "max_tokens": 40, "test_tokens": 40, "beams": 2},
    ),
    "tagging": ("tagging", {}),
    "answering": ("answering", {"max_length": 32, "stride": 8, "max_answer": 12}),
    "classes": ("classification", {"dataset": "mood", **LEARNING}),
    "values": ("classification", {"dataset": "likeness", **LEARNING}),
}
ON_ENCODER = ("tagging", "answering", "classes", "values")
ON_TEXT = ("translation", *ON_ENCODER)
SPLITS = ("train", "validation", "test")


def write_all(root: Path) -> Path:
    """The data of every task in a folder of its name, and beside them an encoder for each."""
    write_images(root / "images")
    pairs.write_splits(root / "translation")
    tags.write_folder(root / "tagging")
    questions.write(root / "answering", questions.every_row())
    texts.write_dataset(root / "classification/mood", texts.splits())
    texts.write_dataset(root / "classification/likeness", texts.splits(texts.pairs))
    tags.tiny_encoder(root / "encoders/tagging", tags.unigram())
    questions.write_encoder(root / "encoders/answering")
    texts.write_encoder(root / "encoders/classification")
    return root


def write_images(root: Path, classes: tuple[str, str] = ("dark", "light"), count: int = 6) -> Path:
    """Two classes that differ in brightness, ``count`` images of each in every split."""
    draw = np.random.default_rng(0)
    for split in SPLITS:
        for low, name in zip((0, 120), classes, strict=True):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = draw.integers(low, low + 120, (32, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{index}.png")
    return root


def settings_of(root: Path, case: str, **settings: Any) -> dict[str, Any]:
    """What a case lays over profile smoke, with the encoder in ``root`` where it has one."""
    task, own = CASES[case]
    if case in ON_ENCODER:
        encoder = str(root / "encoders" / task)
        own = {"encoder": encoder, "layers": 2, "freeze_embeddings": False, **own}
    return {**own, **settings}


def spec_of(
    root: Path, case: str, method: str = "id", data: Path | None = None, **settings: Any
) -> Spec:
    """A run of a case on the data below ``root``, or on those of the folder ``data``."""
    overrides = settings_of(root, case, **settings)
    return Spec(CASES[case][0], method, "smoke", str(data or root), overrides=overrides)


def task_of(root: Path, case: str, data: Path | None = None, **settings: Any) -> Any:
    """The task of that run."""
    return spec_of(root, case, data=data, **settings).plan.task


class Lookup(nn.Module):
    """Gives for each text the logits [L, C] that are known for its tokens, whatever the padding."""

    def __init__(self, known: Mapping[tuple[int, ...], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))  # that it has a device
        self.known = known

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        rows = []
        for ids, mask in zip(input_ids, attention_mask, strict=True):
            logits = self.known[tuple(ids[mask.bool()].tolist())]
            rows.append(functional.pad(logits, (0, 0, 0, len(ids) - len(logits)), value=50.0))
        return torch.stack(rows) + self.weight
