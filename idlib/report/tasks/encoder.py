"""What the tasks on a pretrained encoder share: layers, settings, and scores by language."""

from __future__ import annotations

from idlib.report.conditions import Condition
from idlib.report.metrics import Metric, percentage

LAYERS = ("embedding", "attention", "feed-forward", "norm", "head")
PAIR = (Condition("baseline", 0, 0.0), Condition("id", 0, 0.0))
MODEL = ("encoder", "layers", "freeze_embeddings", "dropout", "max_length")
TRAINING = (
    "examples",
    "batch_size",
    "epochs",
    "lr_peak",
    "lr_head",
    "warmup",
    "passes",
    "alpha",
    "p",
    "q",
)
F1_ENGLISH = percentage("test/f1/en", "F1 on English")
F1_OTHERS = percentage("test/f1/others", "F1 on the other languages")
# Models are trained on English and tested on languages that they have seen no label of.
ACROSS_LANGUAGES = (
    Metric("test/nll", "test NLL on English", "nats"),
    Metric("test/nll/others", "test NLL on the other languages", "nats"),
    F1_ENGLISH,
    F1_OTHERS,
    percentage("validation/f1", "validation F1"),
)
