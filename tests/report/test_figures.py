"""Figures from made-up records carry the records' numbers, and none is left open."""

from __future__ import annotations

from functools import partial

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.records import (
    BLEU,
    DATASETS,
    F1_PARALLEL,
    LANGUAGES,
    NLL,
    SCORE,
    Level,
    compared_in,
    record,
    results,
    swept,
    world,
)
from made_up.shown import coloured, drawn, legend_texts, points, says_nothing, segments, ticks
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from idlib.metrics.items import items_of
from idlib.report import figures
from idlib.report.bootstrap import bootstrap
from idlib.report.compared import compare
from idlib.report.conditions import METHOD_NAMES, Condition
from idlib.report.figures.style import COLOURS, DASHES, MARKERS
from idlib.report.statistics import t_interval
from idlib.report.tasks import report_of

STEPS = [10.0, 20.0, 30.0]
OF_RESULTS = [
    figures.validation_curves,
    figures.training_parts,
    figures.sensitivity_distribution,
    figures.sensitivity_by_layer,
    partial(figures.by_model, key=NLL),
]


@pytest.fixture(autouse=True)
def none_is_left_open():
    yield
    assert plt.get_fignums() == []


# ---- all figures of results


@pytest.mark.parametrize(("task", "seeds"), [("translation", [1]), ("answering", [1, 2, 3])])
@pytest.mark.parametrize("function", OF_RESULTS)
def test_any_number_of_seeds_draws(function, task, seeds):
    figure = function(results(task, world(task, seeds=seeds)))
    assert all(ax.has_data() for ax in drawn(figure))
    assert legend_texts(figure)[:2] == ["baseline", "intra-distillation"]
    assert not any(ax.get_legend() for ax in figure.axes)


@pytest.mark.parametrize("function", OF_RESULTS)
def test_no_records_say_so(function):
    assert says_nothing(function(results("images", [])))


def test_the_evidence_is_shown_where_there_is_some():
    page = results("translation", world("translation", seeds=[9]), world("translation"))
    (ax,) = figures.by_model(page, NLL).axes
    assert {x for x, _ in points(ax)} == {round(r.measured.metrics[NLL], 9) for r in page.evidence}


def test_a_figure_that_fails_is_closed_too():
    broken = record("images", Condition("id", 0, 0.0))
    broken.measured.curves["validation/nll"].append(0.1)  # longer than its steps
    with pytest.raises(ValueError, match="zip"):
        figures.validation_curves(results("images", [broken]))


def test_methods_are_told_apart_in_grey_too():
    assert set(COLOURS) == set(METHOD_NAMES)
    for looks in (COLOURS, DASHES, MARKERS):
        assert len({str(look) for look in looks.values()}) == len(METHOD_NAMES)


# ---- training


def test_validation_curves_carry_the_mean_and_the_range():
    figure = figures.validation_curves(results("images", world("images", seeds=[1, 3])))
    axes = figure.axes
    assert len(axes) == 8  # NLL and accuracy, two smoothings, two rounds
    assert [ax.get_title() for ax in axes[:2]] == ["base model, s = 0", "student, s = 0"]
    assert [ax.get_title() for ax in axes[4:6]] == ["base model, s = 0.1", "student, s = 0.1"]
    labels = ["validation NLL (nats)", "validation accuracy (points)"]
    assert [ax.get_ylabel() for ax in axes[::2]] == labels * 2
    assert [ax.get_xlabel() for ax in axes] == [""] * 6 + ["updates"] * 2
    (line,) = coloured(axes[0], "id")  # 2.309 and 2.331
    assert line.get_xdata() == pytest.approx(STEPS)
    assert line.get_ydata() == pytest.approx([3.52, 2.32, 2.42])
    band = axes[0].collections[list(METHOD_NAMES).index("id")].get_paths()[0].vertices
    assert (band[:, 1].max(), band[:, 1].min()) == pytest.approx((3.631, 2.309))
    assert coloured(axes[4], "id")[0].get_ydata()[1] == pytest.approx(2.30)  # s = 0.1
    assert coloured(axes[1], "baseline")[0].get_ydata()[1] == pytest.approx(2.42)  # a student
    assert coloured(axes[2], "id")[0].get_ydata() == pytest.approx([30, 60, 46])
    assert not coloured(axes[0], "compute")  # which nobody asked for


