"""The claims C1–C8, and the figures that others published for them.

The paper is Xu, Koehn and Murray 2022 and the earlier report Dury, Manne and Sharma's reproduction
of it. What is void or confounded about a figure is said beside it by its number in the audit.
"""

from __future__ import annotations

from typing import NamedTuple

NOT_STATED = "not stated"
PAPER_NAME = "Xu, Koehn and Murray 2022"
REPORT_NAME = "earlier report (Dury, Manne and Sharma)"


class Cell(NamedTuple):
    """One image model: round 0 is the teacher, 1 its student, 2 the student's student."""

    method: str
    round: int
    smoothing: float

    @property
    def label(self) -> str:
        """Role and smoothing, without the method: ``teacher, s = 0``."""
        return f"{role(self.round)}, s = {self.smoothing:g}"

    @property
    def full_label(self) -> str:
        """Method, role and smoothing: ``baseline teacher, s = 0``."""
        return f"{METHOD_NAMES.get(self.method, self.method)} {self.label}"


class Claim(NamedTuple):
    """A claim in our words, what the paper and the earlier report say, and how we judge it."""

    id: str
    statement: str
    paper: str
    report: str
    tasks: tuple[str, ...]
    rule: str


class Metric(NamedTuple):
    """How a metric is written: its values times ``scale``, as ``form`` says, in ``unit``."""

    name: str
    unit: str
    scale: float = 1.0
    form: str = ".3f"


ROLES = {0: "teacher", 1: "student", 2: "second student"}
METHOD_NAMES = {
    "baseline": "baseline",
    "id": "intra-distillation",
    "passes": "K passes, α = 0",
    "compute": "K × the updates",
}
SMOOTHINGS = (0.0, 0.1)
CELLS = tuple((round_, s) for s in SMOOTHINGS for round_ in (0, 1))  # the report's four columns

NLL, STD, STD_NORMALIZED = "test/nll", "sensitivity/std", "sensitivity/std_normalized"
METRICS = {
    NLL: Metric("test NLL", "nats"),
    "test/nll/calibrated": Metric("test NLL after temperature", "nats"),
    "test/accuracy": Metric("test accuracy", "points", 100.0, ".2f"),
    "train/nll": Metric("training NLL", "nats"),
    STD: Metric("std of sensitivity", "× 10⁻³", 1000.0, "#.3g"),
    "sensitivity/std/last": Metric("std of sensitivity, last update", "× 10⁻³", 1000.0, "#.3g"),
    STD_NORMALIZED: Metric("std of normalised sensitivity", "× 10⁻³", 1000.0, "#.3g"),
    "sensitivity/cv": Metric("std/mean of sensitivity", "", 1.0, ".2f"),
    "sensitivity/cv/last": Metric("std/mean of sensitivity, last update", "", 1.0, ".2f"),
    "sensitivity/gini": Metric("Gini coefficient of sensitivity", ""),
}


def role(round_: int) -> str:
    """What a model of this round of self-distillation is called."""
    return ROLES.get(round_, f"student of round {round_}")


def title(metric: str) -> str:
    """Name of a metric with its unit, for a table's or a figure's label.

    >>> title("test/nll"), title("sensitivity/gini")
    ('test NLL (nats)', 'Gini coefficient of sensitivity')
    """
    how = METRICS.get(metric, Metric(metric, ""))
    return f"{how.name} ({how.unit})" if how.unit else how.name


