"""Intra-distillation, reproduced: losses, sensitivity, one training loop, records.

from idlib import IntraDistillation, parameter_sensitivity
"""

from idlib.losses import js_divergence, symmetric_kl, x_divergence
from idlib.objective import IntraDistillation, Target
from idlib.schedules import adaptive_alpha
from idlib.sensitivity import exact_sensitivity, group_sensitivity, parameter_sensitivity

__all__ = [
    "IntraDistillation",
    "Target",
    "adaptive_alpha",
    "exact_sensitivity",
    "group_sensitivity",
    "js_divergence",
    "parameter_sensitivity",
    "symmetric_kl",
    "x_divergence",
]
