"""The runs of the earlier report's eight image models."""

from __future__ import annotations

from collections.abc import Sequence

from idlib.audit.bugs import EVALUATION_ORDER
from idlib.experiments.specs import Spec
from idlib.report.conditions import Condition

PASSES = 3  # K of the earlier report
ALPHA = 5.0  # weight of the divergence in the earlier report


def eight_models(
    profile: str, source: str, seeds: Sequence[int], examples: dict[str, int] | None = None
) -> dict[tuple[int, Condition], Spec]:
    """The runs of the report's eight image models, by seed and in the order of its evaluation."""
    specs = {}
    for seed in seeds:
        for condition in EVALUATION_ORDER:
            chosen = {
                "round": condition.round,
                "smoothing": condition.smoothing,
                "examples": examples,
            }
            specs[seed, condition] = Spec("images", condition.method, profile, source, seed, chosen)
    return specs
