"""The audit A1–A21 as data: where the earlier report's text and its published code differ.

The report is Dury, Manne and Sharma's; its code was published without outputs, so these are facts
about code as published, not about what was run. A20 is about the paper's own scripts. The
functions at the end compute the report's derived numbers again from its own tables (A21).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from statistics import fmean
from typing import NamedTuple

from idlib.report.conditions import Condition


class Finding(NamedTuple):
    """One finding; ``measured`` if its effect is computed or measured on our models."""

    id: str
    where: str
    text: str
    code: str
    consequence: str
    measured: bool = False


class Derived(NamedTuple):
    """A number that the report derives from others: as printed, and computed again."""

    what: str
    printed: str
    computed: float

    @property
    def rounded(self) -> str:
        """The computed number to as many decimals as were printed, half up."""
        exact = Decimal(f"{self.computed:.9f}")
        return str(exact.quantize(Decimal(self.printed), rounding=ROUND_HALF_UP))

    @property
    def agrees(self) -> bool:
        """Whether the printed number is the computed one, rounded."""
        return self.rounded == self.printed


AUDIT: tuple[Finding, ...] = (
    Finding(
        "A1",
        "images: baseline, s = 0.1",
        "trained with label smoothing 0.1",
        "plain cross-entropy",
        "a second, unseeded run of the baseline at s = 0",
    ),
    Finding(
        "A2",
        "images: ID, s = 0",
        "trained without label smoothing",
        "label smoothing 0.1",
        "every ID model is smoothed and no baseline is: the gain in NLL is confounded",
        True,
    ),
    Finding(
        "A3",
        "images: ID student, s = 0.1",
        "labels and teacher weigh the same",
        "the teacher's term weighs α = 5",
        "that student alone was trained on another objective",
    ),
    Finding(
        "A4",
        "adaptive α",
        "q = 5, p = 10",
        "p = 5, q = 10",
        "the text's values start α in the millions; the code's are the sensible ones",
        True,
    ),
    Finding(
        "A5",
        "images: ID",
        "α = 5",
        "X is summed over the 4 images of a pass, the cross-entropy averaged",
        "an effective α of 20",
        True,
    ),
    Finding(
        "A6",
        "images: ID student, s = 0",
        "not mentioned",
        "loads its teacher from epoch 80, where epochs 0–79 are saved",
        "stops there, as published",
    ),
    Finding(
        "A7",
        "images: teacher of each student",
        "the epoch of lowest validation loss",
        "the last epoch",
        "all students learn from another teacher than the one in the tables",
    ),
    Finding(
        "A8",
        "images: students",
        "not mentioned",
        "no teacher term in the last 5 of 80 epochs",
        "a second phase of training that the text does not tell of",
    ),
    Finding(
        "A9",
        "images: baseline students",
        "not mentioned",
        "the loss is not divided by the 15 accumulated passes",
        "gradients 15 times as large, which AdamW mostly hides",
    ),
    Finding(
        "A10",
        "self-distillation",
        "2 rounds",
        "1 round",
        "nothing is known of a second round",
    ),
    Finding(
        "A11",
        "images: batch norm",
        "batch size 60",
        "normalised over 4 images; with ID the running statistics move K = 3 times a batch",
        "a second difference between ID and baseline, beside the loss",
        True,
    ),
    Finding(
        "A12",
        "images: sensitivity",
        "each model's own parameters",
        "the first model's parameters, with each model's gradients",
        "14 of the 16 figures rest on the wrong θ",
        True,
    ),
    Finding(
        "A13",
        "images: sensitivity",
        "averaged over batches",
        "neither gradients nor the running loss are reset between batches",
        "all 16 figures are of running sums",
        True,
    ),
    Finding(
        "A14",
        "images: sensitivity",
        "averaged over batches",
        "the sum over 50 groups is divided by 12.5",
        "all 16 figures are 4 times too large",
        True,
    ),
    Finding(
        "A15",
        "translation: GPU memory",
        "23.5 and 16.5 GB",
        "the published logs show a card of 15.8 GB, and peaks of at most 7.8 and 2.4 GB",
        "the printed figures cannot be those of these runs",
    ),
    Finding(
        "A16",
        "translation: validation",
        "cross-entropy 3.727 and 3.962",
        "these are label-smoothed losses in bits; the NLL is 2.209 and 2.352 bits",
        "the gap in NLL is 0.143 bits (0.099 nats), not 0.24",
    ),
    Finding(
        "A17",
        "translation: versions",
        "Torch 1.18.1",
        "the README says 1.8.1",
        "the printed version does not exist",
    ),
    Finding(
        "A18",
        "tagging and answering",
        "average F1 across languages",
        "F1 on English, the language of training; one run",
        "not a test of zero-shot transfer",
    ),
    Finding(
        "A19",
        "translation: self-distillation",
        "tried without success",
        "the teacher's probabilities are the student's own",
        "could not have worked; the text is right that it did not",
    ),
    Finding(
        "A20",
        "the paper's scripts for NER, QA and GLUE",
        "α as in the paper",
        "X is summed over rows (with padding for NER and QA), the cross-entropy averaged",
        "an effective α about 1,024 (NER), 16 (QA) and 32 (GLUE) times as large",
    ),
    Finding(
        "A21",
        "arithmetic",
        "0.098 between ID teacher and baseline student at s = 0.1",
        "its table gives 0.584 − 0.495",
        "0.089; three percentages are cut off rather than rounded, one mean time is off",
        True,
    ),
)


def derived_numbers(
    nll: Mapping[Condition, float], normalized: Mapping[Condition, float]
) -> tuple[Derived, ...]:
    """The numbers that the report derives from its own, computed again.

    Args:
        nll: its table of test NLL in nats, by method, round and smoothing.
        normalized: its table of the std of normalised sensitivity (not scaled).
    """
    cells = [(round_, s) for s in (0.0, 0.1) for round_ in (0, 1)]
    gains = [nll[Condition("baseline", r, s)] - nll[Condition("id", r, s)] for r, s in cells]
    falls = [
        normalized[Condition("baseline", r, s)] - normalized[Condition("id", r, s)]
        for r, s in cells
    ]
    falling = [fall for fall in falls if fall > 0]
    methods = [(method, s) for method in ("id", "baseline") for s in (0.0, 0.1)]
    rounds = [normalized[Condition(m, 0, s)] - normalized[Condition(m, 1, s)] for m, s in methods]
    rises = {(m, s): nll[Condition(m, 1, s)] - nll[Condition(m, 0, s)] for m, s in methods}
    gap = nll[Condition("baseline", 1, 0.1)] - nll[Condition("id", 0, 0.1)]
    return (
        Derived("translation: SacreBLEU gain", "2.21", 35.11 - 32.90),
        Derived("translation: gain in %", "6.72", _percent(32.90, 35.11)),
        Derived("translation, the paper: gain in %", "9.16", _percent(33.07, 36.10)),
        Derived("tagging: gain in %", "1.28", _percent(82.353, 83.412)),
        Derived("tagging, the paper: gain in %", "1.06", _percent(84.50, 85.40)),
        Derived("answering: gain in %", "5.214", _percent(63.54, 66.853)),
        Derived("answering, the paper: gain in %", "4.10", _percent(65.51, 68.20)),
        Derived("answering: minutes an epoch", "66.33", (16 * 60 + 34 + 25 / 60) / 15),
        Derived("images, NLL: mean gain of ID", "0.098", fmean(gains)),
        Derived("images, NLL: ID student above teacher, s = 0", "0.057", rises["id", 0.0]),
        Derived("images, NLL: ID student above teacher, s = 0.1", "0.066", rises["id", 0.1]),
        Derived(
            "images, NLL: baseline student above teacher, s = 0", "0.092", rises["baseline", 0.0]
        ),
        Derived(
            "images, NLL: baseline student below teacher, s = 0.1", "0.075", -rises["baseline", 0.1]
        ),
        Derived("images, NLL: ID teacher below baseline student, s = 0.1", "0.098", gap),
        Derived("images, normalised std: mean fall with ID", "0.00564", fmean(falls)),
        Derived("images, normalised std: mean of the falls", "0.00754", fmean(falling)),
        Derived("images, normalised std: the one rise", "0.00006", -min(falls)),
        Derived("images, normalised std: mean fall of students", "0.005635", fmean(rounds)),
    )


def repeated_pairs(values: Mapping[Condition, float]) -> dict[str, tuple[float, float]]:
    """Pairs of the report's models that its code trains alike.

    Both baseline teachers are the same run but for the unseeded randomness (A1), so are both
    baseline students, and so are both ID teachers (A2). The two ID students differ (A3).

    Returns:
        For each such pair its two values, from a table by method, round and smoothing.
    """
    alike = {
        "baseline teacher": ("baseline", 0),
        "baseline student": ("baseline", 1),
        "ID teacher": ("id", 0),
    }
    return {
        name: (values[Condition(m, r, 0.0)], values[Condition(m, r, 0.1)])
        for name, (m, r) in alike.items()
    }


def _percent(before: float, after: float) -> float:
    return (after / before - 1) * 100
