"""Figures of translation from made-up records carry the records' numbers."""

from __future__ import annotations

from functools import partial

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.records import made_up_translation
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from idlib.report import figures, outcomes
from idlib.report.names import BLEU, LAYERS, NLL, Cell
from idlib.report.statistics import t_interval

MODELS = [Cell(method, round_, 0.1) for method in ("baseline", "id") for round_ in (0, 1, 2)]
ALL = [*MODELS, Cell("passes", 0, 0.1), Cell("compute", 0, 0.1)]
OF_RECORDS = [
    figures.validation_curves,
    figures.training_parts,
    figures.sensitivity_distribution,
    figures.sensitivity_by_layer,
    partial(figures.by_model, metric=NLL),
    partial(figures.by_model, metric=BLEU),
]


def records(seeds=(1, 2, 3), cells=ALL, **more):
    return [
        made_up_translation(
            cell, seed, (27.0 if cell.method == "id" else 24.0) + 0.1 * seed, 2.5, **more
        )
        for cell in cells
        for seed in seeds
    ]


def drawn(figure):
    """Lay out, so that an artist that cannot be drawn fails the test."""
    figure.draw_without_rendering()
    return [ax for ax in figure.axes if ax.get_visible()]


def coloured(ax, method):
    colour = to_rgba(figures.COLOURS[method])
    return [line for line in ax.lines if to_rgba(line.get_color()) == colour]


@pytest.mark.parametrize(
    ("seeds", "cells"), [((1,), MODELS[::3]), ((1, 2, 3), ALL)], ids=["build", "evidence"]
)
@pytest.mark.parametrize("function", OF_RECORDS)
def test_any_number_of_seeds_and_rounds_draws(function, seeds, cells):
    figure = function(records(seeds, cells))
    assert plt.get_fignums() == []
    assert all(ax.has_data() for ax in drawn(figure))
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert texts[:2] == ["baseline", "intra-distillation"]


def test_validation_curves_show_nll_by_round():
    axes = drawn(figures.validation_curves(records((1, 3))))
    assert [ax.get_title() for ax in axes] == [
        "teacher, s = 0.1",
        "student, s = 0.1",
        "second student, s = 0.1",
    ]
    assert axes[0].get_ylabel() == "validation NLL (nats)"
    (line,) = coloured(axes[0], "id")
    assert line.get_ydata() == pytest.approx([3.7, 2.5, 2.6])


def test_alpha_as_trained_at_the_tasks_smoothing():
    axes = drawn(figures.training_parts(records((1,))))
    assert coloured(axes[2], "id")[0].get_ydata() == pytest.approx([0, 1, 5])


def test_layers_are_kinds_of_modules():
    std, _ = drawn(figures.sensitivity_by_layer(records((1,))))
    assert [label.get_text() for label in std.get_xticklabels()] == list(LAYERS["translation"])
    line = max(coloured(std, "id"), key=lambda line: len(line.get_xdata()))
    assert line.get_ydata() == pytest.approx([0.4 / place for place in range(1, 6)])


def test_by_model_shows_every_run():
    (ax,) = drawn(figures.by_model(records(), BLEU))
    points = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections if len(c.get_offsets())])
    assert {24.1, 24.2, 24.3, 27.1, 27.2, 27.3} <= set(np.round(points, 9))
    assert ax.get_xlabel() == "test SacreBLEU (points)"


@pytest.mark.parametrize("claim", ["C1", "C4", "C5", "C8"])
def test_gain_forest_of_every_claim(claim):
    verdict = outcomes.verdicts(records(sentences=20), "translation")[claim]
    axes = [ax for ax in drawn(figures.gain_forest(verdict)) if ax.has_data()]
    assert len(axes) == len({line.metric for line in verdict.lines})
    if claim == "C1":
        items = [line.items for line in verdict.lines if line.metric == BLEU]
        ends = [list(c.get_segments()[0][:, 0]) for c in axes[0].collections]
        assert [items[0].low, items[0].high] in ends


def swept(epochs, train, seed, gain):
    settings = {"epochs": epochs, "examples": {"train": train}}
    return [
        made_up_translation(cell, seed, 20 + 10 * gain * ours, 2.5 - gain * ours, **settings)
        for ours, cell in enumerate((Cell("baseline", 0, 0.1), Cell("id", 0, 0.1)))
    ]


CROSS = [(5, 4000), (20, 4000), (40, 4000), (20, 1000), (20, 2000)]


def test_gain_by_setting_draws_each_arm_of_the_sweep():
    chosen = [
        record
        for place, setting in enumerate(CROSS)
        for seed in (1, 2)
        for record in swept(*setting, seed, place / 10 + seed / 100)
    ]
    figure = figures.gain_by_setting(chosen)
    axes = drawn(figure)
    assert plt.get_fignums() == [] and len(axes) == 4
    assert [ax.get_title() for ax in axes] == ["4,000 training pairs", "20 epochs", "", ""]
    assert [ax.get_ylabel() for ax in axes[::2]] == [
        "gain in validation NLL\n(nats)",
        "gain in validation\nSacreBLEU (points)",
    ]
    assert [ax.get_xlabel() for ax in axes[2:]] == ["epochs", "training pairs"]
    means = np.array([0.0, 0.1, 0.2]) + 0.015, np.array([0.3, 0.4, 0.1]) + 0.015
    for column, values in enumerate(([5, 20, 40], [1000, 2000, 4000])):
        for row, scale in enumerate((1, 10)):
            ax = axes[2 * row + column]
            (line,) = coloured(ax, "id")
            assert line.get_xdata() == pytest.approx(values)
            assert line.get_ydata() == pytest.approx(scale * means[column])
            points = ax.collections[0].get_offsets()
            assert len(points) == 6
            assert any(list(line.get_ydata()) == [0, 0] for line in ax.lines)
    first = t_interval([0.01, 0.02])
    bars = [path.get_segments() for path in axes[0].collections[1:]]
    ends = [segment[0][:, 1] for segment in bars if len(segment)]
    assert any(list(end) == pytest.approx([first.low, first.high]) for end in ends)


def test_gain_of_one_setting_and_of_nothing():
    figure = figures.gain_by_setting(swept(20, 4000, 1, 0.2))
    assert all(ax.has_data() for ax in drawn(figure))
    assert not figure.texts
    nothing = figures.gain_by_setting([])
    drawn(nothing)
    assert [text.get_text() for text in nothing.texts] == ["no records"]
    assert plt.get_fignums() == []


def test_gain_of_runs_on_the_whole_training_split():
    pair = list(enumerate((Cell("baseline", 0, 0.1), Cell("id", 0, 0.1))))
    records = [
        made_up_translation(cell, 1, 20 + epochs * ours, 2.5, epochs=epochs, examples={})
        for epochs in (5, 20)
        for ours, cell in pair
    ]
    _, _, by_epochs, by_size = drawn(figures.gain_by_setting(records))
    assert coloured(by_epochs, "id")[0].get_ydata() == pytest.approx([5, 20])
    assert not coloured(by_size, "id")  # one size, and none that has a place on the axis
    assert drawn(figures.gain_by_setting(records))[0].get_title() == "all training pairs"