CLAIMS = {
    claim.id: claim
    for claim in (
        Claim(
            "C1",
            "In translation from German to English, intra-distillation beats the baseline "
            "in SacreBLEU.",
            "33.07 → 36.10 (+3.03, 9.16 %)",
            "32.90 → 35.11 (+2.21, 6.72 %), one seed each",
            ("translation",),
            "Not built yet.",
        ),
        Claim(
            "C2",
            "In named-entity recognition carried from English to other languages, "
            "intra-distillation raises F1.",
            "English 84.50 → 85.40 (XLM-R large, as the earlier report cites it)",
            "English 82.353 → 83.412 (mBERT; the training language, so not zero-shot: A18)",
            ("tagging",),
            "Not built yet.",
        ),
        Claim(
            "C3",
            "In question answering in several languages, intra-distillation raises F1.",
            "65.51 → 68.20 (as the earlier report cites it; over which languages: not stated)",
            "English 63.54 → 66.853 (xlm-mlm-tlm-xnli15-1024)",
            ("answering",),
            "Not built yet.",
        ),
        Claim(
            "C4",
            "Self-distillation and intra-distillation both lower the standard deviation of "
            "parameter sensitivity.",
            "yes, on translation (figures not stated)",
            "raw: contradicted in 3 of 4 comparisons for each; normalised: self-distillation "
            "lowers it in 4 of 4, intra-distillation in 3 of 4 (void: A12–A14)",
            ("images",),
            "At the selected checkpoint, at each smoothing: intra-distillation minus baseline "
            "teachers, and baseline student minus its teacher. All four intervals must lie "
            "below 0; one wholly above 0 contradicts.",
        ),
        Claim(
            "C5",
            "Intra-distillation already holds what self-distillation gives: after it, rounds of "
            "self-distillation do not lower the test loss.",
            "a hypothesis (figures not stated)",
            "images: mostly; at s = 0.1 its student is 0.066 above its teacher in test NLL, "
            "where the baseline's is 0.075 below (void: A1, A3, A7)",
            ("images",),
            "Tested for each smoothing and round at which the interval of baseline student minus "
            "teacher lies below 0. There, seed by seed: what distillation takes off the test NLL "
            "with intra-distillation, minus half of what it takes off the baseline's; the "
            "interval must lie below 0 wherever tested; one wholly above 0 contradicts.",
        ),
        Claim(
            "C6",
            "Intra-distillation helps outside language too: it lowers the test NLL of image "
            "models.",
            "an untested hypothesis",
            "every one of its models beats every baseline one, by 0.098 on average "
            "(0.616 → 0.518; confounded: A2, A11)",
            ("images",),
            "Per seed, the mean over teacher and first student at both smoothings of "
            "intra-distillation minus baseline; the interval must lie below 0.",
        ),
        Claim(
            "C7",
            "In language understanding (GLUE), intra-distillation beats the baseline.",
            "yes (figures not stated)",
            "not run; only its settings are listed",
            ("classification",),
            "Not built yet.",
        ),
        Claim(
            "C8",
            "The gain comes from the divergence, neither from averaging K dropout samples nor "
            "from K times the compute.",
            "not tested",
            "not tested",
            ("images",),
            "Teachers without smoothing: intra-distillation minus K passes with α = 0, and minus "
            "the baseline with K times the updates; both intervals must lie below 0.",
        ),
    )
}

# The earlier report's image tables (Oxford-IIIT Pet, ResNet-50), one seed, one round (A10).
REPORT_IMAGES: dict[str, dict[Cell, float]] = {
    metric: {
        Cell(method, *cell): value / METRICS[metric].scale
        for method, values in rows.items()
        for cell, value in zip(CELLS, values, strict=True)
    }
    for metric, rows in {
        NLL: {"id": (0.480, 0.537, 0.495, 0.561), "baseline": (0.565, 0.657, 0.659, 0.584)},
        STD: {"id": (1.61, 1.75, 2.40, 1.70), "baseline": (0.414, 8.32, 1.10, 1.30)},
        STD_NORMALIZED: {"id": (3.13, 2.80, 2.92, 2.45), "baseline": (15.8, 2.74, 12.0, 3.32)},
    }.items()
}
REPORT_IMAGES_SECONDS = {"baseline": 4200.0, "id": 12000.0}  # "about", on one T4
REPORT_IMAGES_GPU_GB = 2.0  # for every model
