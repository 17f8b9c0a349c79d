"""Names: of a task's models (cells) and metrics, and how each is written."""

from __future__ import annotations

import re
from typing import NamedTuple


class Cell(NamedTuple):
    """One model of a task: round 0 is the teacher, 1 its student, 2 the student's student."""

    method: str
    round: int
    smoothing: float
    dataset: str = ""  # where several of a task are compared at once

    @property
    def label(self) -> str:
        """Role and smoothing, without the method: ``teacher, s = 0``."""
        named = f", {self.dataset}" if self.dataset else ""
        return f"{role(self.round)}, s = {self.smoothing:g}{named}"

    @property
    def full_label(self) -> str:
        """Method, role and smoothing: ``baseline teacher, s = 0``."""
        return f"{METHOD_NAMES.get(self.method, self.method)} {self.label}"


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
SMOOTHINGS = {  # the first is the controls'
    "images": (0.0, 0.1),
    "translation": (0.1,),
    "tagging": (0.0,),
    "answering": (0.0,),
    "classification": (0.0,),
}
CELLS = tuple((r, s) for s in SMOOTHINGS["images"] for r in (0, 1))  # the report's four columns
_ENCODER = ("embedding", "attention", "feed-forward", "norm", "head")
LAYERS = {  # in the order of the network
    "images": ("stem", "layer1", "layer2", "layer3", "layer4", "head"),
    "translation": ("embedding", "attention", "feed-forward", "norm", "output"),
    "tagging": _ENCODER,
    "answering": _ENCODER,
    "classification": _ENCODER,
}

NLL, BLEU = "test/nll", "test/bleu"
F1_ENGLISH, F1_OTHERS, F1_PARALLEL = "test/f1/en", "test/f1/others", "test/f1_parallel/others"
SCORE = "test/score"  # of a data set: the metric that it is told in
STD, STD_NORMALIZED = "sensitivity/std", "sensitivity/std_normalized"
METRICS = {
    NLL: Metric("test NLL", "nats"),
    "test/bits": Metric("test NLL", "bits"),
    BLEU: Metric("test SacreBLEU", "points", 1.0, ".2f"),
    "test/chrf": Metric("test chrF++", "points", 1.0, ".2f"),
    "test/length_ratio": Metric("length of hypotheses / references", ""),
    "validation/nll": Metric("validation NLL", "nats"),
    "validation/bits": Metric("validation NLL", "bits"),
    "validation/bleu": Metric("validation SacreBLEU", "points", 1.0, ".2f"),
    F1_ENGLISH: Metric("F1 on English", "points", 100.0, ".2f"),
    F1_OTHERS: Metric("F1 on the other languages", "points", 100.0, ".2f"),
    F1_PARALLEL: Metric("F1 on parallel items in the other languages", "points", 100.0, ".2f"),
    "test/f1_parallel/en": Metric("F1 on parallel items in English", "points", 100.0, ".2f"),
    "test/em/en": Metric("exact match on English", "points", 100.0, ".2f"),
    "test/em/others": Metric("exact match on the other languages", "points", 100.0, ".2f"),
    "test/nll/others": Metric("test NLL on the other languages", "nats"),
    "validation/f1": Metric("validation F1", "points", 100.0, ".2f"),
    SCORE: Metric("test score", "points", 100.0, ".2f"),
    "validation/score": Metric("validation score", "points", 100.0, ".2f"),
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

SCORES = {"f1": "F1", "f1_parallel": "F1 on parallel items", "em": "exact match"}  # by language


def role(round_: int) -> str:
    """What a model of this round of self-distillation is called."""
    return ROLES.get(round_, f"student of round {round_}")


def written(metric: str) -> Metric:
    """How a metric is written; one that is not listed by its own name, scores as percentages.

    >>> written("test/f1/de").name, written("test/speed").name
    ('F1 in de', 'test/speed')
    """
    if metric in METRICS:
        return METRICS[metric]
    kind, _, language = metric.removeprefix("test/").partition("/")
    if language and kind in SCORES:
        return Metric(f"{SCORES[kind]} in {language}", "points", 100.0, ".2f")
    return Metric(metric, "")


def title(metric: str) -> str:
    """Name of a metric with its unit, for a table's or a figure's label.

    >>> title("test/nll"), title("sensitivity/gini")
    ('test NLL (nats)', 'Gini coefficient of sensitivity')
    """
    how = written(metric)
    return f"{how.name} ({how.unit})" if how.unit else how.name


def literal(text: object) -> str:
    r"""A text as Markdown shows it as it is, inside a line and in a table's cell.

    For what somebody's data name: a folder, a data set, a class, a language.

    >>> print(literal("my_data*|<b>"))
    my\_data\*\|\<b\>
    """
    return re.sub(r"[\\`*_\[\]<>|~$&]", r"\\\g<0>", " ".join(str(text).split()))
