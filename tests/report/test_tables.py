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
    compared_in,
    record,
    results,
    swept,
    world,
)
from made_up.shown import rows_of

from idlib.metrics.items import items_of
from idlib.report import tables
from idlib.report.bootstrap import bootstrap
from idlib.report.compared import compare
from idlib.report.conditions import METHOD_NAMES, Condition
from idlib.report.statistics import t_interval
from idlib.report.tasks import report_of

ID, BASE, PASSES, COMPUTE = (METHOD_NAMES[m] for m in ("id", "baseline", "passes", "compute"))
ONE, THREE = "this build (small, 1 seed)", "recorded evidence (medium, 3 seeds)"
FIVE, ALONE = "recorded evidence (medium, 5 seeds)", "this build (medium, 3 seeds)"
PAIR = [Condition(method, 0, 0.0) for method in ("baseline", "id")]


def both(task, **more):
    """A build of one seed, base models of the pair alone, beside a world of evidence."""
    build = world(task, seeds=[1], profile="small", **more)
    pair = [r for r in build if r.asked.method in ("baseline", "id")]
    return results(task, [r for r in pair if not r.asked.settings["round"]], world(task, **more))


def values(page, method, key, round_=0):
    """The metric of the evidence's models at the first smoothing, by rising seed."""
    at = {"round": round_, "smoothing": page.report.smoothings[0]}
    runs = {
        r.asked.seed: r.measured.metrics[key]
        for r in page.judged
        if r.asked.method == method and at.items() <= r.asked.settings.items()
    }
    return np.array([runs[seed] for seed in sorted(runs)])


def cell(numbers, metric):
    """Mean and standard deviation as a table writes them."""
    mean, std = metric.scale * np.mean(numbers), metric.scale * np.std(numbers, ddof=1)
    return f"{mean:{metric.form}} ± {std:{metric.form}}"


def signed(number, scale):
    return f"{scale * number:+.2f}".replace("-", "−")


def compared(page, key):
    """The cells of a score: both methods, the difference, its bootstrap and its t interval."""
    metric, runs = page.metric(key), page.base_models
    base, ours = (values(page, method, key) for method in ("baseline", "id"))
    systems = [
        [items_of(r.measured.curves, key, metric.items) for r in runs[method]]
        for method in ("id", "baseline")
    ]
    over_items, over_seeds = bootstrap([1.0, -1.0], systems, metric.items), t_interval(ours - base)
    return [
        cell(base, metric),
        cell(ours, metric),
        signed(np.mean(ours - base), metric.scale),
        *(
            f"{signed(interval.low, metric.scale)} to {signed(interval.high, metric.scale)}"
            for interval in (over_items, over_seeds)
        ),
    ]


# ---- by method


@pytest.mark.parametrize("task", TASKS)
def test_methods_are_compared_by_the_tasks_metrics(task):
    page, report = both(task), report_of(task)
    if task == "classification":
        page = dict(page.by_dataset())["application"]
    table, evidence = tables.methods(page), FIVE if task == "images" else THREE
    assert list(table) == [report.metric(key).title for key in report.compared]
    rows = [(name, source) for name in (BASE, ID) for source in (ONE, evidence)]
    assert list(table.index) == [*rows, (PASSES, evidence), (COMPUTE, evidence)]
    for method, name in METHOD_NAMES.items():
        for metric in map(report.metric, report.compared):
            if metric.form != "#.3g":
                expected = cell(values(page, method, metric.key), metric)
                assert table.loc[(name, evidence), metric.title] == expected
    std = page.records[0].measured.metrics[STD]
    (title,) = (name for name in table if name.startswith("std of sensitivity"))
    assert table.loc[(BASE, ONE), title] == f"{1000 * std:#.3g}"
    assert ("lowest validation loss" in title) == (task == "translation"), "where C4 is judged"


def test_a_cell_of_fewer_seeds_says_so():
    few = {"id": (1, 2, 3, 4, 5), "baseline": (1, 4), "passes": (4,)}
    made = [r for r in world("images") if r.asked.seed in few.get(r.asked.method, ())]
    page, label = results("images", made), "this build (medium, 5 seeds)"
    nll = tables.methods(page)["test NLL (nats)"]
    assert (nll[BASE, label], nll[PASSES, label]) == ("2.525 ± 0.021 (n = 2)", "2.490 (n = 1)")
    assert "n =" not in nll[ID, label]
    block = tables.rounds(page).loc["test NLL (nats)"]
    assert block.loc[(BASE, label), "base model, s = 0"] == nll[BASE, label]


