"""Figures of tagging, answering and classification carry the made-up records' numbers."""

from __future__ import annotations

from functools import partial

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.records import CLASSIFIED, made_up_answering, made_up_classifications, made_up_tagging
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba

from idlib.metrics.items import bootstrap, items_of
from idlib.report import figures, outcomes
from idlib.report.names import F1_OTHERS, F1_PARALLEL, LAYERS, NLL, SCORE, Cell

MADE = {"tagging": made_up_tagging, "answering": made_up_answering}
MODELS = [Cell(method, round_, 0.0) for method in ("baseline", "id") for round_ in (0, 1)]
ALL = [*MODELS, Cell("passes", 0, 0.0), Cell("compute", 0, 0.0)]
F1 = {"en": 0.70, "de": 0.20, "ja": 0.40, "fi": 0.33}  # German hardest
TWO = {name: {m: scores[m] for m in ("baseline", "id")} for name, scores in CLASSIFIED.items()}
TEXT = pytest.mark.parametrize("task", ["tagging", "answering"])
OF_RECORDS = [
    figures.validation_curves,
    figures.training_parts,
    figures.sensitivity_distribution,
    figures.sensitivity_by_layer,
    partial(figures.by_model, metric=NLL),
    partial(figures.by_model, metric=F1_OTHERS),
]


def records(task="tagging", seeds=(1, 2, 3), cells=ALL, **more):
    made = []
    for cell in cells:
        for seed in seeds:
            gain = 0.05 * (cell.method == "id") + seed / 100
            f1 = {name: value + gain for name, value in F1.items()}
            made.append(MADE[task](cell, seed, f1, 2.5 - gain, **more))
    return made


