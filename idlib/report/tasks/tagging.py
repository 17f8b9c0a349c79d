"""Tagging: the published figures are of WikiANN in English, the language of training (A18)."""

from __future__ import annotations

from idlib.report.metrics import STD, percentage
from idlib.report.tasks.base import PublishedJointCost, TaskReport
from idlib.report.tasks.encoder import (
    ACROSS_LANGUAGES,
    F1_ENGLISH,
    F1_OTHERS,
    LAYERS,
    MODEL,
    PAIR,
    TRAINING,
)

F1_PARALLEL = percentage("test/f1_parallel/others", "F1 on parallel items in the other languages")

TAGGING = TaskReport(
    task="tagging",
    metrics=(
        *ACROSS_LANGUAGES,
        F1_PARALLEL,
        percentage("test/f1_parallel/en", "F1 on parallel items in English"),
    ),
    smoothings=(0.0,),
    layers=LAYERS,
    settings=(*MODEL, *TRAINING),
    compared=(
        F1_OTHERS.key,
        F1_PARALLEL.key,
        F1_ENGLISH.key,
        "test/nll",
        STD.key,
        "sensitivity/cv",
    ),
    by_round=("test/nll", F1_PARALLEL.key, STD.key),
    curves=("validation/nll", "validation/f1"),
    by_language={"f1": "F1", "f1_parallel": "F1 on parallel items"},
    # XLM-R large, one seed, as the earlier report cites it; its own model is mBERT.
    paper={F1_ENGLISH.key: dict(zip(PAIR, (0.8450, 0.8540), strict=True))},
    earlier_report={F1_ENGLISH.key: dict(zip(PAIR, (0.82353, 0.83412), strict=True))},
    joint_cost=PublishedJointCost(8 * 3600 + 16 * 60 + 59, 10, "T4", 15.0),
)