@pytest.mark.parametrize(
    ("task", "kind", "gap"), [("tagging", "f1_parallel", "30.00"), ("answering", "f1", "28.33")]
)
def test_gap_is_between_english_and_the_mean_of_the_others(task, kind, gap):
    page = both(task)
    table, metric = tables.gap(page, f"test/{kind}"), page.metric(f"test/{kind}/en")
    english, others = (values(page, "id", f"test/{kind}/{which}") for which in ("en", "others"))
    cells = [cell(numbers, metric) for numbers in (english, others, english - others)]
    assert list(table.loc[(ID, THREE)]) == cells and list(table)[-1] == "gap (points)"
    assert list(table.index.get_level_values("model").unique()) == [*METHOD_NAMES.values()]
    level = record(task, PAIR[0])  # where tagging has 0.7 in English, and 0.4 on average
    assert tables.gap(results(task, [level]), f"test/{kind}").iloc[0].iloc[-1] == gap
    lacking = record(task, PAIR[0], drop=(f"test/{kind}/others",))
    table = tables.gap(results(task, [lacking]), f"test/{kind}")
    assert list(table.iloc[0])[1:] == ["–", "–"]


def test_calibration_has_all_models():
    table = tables.calibration(both("images"))
    assert list(table) == [
        "test NLL (nats)",
        "temperature",
        "test NLL after temperature (nats)",
        "test accuracy (points)",
    ]
    rows = rows_of(table)
    assert rows[0] == f"baseline, base model, s = 0 | {ONE} | 2.510 | 1.25 | 1.755 | 41.00"
    labels = list(table.index.get_level_values("model").unique())
    models = [f"{role}, s = {s}" for s in ("0", "0.1") for role in ("base model", "student")]
    assert labels == [
        *(f"{method}, {model}" for method in (BASE, ID) for model in models),
        "K passes, α = 0, base model, s = 0",
        "K × the updates, base model, s = 0",
    ]
    assert len(rows) == 14  # four of them of the build too


def test_cost_is_of_pairs_of_base_models_beside_the_reports():
    seconds = {"baseline": (10.0, 500.0, 30.0), "id": (60.0, 1000.0, 9000.0), "compute": (90.0,)}
    made = [
        record("images", Condition(method, 0, 0.0), n, seconds=s, peak_memory_bytes=n * 10**9)
        for method, each in seconds.items()
        for n, s in enumerate(each, start=1)
    ]
    others = [  # neither students nor the models at the other smoothing take part
        record("images", Condition("id", *which), 1, seconds=1.0, peak_memory_bytes=10**12)
        for which in ((1, 0.0), (0, 0.1))
    ]
    assert rows_of(tables.cost(results("images", [*made, *others]))) == [
        f"baseline | {ALONE} | 3 | 1.00 | 1.00–1.00 | 3,000",
        "baseline | earlier report | not stated | about 1.00 | not stated | 2,000 (GPU)",
        f"intra-distillation | {ALONE} | 3 | 6.00 | 4.00–153.00 | 3,000",
        "intra-distillation | earlier report | not stated | about 2.86 | not stated | 2,000 (GPU)",
        f"K × the updates | {ALONE} | 1 | 9.00 | – | 1,000",
    ]
    alone = rows_of(tables.cost(results("images", made[-1:])))
    assert alone[-1] == "K × the updates | this build (medium, 1 seed) | 1 | – | – | 1,000"
    logs = "(GPU; its logs: at most"
    assert rows_of(tables.cost(results("translation", []))) == [
        f"baseline | earlier report | not stated | 1.00 | not stated | 16,500 {logs} 2,400)",
        f"{ID} | earlier report | not stated | 3.01 | not stated | 23,500 {logs} 7,800)",
    ]


def test_costs_are_of_all_data_sets_and_ours_alone_where_a_sum_is_stated():
    for task, runs in (("tagging", "3"), ("classification", "6")):
        table = tables.cost(results(task, world(task)))
        assert table.loc[(ID, ALONE), "runs"] == runs
        assert set(table.index.get_level_values("from")) == {ALONE}


