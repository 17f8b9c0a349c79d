"""The temperature is that of least NLL: above 1 for what is too sure, below 1 for what is not."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import brentq

from idlib.metrics.calibration import fit_temperature


def guesses(size: int = 400, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that tell something about their labels, about as surely as they should."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (size,), generator=generator)
    logits = torch.randn(size, classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(size), labels] += 1.0
    return logits, labels


def by_slope(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature at which the NLL's slope in 1/T, mean E_p[z] − z_y, is zero."""

    def slope(inverse: float) -> float:
        expected = ((inverse * logits).softmax(-1) * logits).sum(-1)
        return (expected - logits.gather(1, labels[:, None])[:, 0]).mean().item()

    return 1 / brentq(slope, 1e-3, 1e3, xtol=1e-12)


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.0, 3.0, 40.0])
def test_the_temperature_is_where_the_slope_of_the_nll_is_zero(scale):
    logits, labels = guesses()
    found = fit_temperature(scale * logits, labels)
    assert found == pytest.approx(by_slope(scale * logits, labels), rel=1e-5)
    assert (found < 1) == (scale < 1.0)
    # What multiplies the logits multiplies the temperature.
    assert found == pytest.approx(scale * fit_temperature(logits, labels), rel=1e-5)


def test_two_classes_by_hand():
    """Where all logits are a or 0 and a share r is right, a / T is the log odds of r."""
    labels = torch.tensor([0, 0, 0, 1])
    for a in (0.25, 9.0):
        found = fit_temperature(torch.tensor([[a, 0.0]]).repeat(4, 1), labels)
        assert found == pytest.approx(a / math.log(3), rel=1e-5)
