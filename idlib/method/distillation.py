"""Self-distillation: a fresh student of the same architecture, taught by the previous round.

The student's task loss is the cross-entropy to the labels plus the cross-entropy to the
teacher's distribution, one to one. The teacher is the previous round's selected checkpoint,
run in evaluation mode on the student's own inputs; nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from idlib.method.projection import Head
from idlib.method.targets import Forward


def frozen_teacher(model: nn.Module, forward: Callable[[nn.Module], Forward]) -> Forward:
    """Make a trained model a teacher: evaluation mode, no gradients, no parameter to train.

    Args:
        model: the trained model; it is changed in place.
        forward: gives a model's function from batch to logits, as a task's ``forward`` does.

    Returns:
        A function from a batch to logits (or to a dict of heads), to be given to
        :class:`idlib.method.objective.IntraDistillation` as ``teacher``.
    """
    model.eval().requires_grad_(False)
    run = forward(model)

    @torch.no_grad()
    def teacher(batch: Any) -> Head | Mapping[str, Head]:
        return run(batch)

    return teacher