@pytest.mark.parametrize("task", TASKS)
def test_layers_have_std_and_ratio_of_base_models(task):
    page, names = both(task), report_of(task).layers
    table = tables.layers(page)
    assert list(table.index) == list(names)
    assert list(table.columns.get_level_values("model").unique()) == [*METHOD_NAMES.values()]
    ratios = [f"{4 / place:.2f} ± 0.00" for place in range(1, len(names) + 1)]
    assert list(table[BASE, "std / mean"]) == ratios  # std / place over std / 4
    stds = [r.measured.metrics[f"{STD}/{names[1]}"] for r in page.base_models["id"]]
    shown = table.loc[names[1], (ID, "std × 1000")]
    assert shown.startswith(f"{1000 * np.mean(stds):#.3g} ± ")


def test_layers_are_of_the_checkpoint_that_is_judged():
    first = report_of("translation").layers[0]
    names = {f"{STD}/{first}@loss": 0.008, f"sensitivity/mean/{first}@loss": 0.002}
    made = [record("translation", Condition("id", 0, 0.1), metrics=names)]
    table = tables.layers(results("translation", made))
    assert table.index.name == "layer, lowest validation loss"
    assert list(table.loc[first]) == ["8.00", "4.00"]
    assert tables.layers(both("tagging")).index.name == "layer"


def test_a_record_without_measures_of_sensitivity_has_cells_of_nothing():
    bare = record("images", PAIR[1])
    for name in [name for name in bare.measured.metrics if name.startswith("sensitivity/")]:
        del bare.measured.metrics[name]
    page = results("images", [bare])
    assert set(tables.layers(page).iloc[0]) == {"–"}
    ours = [row for row in rows_of(tables.balance(page)) if "this build" in row]
    assert len(ours) == 4 and all(" | – | – | –" in row for row in ours)


# ---- by condition


def test_rounds_are_in_the_reports_shape():
    table = tables.rounds(both("images"))
    models = ["base model, s = 0", "student, s = 0", "base model, s = 0.1", "student, s = 0.1"]
    assert list(table) == models and table.index.names == ["measure", "model", "from"]
    assert rows_of(table.loc["test NLL (nats)"]) == [
        f"{ID} | {ONE} | 2.309 | – | 2.289 | –",
        f"{ID} | {FIVE} | 2.330 ± 0.016 | 2.320 ± 0.017 | 2.310 ± 0.016 | 2.299 ± 0.017",
        f"{ID} | earlier report | 0.480 | 0.537 | 0.495 | 0.561",
        f"{BASE} | {ONE} | 2.510 | – | 2.510 | –",
        f"{BASE} | {FIVE} | 2.530 ± 0.016 | 2.430 ± 0.016 | 2.530 ± 0.016 | 2.420 ± 0.016",
        f"{BASE} | earlier report | 0.565 | 0.657 | 0.659 | 0.584",
    ]
    second = tables.rounds(results("images", world("images", {("id", 2): Level(2.2, 0.5)})))
    assert list(second)[:3] == [*models[:2], "second student, s = 0"]
    column = second.loc["test NLL (nats)"]["second student, s = 0"]
    assert list(column)[1:] == ["not stated", "–", "not stated"]


@pytest.mark.parametrize("task", ["translation", "tagging", "answering"])
def test_rounds_have_a_block_for_each_of_the_tasks_metrics(task):
    page, report = both(task), report_of(task)
    table = tables.rounds(page)
    titles = [report.metric(key).title for key in report.by_round]
    assert list(table.index.get_level_values("measure").unique()) == titles
    for metric in map(report.metric, report.by_round[:2]):
        for method, name in (("id", ID), ("baseline", BASE)):
            cells = [cell(values(page, method, metric.key, n), metric) for n in (0, 1)]
            assert list(table.loc[(metric.title, name, THREE)]) == cells
    stated = [row for row in rows_of(table) if ONE not in row and THREE not in row]
    translation = [  # of the others nobody states these on other languages
        f"test SacreBLEU (points) | {ID} | earlier report | 35.11 | not stated",
        f"test SacreBLEU (points) | {ID} | paper | 36.10 | not stated",
        f"test SacreBLEU (points) | {BASE} | earlier report | 32.90 | not stated",
        f"test SacreBLEU (points) | {BASE} | paper | 33.07 | not stated",
    ]
    assert stated == (translation if task == "translation" else [])


