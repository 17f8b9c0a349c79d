"""Figures from made-up records carry the records' numbers, and none is left open."""

from __future__ import annotations

from functools import partial

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.records import made_up_record
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from idlib.report import figures, outcomes
from idlib.report.names import LAYERS, METHOD_NAMES, METRICS, NLL, Cell

STEPS = [10.0, 20.0, 30.0]
EDGES = np.linspace(-8, 0, 9).tolist()
MODELS = [Cell(m, r, s) for m in ("baseline", "id") for r in (0, 1) for s in (0.0, 0.1)]
ALL = [*MODELS, Cell("passes", 0, 0.0), Cell("compute", 0, 0.0)]
OF_RECORDS = [
    figures.validation_curves,
    figures.training_parts,
    figures.sensitivity_distribution,
    partial(figures.by_model, metric=NLL),
    figures.sensitivity_by_layer,
]


def record(cell, seed, edges=EDGES, items=False, profile="medium"):
    nll = (0.4 if cell.method == "id" else 0.5) + 0.003 * np.sin(5 * seed + cell.round)
    ours = cell.method == "id"
    counts = [0.0] * (len(edges) - 1)
    counts[2 if ours else 3], counts[4] = 30.0, 10.0
    metrics = {NLL: nll, "test/accuracy": 0.8, "test/nll/calibrated": nll}
    for place, layer in enumerate(LAYERS["images"], start=1):
        metrics[f"sensitivity/std/{layer}"] = 4e-4 / place
        metrics[f"sensitivity/mean/{layer}"] = 1e-4
    curves = {
        "validation/step": STEPS,
        "validation/nll": [1.0 + seed / 10, 0.7, nll],
        "validation/accuracy": [0.3, 0.6, 0.8],
        "train/step": STEPS,
        "train/task": [1.5, 1.0, 0.5],
        "train/divergence": [0.1, 0.2, 0.1],
        "train/alpha": [0.0, 1.0, 5.0 * ours],
        "sensitivity/histogram/edges": list(edges),
        "sensitivity/histogram/counts": counts,
    }
    if items:
        curves["test/nll/items"] = [nll, nll / 2, nll * 2]
    return made_up_record(cell, seed, profile, metrics, curves)


def records(seeds=(1, 2, 3, 4, 5), cells=ALL, **more):
    return [record(cell, seed, **more) for cell in cells for seed in seeds]


def judged(records):
    return outcomes.verdicts(records, "images")


def drawn(figure):
    """Lay out, so that an artist that cannot be drawn fails the test."""
    figure.draw_without_rendering()
    return [ax for ax in figure.axes if ax.get_visible()]


def coloured(ax, method):
    colour = to_rgba(figures.COLOURS[method])
    return [line for line in ax.lines if to_rgba(line.get_color()) == colour]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
@pytest.mark.parametrize("function", OF_RECORDS)
def test_any_number_of_seeds_draws_and_leaves_nothing_open(function, seeds):
    figure = function(records(seeds))
    assert plt.get_fignums() == []
    for ax in drawn(figure):
        assert ax.has_data()
    assert legend_texts(figure)[:2] == ["baseline", "intra-distillation"]
    assert not any(ax.get_legend() for ax in figure.axes)


@pytest.mark.parametrize("function", OF_RECORDS)
def test_no_records_say_so(function):
    figure = function([])
    drawn(figure)
    assert [text.get_text() for text in figure.texts] == ["no records"]
    assert plt.get_fignums() == []


def test_a_figure_that_fails_is_closed_too():
    broken = record(ALL[0], 1)
    broken.measured.curves["validation/nll"].append(0.1)  # longer than its steps
    with pytest.raises(ValueError, match="zip"):
        figures.validation_curves([broken])
    assert plt.get_fignums() == []


def test_validation_curves_carry_the_mean_and_the_range():
    axes = drawn(figures.validation_curves(records((1, 3))))
    assert len(axes) == 8  # nll and accuracy, two smoothings, two rounds
    ax = axes[0]
    assert ax.get_title() == "teacher, s = 0" and ax.get_ylabel() == "validation NLL (nats)"
    (line,) = coloured(ax, "id")
    last = np.mean([record(Cell("id", 0, 0.0), s).measured.metrics[NLL] for s in (1, 3)])
    assert line.get_xdata() == pytest.approx(STEPS)
    assert line.get_ydata() == pytest.approx([1.2, 0.7, last])
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].max(), band[:, 0].min()) == pytest.approx((1.3, 10.0))
    accuracy = next(a for a in axes if a.get_ylabel() == "validation accuracy (%)")
    assert coloured(accuracy, "id")[0].get_ydata() == pytest.approx([30, 60, 80])


def test_controls_are_drawn_when_asked_for():
    figure = figures.validation_curves(records((1,)), methods=tuple(METHOD_NAMES))
    assert legend_texts(figure) == list(METHOD_NAMES.values())
    assert coloured(figure.axes[0], "compute") and coloured(figure.axes[0], "passes")


