"""Images: the earlier report's eight models, on Oxford-IIIT Pet with a ResNet-50, one seed each."""

from __future__ import annotations

from idlib.report.conditions import Condition
from idlib.report.metrics import NLL, STD, STD_NORMALIZED, Metric, percentage
from idlib.report.tasks.base import PublishedCost, TaskReport

# Columns of the earlier report's tables: round and smoothing. One round, one seed (A10).
COLUMNS = ((0, 0.0), (1, 0.0), (0, 0.1), (1, 0.1))
_TABLES = {
    NLL: {"id": (0.480, 0.537, 0.495, 0.561), "baseline": (0.565, 0.657, 0.659, 0.584)},
    STD: {"id": (1.61, 1.75, 2.40, 1.70), "baseline": (0.414, 8.32, 1.10, 1.30)},
    STD_NORMALIZED: {"id": (3.13, 2.80, 2.92, 2.45), "baseline": (15.8, 2.74, 12.0, 3.32)},
}

IMAGES = TaskReport(
    task="images",
    metrics=(
        percentage("test/accuracy", "test accuracy"),
        Metric("test/nll/calibrated", "test NLL after temperature", "nats"),
        Metric("calibration/temperature", "temperature", form=".2f"),
        percentage("validation/accuracy", "validation accuracy"),
    ),
    smoothings=(0.0, 0.1),
    layers=("stem", "layer1", "layer2", "layer3", "layer4", "head"),
    settings=(
        "architecture",
        "image_size",
        "examples",
        "dropout",
        "batch_size",
        "epochs",
        "lr_peak",
        "warmup",
        "passes",
        "alpha",
        "p",
        "q",
    ),
    compared=("test/nll", "test/accuracy", "test/nll/calibrated", STD.key, "sensitivity/cv"),
    by_round=("test/nll",),
    curves=("validation/nll", "validation/accuracy"),
    earlier_report={
        metric.key: {
            Condition(method, *column): value / metric.scale
            for method, values in rows.items()
            for column, value in zip(COLUMNS, values, strict=True)
        }
        for metric, rows in _TABLES.items()
    },
    cost={
        "baseline": PublishedCost(4200.0, "T4", 2.0, about=True),
        "id": PublishedCost(12000.0, "T4", 2.0, about=True),
    },
)