def test_the_methods_asked_for_are_drawn():
    made = world("translation", seeds=[1])
    figure = figures.validation_curves(results("translation", made), methods=tuple(METHOD_NAMES))
    assert legend_texts(figure) == list(METHOD_NAMES.values())
    assert len(figure.axes) == 2
    for method, nll in (("compute", 2.61), ("passes", 2.46)):
        (line,) = coloured(figure.axes[0], method)
        assert line.get_ydata()[1] == pytest.approx(nll)


def test_training_parts_are_those_of_base_models_at_the_first_smoothing():
    made = world("images", seeds=[1, 2])
    for one in made:
        settings = one.asked.settings
        if (settings["round"], settings["smoothing"]) != (0, 0.0):
            one.measured.curves["train/alpha"] = [9.0, 9.0, 9.0]
    axes = figures.training_parts(results("images", made)).axes
    labels = ["task loss (nats)", "X-divergence (nats)", "weight α"]
    assert [ax.get_ylabel() for ax in axes] == labels
    for ax, values in zip(axes, ([3, 2, 1], [0.1, 0.2, 0.1], [0, 1, 5]), strict=True):
        assert coloured(ax, "id")[0].get_ydata() == pytest.approx(values)
        assert coloured(ax, "id")[0].get_xdata() == pytest.approx(STEPS)


def test_each_data_set_has_rows_of_its_own():
    """What is one data set's is drawn in its panels alone, on its own axis of updates."""
    made = world("classification", {("id", 1): None, ("baseline", 1): None}, seeds=[1])
    own = {"application": 1.0, "heading": 2.0}
    for one in made:
        dataset = one.asked.settings["dataset"]
        one.measured.curves["validation/nll"] = [own[dataset]] * len(STEPS)
        one.measured.curves["train/task"] = [own[dataset]] * len(STEPS)
    page = results("classification", made)
    axes = drawn(figures.validation_curves(page))
    titles = [f"base model, s = 0, {name}" for name in own]
    assert [ax.get_title() for ax in axes] == titles
    assert all(ax.get_xlabel() == "updates" and ticks(ax.xaxis) for ax in axes)
    for ax, value in zip(axes, own.values(), strict=True):
        assert {*coloured(ax, "id")[0].get_ydata()} == {value}
    parts = drawn(figures.training_parts(page))
    assert [ax.get_title() for ax in parts] == ["application", "", "", "heading", "", ""]
    assert [{*coloured(ax, "id")[0].get_ydata()} for ax in parts[::3]] == [{1.0}, {2.0}]
    ((_, one),) = [part for part in page.by_dataset() if part[0] == "heading"]
    assert [ax.get_title() for ax in figures.training_parts(one).axes] == ["", "", ""]


# ---- sensitivity


@pytest.mark.parametrize("seeds", [[1], [1, 2, 3]])
def test_sensitivity_distribution_carries_the_counts(seeds):
    page = results("images", world("images", {("id", 1): None, ("baseline", 1): None}, seeds))
    axes = figures.sensitivity_distribution(page).axes
    assert [ax.get_title() for ax in axes] == ["base model, s = 0", "base model, s = 0.1"]
    assert all(ax.get_xscale() == "log" for ax in axes)
    edges = {}
    for method in ("baseline", "id"):
        face = to_rgba(COLOURS[method])[:3]
        (area,) = (c for c in axes[0].collections if tuple(c.get_facecolor()[0][:3]) == face)
        corners = area.get_paths()[0].vertices
        assert corners[:, 1].max() == pytest.approx(75)  # 30 of 40 parameters
        edges[method] = {round(float(np.log10(x)), 6) for x, y in corners if y > 70}
    assert edges == {"baseline": {-5.0, -4.0}, "id": {-6.0, -5.0}}


def test_histograms_of_other_edges_share_one_grid():
    made = [record("tagging", Condition(method, 0, 0.0)) for method in ("baseline", "id")]
    made[1].measured.curves["sensitivity/histogram/edges"] = np.linspace(-12, 0, 9).tolist()
    (ax,) = drawn(figures.sensitivity_distribution(results("tagging", made)))
    xs = np.concatenate([c.get_paths()[0].vertices[:, 0] for c in ax.collections])
    assert np.log10([xs.min(), xs.max()]) == pytest.approx([-12, 0])


