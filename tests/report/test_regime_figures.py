"""The figures of dose, selection and regime show the gains of made-up studies, or their lack."""

from __future__ import annotations

from functools import partial

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.shown import drawn, legend_texts, points, segments, ticks
from made_up.studies import HALF, found, pictured, translated
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from idlib.report.figures import regime as figures
from idlib.report.figures.forest import ABSENT, WIDTH, Group, Look, Row, forest
from idlib.report.figures.style import COLOURS
from idlib.report.metrics import Metric
from idlib.report.paired import Gain, Measure
from idlib.report.regime import PAIRS

NOTHING = (0.0, 0.0, 0.0)
BY_RULE = {"best": 0.5, "loss": 3.0, "last": -1.5}
STUDIES = {
    **{study: translated({"id": BY_RULE, "compute": 0.3}, rise=0.2) for study in PAIRS},
    "images": pictured(
        {
            "baseline": NOTHING,
            "id": (0.02, -0.01, -0.005),
            "passes": (-0.01, 0.0, 0.002),
            "baseline smoothed": NOTHING,
            "id smoothed": (-0.02, -0.01, -0.005),
            "compute": (0.01, 0.0, 0.0),
        },
        {"id": 0.2, "id smoothed": 0.1},
    ),
    "image-dose": pictured({"s = 0, α = 15": (0.03, -0.02, -0.02)}, {"s = 0, α = 15": 0.4}),
}
FULL, EMPTY = found(STUDIES), found({})
OF_TEXT = partial(figures.validation, studies=tuple(PAIRS), score="validation/bleu")
OF_IMAGES = partial(figures.validation, studies=("images",), score="validation/accuracy")
EVERY = [
    *(figures.overview, figures.selection, OF_TEXT, OF_IMAGES, figures.dose_of_images),
    *(figures.dose_of_encoder, figures.regime, figures.rivals_figure, figures.room),
]


@pytest.fixture(autouse=True)
def none_is_left_open():
    yield
    assert plt.get_fignums() == []


