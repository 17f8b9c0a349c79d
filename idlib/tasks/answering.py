"""Answering: the part of a text that answers a question, trained on English, tested everywhere.

The paper's settings on TyDiQA's gold passages (facts, section 3). On the embedded LibreOffice Help
the smaller profiles train the first layers of the embedded encoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from idlib.data import answering
from idlib.method.losses import cross_entropy
from idlib.method.targets import Target
from idlib.metrics import squad
from idlib.tasks.base import Metrics
from idlib.tasks.encoder import CrossLingualTask, EncoderSettings, EncoderTask, LanguageScores
from idlib.training.trainable import Batch

HEADS = ("start", "end")


class AnsweringSettings(EncoderSettings):
    """Settings of the answering task; the defaults are the paper's (facts, section 3).

    ``max_length`` and ``stride`` shape the windows, in tokens; ``stride`` is the overlap of two
    windows of a context. ``max_answer`` is the longest answer that is given, in tokens.
    ``batch_size`` counts windows.
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
    """A model's answers to the questions of a split, in their order.

    Attributes:
        texts: parts of the contexts.
        nll: of the gold answers, [Q] (nats).
        f1: SQuAD's, [Q] (0–1).
        em: SQuAD's exact match, [Q] (0 or 1).
    """

    texts: list[str]
    nll: NDArray[np.float64]
    f1: list[float]
    em: list[float]


_SHORT = {
    "dropout_bits": 16,
    "freeze_embeddings": True,
    "lr_peak": 5e-4,
    "lr_head": 2e-3,
    "warmup": 20,
    "batch_size": 8,
    "micro_batch": None,
}


class AnsweringTask(CrossLingualTask[AnsweringSettings, answering.AnsweringData]):
    """LibreOffice Help, TyDiQA's gold passages, or tables in the schema of SQuAD.

    The start and the end of an answer are one head each, with the positions of the window as
    classes: the tokens of the context, and position 0 for a window without the answer.
    """

    name = "answering"
    revision = 2
    schema = AnsweringSettings
    load = staticmethod(answering.load)
    # The paper's encoder. The earlier report's, xlm-mlm-tlm-xnli15-1024, has no fast tokenizer,
    # so the characters of its tokens are not known.
    public_encoder = "xlm-roberta-base"
    loaded_by = (*CrossLingualTask.loaded_by, "stride")
    limits = (*EncoderTask.limits, "stride")
    outputs = len(HEADS)
    profiles = {
        "paper": {"threads": 8},
        # The rate was chosen as for tagging.
        "large": {
            "lr_peak": 2e-4,
            "lr_head": 1e-3,
            "warmup": 50,
            "micro_batch": None,
            "epochs": 8,
            "precision": "bf16",
        },
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

    def forward(self, model: nn.Module) -> Callable[[Batch], dict[str, Tensor]]:
        """From a batch to the logits of start and end, [B, L] each."""
        run = super().forward(model)
        return lambda batch: dict(zip(HEADS, run(batch).unbind(-1), strict=True))

    def targets(self, batch: Batch) -> dict[str, Target]:
        """The positions of the answer's first and last token among those that may be chosen."""
        return {name: Target(batch[name], class_mask=batch["positions"]) for name in HEADS}

    def scores(self, model: nn.Module, split: str, progress: bool = False) -> LanguageScores:
        """Means over the questions of a split: ``nll`` (nats), ``f1`` and ``em`` (0–1).

        A question's NLL is the mean over the windows that hold its first answer (over all, of no
        answer, where none does) and over start and end, in one pass without smoothing.
        """
        answers = self.read(model, split, progress)
        return LanguageScores(
            metrics={
                "nll": float(np.mean(answers.nll)),
                "f1": float(np.mean(answers.f1)),
                "em": float(np.mean(answers.em)),
            },
            f1_items={"numerators": [round(f1, 4) for f1 in answers.f1]},
            nll_items=answers.nll.tolist(),
        )

    def reference_scores(self, split: str) -> Metrics:
        """The F1 ``f1_<rule>`` of the rules of :data:`idlib.metrics.squad.BASELINES`."""
        asked = self.data.splits[split].questions
        return {
            f"f1_{rule}": float(
                np.mean([squad.baseline_f1(rule, q.question, q.context, q.answers) for q in asked])
            )
            for rule in squad.BASELINES
        }

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
        ``max_answer`` tokens. Position 0 takes no part, as every question has an answer.
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
        texts, losses_of_questions = [], []
        for own in windows.by_question():
            texts.append(_text(windows, own, best))
            holding = [place for place in own if windows.windows[place].holds_answer]
            losses_of_questions.append(nll[holding or own].mean().item())
        pairs = [(t, q.answers) for t, q in zip(texts, windows.questions, strict=True)]
        return Answers(
            texts,
            np.array(losses_of_questions),
            [squad.f1(*pair) for pair in pairs],
            [squad.exact_match(*pair) for pair in pairs],
        )

    def _best(self, batch: Batch, logits: dict[str, Tensor]) -> Tensor:
        """The best span of each window: its score, first and last position, [B, 3] on the CPU."""
        context = batch["positions"].clone()
        context[:, 0] = False
        spans = best_spans(logits["start"], logits["end"], context, self.settings.max_answer)
        return torch.stack([column.double() for column in spans], dim=-1).cpu()


def best_spans(
    start: Tensor, end: Tensor, allowed: Tensor, longest: int
) -> tuple[Tensor, Tensor, Tensor]:
    """For each window the span with the highest sum of its start and its end logit.

    Args:
        start: logits [B, L].
        end: logits [B, L].
        allowed: bool [B, L], where a span may begin and end; the positions follow each other.
        longest: the most positions that a span may have.

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
    """The best span of these windows (the first of equals), or "" where none has context."""
    index = max(own, key=lambda place: best[place, 0].item())
    score, start, end = best[index].tolist()
    return windows.text(index, int(start), int(end)) if score > -math.inf else ""