def test_sensitivity_by_layer_is_of_the_checkpoint_that_is_judged():
    names = {f"sensitivity/{name}/norm": 9.0 for name in ("std", "mean")}
    names |= {"sensitivity/std/norm@loss": 0.008, "sensitivity/mean/norm@loss": 0.002}
    made = [record("translation", Condition("id", 0, 0.1), metrics=names)]
    std, ratio = figures.sensitivity_by_layer(results("translation", made)).axes
    assert std.get_ylabel() == "std of sensitivity, lowest\nvalidation loss (× 10⁻³)"
    for ax, value in ((std, 8.0), (ratio, 4.0)):
        heights = [y for line in coloured(ax, "id") for y in line.get_ydata()]
        assert pytest.approx(value) in heights and max(heights) < 9


def test_the_axis_of_the_distribution_ends_where_nothing_can_be_seen():
    """A bin counts by its share over all seeds; the lowest one, of zeros, if it can be seen."""
    edges = np.linspace(-14, 1, 16).tolist()

    def limits(*counts):
        made = [record("tagging", Condition("id", 0, 0.0), seed) for seed in range(len(counts))]
        for one, numbers in zip(made, counts, strict=True):
            one.measured.curves["sensitivity/histogram/edges"] = edges
            row = [float(numbers.get(edge, 0)) for edge in edges[:-1]]
            one.measured.curves["sensitivity/histogram/counts"] = row
        (ax,) = drawn(figures.sensitivity_distribution(results("tagging", made)))
        return np.log10(ax.get_xlim()).round(9).tolist()

    some = {-8: 5000, -6: 4000, -5: 990}
    assert limits(some | {-14: 5, -3: 5}) == [-8, -4]
    assert limits(some | {-14: 10}) == [-14, -4]
    assert limits(some | {-3: 19, -8: 4991}, some | {-3: 0}) == [-8, -4]
    assert limits(some | {-3: 21, -8: 4989}, some | {-3: 0}) == [-8, -2]


def test_sensitivity_by_layer_carries_std_and_ratio_of_base_models():
    page = results("images", world("images", seeds=[2]))
    std, ratio = figures.sensitivity_by_layer(page).axes
    assert std.get_yscale() == "log"
    for ax, method, first in ((std, "id", 2.32), (ratio, "baseline", 4.0)):
        line = max(coloured(ax, method), key=lambda line: len(line.get_xdata()))
        assert line.get_ydata() == pytest.approx([first / place for place in range(1, 7)])
        assert ticks(ax.xaxis) == list(report_of("images").layers)


# ---- how good models are


@pytest.mark.parametrize(
    ("task", "key", "label"),
    [
        ("images", NLL, "test NLL (nats)"),
        ("translation", BLEU, "test SacreBLEU (points)"),
        ("tagging", F1_PARALLEL, "F1 on parallel items in the other languages (points)"),
        ("classification", SCORE, "test score (points)"),
    ],
)
def test_every_model_has_its_row_and_every_run_its_point(task, key, label):
    more = {Condition("id", 2, 0.0): Level(2.2, 0.5)} if task == "images" else {}
    page = results(task, world(task, more, seeds=[1, 2, 3]))
    (ax,) = figures.by_model(page, key).axes
    roles, smoothings = ("base model", "student"), page.report.smoothings
    rows = [f"{role}, s = {s:g}" for s in smoothings for role in roles]
    if task == "images":
        rows.insert(2, "second student, s = 0")
    elif task == "classification":
        rows = [f"{row}, {name}" for name in DATASETS for row in rows]
    assert ticks(ax.yaxis) == rows and ax.get_xlabel() == label
    assert ax.yaxis_inverted()  # so that the first is on top
    shown = {name: set() for name in rows}
    for x, y in points(ax):
        shown[rows[round(y)]].add(round(x, 6))
    scale, expected = page.metric(key).scale, {name: set() for name in rows}
    for condition, runs in page.by_condition.items():
        for one in runs.values():
            expected[condition.label].add(round(scale * one.measured.metrics[key], 6))
    assert shown == expected


def test_the_mean_of_several_seeds_has_its_interval_beside_the_points():
    page = results("tagging", world("tagging", seeds=[1, 2, 3]))
    (ax,) = figures.by_model(page, NLL).axes
    runs = page.by_condition[Condition("id", 0, 0.0)]
    interval = t_interval([one.measured.metrics[NLL] for one in runs.values()])
    shown = segments(ax)
    assert pytest.approx([interval.low, interval.high]) in shown and len(shown) == 6


def bars(ax, method):
    """Bars of a method by language: width, and the ends of the whisker at its place."""
    names = ticks(ax.yaxis)
    lines = [segment for each in ax.collections for segment in each.get_segments()]
    shown = {}
    for bar in (bar for bar in ax.patches if bar.get_facecolor() == to_rgba(COLOURS[method])):
        middle = bar.get_y() + bar.get_height() / 2
        (whisker,) = (line for line in lines if line[0][1] == pytest.approx(middle))
        shown[names[round(middle)]] = (bar.get_width(), *sorted(whisker[:, 0]))
    return shown


