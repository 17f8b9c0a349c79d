"""Tables from made-up records: their shapes, and what stands in their cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up.records import (
    BLEU,
    F1_ENGLISH,
    F1_OTHERS,
    F1_PARALLEL,
    LANGUAGES,
    SCORE,
    STD,
    TASKS,
    Level,
    judged,
    record,
    results,
    world,
)

from idlib.metrics.items import items_of
from idlib.report import tables
from idlib.report.bootstrap import bootstrap
from idlib.report.conditions import METHOD_NAMES, Condition
from idlib.report.outcomes import verdicts
from idlib.report.statistics import t_interval
from idlib.report.tasks import report_of

ID, BASE = METHOD_NAMES["id"], METHOD_NAMES["baseline"]
ONE, THREE = "this build (small, 1 seed)", "recorded evidence (medium, 3 seeds)"
FIVE, ALONE = "recorded evidence (medium, 5 seeds)", "this build (medium, {} seeds)"
OTHER_LANGUAGES = pytest.mark.parametrize("task", ["tagging", "answering"])


def both(task, **more):
    """A build of one seed, base models of the pair alone, beside a world of evidence."""
    build = world(task, seeds=[1], profile="small", **more)
    pair = [r for r in build if r.asked.method in ("baseline", "id")]
    return results(task, [r for r in pair if not r.asked.settings["round"]], world(task, **more))


def values(page, method, key, round_=0):
    """The metric of the evidence's models at the first smoothing, by rising seed."""
    s = page.report.smoothings[0]
    at = (method, round_, s)
    chosen = [
        r
        for r in page.judged
        if (r.asked.method, r.asked.settings["round"], r.asked.settings["smoothing"]) == at
    ]
    return np.array([r.measured.metrics[key] for r in sorted(chosen, key=lambda r: r.asked.seed)])


def cell(numbers, scale=100.0, form=".2f"):
    """Mean and standard deviation as a table writes them."""
    return f"{scale * np.mean(numbers):{form}} ± {scale * np.std(numbers, ddof=1):{form}}"


def signed(number, scale=100.0, form="+.2f"):
    return f"{scale * number:{form}}".replace("-", "−")


def over_items(page, key):
    """The bounds of the bootstrap of the difference in a score, in points."""
    runs = {m: page.base_models[m] for m in ("id", "baseline")}
    how = page.metric(key).items
    systems = [[items_of(r.measured.curves, key, how) for r in each] for each in runs.values()]
    interval, scale = bootstrap([1.0, -1.0], systems, how), page.metric(key).scale
    return f"{signed(interval.low, scale)} to {signed(interval.high, scale)}"


def over_seeds(difference, scale=100.0):
    interval = t_interval(difference)
    return f"{signed(interval.low, scale)} to {signed(interval.high, scale)}"


# ---- by method


@pytest.mark.parametrize("task", TASKS)
def test_methods_are_compared_by_the_tasks_metrics(task):
    page = both(task)
    if task == "classification":
        page = dict(page.by_dataset())["application"]
    table = tables.methods(page)
    report = report_of(task)
    assert list(table) == [report.metric(key).title for key in report.compared]
    evidence = next(label for label in page.by_label if label.startswith("recorded"))
    assert list(table.index) == [
        (BASE, ONE),
        (BASE, evidence),
        (ID, ONE),
        (ID, evidence),
        ("K passes, α = 0", evidence),  # the build has no controls
        ("K × the updates", evidence),
    ]
    for method, name in METHOD_NAMES.items():
        for key in report.compared:
            metric = report.metric(key)
            if metric.form != "#.3g":
                expected = cell(values(page, method, key), metric.scale, metric.form)
                assert table.loc[(name, evidence), metric.title] == expected
    std = report.metric(STD).title
    assert (
        table.loc[(BASE, ONE), std]
        == f"{page.base_models['baseline'][0].measured.metrics[STD] * 1e3:#.3g}"
    )


def test_a_cell_of_fewer_seeds_says_so():
    fewer = [
        r
        for r in world("images")
        if r.asked.method == "id"
        or r.asked.seed == 4
        or (r.asked.method, r.asked.seed) == ("baseline", 1)
    ]
    page, label = results("images", fewer), ALONE.format(5)
    nll = tables.methods(page)["test NLL (nats)"]
    assert (
        nll[BASE, label].endswith(" (n = 2)") and nll["K passes, α = 0", label] == "2.490 (n = 1)"
    )
    assert "n =" not in nll[ID, label]
    block = tables.rounds(page).loc["test NLL (nats)"]
    assert block.loc[(BASE, label), "base model, s = 0"] == nll[BASE, label]