def test_balance_has_the_papers_measure_and_what_is_free_of_scale():
    rows = [row for row in rows_of(tables.balance(both("images"))) if FIVE not in row]
    stds, normalised = "std of sensitivity (× 10⁻³)", "std of normalised sensitivity (× 10⁻³)"
    assert rows == [
        f"{stds} | {ID} | {ONE} | 2.31 | – | 2.29 | –",
        f"{stds} | {ID} | earlier report | 1.61 | 1.75 | 2.40 | 1.70",
        f"{stds} | {BASE} | {ONE} | 2.51 | – | 2.51 | –",
        f"{stds} | {BASE} | earlier report | 0.414 | 8.32 | 1.10 | 1.30",
        f"{normalised} | {ID} | {ONE} | 6.93 | – | 6.87 | –",
        f"{normalised} | {ID} | earlier report | 3.13 | 2.80 | 2.92 | 2.45",
        f"{normalised} | {BASE} | {ONE} | 7.53 | – | 7.53 | –",
        f"{normalised} | {BASE} | earlier report | 15.8 | 2.74 | 12.0 | 3.32",
        f"std/mean of sensitivity | {ID} | {ONE} | 4.50 | – | 4.50 | –",
        f"std/mean of sensitivity | {BASE} | {ONE} | 4.50 | – | 4.50 | –",
        f"Gini coefficient of sensitivity | {ID} | {ONE} | 0.702 | – | 0.702 | –",
        f"Gini coefficient of sensitivity | {BASE} | {ONE} | 0.703 | – | 0.703 | –",
    ]


# ---- intra-distillation against its baseline


@pytest.mark.parametrize(
    ("task", "key", "report", "paper"),
    [
        ("translation", BLEU, "32.90 | 35.11 | +2.21", "33.07 | 36.10 | +3.03"),
        ("tagging", F1_ENGLISH, "82.35 | 83.41 | +1.06", "84.50 | 85.40 | +0.90"),
        ("tagging", F1_PARALLEL, None, None),
        ("answering", F1_ENGLISH, "63.54 | 66.85 | +3.31", None),
    ],
)
def test_a_score_stands_beside_the_papers(task, key, report, paper):
    page = both(task, items=24)
    table = tables.score(page, key)
    assert list(table) == [BASE, ID, "difference", tables.OVER_BOTH, tables.OVER_SEEDS]
    rows, nothing, scale = rows_of(table), " | ".join(["not stated"] * 3), page.metric(key).scale
    assert rows[1:] == [
        " | ".join([THREE, *compared(page, key)]),
        f"earlier report | {report or nothing} | not stated | not stated",
        f"paper | {paper or nothing} | not stated | not stated",
    ]
    base, ours = (scale * values(page, method, key)[0] for method in ("baseline", "id"))
    assert rows[0].startswith(f"{ONE} | {base:.2f} | {ours:.2f} | {signed(ours - base, 1)} | ")
    assert " to " in rows[0] and rows[0].endswith(" | –")  # items have an interval, one seed none


def test_a_score_of_one_data_set():
    page = results("classification", world("classification", items=100))
    heading = dict(page.by_dataset())["heading"]
    row = list(tables.score(heading, SCORE).loc[ALONE])
    assert row[:3] == ["42.00 ± 1.00", "38.00 ± 0.90", "−4.00"]
    assert row == compared(heading, SCORE)


@pytest.mark.parametrize("task", ["tagging", "answering"])
def test_by_language_holds_every_language_and_the_means(task):
    page = both(task, items=24)
    table = tables.by_language(page)
    means = ["mean of the others", "mean of the others, parallel items"]
    assert list(table.index) == [*LANGUAGES, *means] and table.index.name == "language"
    assert list(table["items"]) == ["72", "48", "48", "96", "24"]
    keys = [*(f"test/f1/{name}" for name in LANGUAGES), F1_OTHERS, F1_PARALLEL]
    for label, key in zip(table.index, keys, strict=True):
        assert list(table.loc[label])[1:] == compared(page, key)
    assert list(table["difference"]) == ["+2.00", "+6.00", "+2.00", "+4.00", "+4.00"]


def test_by_language_of_another_score_and_of_rules_without_a_model():
    page = results("answering", world("answering", items=24))
    exact = tables.by_language(page, "em")
    assert list(exact.index) == [*LANGUAGES, "mean of the others"]
    german = "test/em/de"
    assert exact.loc["de", BASE] == cell(values(page, "baseline", german), page.metric(german))
    assert tables.OVER_BOTH not in exact  # no items are kept of it
    plain = tables.by_language(page, untrained={"first line": "f1_first"})
    assert list(plain["first line"]) == ["5.00"] * 4 + ["–"]
    assert list(plain)[:-1] == list(tables.by_language(page))


