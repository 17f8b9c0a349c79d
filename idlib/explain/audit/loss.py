"""What the published loss makes of the weight of the divergence (A4, A5)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor, nn

from idlib.audit.bugs import EVALUATION_ORDER, MICRO_BATCH, published_divergence_reduction
from idlib.explain.audit.runs import ALPHA, PASSES
from idlib.method.batch_norm import frozen_batch_norm
from idlib.tasks.images import ImageTask
from idlib.training.trainable import Batch


def reductions(
    models: Mapping[str, nn.Module], task: ImageTask, batch: Batch, seed: int
) -> pd.DataFrame:
    """What summing the divergence over micro-batches (A5) makes of α, for each ID model.

    The logits are those of K passes over one batch, dropout active.

    Args:
        models: by full label.
        task: theirs.
        batch: of which the images that fill micro-batches are used, as the published code needs.
        seed: of the dropout masks, the same for each model.
    """
    whole = len(batch["label"]) // MICRO_BATCH * MICRO_BATCH
    part = {name: value[:whole] for name, value in batch.items()}
    rows = {}
    for condition in EVALUATION_ORDER:
        if condition.method == "id":
            torch.manual_seed(seed)
            logits = _passes(models[condition.full_label], task, part)
            found = published_divergence_reduction(logits, ALPHA)
            rows[condition.full_label] = {
                f"X, summed over {MICRO_BATCH}": found["published"],
                "X, averaged": found["right"],
                "ratio": found["ratio"],
                f"effective α for α = {ALPHA:g}": found["effective_alpha"],
            }
    return pd.DataFrame(rows).T


def first_weights_sentence(weights: pd.DataFrame) -> str:
    """The adaptive weight at the first update, with the values of the text and of the code.

    Args:
        weights: of :func:`idlib.explain.method.adaptive_weights`, the text's column first.
    """
    text, code = weights.iloc[0]
    return (
        f"At the first update the values of the text give a weight of {text:,.0f}, those of "
        f"the code {code:.1e}."
    )


def _passes(model: nn.Module, task: ImageTask, batch: Batch) -> Tensor:
    """Logits [K, B, C] with dropout; the model is left in evaluation mode, its statistics as is."""
    device = next(model.parameters()).device
    part = {name: value.to(device) for name, value in batch.items()}
    model.train()
    with torch.no_grad(), frozen_batch_norm():
        logits = torch.stack([task.forward(model)(part) for _ in range(PASSES)])
    model.eval()
    return logits