@pytest.mark.parametrize(
    ("task", "kind", "gap"),
    [("tagging", "f1_parallel", 0.30), ("answering", "f1", 0.30 - 0.05 / 3)],
)
def test_gap_is_between_english_and_the_mean_of_the_others(task, kind, gap):
    page = both(task)
    table = tables.gap(page)
    english, others = (values(page, "id", f"test/{kind}/{which}") for which in ("en", "others"))
    assert list(table.loc[(ID, THREE)]) == [cell(english), cell(others), cell(english - others)]
    assert list(table.columns)[-1] == "gap (points)"
    assert set(table.index.get_level_values("model")) == {*METHOD_NAMES.values()}
    at_start = record(task, Condition("baseline", 0, 0.0))  # of F1 0.7, and 0.4 on average
    assert tables.gap(results(task, [at_start])).iloc[0].iloc[-1] == f"{100 * gap:.2f}"
    lacking = record(task, Condition("baseline", 0, 0.0), drop=(f"test/{kind}/others",))
    assert list(tables.gap(results(task, [lacking])).iloc[0])[1:] == ["–", "–"]


def test_calibration_has_all_models():
    table = tables.calibration(both("images"))
    first = [
        "baseline, base model, s = 0",
        "baseline, student, s = 0",
        "baseline, base model, s = 0.1",
    ]
    labels = list(table.index.get_level_values("model").unique())
    assert labels[:3] == first and labels[-2:] == [
        "K passes, α = 0, base model, s = 0",
        "K × the updates, base model, s = 0",
    ]
    assert len(labels) == 10 and len(table) == 14
    assert list(table) == [
        "test NLL (nats)",
        "temperature",
        "test NLL after temperature (nats)",
        "test accuracy (points)",
    ]
    assert list(table.loc[(first[0], ONE)]) == ["2.510", "1.25", "1.755", "41.00"]


def test_cost_is_the_median_of_seconds_and_the_largest_peak_beside_the_reports():
    costs = {"baseline": (10.0, 500.0, 30.0), "id": (60.0, 40.0, 9000.0), "compute": (90.0,)}
    records = [
        record(
            "images",
            Condition(method, seed == 1, 0.0),
            seed,
            seconds=s,
            peak_memory_bytes=seed * 10**9,
        )
        for method, each in costs.items()
        for seed, s in enumerate(each, start=1)
    ]
    table, label = tables.cost(results("images", records)), ALONE.format(3)
    assert list(table.index) == [
        *((name, source) for name in (BASE, ID) for source in (label, "earlier report")),
        ("K × the updates", label),
    ]
    assert list(table.loc[(BASE, label)]) == ["3", "30", "1.00", "3,000"]
    assert list(table.loc[(ID, label)]) == ["3", "60", "2.00", "3,000"]
    assert list(table.loc[(ID, "earlier report")]) == [
        "not stated",
        "about 12,000",
        "2.86",
        "2,000 (GPU)",
    ]
    alone = tables.cost(results("images", records[-1:]))
    assert list(alone.loc[("K × the updates", "this build (medium, 1 seed)")])[2] == "–"


def test_costs_of_translation_stand_beside_the_reports_and_its_logs():
    stated = tables.cost(results("translation", []))
    assert list(stated["seconds a run"]) == ["3,615.9", "10,891.7"]
    assert list(stated["× baseline"]) == ["1.00", "3.01"]
    assert list(stated["peak memory, MB"]) == [
        "16,500 (GPU; its logs: at most 2,400)",
        "23,500 (GPU; its logs: at most 7,800)",
    ]


@pytest.mark.parametrize(("task", "runs"), [("tagging", "6"), ("classification", "6")])
def test_costs_are_of_all_rounds_and_data_sets_and_ours_alone_where_a_sum_is_stated(task, runs):
    made = [r for r in world(task) if task == "tagging" or not r.asked.settings["round"]]
    table = tables.cost(results(task, made))
    assert table.loc[(ID, ALONE.format(3)), "runs"] == runs
    assert set(table.index.get_level_values("from")) == {ALONE.format(3)}