def drawn(figure):
    """Lay out, so that an artist that cannot be drawn fails the test."""
    figure.draw_without_rendering()
    return [ax for ax in figure.axes if ax.get_visible()]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def bars(ax, method):
    """Bars of a method by language: width, and the ends of the whisker at its place."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    colour = to_rgba(figures.COLOURS[method])
    segments = [segment for lines in ax.collections for segment in lines.get_segments()]
    found = {}
    for bar in (bar for bar in ax.patches if bar.get_facecolor() == colour):
        middle = bar.get_y() + bar.get_height() / 2
        (whisker,) = (s for s in segments if s[0][1] == pytest.approx(middle))
        found[names[round(middle)]] = (bar.get_width(), *sorted(whisker[:, 0]))
    return found


@TEXT
@pytest.mark.parametrize(("score", "seeds"), [("f1", (1, 2, 3)), ("f1_parallel", (2,))])
def test_bars_are_the_scores_and_whiskers_the_bootstrap(task, score, seeds):
    made = records(task, seeds)
    figure = figures.by_language(made, task, score)
    assert plt.get_fignums() == []
    (ax,) = drawn(figure)
    assert len(ax.patches) == 8
    for method in ("baseline", "id"):
        shown = bars(ax, method)
        runs = [r for r in made if (r.asked.method, r.asked.settings["round"]) == (method, 0)]
        for name in F1:
            metric = f"test/{score}/{name}"
            mean = np.mean([run.measured.metrics[metric] for run in runs])
            over = bootstrap([1.0], [[items_of(run.measured.curves, metric) for run in runs]])
            assert shown[name] == pytest.approx((100 * mean, 100 * over.low, 100 * over.high))
            assert over.low < mean < over.high
    kind = "F1 on parallel items (points)" if score == "f1_parallel" else "F1 (points)"
    assert ax.get_xlabel() == kind
    assert legend_texts(figure) == ["baseline", "intra-distillation"]


def test_english_stands_first_and_the_others_by_score():
    (ax,) = drawn(figures.by_language(records(seeds=(1,)), "tagging"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["en", "ja", "fi", "de"]
    assert ax.yaxis_inverted()  # so that the first is on top
    low = [r for r in records(seeds=(1,)) if r.asked.method == "id"]
    low += [made_up_tagging(Cell("baseline", 0, 0.0), 1, {**F1, "en": 0.1, "fi": 0.5}, 2.5)]
    (ax,) = drawn(figures.by_language(low, "tagging"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["en", "fi", "ja", "de"]


def test_any_methods_are_shown_that_are_there():
    figure = figures.by_language(records(seeds=(1,)), "tagging", methods=("compute", "id"))
    (ax,) = drawn(figure)
    assert bars(ax, "compute").keys() == bars(ax, "id").keys() == F1.keys()
    assert legend_texts(figure) == ["K × the updates", "intra-distillation"]
    only = figures.by_language(records(cells=ALL[:1]), "tagging")
    assert len(drawn(only)[0].patches) == 4 and legend_texts(only) == ["baseline"]


def test_items_that_are_all_alike_have_a_whisker_too():
    # resamples are the score but for rounding, which can put both bounds on one side of it
    record, score = made_up_answering(Cell("id", 0, 0.0), 1, F1, 2.5), 0.38
    for name in F1:
        record.measured.curves[f"test/items/{name}"] = list(range(7))
        record.measured.curves[f"test/f1/{name}/numerators"] = [score] * 7
    (ax,) = drawn(figures.by_language([record], "answering"))
    assert all(found == pytest.approx((38, 38, 38)) for found in bars(ax, "id").values())


@pytest.mark.parametrize(
    ("nothing", "score"),
    [
        ([], "f1"),
        (records(seeds=(1,), items=0), "f1"),
        (records(seeds=(1,), cells=ALL[1:2]), "f1"),  # students alone
        (records(seeds=(1,)), "em"),  # of which no items are kept
    ],
)
def test_nothing_to_show_says_so(nothing, score):
    figure = figures.by_language(nothing, "tagging", score)
    drawn(figure)
    assert [text.get_text() for text in figure.texts] == ["no records"]
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("task", "seeds"), [("tagging", (1,)), ("answering", (1, 2))])
@pytest.mark.parametrize("function", OF_RECORDS)
def test_figures_of_records_draw_for_these_tasks(function, task, seeds):
    figure = function(records(task, seeds))
    assert plt.get_fignums() == []
    assert all(ax.has_data() for ax in drawn(figure))
    assert legend_texts(figure)[:2] == ["baseline", "intra-distillation"]


@TEXT
def test_validation_curves_show_f1_in_points(task):
    axes = drawn(figures.validation_curves(records(task, (1,), MODELS[:1])))
    assert [ax.get_ylabel() for ax in axes] == ["validation NLL (nats)", "validation F1 (points)"]
    lines = [line for line in axes[1].lines if len(line.get_xdata())]
    assert lines[0].get_xdata() == pytest.approx([10, 20, 30])
    assert lines[0].get_ydata() == pytest.approx([20, 72, 71])


def test_layers_are_the_encoders():
    std, _ = drawn(figures.sensitivity_by_layer(records(seeds=(1,))))
    assert [label.get_text() for label in std.get_xticklabels()] == list(LAYERS["tagging"])


def test_by_model_writes_scores_in_points():
    made = records()
    (ax,) = drawn(figures.by_model(made, F1_PARALLEL))
    points = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections if len(c.get_offsets())])
    expected = {round(100 * r.measured.metrics[F1_PARALLEL], 6) for r in made}
    assert expected <= set(np.round(points, 6))
    assert ax.get_xlabel() == "F1 on parallel items in the other languages (points)"


def test_by_model_has_a_row_for_each_data_set():
    (ax,) = drawn(figures.by_model(made_up_classifications(TWO), SCORE))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["teacher, s = 0, application", "teacher, s = 0, heading"]
    rows = {label: set() for label in labels}
    for points in (c for c in ax.collections if isinstance(c, PathCollection)):
        for x, y in points.get_offsets():
            rows[labels[round(y)]].add(round(x, 6))
    assert rows[labels[0]] == {81, 82, 83, 86.9, 88, 89.1}
    assert rows[labels[1]] == {61, 62, 63, 58.9, 60, 61.1}
    heading = [r for r in made_up_classifications(TWO) if r.asked.settings["dataset"] == "heading"]
    (ax,) = drawn(figures.by_model(heading, SCORE))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["teacher, s = 0"]


@pytest.mark.parametrize("claim", ["C3", "C5", "C8"])
def test_gain_forest_of_every_claim(claim):
    verdict = outcomes.verdicts(records("answering", items=0), "answering")[claim]
    axes = [ax for ax in drawn(figures.gain_forest(verdict)) if ax.has_data()]
    assert len(axes) == len({line.metric for line in verdict.lines})
    assert plt.get_fignums() == []


def test_gain_forest_writes_points_and_the_bootstrap():
    verdict = outcomes.verdicts(records(), "tagging")["C2"]
    ax = drawn(figures.gain_forest(verdict))[0]
    (line,) = verdict.primary
    shown = [one.get_xdata()[0] for one in ax.lines if len(one.get_xdata()) == 1]
    assert shown == pytest.approx([5.0])  # every language gains 0.05
    ends = [sorted(c.get_segments()[0][:, 0]) for c in ax.collections]
    assert pytest.approx([100 * line.items.low, 100 * line.items.high]) in ends
    assert ax.get_xlabel().endswith("claimed: above 0")


def test_gain_forest_of_two_data_sets_has_a_row_each():
    verdict = outcomes.verdicts(made_up_classifications(TWO), "classification")["C7"]
    figure = figures.gain_forest(verdict)
    axes = [ax for ax in drawn(figure) if ax.has_data()]
    assert [label.get_text().replace("\n", " ") for label in axes[0].get_yticklabels()] == [
        f"against the baseline, s = 0, {name}"
        for name in ("mean of application and heading", "application", "heading")
    ]
    shown = [one.get_xdata()[0] for one in axes[0].lines if len(one.get_xdata()) == 1]
    assert sorted(shown) == pytest.approx([-2.0, 2.0, 6.0])
    assert {"supported", "contradicted"} <= set(legend_texts(figure))


def test_names_with_dollars_are_no_formulas():
    odd = "my_$x^$"  # as a formula this cannot be drawn
    scores = {odd: CLASSIFIED["application"], "heading": CLASSIFIED["heading"]}
    made = made_up_classifications(scores)
    forest = figures.gain_forest(outcomes.verdicts(made, "classification")["C7"])
    languages = [
        made_up_tagging(Cell(method, 0, 0.0), 1, {"en": 0.5, odd: 0.4}, 2.0)
        for method in ("baseline", "id")
    ]
    bars_ = figures.by_language(languages, "tagging")
    for figure in (figures.by_model(made, SCORE), forest, bars_):
        labels = [label.get_text() for label in drawn(figure)[0].get_yticklabels()]
        assert any(odd.replace("$", r"\$") in label for label in labels)