@pytest.mark.parametrize(
    ("task", "kind", "label"),
    [
        ("tagging", "f1_parallel", "F1 on parallel items (points)"),
        ("answering", "f1", "F1 (points)"),
    ],
)
def test_bars_are_the_scores_and_whiskers_the_bootstrap(task, kind, label):
    page = results(task, world(task, items=24))
    figure = figures.by_language(page, kind)
    (ax,) = drawn(figure)
    assert len(ax.patches) == 2 * len(LANGUAGES) and ax.get_xlabel() == label
    for method in ("baseline", "id"):
        shown = bars(ax, method)
        for name in LANGUAGES:
            key, runs = f"test/{kind}/{name}", page.base_models[method]
            mean = np.mean([run.measured.metrics[key] for run in runs])
            over = bootstrap([1.0], [[items_of(run.measured.curves, key) for run in runs]])
            assert shown[name] == pytest.approx((100 * mean, 100 * over.low, 100 * over.high))
    assert legend_texts(figure) == ["baseline", "intra-distillation"]


def test_english_stands_first_and_the_others_by_the_first_methods_score():
    made = world("tagging", seeds=[1], items=24)
    (ax,) = figures.by_language(results("tagging", made)).axes
    assert ticks(ax.yaxis) == ["en", "de", "ja"] and ax.yaxis_inverted()
    low = [r for r in made if r.asked.method != "id"]
    low.append(record("tagging", Condition("id", 0, 0.0), 1, Level(2.5, 0.0), items=24))
    low[-1].measured.curves["test/f1/en/numerators"] = [0.0] * 72
    figure = figures.by_language(results("tagging", low), methods=("id", "compute"))
    (ax,) = figure.axes
    assert ticks(ax.yaxis) == ["en", "ja", "de"]  # German falls by 0.6 and Japanese by 0.2
    assert bars(ax, "compute").keys() == bars(ax, "id").keys() == LANGUAGES.keys()
    assert legend_texts(figure) == ["intra-distillation", "K × the updates"]
    only = figures.by_language(results("tagging", [r for r in low if r.asked.method == "baseline"]))
    assert legend_texts(only) == ["baseline"]
    for curve in [name for name in low[-1].measured.curves if "/ja" in name]:
        del low[-1].measured.curves[curve]
    (ax,) = figures.by_language(results("tagging", low)).axes
    assert ticks(ax.yaxis) == ["en", "de"]  # of which both methods have a score


def test_items_that_are_all_alike_have_a_whisker_too():
    # resamples are the score but for rounding, which can put both bounds on one side of it
    one = record("answering", Condition("id", 0, 0.0), items=24)
    for name in LANGUAGES:
        one.measured.curves[f"test/items/{name}"] = list(range(7))
        one.measured.curves[f"test/f1/{name}/numerators"] = [0.38] * 7
    (ax,) = drawn(figures.by_language(results("answering", [one])))
    assert all(shown == pytest.approx((38, 38, 38)) for shown in bars(ax, "id").values())


@pytest.mark.parametrize(
    ("rounds", "items", "kind"),
    [
        ((), 24, "f1"),
        ((0,), 0, "f1"),  # no items are kept
        ((1,), 24, "f1"),  # students alone
        ((0,), 24, "em"),  # of which none are kept
    ],
)
def test_languages_without_a_score_say_so(rounds, items, kind):
    made = [record("answering", Condition("id", round_, 0.0), items=items) for round_ in rounds]
    assert says_nothing(figures.by_language(results("answering", made), kind))


# ---- what is compared


@pytest.mark.parametrize(
    ("task", "claim"),
    [("images", "C4"), ("translation", "C5"), ("tagging", "C2"), ("answering", "C8")],
)
def test_a_claims_figure_carries_every_comparison(task, claim):
    found = compared_in(task, items=24)[claim]
    axes = drawn(figures.compared(found))
    metrics = list(dict.fromkeys(c.metric for c in found.comparisons))
    assert len(axes) == len(metrics)
    for ax, metric in zip(axes, metrics, strict=True):
        here = [c for c in found.comparisons if c.metric == metric]
        assert ax.get_xlabel().replace("\n", " ").startswith(f"difference in {metric.title}")
        marks = [line for line in ax.lines if len(line.get_xdata()) == 1]
        scale, shown = metric.scale, segments(ax)
        for mark, c in zip(marks, here, strict=True):
            assert mark.get_xdata() == pytest.approx([scale * c.interval.mean])
            assert (mark.get_markerfacecolor() != "white") == c.main
            assert pytest.approx([scale * c.interval.low, scale * c.interval.high]) in shown
            if c.items:
                assert pytest.approx([scale * c.items.low, scale * c.items.high]) in shown
        assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines)


