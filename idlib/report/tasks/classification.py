"""Classification: the paper's figures on GLUE are not at hand, and the earlier report ran none."""

from __future__ import annotations

from idlib.report.metrics import STD, percentage
from idlib.report.tasks.base import TaskReport
from idlib.report.tasks.encoder import LAYERS, MODEL, TRAINING

SCORE = percentage("test/score", "test score")  # of a data set: the metric published with it

CLASSIFICATION = TaskReport(
    task="classification",
    metrics=(
        SCORE,
        percentage("test/accuracy", "test accuracy"),
        percentage("validation/score", "validation score"),
    ),
    smoothings=(0.0,),
    layers=LAYERS,
    settings=(*MODEL, "optimizer", *TRAINING),
    compared=(SCORE.key, "test/nll", STD.key, "sensitivity/cv"),
)
