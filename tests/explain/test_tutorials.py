"""What the tutorial on balance says of its two models follows from their figures."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from idlib.explain.tutorials import BASELINE, FIGURES, ID, evenness


@pytest.mark.parametrize(
    "ours, told, means",
    [
        ((2.0, 2.0, 2.0), "the higher `std`, `cv` and `gini`: by all of them", "less evenly"),
        ((0.5, 0.5, 0.5), "the lower `std`, `cv` and `gini`: by all of them", "more evenly"),
        ((2.0, 0.5, 0.5), "the higher `std` and the lower `cv` and `gini`:", "do not agree"),
        ((0.5, 1.0, 0.5), "the lower `std` and `gini` and the same `cv`:", "do not agree"),
    ],
)
def test_the_more_even_model_is_named_by_the_figures(
    ours: tuple[float, ...], told: str, means: str
) -> None:
    measured = {
        name: SimpleNamespace(**dict(zip(FIGURES, figures, strict=True)))
        for name, figures in ((BASELINE, (1.0, 1.0, 1.0)), (ID, ours))
    }
    text = evenness(measured)
    assert told in text and means in text and "{doc}`balance`" in text
