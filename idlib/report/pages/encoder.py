"""What the pages of the tasks on a pretrained encoder say beside their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from idlib.metrics.items import OTHERS
from idlib.records import Record
from idlib.report.conditions import METHOD_NAMES
from idlib.report.results import Results
from idlib.report.tasks.answering import PAPER_F1
from idlib.report.tasks.base import TaskReport
from idlib.report.tasks.encoder import F1_ENGLISH, F1_OTHERS
from idlib.report.tasks.tagging import F1_PARALLEL
from idlib.report.text import NOT_STATED, NOTHING, joined, literal

KINDS = ("accuracy", "f1", "matthews", "pearson", "spearman", "nll")


def random_encoder(results: Results, swept: Sequence[Record]) -> tuple[pd.DataFrame, str]:
    """F1 of baselines on the trained and on a random encoder, and how many times the trained's is.

    Args:
        results: of tagging.
        swept: records of both.
    """
    metrics = (F1_PARALLEL, F1_OTHERS, F1_ENGLISH)
    groups = {
        "trained encoder": results.base_models.get("baseline", []),
        "random encoder": [
            record
            for record in swept
            if record.asked.method == "baseline" and not record.asked.settings["pretrained"]
        ],
    }
    means = {label: [_mean(records, m.key) for m in metrics] for label, records in groups.items()}
    rows = {
        label: {
            **{m.title: _or_nothing(m.written(v), v) for m, v in zip(metrics, values, strict=True)},
            "seeds": str(len(groups[label])),
        }
        for label, values in means.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(f"baseline ({results.label})")
    if not groups["random encoder"]:
        return table, "There is no record of a random encoder."
    ratios = np.array(means["trained encoder"]) / np.array(means["random encoder"])
    return table, (
        f"The trained encoder's F1 in the other languages is {ratios[0]:.1f} times the random "
        f"one's, on the items that all have; in English, on all items, {ratios[2]:.1f} times."
    )


def rules_beside(results: Results, rules: Mapping[str, str], kind: str = "f1") -> str:
    """Whether a rule without training is as good as a model in the languages not trained on.

    Args:
        results: of a task that is tested in several languages.
        rules: names of scores in the records, by label.
        kind: of the models' score.
    """
    key = f"test/{{}}/{OTHERS}"
    models = {
        method: _mean(results.base_models.get(method, []), key.format(kind))
        for method in ("baseline", "id")
    }
    baselines = results.base_models.get("baseline", [])
    found = {label: _mean(baselines, key.format(name)) for label, name in rules.items()}
    known = {label: value for label, value in found.items() if not np.isnan(value)}
    if not known or any(np.isnan(value) for value in models.values()):
        return "There are no records of models and rules to compare."
    best = max(known, key=known.__getitem__)
    metric = results.metric(F1_OTHERS.key)
    below = [METHOD_NAMES[name] for name, value in models.items() if value < known[best]]
    said = f"In the other languages the rule “{best}” has {metric.written(known[best])}"
    if not below:
        return f"{said}, and both models are better."
    return (
        f"{said}, more than {joined(below)} ({results.label}). A difference between models that a "
        "rule without training beats says little about reading."
    )


def published_joint_cost(report: TaskReport) -> str:
    """What the earlier report says of the time of baseline and intra-distillation together."""
    cost = report.joint_cost
    if cost is None:
        return f"The earlier report's cost is {NOT_STATED}."
    return (
        f"The earlier report trained baseline and intra-distillation for {cost.epochs} epochs in "
        f"{cost.seconds / 3600:.1f} h together, on one {cost.gpu} ({cost.gpu_gb:g} GB)."
    )


def papers_answering() -> str:
    """The paper's F1 of answering, as the earlier report cites it."""
    return (
        f"The paper's figures, as the earlier report cites them, are {100 * PAPER_F1[0]:.2f} and "
        f"{100 * PAPER_F1[1]:.2f}; over which languages is {NOT_STATED}."
    )


def majority_class(shares: Mapping[str, float]) -> str:
    """How often naming the most frequent training class is right, by data set, in Markdown."""
    if not shares:
        return "No data set of this build has classes."
    each = [f"{100 * share:.1f} % of {literal(name)}" for name, share in shares.items()]
    return (
        f"Always naming the most frequent training class is right in {', '.join(each)} (test "
        "examples of this build)."
    )


def other_metrics(results: Results) -> pd.DataFrame:
    """Further test metrics of classification, the mean over seeds, by data set and method."""
    rows = {}
    for dataset, part in results.by_dataset():
        for method in ("baseline", "id"):
            records = part.base_models.get(method, [])
            rows[dataset, METHOD_NAMES[method]] = {
                kind: f"{mean:.3f}"
                for kind in KINDS
                if not np.isnan(mean := _mean(records, f"test/{kind}"))
            }
    index = pd.MultiIndex.from_tuples(rows, names=["data set", "model"])
    return pd.DataFrame(list(rows.values()), index=index).fillna(NOTHING)


def _mean(records: Sequence[Record], key: str) -> float:
    values = [record.measured.metrics.get(key, np.nan) for record in records]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _or_nothing(text: str, value: float) -> str:
    return NOTHING if np.isnan(value) else text