def test_a_claims_figure_names_rows_and_better_sides():
    first, second = figures.compared(compared_in("classification")["C7"]).axes
    assert first.get_xlabel().endswith("better: above 0")
    assert second.get_xlabel().endswith("better: below 0")
    assert [label.replace("\n", " ") for label in ticks(first.yaxis)] == [
        f"against the baseline, s = 0, {name}" for name in ("application", "heading")
    ]
    assert [line.get_ydata()[0] for line in first.lines if len(line.get_xdata()) == 1] == [0, 1]
    assert first.get_ylim() == (1.5, -0.5)  # the first row on top


def test_a_claim_of_one_seed_and_of_nothing():
    assert drawn(figures.compared(compared_in("images", seeds=[1])["C6"]))
    assert says_nothing(figures.compared(compare([], "images")["C6"]))


def test_names_with_dollars_are_no_formulas():
    odd = "my_$x^$"  # as a formula this cannot be drawn
    pair = ("baseline", "id")
    models = [Condition(method, 0, 0.0, name) for method in pair for name in (odd, "heading")]
    made = [record("classification", condition) for condition in models]
    languages = [record("tagging", Condition(method, 0, 0.0), items=24) for method in pair]
    for one in languages:
        curves = one.measured.curves
        for name in [name for name in curves if "/ja" in name]:
            curves[name.replace("/ja", f"/{odd}")] = curves.pop(name)
    for figure in (
        figures.by_model(results("classification", made), SCORE),
        figures.compared(compare(made, "classification")["C7"]),
        figures.by_language(results("tagging", languages)),
    ):
        labels = ticks(drawn(figure)[0].yaxis)
        assert any(odd.replace("$", r"\$") in label for label in labels)


# ---- a sweep


def test_gain_by_setting_draws_each_arm_of_the_sweep():
    cross = [(5, 4000), (20, 4000), (40, 4000), (20, 1000), (20, 2000)]
    chosen = [
        one
        for place, setting in enumerate(cross)
        for seed in (1, 2)
        for one in swept(*setting, seed, place / 10 + seed / 100)
    ]
    axes = drawn(figures.gain_by_setting(chosen))
    titles = ["4,000 training examples", "20 epochs", "", ""]
    assert [ax.get_title() for ax in axes] == titles
    assert [ax.get_ylabel() for ax in axes[::2]] == [
        "gain in validation NLL\n(nats)",
        "gain in validation\nSacreBLEU (points)",
    ]
    assert [ax.get_xlabel() for ax in axes[2:]] == ["epochs", "training examples"]
    means = np.array([0.0, 0.1, 0.2]) + 0.015, np.array([0.3, 0.4, 0.1]) + 0.015
    for column, values in enumerate(([5, 20, 40], [1000, 2000, 4000])):
        for row, scale in enumerate((1, 10)):
            ax = axes[2 * row + column]
            (line,) = coloured(ax, "id")
            assert line.get_xdata() == pytest.approx(values)
            assert line.get_ydata() == pytest.approx(scale * means[column])
            assert len(points(ax)) == 6
            assert any(list(line.get_ydata()) == [0, 0] for line in ax.lines)
    first = t_interval([0.01, 0.02])
    assert pytest.approx([first.low, first.high]) in segments(axes[0], along=1)


def test_gain_of_one_setting_of_whole_splits_and_of_nothing():
    one = figures.gain_by_setting(swept(20, 4000, 1, 0.2))
    assert all(ax.has_data() for ax in drawn(one)) and not one.texts
    whole = figures.gain_by_setting(swept(5, None, 1, 0.5) + swept(20, None, 1, 2.0))
    by_epochs, by_size = whole.axes[2:]
    assert coloured(by_epochs, "id")[0].get_ydata() == pytest.approx([5, 20])
    assert not coloured(by_size, "id")  # one size, and none that has a place on the axis
    assert whole.axes[0].get_title() == "all training examples"
    assert says_nothing(figures.gain_by_setting([]))
