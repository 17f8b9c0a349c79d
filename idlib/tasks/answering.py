"""Answering: the part of a text that answers a question, trained on English, tested everywhere.

The paper's settings on TyDiQA's gold passages (facts, section 3). On the embedded LibreOffice Help
the smaller profiles train the first layers of the embedded encoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from idlib.data import answering, questions
from idlib.data.languages import ENGLISH
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics import items, squad
from idlib.tasks.base import Batch
from idlib.tasks.encoder import EncoderSettings, EncoderTask
from idlib.training.loop import Selection

HEADS = ("start", "end")
TEST_SET = f"{answering.TEST}{ENGLISH}"


class AnsweringSettings(EncoderSettings):
    """Settings of the answering task; the defaults are the paper's (facts, section 3).

    ``max_length`` and ``stride`` shape the windows, in pieces; ``stride`` is what two windows of a
    context share. ``max_answer`` is the longest answer that is given, in pieces. ``batch_size``
    counts windows.
    """

    max_length: int = Field(384, ge=8)
    stride: int = Field(128, ge=0)
    max_answer: int = Field(30, ge=1)

    alpha: float = Field(1.0, ge=0)
    epochs: int = Field(15, ge=1)
    micro_batch: int | None = Field(8, ge=1)
    lr_peak: float = Field(3e-5, gt=0)

    @model_validator(mode="after")
    def _windows_move_on(self) -> AnsweringSettings:
        if self.stride >= self.max_length:
            raise ValueError(
                f"stride {self.stride} is what windows of max_length {self.max_length} share, so "
                "it must be smaller"
            )
        return self


class Answers(NamedTuple):
    """What a model says to the questions of a split, in their order, and how good it is.

    ``texts`` are parts of the contexts, ``nll`` [Q] is that of the gold answers (nats), ``f1`` and
    ``em`` [Q] are SQuAD's scores (0–1).
    """

    texts: list[str]
    nll: np.ndarray
    f1: list[float]
    em: list[float]


_SHORT = {
    "freeze_embeddings": True,
    "lr_peak": 5e-4,
    "lr_head": 2e-3,
    "warmup": 20,
    "batch_size": 8,
    "micro_batch": None,
}


class AnsweringTask(EncoderTask):
    """LibreOffice Help, TyDiQA's gold passages, or tables in the schema of SQuAD.

    The start and the end of an answer are one head each, with the positions of the window as
    classes: the pieces of the context, and position 0 for a window without the answer.
    """

    name = "answering"
    revision = 1
    schema = AnsweringSettings
    # The paper's encoder. The earlier report's, xlm-mlm-tlm-xnli15-1024, has no fast tokenizer,
    # so the characters of its pieces are not known.
    public_encoder = "xlm-roberta-base"
    loading = ("languages", "stride")
    limits = (*EncoderTask.limits, "stride")
    selection = Selection("f1", True)
    outputs = len(HEADS)
    profiles = {
        "paper": {"threads": 8},
        "medium": {
            **_SHORT,
            "layers": 3,
            "epochs": 4,
            "precision": "bf16",
            "examples": {"train": 320, "test": 100},
            "sensitivity_examples": 96,
        },
        "small": {
            **_SHORT,
            "layers": 3,
            "max_length": 128,
            "stride": 32,
            "epochs": 2,
            "examples": {"train": 156, "test": 25},
            "languages": ("en", "de", "es", "ja"),
            "sensitivity_examples": 64,
        },
        "smoke": {
            **_SHORT,
            "layers": 1,
            "max_length": 96,
            "stride": 24,
            "epochs": 1,
            "warmup": 2,
            "examples": {"train": 24, "validation": 12, "test": 8},
            "languages": ("en", "de"),
            "sensitivity_examples": 32,
        },
    }

    @classmethod
    def load(cls, source: str, tokenizer: Any, **options: Any) -> answering.AnsweringData:
        """Windows of the training, validation and test questions."""
        return answering.load(source, tokenizer, **options)

    def of_folder(self) -> dict[str, Any]:
        """The languages that the folder has a test set of."""
        return {"languages": questions.languages_of(self.root)}

    def forward(self, model: nn.Module) -> Callable[[Batch], dict[str, Tensor]]:
        """From a batch to the logits of start and end, [B, L] each."""
        run = super().forward(model)
        return lambda batch: dict(zip(HEADS, run(batch).unbind(-1), strict=True))

    def targets(self, batch: Batch) -> dict[str, Target]:
        """The positions of the answer's first and last piece among those that may be chosen."""
        return {name: Target(batch[name], class_mask=batch["positions"]) for name in HEADS}

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """``nll`` (nats, the mean of start and end), ``f1`` and ``em`` (0–1) a question.

        ``validation`` and ``test`` are the English ones. A question's NLL is the mean over the
        windows that hold its first answer (over all, of no answer, where none does), in one pass
        without smoothing.
        """
        found = self.read(model, TEST_SET if split == "test" else split)
        return {name: float(np.mean(getattr(found, name))) for name in ("nll", "f1", "em")}

    def test(self, model: nn.Module) -> tuple[dict[str, float], dict[str, list[float]]]:
        """F1 and exact match of every language, what needs no model, and the F1 of each question.

        ``test/f1/de`` is the mean over all questions of a language, ``test/f1_parallel/de`` over
        those that every tested language has, ``test/f1_first/de`` (and so on) what a rule of
        :data:`idlib.metrics.squad.BASELINES` gets; ``…/others`` are the means over the languages
        not trained on. ``test/nll`` is that of English.
        """
        data, curves = self.data, {}
        metrics = {f"validation/{k}": v for k, v in self.evaluate(model, "validation").items()}
        splits = {language: f"{answering.TEST}{language}" for language in data.languages}
        ids = sorted({one for split in splits.values() for one in data.splits[split].ids})
        numbers = {one: number for number, one in enumerate(ids)}
        means: dict[str, dict[str, float]] = {}  # by metric and language
        for language, split in splits.items():
            found = self.read(model, split, progress=True)
            curves[f"test/items/{language}"] = [numbers[one] for one in data.splits[split].ids]
            curves[f"test/f1/{language}/numerators"] = [round(f, 4) for f in found.f1]
            if split == TEST_SET:
                curves["test/nll/items"] = [round(value, 4) for value in found.nll.tolist()]
            rules = {f"f1_{rule}": self._baseline(rule, split) for rule in squad.BASELINES}
            for metric, values in {"nll": found.nll, "em": found.em, **rules}.items():
                means.setdefault(metric, {})[language] = float(np.mean(values))
        for metric, by_language in means.items():
            every = by_language.items()
            if metric == "nll":
                metrics["test/nll"] = by_language[ENGLISH]
            else:
                metrics |= {f"test/{metric}/{language}": value for language, value in every}
            if others := [value for language, value in every if language != ENGLISH]:
                metrics[f"test/{metric}/{items.OTHERS}"] = float(np.mean(others))
        for score in ("f1", *["f1_parallel"] * bool(data.parallel)):
            for part in (*splits, *[items.OTHERS] * (len(splits) > 1)):
                metric = f"test/{score}/{part}"
                metrics[metric] = items.score(items.items_of(curves, metric))
        return metrics, curves

    @torch.no_grad()
    def answer(self, model: nn.Module, split: str, indices: Sequence[int]) -> list[str]:
        """What a model answers to a few questions of a split (``validation``, ``test/de``)."""
        windows, device = self.data.splits[split], next(model.parameters()).device
        own = [place for index in indices for place in windows.by_question()[index]]
        batch = {name: value.to(device) for name, value in windows.batch(own).items()}
        best = torch.zeros(len(windows), 3, dtype=torch.float64)
        best[own] = self._best(batch, self.forward(model)(batch))
        return [_text(windows, windows.by_question()[index], best) for index in indices]

    def read(self, model: nn.Module, split: str, progress: bool = False) -> Answers:
        """A model's answers to the questions of a split, and the NLL of the gold ones.

        The answer is the span with the highest sum of start and end logit over all windows of the
        question: both ends in the context of one window, the start not after the end, at most
        ``max_answer`` pieces. Position 0 takes no part, as every question has an answer.
        """
        windows = self.data.splits[split]
        nll = torch.zeros(len(windows), dtype=torch.float64)
        best = torch.zeros(len(windows), 3, dtype=torch.float64)
        for part, batch, logits in self.predictions(model, split, progress):
            losses = [
                cross_entropy(logits[name], target.labels, class_mask=target.class_mask)
                for name, target in self.targets(batch).items()
            ]
            nll[part] = torch.stack(losses).double().mean(0).cpu()
            best[part] = self._best(batch, logits)
        holds = [window.holds_answer for window in windows.windows]
        grouped = windows.by_question()
        counted = [[place for place in own if holds[place]] or own for own in grouped]
        texts = [_text(windows, own, best) for own in grouped]
        pairs = [(t, q.answers) for t, q in zip(texts, windows.questions, strict=True)]
        return Answers(
            texts,
            np.array([nll[own].mean().item() for own in counted]),
            [squad.f1(*pair) for pair in pairs],
            [squad.exact_match(*pair) for pair in pairs],
        )

    def _best(self, batch: Batch, logits: dict[str, Tensor]) -> Tensor:
        """The best span of each window: its score, first and last position, [B, 3] on the CPU."""
        context = batch["positions"].clone()
        context[:, 0] = False
        spans = best_spans(*(logits[name] for name in HEADS), context, self.settings.max_answer)
        return torch.stack([column.double() for column in spans], dim=-1).cpu()

    def _baseline(self, rule: str, split: str) -> list[float]:
        return [
            squad.baseline_f1(rule, one.question, one.context, one.answers)
            for one in self.data.splits[split].questions
        ]


def best_spans(
    start: Tensor, end: Tensor, allowed: Tensor, longest: int
) -> tuple[Tensor, Tensor, Tensor]:
    """For each window the span with the highest sum of its start and its end logit.

    Args:
        start: logits [B, L].
        end: logits [B, L].
        allowed: bool [B, L], where a span may begin and end; the positions follow each other.
        longest: most positions of a span.

    Returns:
        The sum, −inf where nothing is allowed, and the first and last position, [B] each.
    """
    longest = min(longest, start.shape[-1])
    begin, stop = (z.float().masked_fill(~allowed, -torch.inf) for z in (start, end))
    stops = nn.functional.pad(stop, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)
    score, place = (begin[..., None] + stops).flatten(1).max(1)  # of [B, L · longest]
    first = place // longest
    return score, first, first + place % longest


def _text(windows: answering.Windows, own: Sequence[int], best: Tensor) -> str:
    """The best span of these windows (the first of equals), or nothing where none has a piece."""
    index = max(own, key=lambda place: best[place, 0].item())
    score, start, end = best[index].tolist()
    return windows.text(index, int(start), int(end)) if score > -math.inf else ""