def test_by_language_of_one_seed_or_one_method():
    one = world("tagging", seeds=[2], items=24)
    table = tables.by_language(results("tagging", one))
    assert set(table[tables.OVER_SEEDS]) == {"–"}
    assert list(table.loc["de"])[1:4] == ["48.00", "54.00", "+6.00"]  # 0.02 of the seed, 1.5 times
    alone = tables.by_language(results("tagging", [r for r in one if r.asked.method == "baseline"]))
    assert set(alone[ID]) == set(alone["difference"]) == {"–"}


def test_a_claims_comparisons():
    c6 = compared_in("images")["C6"]
    table = tables.compared(c6)
    assert list(table.index) == [(c.metric.title, c.label) for c in c6.comparisons]
    assert list(table) == ["difference", tables.OVER_SEEDS, tables.OVER_BOTH, "earlier report"]
    row = "−0.200 | −0.201 to −0.199 | – | −0.085, confounded (A2, A11)"
    assert rows_of(table)[0] == f"test NLL (nats) | base model, s = 0 | {row}"
    assert rows_of(table)[2].endswith("| −0.164, void (A1)"), "its baseline was not smoothed"
    c5 = rows_of(tables.compared(compared_in("images")["C5"]))
    assert c5[0].endswith("| −0.011, void (A1, A3, A7)")
    c1 = compare(world("translation", items=24), "translation")["C1"]
    low, high = c1.main[0].items[1:3]
    assert list(tables.compared(c1)[tables.OVER_BOTH])[:2] == [
        f"{signed(low, 1)} to {signed(high, 1)}",
        "–",
    ]
    one = tables.compared(compared_in("images", seeds=[1])["C8"])
    assert set(one[tables.OVER_SEEDS]) == {"–"}
    nothing = tables.compared(compare([], "images")["C8"])
    assert set(nothing["difference"]) == {"no records of images"}


# ---- gains over a sweep, settings, nothing


def test_gains_are_positive_where_intra_distillation_is_better():
    """In nats of validation NLL, and in points of SacreBLEU ten times as many."""
    expected = [(5, 1000, 1, 0.4), (5, 4000, 1, -0.1), (20, 4000, 1, 0.2), (20, 4000, 2, 0.3)]
    made = [one for setting in reversed(expected) for one in swept(*setting)]
    made += swept(40, 4000, 1, 0.2)[:1]  # a baseline alone
    made += [record("translation", Condition(m, 1, 0.1), epochs=20) for m in ("id", "baseline")]
    table = tables.gains(made)
    assert list(table) == list(tables.gains([])) == ["metric", "epochs", "train", "seed", "gain"]
    for key, scale in (("validation/nll", 1), ("validation/bleu", 10)):
        rows = table[table["metric"] == key].drop(columns="metric").to_numpy()
        assert rows == pytest.approx(np.array(expected) * [1, 1, 1, scale])
    assert len(table) == 8
    whole = tables.gains(swept(5, None, 1, 0.1) + swept(5, 4000, 1, 0.1))
    assert [tables.size(train) for train in whole["train"].unique()] == ["4,000", "all"]
    assert math.isinf(whole["train"].iloc[-1])
    with pytest.raises(ValueError, match="5 epochs of 4,000 training examples, seed 1"):
        tables.gains(swept(5, 4000, 1, 0.1) + swept(5, 4000, 1, 0.2, alpha=2.0))


def test_settings_are_of_base_models_of_both_and_updates():
    build = record("tagging", PAIR[1], profile="small", layers=3, passes=3, examples={})
    others = [record("tagging", Condition(*at, 0.0), layers=9) for at in (("id", 1), ("passes", 0))]
    page = results("tagging", [build], [record("tagging", PAIR[1], layers=12), *others])
    table = tables.settings(page)
    assert list(table.index) == [*report_of("tagging").settings, "updates"]
    assert list(table.loc["layers"]) == [3, 12] and list(table.loc["passes"]) == [3, "–"]
    assert list(table.loc["updates"]) == [30, 30] and set(table.loc["encoder"]) == {"–"}
    assert list(table.loc["examples"]) == ["all", "–"]


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
