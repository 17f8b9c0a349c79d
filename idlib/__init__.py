"""Intra-distillation, reproduced: losses, sensitivity, one training loop, records.

from idlib import IntraDistillation, parameter_sensitivity
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idlib.method.losses import js_divergence, symmetric_kl, x_divergence
    from idlib.method.objective import IntraDistillation
    from idlib.method.projection import Projected
    from idlib.method.schedules import adaptive_alpha
    from idlib.method.targets import Target
    from idlib.method.unprojected import unprojected
    from idlib.sensitivity.exact import exact_sensitivity
    from idlib.sensitivity.first_order import group_sensitivity, parameter_sensitivity

__all__ = [
    "IntraDistillation",
    "Projected",
    "Target",
    "adaptive_alpha",
    "exact_sensitivity",
    "group_sensitivity",
    "js_divergence",
    "parameter_sensitivity",
    "symmetric_kl",
    "unprojected",
    "x_divergence",
]

_MODULES = {
    "IntraDistillation": "method.objective",
    "Projected": "method.projection",
    "Target": "method.targets",
    "adaptive_alpha": "method.schedules",
    "exact_sensitivity": "sensitivity.exact",
    "group_sensitivity": "sensitivity.first_order",
    "js_divergence": "method.losses",
    "parameter_sensitivity": "sensitivity.first_order",
    "symmetric_kl": "method.losses",
    "unprojected": "method.unprojected",
    "x_divergence": "method.losses",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: reading records and writing the report need no torch."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
