"""The audit A1–A22: where the earlier report's text and its published code differ.

The findings stand in ``findings.csv``. The report is Dury, Manne and Sharma's; its code was
published without outputs, so these are facts about code as published, not about what was run. A20
and A22 are about the scripts of the paper's authors. The functions at the end compute the report's
derived numbers again from its own tables (A21).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from idlib.report.conditions import Condition


class Finding(NamedTuple):
    """What the text says, what the code does, and what follows from it."""

    id: str
    where: str
    text: str
    code: str
    consequence: str


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


def _findings() -> tuple[Finding, ...]:
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return tuple(Finding(*row) for row in rows)


#: A1 to A22.
AUDIT = _findings()


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
