"""Translation: the published figures are of IWSLT'14 German to English, smoothing 0.1, one seed."""

from __future__ import annotations

from idlib.metrics import bleu
from idlib.metrics.names import LOSS, at
from idlib.report.conditions import Condition
from idlib.report.metrics import CV, NLL, STD, Metric
from idlib.report.tasks.base import PublishedCost, TaskReport

BLEU = Metric("test/bleu", "test SacreBLEU", "points", 1.0, ".2f", bleu.ITEMS)
_BASELINE, _ID = Condition("baseline", 0, 0.1), Condition("id", 0, 0.1)

# The earlier report's "cross-entropy" on validation is the label-smoothed loss in bits; its logs
# give the NLL (A16).
SMOOTHED_BITS = {"baseline": 3.962, "id": 3.727}
UPDATES, EPOCHS = 50_000, 46
CARD_GB = 15.8  # in its published logs (A15)
SCORING_SECONDS = 61.0  # decoding and SacreBLEU of the test set

TRANSLATION = TaskReport(
    task="translation",
    metrics=(
        BLEU,
        Metric("test/chrf", "test chrF++", "points", 1.0, ".2f"),
        Metric("test/length_ratio", "length of hypotheses / references"),
        Metric("test/bits", "test NLL", "bits"),
        Metric("validation/bits", "validation NLL", "bits"),
        Metric("validation/bleu", "validation SacreBLEU", "points", 1.0, ".2f"),
    ),
    smoothings=(0.1,),
    layers=("embedding", "attention", "feed-forward", "norm", "output"),
    settings=(
        "layers",
        "width",
        "ffn",
        "heads",
        "dropout",
        "vocabulary",
        "max_tokens",
        "examples",
        "batch_tokens",
        "epochs",
        "lr_peak",
        "warmup",
        "smoothing",
        "passes",
        "alpha",
        "p",
        "q",
        "beams",
        "length_penalty",
    ),
    compared=(
        "test/bleu",
        "test/chrf",
        "test/length_ratio",
        "test/nll",
        at(STD.key, LOSS),  # as C4 is judged
        at(CV.key, LOSS),
    ),
    # C5 is judged at the lowest validation loss, C1 at the best SacreBLEU
    by_round=(at(NLL.key, LOSS), "test/bleu", at("test/bleu", LOSS), at(STD.key, LOSS)),
    swept=(("validation/nll", "below"), ("validation/bleu", "above")),
    paper={"test/bleu": {_BASELINE: 33.07, _ID: 36.10}},
    earlier_report={
        "test/bleu": {_BASELINE: 32.90, _ID: 35.11},
        "validation/bits": {_BASELINE: 2.352, _ID: 2.209},
    },
    cost={
        "baseline": PublishedCost(3615.9, "V100", 16.5, logged_gb=2.4),
        "id": PublishedCost(10891.7, "V100", 23.5, logged_gb=7.8),
    },
)
