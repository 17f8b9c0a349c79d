"""Intra-distillation, reproduced: losses, sensitivity, one training loop, records.

from idlib import IntraDistillation, parameter_sensitivity
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idlib.method.losses import js_divergence, symmetric_kl, x_divergence
    from idlib.method.objective import IntraDistillation
    from idlib.method.schedules import adaptive_alpha
    from idlib.method.targets import Target
    from idlib.sensitivity.first_order import (
        exact_sensitivity,
        group_sensitivity,
        parameter_sensitivity,
    )

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

_PLACES = {
    "method.losses": ("js_divergence", "symmetric_kl", "x_divergence"),
    "method.objective": ("IntraDistillation",),
    "method.schedules": ("adaptive_alpha",),
    "method.targets": ("Target",),
    "sensitivity.first_order": ("exact_sensitivity", "group_sensitivity", "parameter_sensitivity"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: who reads records, or writes the report, needs no torch."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