@pytest.mark.parametrize("task", TASKS)
def test_layers_have_std_and_ratio_of_base_models(task):
    table = tables.layers(both(task))
    names = report_of(task).layers
    assert list(table.index) == list(names)
    assert list(table.columns.get_level_values("model").unique()) == [*METHOD_NAMES.values()]
    ratios = [f"{4 / place:.2f} ± 0.00" for place in range(1, len(names) + 1)]
    assert list(table[BASE, "std / mean"]) == ratios  # std / place over std / 4
    page = both(task)
    stds = [r.measured.metrics[f"sensitivity/std/{names[1]}"] for r in page.base_models["id"]]
    text = f"{1000 * np.mean(stds):#.3g}"
    assert table.loc[names[1], (ID, "std × 1000")].startswith(f"{text} ± ")
    bare = record(task, Condition("id", 0, page.report.smoothings[0]))
    for name in [n for n in bare.measured.metrics if n.startswith("sensitivity/")]:
        del bare.measured.metrics[name]
    assert set(tables.layers(results(task, [bare])).iloc[0]) == {"–"}


# ---- by condition


def test_rounds_are_in_the_reports_shape():
    page = both("images")
    table = tables.rounds(page).loc["test NLL (nats)"]
    assert list(table) == [
        "base model, s = 0",
        "student, s = 0",
        "base model, s = 0.1",
        "student, s = 0.1",
    ]
    assert list(table.index) == [
        (model, source) for model in (ID, BASE) for source in (ONE, FIVE, "earlier report")
    ]
    assert list(table.loc[(BASE, ONE)]) == ["2.510", "–", "2.510", "–"]
    assert list(table.loc[(ID, FIVE)]) == [
        cell(2.3 + np.array([0.009, 0.02, 0.031, 0.039, 0.051]), 1.0, ".3f"),
        cell(2.29 + np.array([0.008, 0.02, 0.032, 0.038, 0.052]), 1.0, ".3f"),
        cell(2.28 + np.array([0.009, 0.02, 0.031, 0.039, 0.051]), 1.0, ".3f"),
        cell(2.269 + np.array([0.008, 0.02, 0.032, 0.038, 0.052]), 1.0, ".3f"),
    ]
    assert list(table.loc[(ID, "earlier report")]) == ["0.480", "0.537", "0.495", "0.561"]
    assert list(table.loc[(BASE, "earlier report")]) == ["0.565", "0.657", "0.659", "0.584"]
    second = tables.rounds(results("images", world("images", {("id", 2): Level(2.2, 0.5)})))
    assert list(second)[:3] == ["base model, s = 0", "student, s = 0", "second student, s = 0"]
    column = second.loc["test NLL (nats)"]["second student, s = 0"]
    assert list(column)[1:] == ["not stated", "–", "not stated"]


@pytest.mark.parametrize("task", ["translation", "tagging", "answering"])
def test_rounds_have_a_block_for_each_of_the_tasks_metrics(task):
    page, report = both(task), report_of(task)
    table = tables.rounds(page)
    titles = [report.metric(key).title for key in report.by_round]
    assert list(table.index.get_level_values("measure").unique()) == titles
    for key in report.by_round[:2]:
        metric = report.metric(key)
        for method, name in (("id", ID), ("baseline", BASE)):
            assert list(table.loc[(metric.title, name, THREE)]) == [
                cell(values(page, method, key, round_), metric.scale, metric.form)
                for round_ in (0, 1)
            ]
    sources = set(table.index.get_level_values("from"))
    if task == "translation":
        scores = table.loc["test SacreBLEU (points)"]
        assert list(scores.loc[(ID, "earlier report")]) == ["35.11", "not stated"]
        assert list(scores.loc[(BASE, "paper")]) == ["33.07", "not stated"]
        assert sources == {ONE, THREE, "earlier report", "paper"}
    else:  # nobody states these on other languages
        assert sources == {ONE, THREE}


def test_balance_has_the_papers_measure_and_what_is_free_of_scale():
    table = tables.balance(both("images"))
    stds = table.loc["std of sensitivity (× 10⁻³)"]
    assert stds.loc[(BASE, ONE), "base model, s = 0"] == "2.51"
    assert stds.loc[(BASE, "earlier report"), "base model, s = 0"] == "0.414"
    normalised = table.loc["std of normalised sensitivity (× 10⁻³)"]
    assert normalised.loc[(BASE, ONE), "base model, s = 0"] == "7.53"
    assert list(normalised.loc[(BASE, "earlier report")]) == ["15.8", "2.74", "12.0", "3.32"]
    for title, text in (
        ("std/mean of sensitivity", "4.50"),
        ("Gini coefficient of sensitivity", "0.703"),
    ):
        block = table.loc[title]
        assert block.loc[(BASE, ONE), "base model, s = 0"] == text
        assert "earlier report" not in block.index.get_level_values("from")


# ---- intra-distillation against its baseline