def written(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


@pytest.mark.parametrize("function", EVERY)
@pytest.mark.parametrize("records", [FULL, EMPTY], ids=["full", "empty"])
def test_every_figure_is_legible_at_the_width_of_the_page(function, records) -> None:
    figure = function(records)
    assert len(drawn(figure)) > 0 and figure.get_figwidth() <= WIDTH + 1e-9
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= 9
    box = figure.get_tightbbox()
    assert box.x0 > -0.05 and box.x1 < figure.get_figwidth() + 0.05, "nothing is cut off"


@pytest.mark.parametrize("function", EVERY)
def test_what_is_not_there_is_said(function) -> None:
    assert ABSENT in written(function(EMPTY))


SCORE = Measure(Metric("test/accuracy", "accuracy", "points", 100.0, ".2f"), "above", 0.02)


def test_a_forest_has_a_row_for_each_gain() -> None:
    many, one = Gain(SCORE, {1: 0.01, 2: 0.02, 3: 0.03}), Gain(SCORE, {1: -0.01})
    rows = [Row("many", many), Row("one", one), Row("none", Gain(SCORE, {}, "nothing"))]
    for in_deltas, scale in ((False, 100.0), (True, 50.0)):
        figure = forest([Group("title", rows, "gain")], in_deltas)
        (ax,) = drawn(figure)
        half = 4.302653 * 0.01 / 3**0.5
        (ends,) = segments(ax)
        assert ends == pytest.approx([scale * (0.02 - half), scale * (0.02 + half)], rel=1e-6)
        marks = {line.get_ydata()[0]: line for line in ax.lines if line.get_marker() == "s"}
        assert marks[0.0].get_xdata()[0] == pytest.approx(scale * 0.02)
        assert marks[1.0].get_xdata()[0] == pytest.approx(scale * -0.01)
        assert marks[1.0].get_markerfacecolor() == "white", "one seed has no interval"
        assert ticks(ax.yaxis) == ["many", "one", "none"]
        assert written(figure) == ["3 seeds", "1 seed", ABSENT]
        band = ax.patches[0].get_extents().transformed(ax.transData.inverted())
        assert (band.x0, band.x1) == pytest.approx((-scale * 0.02, scale * 0.02))


def test_rows_of_one_label_stand_together_and_share_what_they_say() -> None:
    looks = [Look("a", "#000000", "o"), Look("b", "#111111", "v")]
    rows = [Row("same", Gain(SCORE, {1: 0.01, 2: 0.03}), look) for look in looks]
    figure = forest([Group("", rows)])
    assert written(figure) == ["2 seeds"] and legend_texts(figure) == ["a", "b", "within ±δ"]
    (ax,) = drawn(figure)
    heights = [line.get_ydata()[0] for line in ax.lines if line.get_marker() in "ov"]
    assert sum(heights) == pytest.approx(0.0) and heights[0] < heights[1]


def test_the_overview_has_all_answers_in_units_of_delta() -> None:
    selection, dose, regime = drawn(figures.overview(FULL))
    delta = FULL.measure("C1").delta
    assert delta is not None
    middle = [np.mean(ends) for ends in segments(selection)]
    assert middle == pytest.approx([value / delta for value in (0.5, 3.0, -1.5)])
    assert segments(selection)[0][1] - middle[0] == pytest.approx(HALF / delta, rel=1e-4)
    assert ticks(dose.yaxis)[:2] == ["s = 0, α = 5", "s = 0, α = 15"]
    first = FULL.measure("C6").delta
    assert first is not None and np.mean(segments(dose)[0]) == pytest.approx(0.02 / first)
    assert len(segments(regime)) == 4 * 3


def test_selection_shows_scores_and_losses() -> None:
    bleu, nll, images = drawn(figures.selection(FULL))
    assert len(segments(bleu)) == len(segments(nll)) == 12 and len(segments(images)) == 6
    assert np.mean(segments(nll)[0]) == pytest.approx(0.2), "the loss falls"
    assert [np.mean(ends) for ends in segments(images)][::3] == pytest.approx([0.02, -0.02])


def test_marks_stand_where_the_rules_chose() -> None:
    figure = OF_TEXT(FULL)
    nll, bleu = drawn(figure)[:2]
    loss = {place for place, _ in points(nll)}
    assert loss == {20.0, 40.0}, "the baseline's lowest loss, and the best score"
    scores = dict(points(bleu))  # of the last in each place
    assert scores[20.0] == pytest.approx(20.13), "validation SacreBLEU of the last seed there"
    colour = to_rgba(COLOURS["baseline"])
    lines = [line for line in nll.lines if to_rgba(line.get_color())[:3] == colour[:3]]
    assert len(lines) == 4, "three seeds and their mean"
    assert lines[-1].get_ydata() == pytest.approx([4.0, 3.0, 3.1, 3.2])


def test_dose_has_alpha_and_what_was_measured() -> None:
    axes = drawn(figures.dose_of_images(FULL))
    plain = [[line for line in ax.lines if line.get_marker() == "o"][0] for ax in axes]
    assert plain[0].get_ydata() == pytest.approx([0.0, 0.02, 0.03])
    assert plain[1].get_xdata() == pytest.approx([0.0, 0.2, 0.4])
    assert plain[4].get_ydata() == pytest.approx([0.0, -0.5, -2.0]), "accuracy in points"
    passes = [line for line in axes[0].lines if line.get_marker() == "D"]
    assert passes[0].get_ydata() == pytest.approx([-0.01])
    smoothed = [line for line in axes[1].lines if line.get_marker() == "s"]
    assert smoothed[0].get_xdata() == pytest.approx([0.0, 0.1])


def test_regime_has_a_point_a_seed() -> None:
    axes = drawn(figures.regime(FULL))
    rise, share = points(axes[0]), points(axes[1])
    assert len(rise) == len(share) == 12
    assert {x for x, _ in rise} == {0.2} and {x for x, _ in share} == {0.5}
    assert [y for _, y in rise[:3]] == pytest.approx([0.499, 0.5, 0.501])
    assert [y for _, y in points(axes[2])[:3]] == pytest.approx([2.999, 3.0, 3.001])


def test_rivals_have_their_price() -> None:
    translation, images, _ = drawn(figures.rivals_figure(FULL))
    assert "intra-distillation (K = 3), 3 ×" in ticks(images.yaxis)
    assert "R-Drop (K = 2)" in ticks(images.yaxis), "without records no price is known"
    assert [np.mean(ends) for ends in segments(translation)] == pytest.approx([0.5, 0.3])


def test_room_is_that_of_the_longer_baseline() -> None:
    (ax,) = drawn(figures.room(FULL))
    deltas = [FULL.measure(line).delta or 0.0 for line in ("C1", "C6")]
    expected = [0.3 / deltas[0], 0.01 / deltas[1]]
    assert [np.mean(ends) for ends in segments(ax)] == pytest.approx(expected)
