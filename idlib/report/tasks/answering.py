"""Answering: the published figures are of TyDiQA; the earlier report's of English alone (A18)."""

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

# Baseline and intra-distillation; the earlier report does not state over which languages.
PAPER_F1 = (0.6551, 0.6820)

ANSWERING = TaskReport(
    task="answering",
    metrics=(
        *ACROSS_LANGUAGES,
        percentage("test/em/en", "exact match on English"),
        percentage("test/em/others", "exact match on the other languages"),
    ),
    smoothings=(0.0,),
    layers=LAYERS,
    settings=(*MODEL, "stride", *TRAINING),
    compared=(
        F1_OTHERS.key,
        "test/em/others",
        F1_ENGLISH.key,
        "test/nll",
        STD.key,
        "sensitivity/cv",
    ),
    by_round=("test/nll", F1_OTHERS.key, STD.key),
    curves=("validation/nll", "validation/f1"),
    by_language={"f1": "F1", "f1_parallel": "F1 on parallel items", "em": "exact match"},
    earlier_report={F1_ENGLISH.key: dict(zip(PAIR, (0.6354, 0.66853), strict=True))},
    joint_cost=PublishedJointCost(16 * 3600 + 34 * 60 + 25, 15, "T4", 15.0),
)