@pytest.mark.parametrize(
    ("task", "key", "report", "paper"),
    [
        ("translation", BLEU, ["32.90", "35.11", "+2.21"], ["33.07", "36.10", "+3.03"]),
        ("tagging", F1_ENGLISH, ["82.35", "83.41", "+1.06"], ["84.50", "85.40", "+0.90"]),
        ("tagging", F1_PARALLEL, ["not stated"] * 3, ["not stated"] * 3),
        ("answering", F1_ENGLISH, ["63.54", "66.85", "+3.31"], ["not stated"] * 3),
    ],
)
def test_a_score_stands_beside_the_papers(task, key, report, paper):
    page = both(task, items=24)
    table = tables.score(page, key)
    assert list(table.index) == [ONE, THREE, "earlier report", "paper"]
    assert list(table) == [BASE, ID, "difference", tables.OVER_ITEMS, tables.OVER_SEEDS]
    base, ours = (values(page, method, key) for method in ("baseline", "id"))
    scale = page.metric(key).scale
    assert list(table.loc[THREE]) == [
        cell(base, scale),
        cell(ours, scale),
        signed(np.mean(ours - base), scale),
        over_items(page, key),
        over_seeds(ours - base, scale),
    ]
    row = table.loc[ONE]
    assert list(row)[:3] == [
        f"{scale * base[0]:.2f}",
        f"{scale * ours[0]:.2f}",
        signed(ours[0] - base[0], scale),
    ]
    assert " to " in row[tables.OVER_ITEMS] and row[tables.OVER_SEEDS] == "–"
    for source, stated in (("earlier report", report), ("paper", paper)):
        assert list(table.loc[source]) == [*stated, "not stated", "not stated"]


def test_a_score_of_one_data_set():
    page = dict(results("classification", world("classification", items=100)).by_dataset())[
        "heading"
    ]
    row = tables.score(page, SCORE).loc[ALONE.format(3)]
    assert list(row)[:3] == ["42.00 ± 1.00", "38.00 ± 0.90", "−4.00"]
    assert row[tables.OVER_ITEMS] == over_items(page, SCORE)


@OTHER_LANGUAGES
def test_by_language_holds_every_language_and_the_means(task):
    page = results(task, world(task, items=24))
    table = tables.by_language(page)
    means = ["mean of the others", "mean of the others, parallel items"]
    assert list(table.index) == [*LANGUAGES, *means] and table.index.name == "language"
    assert list(table["items"]) == ["72", "48", "48", "96", "24"]
    keys = [*(f"test/f1/{name}" for name in LANGUAGES), F1_OTHERS, F1_PARALLEL]
    for label, key in zip(table.index, keys, strict=True):
        base, ours = (values(page, method, key) for method in ("baseline", "id"))
        assert list(table.loc[label])[1:] == [
            cell(base),
            cell(ours),
            signed(np.mean(ours - base)),
            over_items(page, key),
            over_seeds(ours - base),
        ]
    assert list(table["difference"]) == ["+2.00", "+6.00", "+2.00", "+4.00", "+4.00"]


def test_by_language_of_another_score_and_of_rules_without_a_model():
    page = results("answering", world("answering", items=24))
    exact = tables.by_language(page, "em")
    assert list(exact.index) == [*LANGUAGES, "mean of the others"]
    assert exact.loc["de", BASE] == cell(values(page, "baseline", "test/em/de"))
    assert tables.OVER_ITEMS not in exact  # no items are kept of it
    plain = tables.by_language(page, untrained={"first line": "f1_first"})
    assert list(plain["first line"]) == ["5.00"] * 4 + ["–"]
    assert list(plain)[:-1] == list(tables.by_language(page))


def test_by_language_of_one_seed_or_one_method():
    one = [r for r in world("tagging", seeds=[2], items=24)]
    table = tables.by_language(results("tagging", one))
    assert set(table[tables.OVER_SEEDS]) == {"–"}
    assert list(table.loc["de"])[1:4] == ["48.00", "54.00", "+6.00"]  # 0.02 of the seed, 1.5 times
    alone = tables.by_language(results("tagging", [r for r in one if r.asked.method == "baseline"]))
    assert set(alone[ID]) == set(alone["difference"]) == {"–"}


