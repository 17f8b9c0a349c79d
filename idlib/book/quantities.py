"""Quantities of a page's build that no record holds, computed from its runs' models and data."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from idlib.data.classification import ClassificationData
from idlib.experiments.runs import load_model
from idlib.experiments.specs import Spec
from idlib.method.choices import REDUCTIONS
from idlib.method.objective import IntraDistillation


def sizes(spec: Spec) -> str:
    """Trainable parameters of a run's model, and sentence pairs of its data, in Markdown."""
    task = spec.plan.task
    size = sum(weights.numel() for weights in task.model().parameters() if weights.requires_grad)
    head = f"A model of this build has {size:,} trainable parameters. Sentence pairs of this build:"
    return "\n".join([head, *(f"- {name}: {len(p):,}" for name, p in task.data.splits.items())])


def divergence_by_reduction(spec: Spec, rows: int = 8) -> pd.DataFrame:
    """The divergence of one training batch under each reduction over its positions.

    The model is the run's, in training mode, with the same dropout masks each time.

    Args:
        spec: of a task whose inputs are tokens.
        rows: of the batch; fewer where the run's batches or its data are smaller.
    """
    task, model = spec.plan.task, load_model(spec).train()
    rows = min(rows, spec.plan.settings.batch_size or rows, len(task.data.splits["train"]))
    device = next(model.parameters()).device
    (batch,) = task.batches([list(range(rows))])
    batch = {name: value.to(device) for name, value in batch.items()}
    nats = {}
    for reduction in REDUCTIONS:
        torch.manual_seed(0)
        objective = IntraDistillation(passes=3, alpha=1.0, divergence_reduction=reduction)
        with torch.no_grad():
            parts = objective(task.forward(model), task.targets, batch, step=1, total_steps=1)
        nats[reduction] = parts.divergence.item()
    table = {
        name: {
            "divergence, nats": f"{value:.3g}",
            "times the mean": f"{value / nats['mean']:.1f}" if nats["mean"] else "–",
        }
        for name, value in nats.items()
    }
    length = batch["input_ids"].shape[1]
    frame = pd.DataFrame.from_dict(table, orient="index").rename_axis("reduction")
    return frame.rename_axis(f"{rows} rows of at most {length} tokens", axis="columns")


def majority_class_share(specs: Sequence[Spec]) -> dict[str, float]:
    """Share of the most frequent training class in test, by data set; none of regressions."""
    shares = {}
    for spec in specs:
        data = spec.plan.task.data
        assert isinstance(data, ClassificationData), f"{spec.task} has no classes"
        if not data.regression:
            most = data.splits["train"].labels.bincount().argmax()
            hits = data.splits["test"].labels == most
            shares[data.dataset] = hits.double().mean().item()
    return shares
