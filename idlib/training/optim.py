"""What the settings make of a run: its objective, its optimizer, and the rate of each update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial

import torch
from torch import Tensor, nn

from idlib.method.objective import IntraDistillation
from idlib.method.schedules import constant, inverse_sqrt, linear_decay
from idlib.method.targets import Forward
from idlib.training.settings import Settings, SettingsError
from idlib.training.trainable import Trainable

# Whether a task that names its last projection trains without forming all logits. It is a form of
# the computation and no setting of a run: to change it, raise the revision of those tasks, since
# their losses then have other last digits.
PROJECTED = False


def objective_of(settings: Settings) -> IntraDistillation:
    """The objective that the settings ask for."""
    names = {field.name for field in fields(IntraDistillation)}
    asked = settings.model_dump(include=names, exclude_none=True)
    return IntraDistillation(**asked, overwrite_logits=True)  # the loop reads none


def forward_of(task: Trainable, model: nn.Module, projected: bool = PROJECTED) -> Forward:
    """What a model is trained through: its logits, or its hidden states and their projection.

    Args:
        task: whose ``unprojected`` names the projection; evaluation has logits in any case.
        model: to be trained.
        projected: whether the projection is left to the loss, which then takes less memory and
            time (:mod:`idlib.method.projection`).
    """
    return task.unprojected(model) if projected else task.forward(model)


def optimizer_of(
    model: nn.Module, settings: Settings, is_head: Callable[[str], bool]
) -> torch.optim.Optimizer:
    """The optimizer that the settings ask for, of the parameters that are trained.

    With ``lr_head`` there are two groups: the body, then the head.

    Raises:
        SettingsError: ``lr_head`` is given for a model without a new head.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [[p for _, p in trained]]
    if settings.lr_head is not None:
        groups = [[p for name, p in trained if is_head(name) == head] for head in (False, True)]
        if not groups[1]:
            raise SettingsError("lr_head is the rate of a new head, and this model has none")
    optimizer: Callable[..., torch.optim.Optimizer] = partial(torch.optim.AdamW, fused=True)
    if settings.optimizer == "adamax":
        optimizer = torch.optim.Adamax
    return optimizer(
        [{"params": group} for group in groups],
        lr=settings.lr_peak,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
    )


def set_learning_rate(
    optimizer: torch.optim.Optimizer, settings: Settings, step: int, total_steps: int
) -> float:
    """Give body and head their rates of update ``step``, and return the body's."""
    rate = learning_rate(settings, step, total_steps)
    head = (settings.lr_head or settings.lr_peak) / settings.lr_peak
    for group, factor in zip(optimizer.param_groups, (1.0, head), strict=False):
        if isinstance(group["lr"], Tensor):  # which a recorded update reads
            group["lr"].fill_(rate * factor)
        else:
            group["lr"] = rate * factor
    return rate


def learning_rate(settings: Settings, step: int, total_steps: int) -> float:
    """Rate of update ``step`` (from 1); a stretched run walks the same curve more slowly."""
    at, total = step / settings.stretch, total_steps / settings.stretch
    if settings.schedule == "inverse_sqrt":
        return inverse_sqrt(at, settings.lr_peak, settings.warmup, settings.lr_initial)
    if settings.schedule == "linear":
        return linear_decay(at, total, settings.lr_peak, settings.warmup)
    return constant(at, settings.lr_peak)


def check_rates(settings: Settings, updates: int) -> None:
    """Whether the schedule can have its warm-up in a run of so many updates.

    Raises:
        SettingsError: it cannot; the message names the setting.
    """
    try:
        learning_rate(settings, 1, updates)
    except ValueError as error:
        raise SettingsError(
            f"setting warmup = {settings.warmup}: schedule {settings.schedule} cannot have that "
            f"in {updates // settings.stretch} updates ({error}); set warmup to less, or epochs "
            "to more"
        ) from None
