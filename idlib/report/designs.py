"""What the verdicts on each task are made of: the metric of a gain, its better side, the rules.

Fixed before the runs that are judged by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from idlib.report.statistics import Side


@dataclass(frozen=True)
class Design:
    """How the claims are judged on one task.

    Args:
        quality: key of the metric that a gain is measured in (C1–C3, C6–C8).
        better: its better side.
        beside: keys of metrics that are compared beside it, each with its better side.
        rules: how each claim is judged here, in words, by its id.
        context: keys of metrics that stand beside the test NLL of the rounds (C5); nothing is
            claimed of them.
        seeds: how many a verdict takes at least.
    """

    quality: str
    better: Side
    beside: tuple[tuple[str, Side], ...]
    rules: Mapping[str, str]
    context: tuple[str, ...] = ()
    seeds: int = 3


DESIGNS = {
    "images": Design(
        "test/nll",
        "below",
        (("test/accuracy", "above"), ("test/nll/calibrated", "below")),
        {
            "C4": "At the selected checkpoint, at each smoothing: intra-distillation minus "
            "baseline, both base models, and baseline student minus its base model. All four "
            "intervals must lie below 0; one wholly above 0 contradicts.",
            "C5": "Tested for each smoothing and round at which the interval of baseline student "
            "minus base model lies below 0. There, seed by seed: what distillation takes off the "
            "test NLL with intra-distillation, minus half of what it takes off the baseline's; "
            "the interval must lie below 0 wherever tested; one wholly above 0 contradicts.",
            "C6": "Per seed, the mean over base model and first student at both smoothings of "
            "intra-distillation minus baseline; the interval must lie below 0.",
            "C8": "Base models without smoothing: intra-distillation minus K passes with α = 0, "
            "and minus the baseline with K times the updates; both intervals must lie below 0.",
        },
        seeds=5,
    ),
    "translation": Design(
        "test/bleu",
        "above",
        (("test/chrf", "above"), ("test/nll", "below")),
        {
            "C1": "Base models, smoothing 0.1, test set: SacreBLEU of intra-distillation minus "
            "the baseline's; the interval must lie above 0.",
            "C4": "The same at smoothing 0.1, with the first student: both intervals must lie "
            "below 0; one wholly above 0 contradicts.",
            "C5": "The same at smoothing 0.1 on the NLL of test tokens; SacreBLEU of the rounds "
            "stands beside it and takes no part.",
            "C8": "Base models, smoothing 0.1, the gain that C1 speaks of: SacreBLEU of "
            "intra-distillation minus that of each of the two controls; both intervals must lie "
            "above 0.",
        },
        context=("test/bleu",),
    ),
    "tagging": Design(
        "test/f1_parallel/others",
        "above",
        (
            ("test/f1/others", "above"),
            ("test/f1/en", "above"),
            ("test/nll", "below"),
            ("test/nll/others", "below"),
        ),
        {
            "C2": "Base models, test items that every language has: the mean over the languages "
            "not trained on of the span F1 of intra-distillation minus the baseline's; the "
            "interval must lie above 0.",
            "C5": "The same without smoothing, on the NLL of the English test set; F1 on the "
            "other languages stands beside it and takes no part.",
            "C8": "The same in the F1 of C2.",
        },
        context=("test/f1_parallel/others",),
    ),
    "answering": Design(
        "test/f1/others",
        "above",
        (
            ("test/em/others", "above"),
            ("test/f1/en", "above"),
            ("test/nll", "below"),
            ("test/nll/others", "below"),
        ),
        {
            "C3": "Base models, test set: the mean over the languages not trained on of the F1 of "
            "intra-distillation minus the baseline's; the interval must lie above 0.",
            "C5": "The same as for tagging.",
            "C8": "The same in the F1 of C3.",
        },
        context=("test/f1/others",),
    ),
    "classification": Design(
        "test/score",
        "above",
        (("test/nll", "below"),),
        {
            "C7": "Base models, test sets: the mean over the data sets of the score of "
            "intra-distillation minus the baseline's; the interval must lie above 0.",
            "C8": "The same in the mean score of C7.",
        },
    ),
}


def tasks_of(claim: str) -> tuple[str, ...]:
    """The tasks that a claim is judged on."""
    return tuple(task for task, design in DESIGNS.items() if claim in design.rules)
