"""The method page's tables say what the formulas do, and its figures draw those tables."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from idlib.explain import method
from idlib.explain.method import (
    COARSE_NOISES,
    NOISES,
    SITUATIONS,
    adaptive_weights,
    bfloat16_floor,
    by_form,
    four_forms,
    rounding_errors,
    rounding_figure,
    weights_figure,
)
from idlib.method.losses import x_divergence

CENTRED = "centred twice (idlib)"
WEIGHTS = adaptive_weights(range(1, 101), 100, 5.0, {"rises": (5, 10), "falls": (10, 5)})


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_adaptive_weights_pass_one_at_n_over_q_and_end_at_alpha() -> None:
    assert WEIGHTS.loc[10, "rises"] == pytest.approx(1)
    assert WEIGHTS.loc[20, "rises"] == pytest.approx(5)
    assert WEIGHTS["rises"].is_monotonic_increasing
    assert WEIGHTS["falls"].is_monotonic_decreasing and WEIGHTS.loc[1, "falls"] > 1000


def test_weights_are_drawn_as_they_are() -> None:
    before = dict(mpl.rcParams)
    figure = weights_figure(WEIGHTS, level=2, logarithmic=True)
    (axes,) = figure.axes
    first, second, *others = axes.lines
    np.testing.assert_allclose(first.get_ydata(), WEIGHTS["rises"])
    np.testing.assert_allclose(second.get_ydata(), WEIGHTS["falls"])
    assert any(set(line.get_ydata()) == {2} for line in others)
    assert axes.get_yscale() == "log" and axes.get_xlim() == (0, 100)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["rises", "falls"]
    assert not plt.get_fignums() and dict(mpl.rcParams) == before


def test_the_four_forms_are_equal_on_paper() -> None:
    logits = torch.randn(3, 20, 7, generator=generator(), dtype=torch.float64)
    for values in four_forms(logits).values():
        torch.testing.assert_close(values, x_divergence(logits))


def test_only_the_form_centred_twice_survives_every_situation() -> None:
    errors = rounding_errors(generator(), positions=200)
    table = by_form(errors, "error of the mean")
    assert table.shape == (len(SITUATIONS) * len(NOISES), 4)
    assert (table[CENTRED] < 1e-2).all()
    others = table.drop(columns=CENTRED)
    assert (others.max(axis=1) > 10 * table[CENTRED]).all()
    negative = by_form(errors, "negative")
    assert (negative[CENTRED] == 0).all() and negative.max().max() > 0


def test_rounding_errors_are_those_of_the_generator() -> None:
    small = {"positions": 20, "classes": 5}
    errors, again, other = (rounding_errors(generator(seed), **small) for seed in (1, 1, 2))
    assert errors.equals(again) and not errors.equals(other)


def test_rounding_errors_are_drawn_as_they_are() -> None:
    errors = rounding_errors(generator(), positions=20, classes=5)
    figure = rounding_figure(errors)
    assert [axes.get_title() for axes in figure.axes] == [
        f"passes differ by {x:.0e}" for x in NOISES
    ]
    for axes, (_, part) in zip(figure.axes, errors.groupby("noise", sort=False), strict=True):
        drawn = np.concatenate([dots.get_offsets()[:, 0] for dots in axes.collections])
        np.testing.assert_allclose(sorted(drawn), sorted(part["error of the mean"]))


def test_the_constant_of_a_pass_is_what_the_rounding_sees(monkeypatch) -> None:
    logits = torch.randn(3, 20, 7, generator=generator(), dtype=torch.float64)
    apart = method.APART * torch.arange(3)[:, None, None]
    torch.testing.assert_close(x_divergence(logits + apart), x_divergence(logits))
    monkeypatch.setattr(method, "APART", 0.0)
    agreeing = bfloat16_floor(generator(), positions=20).iloc[0]
    assert agreeing["X of the rounded logits"] == 0, "equal passes are rounded alike"


def test_rounded_logits_seem_to_differ_where_the_passes_agree() -> None:
    floor = bfloat16_floor(generator(), positions=200)
    assert list(floor.index) == list(COARSE_NOISES)
    agreeing, differing = floor.iloc[0], floor.iloc[-1]
    assert agreeing["X of the exact logits"] == pytest.approx(0, abs=1e-12)
    assert agreeing["X of the rounded logits"] > 1e-7
    assert differing["X of the rounded logits"] == pytest.approx(
        differing["X of the exact logits"], rel=1e-2
    )
    rounded = floor["X of the rounded logits"]
    np.testing.assert_allclose(floor["idlib, given bfloat16"], rounded, rtol=1e-4, atol=1e-9)
    assert (floor["softmax in bfloat16"] / rounded).iloc[0] != pytest.approx(1, abs=1e-2)
