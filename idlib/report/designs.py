"""What the verdicts on each task are made of: smoothings, the metric of a gain, what stands beside.

Fixed before the runs that are judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from idlib.report.names import BLEU, F1_ENGLISH, F1_OTHERS, F1_PARALLEL, NLL, SCORE, SMOOTHINGS
from idlib.report.statistics import Claimed


@dataclass(frozen=True)
class Design:
    """What one task's verdicts are made of.

    ``quality`` is the metric that a gain is told in (C1–C3, C6–C8) and ``better`` its better side;
    ``beside`` are metrics that stand in further lines, each with its better side. ``context``
    stands beside the test NLL of the rounds (C5), where no side is claimed.
    """

    smoothings: tuple[float, ...]
    quality: str
    better: Claimed
    beside: tuple[tuple[str, Claimed], ...]
    context: tuple[str, ...] = ()


DESIGNS = {
    "images": Design(
        SMOOTHINGS["images"],
        NLL,
        "below",
        (("test/accuracy", "above"), ("test/nll/calibrated", "below")),
    ),
    "translation": Design(
        SMOOTHINGS["translation"],
        BLEU,
        "above",
        (("test/chrf", "above"), (NLL, "below")),
        context=(BLEU,),
    ),
    "tagging": Design(
        SMOOTHINGS["tagging"],
        F1_PARALLEL,
        "above",
        ((F1_OTHERS, "above"), (F1_ENGLISH, "above"), (NLL, "below"), ("test/nll/others", "below")),
        context=(F1_PARALLEL,),
    ),
    "answering": Design(
        SMOOTHINGS["answering"],
        F1_OTHERS,
        "above",
        (
            ("test/em/others", "above"),
            (F1_ENGLISH, "above"),
            (NLL, "below"),
            ("test/nll/others", "below"),
        ),
        context=(F1_OTHERS,),
    ),
    "classification": Design(SMOOTHINGS["classification"], SCORE, "above", ((NLL, "below"),)),
}
