"""What the settings make of a run: its objective, its optimizer, and the rate of each update."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from idlib.method.objective import IntraDistillation
from idlib.method.schedules import constant, inverse_sqrt, linear_decay
from idlib.training.settings import Settings, SettingsError


def objective_of(settings: Settings) -> IntraDistillation:
    """The objective that the settings ask for."""
    fields = ("passes", "alpha", "p", "q", "divergence", "smoothing", "mode")
    reduction = settings.divergence_reduction or "mean"
    return IntraDistillation(
        **{name: getattr(settings, name) for name in fields}, divergence_reduction=reduction
    )


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
    shared = {"lr": settings.lr_peak, "betas": settings.betas, "eps": settings.eps}
    shared["weight_decay"] = settings.weight_decay
    parameters = [{"params": group} for group in groups]
    if settings.optimizer == "adamax":
        return torch.optim.Adamax(parameters, **shared)
    return torch.optim.AdamW(parameters, fused=True, **shared)


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


def learning_rate(settings: Settings, step: int, total_steps: int) -> float:
    """Rate of update ``step`` (from 1); a stretched run walks the same curve more slowly."""
    at, total = step / settings.stretch, total_steps / settings.stretch
    if settings.schedule == "inverse_sqrt":
        return inverse_sqrt(at, settings.lr_peak, settings.warmup, settings.lr_initial)
    if settings.schedule == "linear":
        return linear_decay(at, total, settings.lr_peak, settings.warmup)
    return constant(at, settings.lr_peak)