def test_a_verdicts_comparisons():
    c6 = judged("images")["C6"]
    table = tables.verdict(c6)
    assert list(table.index) == [(c.metric.title, c.label) for c in c6.comparisons]
    p = c6.primary[0].p_value
    assert dict(table.loc[("test NLL (nats)", "mean of the 4 pairs")]) == {
        "verdict": "supported",
        "difference": "−0.163",
        tables.OVER_SEEDS: "−0.165 to −0.161",
        tables.OVER_ITEMS: "–",
        tables.P_SEEDS: f"{p:.2g}",
        "earlier report": "−0.098",
    }
    c1 = verdicts(world("translation", items=24), "translation")["C1"]
    low, high = c1.primary[0].items[1:3]
    over = tables.verdict(c1)[tables.OVER_ITEMS]
    assert over.iloc[0] == f"{signed(low, 1.0)} to {signed(high, 1.0)}" and over.iloc[1] == "–"
    one = tables.verdict(judged("images", seeds=[1])["C8"])
    assert set(one[tables.OVER_SEEDS]) == set(one[tables.P_SEEDS]) == {"–"}
    assert set(one["verdict"]) == {"not judged"}  # the verdict's own reason stands above
    assert set(tables.verdict(verdicts([], "images")["C8"])["difference"]) == {"–"}
    left_out = judged("images", {Condition("baseline", 1, 0.0): Level(2.55, 0.4)})["C5"]
    assert (
        tables.verdict(left_out)["verdict"].iloc[0].startswith("not judged (the baseline student")
    )


# ---- gains over a sweep, settings, nothing


def swept(epochs, train, seed, gain, **more):
    settings = {"epochs": epochs, "examples": {"train": train} if train else {}, **more}
    pair = (("baseline", Level(2.5, 0.2)), ("id", Level(2.5 - gain, 0.2 + gain / 10)))
    return [
        record("translation", Condition(m, 0, 0.1), seed, level, **settings) for m, level in pair
    ]


def test_gains_are_positive_where_intra_distillation_is_better():
    """In nats of validation NLL, and in points of SacreBLEU ten times as many."""
    records = [
        *swept(20, 4000, 2, 0.3),
        *swept(20, 4000, 1, 0.2),
        *swept(5, 4000, 1, -0.1),
        *swept(5, 1000, 1, 0.4),
    ]
    records += swept(40, 4000, 1, 0.2)[:1]  # a baseline alone
    students = [record("translation", Condition(m, 1, 0.1), epochs=20) for m in ("id", "baseline")]
    expected = [(5, 1000, 1, 0.4), (5, 4000, 1, -0.1), (20, 4000, 1, 0.2), (20, 4000, 2, 0.3)]
    table = tables.gains([*records, *students])
    for key, scale in (("validation/nll", 1), ("validation/bleu", 10)):
        rows = table[table["metric"] == key].drop(columns="metric").itertuples(index=False)
        gains = [(*at, pytest.approx(scale * gain)) for *at, gain in expected]
        assert [tuple(row) for row in rows] == gains
    assert len(table) == 8
    whole = tables.gains(swept(5, None, 1, 0.1) + swept(5, 4000, 1, 0.1))
    assert [tables.size(train) for train in whole["train"].unique()] == ["4,000", "all"]
    assert math.isinf(whole["train"].iloc[-1])
    with pytest.raises(ValueError, match="5 epochs of 4,000 training examples, seed 1"):
        tables.gains(swept(5, 4000, 1, 0.1) + swept(5, 4000, 1, 0.2, alpha=2.0))
    assert list(tables.gains([])) == ["metric", "epochs", "train", "seed", "gain"]


def test_settings_are_of_base_models_of_both_and_updates():
    build = record("tagging", Condition("id", 0, 0.0), profile="small", layers=3, passes=3)
    others = [
        record("tagging", c, layers=9)
        for c in (Condition("id", 1, 0.0), Condition("passes", 0, 0.0))
    ]
    table = tables.settings(
        results(
            "tagging", [build], [*others, record("tagging", Condition("id", 0, 0.0), layers=12)]
        )
    )
    assert list(table.index) == [*report_of("tagging").settings, "updates"]
    assert list(table.loc["layers"]) == [3, 12] and list(table.loc["passes"]) == [3, "–"]
    assert list(table.loc["updates"]) == [30, 30] and set(table.loc["encoder"]) == {"–"}


@pytest.mark.parametrize("task", TASKS)
def test_tables_of_nothing_hold_what_others_published(task):
    nothing, report = results(task, []), report_of(task)
    for table in (tables.methods, tables.calibration, tables.gap, tables.by_language):
        assert table(nothing).empty
    assert list(tables.layers(nothing).index) == list(report.layers)
    assert len(tables.cost(nothing)) == len(report.cost)
    stated = {key for figures in (report.earlier_report, report.paper) for key in figures}
    measures = tables.rounds(nothing).index.get_level_values("measure").unique()
    assert list(measures) == [report.metric(key).title for key in report.by_round if key in stated]
    assert len(tables.balance(nothing)) == (4 if task == "images" else 0)
    assert list(tables.score(nothing, SCORE).index) == ["earlier report", "paper"]
