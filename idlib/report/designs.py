"""What is compared on each task: the metric of a gain, what stands beside it, and for which claims.

What is judged, in which runs and by how much, stands in the protocol alone (:mod:`idlib.protocol`).
"""

from __future__ import annotations

from dataclasses import dataclass

from idlib import protocol
from idlib.metrics.names import BEST, LOSS, at
from idlib.protocol import Line, Side


@dataclass(frozen=True)
class Design:
    """What is compared on one task.

    Args:
        quality: key of the metric that a gain is measured in (C1–C3, C6–C8).
        better: its better side.
        beside: keys of metrics that are compared beside it, each with its better side.
        claims: for which claims, by id.
        context: keys of metrics that stand beside the test NLL of the rounds (C5); nothing is
            claimed of them.

    C4 and C5 are compared at the checkpoint of the protocol's lines (:func:`selection_of`).
    """

    quality: str
    better: Side
    beside: tuple[tuple[str, Side], ...]
    claims: tuple[str, ...]
    context: tuple[str, ...] = ()


DESIGNS = {
    "images": Design(
        "test/nll",
        "below",
        (("test/accuracy", "above"), ("test/nll/calibrated", "below")),
        ("C4", "C5", "C6", "C8"),
    ),
    "translation": Design(
        "test/bleu",
        "above",
        (("test/chrf", "above"), ("test/nll", "below")),
        ("C1", "C4", "C5", "C8"),
        context=("test/bleu", at("test/bleu", LOSS)),
    ),
    "tagging": Design(
        "test/f1/others",
        "above",
        (
            ("test/f1_parallel/others", "above"),
            ("test/f1/en", "above"),
            ("test/nll", "below"),
            ("test/nll/others", "below"),
        ),
        ("C2", "C5", "C8"),
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
        ("C3", "C5", "C8"),
        context=("test/f1/others",),
    ),
    "classification": Design("test/score", "above", (("test/nll", "below"),), ("C7", "C8")),
}


def lines_of(task: str, claim: str) -> list[Line]:
    """The protocol's lines of a claim on a task."""
    registered = protocol.read()
    return [
        line
        for line in registered.lines.values()
        if line.claim == claim and registered.studies[line.study].task == task
    ]


def tasks_of(claim: str) -> tuple[str, ...]:
    """The tasks that the protocol judges a claim on."""
    return tuple(task for task in DESIGNS if lines_of(task, claim))


def selection_of(task: str, claim: str) -> str:
    """The rule that chose the checkpoint of which a claim is judged, as the protocol has it.

    The best validation score where the protocol has no line of the claim on the task.
    """
    return next((line.selection for line in lines_of(task, claim)), BEST)