def test_training_parts_carry_alpha():
    axes = drawn(figures.training_parts(records((1, 2)), round_=1, smoothing=0.1))
    assert [ax.get_ylabel() for ax in axes] == [
        "task loss (nats)",
        "X-divergence (nats)",
        "weight α",
    ]
    (line,) = coloured(axes[2], "id")
    assert line.get_ydata() == pytest.approx([0, 1, 5])


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_sensitivity_distribution_carries_the_counts(seeds):
    axes = drawn(figures.sensitivity_distribution(records(seeds)))
    assert [ax.get_title() for ax in axes] == [
        "teacher, s = 0",
        "student, s = 0",
        "teacher, s = 0.1",
        "student, s = 0.1",
    ]
    assert all(ax.get_xscale() == "log" for ax in axes)
    heights = {}
    for method in ("baseline", "id"):
        face = to_rgba(figures.COLOURS[method])[:3]
        (area,) = (c for c in axes[0].collections if tuple(c.get_facecolor()[0][:3]) == face)
        points = area.get_paths()[0].vertices
        heights[method] = {round(float(np.log10(x)), 6) for x, y in points if y > 70}
    assert heights == {"baseline": {-5.0, -4.0}, "id": {-6.0, -5.0}}  # edges of the fullest bin
    assert max(c.get_paths()[0].vertices[:, 1].max() for c in axes[0].collections) == (
        pytest.approx(75)
    )


def test_histograms_of_other_edges_share_one_grid():
    wide = np.linspace(-12, 0, 9).tolist()
    mixed = [record(Cell("baseline", 0, 0.0), 1), record(Cell("id", 0, 0.0), 1, edges=wide)]
    (ax,) = drawn(figures.sensitivity_distribution(mixed))
    xs = np.concatenate([c.get_paths()[0].vertices[:, 0] for c in ax.collections])
    assert np.log10(xs.min()) == pytest.approx(-12) and np.log10(xs.max()) == pytest.approx(0)


def test_by_model_shows_every_run():
    chosen = records(cells=[*ALL, Cell("id", 2, 0.0)])
    (ax,) = drawn(figures.by_model(chosen, NLL))
    points = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections if len(c.get_offsets())])
    expected = sorted(r.measured.metrics[NLL] for r in chosen)
    assert set(np.round(expected, 9)) <= set(np.round(points, 9))
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "teacher, s = 0",
        "student, s = 0",
        "second student, s = 0",
        "teacher, s = 0.1",
        "student, s = 0.1",
    ]
    assert ax.get_xlabel() == "test NLL (nats)"


def test_sensitivity_by_layer_carries_std_and_ratio():
    std, ratio = drawn(figures.sensitivity_by_layer(records((1, 2))))
    assert std.get_yscale() == "log"
    line = max(coloured(std, "id"), key=lambda line: len(line.get_xdata()))
    assert line.get_ydata() == pytest.approx([0.4 / place for place in range(1, 7)])
    line = max(coloured(ratio, "baseline"), key=lambda line: len(line.get_xdata()))
    assert line.get_ydata() == pytest.approx([4 / place for place in range(1, 7)])
    assert [label.get_text() for label in ratio.get_xticklabels()] == list(LAYERS["images"])


@pytest.mark.parametrize("claim", ["C4", "C5", "C6", "C8"])
def test_gain_forest_carries_every_line(claim):
    verdict = judged(records(items=True))[claim]
    figure = figures.gain_forest(verdict)
    axes = [ax for ax in drawn(figure) if ax.has_data()]
    measured = [line for line in verdict.lines if line.interval is not None]
    shown = [
        line.get_xdata()[0]
        for ax in axes
        for line in ax.lines
        if len(line.get_xdata()) == 1 and line.get_marker() != "None"
    ]
    expected = [METRICS[line.metric].scale * line.interval.mean for line in measured]
    assert sorted(shown) == pytest.approx(sorted(expected))
    assert plt.get_fignums() == []


def test_gain_forest_draws_intervals_zero_and_claimed_side():
    verdict = judged(records())["C8"]
    figure = figures.gain_forest(verdict)
    axes = drawn(figure)
    (first, _) = (line for line in verdict.lines if line.metric == NLL)
    ends = axes[0].collections[0].get_segments()[0][:, 0]
    assert list(ends) == pytest.approx([first.interval.low, first.interval.high])
    assert any(list(line.get_xdata()) == [0, 0] for line in axes[0].lines)
    assert axes[0].get_xlabel().endswith("claimed: below 0")
    assert axes[1].get_xlabel().endswith("claimed: above 0")
    assert [label.get_text() for label in axes[0].get_yticklabels()] == [
        "against K passes, α = 0",
        "against K × the updates",
    ]
    assert "supported" in legend_texts(figure)


def test_gain_forest_of_one_seed_and_of_nothing():
    figure = figures.gain_forest(judged(records((1,)))["C6"])
    assert drawn(figure) and legend_texts(figure) == ["not judged"]
    nothing = figures.gain_forest(judged([])["C6"])
    drawn(nothing)
    assert [text.get_text() for text in nothing.texts] == ["no records"]


def test_colours_tell_methods_apart_in_grey_too():
    assert set(figures.COLOURS) == set(METHOD_NAMES)
    for looks in (figures.COLOURS, figures.DASHES, figures.MARKERS):
        assert len({str(look) for look in looks.values()}) == len(METHOD_NAMES)
