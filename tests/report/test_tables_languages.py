"""Tables of tagging and answering from made-up records, number by number."""

from __future__ import annotations

import numpy as np
import pytest
from made_up.records import made_up_answering, made_up_tagging

from idlib.report import outcomes, tables
from idlib.report.names import F1_ENGLISH, F1_OTHERS, F1_PARALLEL, NLL, STD, Cell
from idlib.report.statistics import t_interval
from idlib.report.tables.cells import P_ITEMS

ID, BASELINE = "intra-distillation", "baseline"
ONE, THREE = "this build (small, 1 seed)", "recorded evidence (medium, 3 seeds)"
MODELS = [Cell(method, round_, 0.0) for method in ("baseline", "id") for round_ in (0, 1)]
CONTROLS = [Cell(method, 0, 0.0) for method in ("passes", "compute")]
MADE = {"tagging": made_up_tagging, "answering": made_up_answering}
TEXT = pytest.mark.parametrize("task", ["tagging", "answering"])


def record(task, cell, seed, profile="medium", **more):
    """F1 in four languages: intra-distillation better, more so in German, and not in Finnish."""
    level = seed / 100 + cell.round / 50 + 0.003 * (seed == 2) * (cell.method == "id")
    gains = dict.fromkeys(("en", "de", "ja", "fi"), 0.0)
    if cell.method == "id":
        gains |= {"en": 0.02, "de": 0.06, "ja": 0.03}
    f1 = {"en": 0.70, "de": 0.40, "ja": 0.20, "fi": 0.33}
    f1 = {name: value + level + gains[name] for name, value in f1.items()}
    nll = 2.5 - level - 0.2 * (cell.method == "id")
    return MADE[task](cell, seed, f1, nll, profile, **more)


def medium(task, cells=(*MODELS, *CONTROLS), seeds=(1, 2, 3), **more):
    return [record(task, cell, seed, **more) for cell in cells for seed in seeds]


def small(task):
    return [record(task, cell, 1, "small") for cell in MODELS if not cell.round]


def values(records, cell, metric):
    """The metric of a cell's records by rising seed, each by another way than the tables'."""
    chosen = [
        r
        for r in records
        if (r.asked.method, r.asked.settings["round"]) == (cell.method, cell.round)
    ]
    chosen.sort(key=lambda r: r.asked.seed)
    return np.array([r.measured.metrics[metric] for r in chosen])


def told(numbers, scale=100.0, form=".2f"):
    """Mean and standard deviation as a table writes them."""
    mean, spread = scale * np.mean(numbers), scale * np.std(numbers, ddof=1)
    return f"{mean:{form}} ± {spread:{form}}"


def with_sign(number):
    return f"{100 * number:+.2f}".replace("-", "−")


def item_bounds(records, tested, kept=range(1000)):
    """The bootstrap of the difference in F1, the mean over these languages, resampled here."""
    first = records[0].measured.curves
    numbers = sorted({n for name in tested for n in first[f"test/items/{name}"] if n in kept})
    place = {number: index for index, number in enumerate(numbers)}
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(numbers), size=len(numbers)) for _ in range(1000)]
    total = np.zeros(1000)
    for record in records:
        method, curves = record.asked.method, record.measured.curves
        if record.asked.settings["round"] or method not in ("id", "baseline"):
            continue
        for name in tested:
            above, below = np.zeros((2, len(numbers)))
            mine = curves[f"test/items/{name}"]
            parts = curves.get(f"test/f1/{name}/denominators", [1] * len(mine))
            for number, a, b in zip(mine, curves[f"test/f1/{name}/numerators"], parts, strict=True):
                if number in place:
                    above[place[number]], below[place[number]] = a, b
            ratios = np.array([above[draw].sum() / below[draw].sum() for draw in drawn])
            total += (1 if method == "id" else -1) * ratios / 3 / len(tested)
    low, high = np.quantile(total, [0.025, 0.975])
    return f"{with_sign(low)} to {with_sign(high)}"


@TEXT
def test_language_table_holds_every_language_and_the_means(task):
    records = medium(task)
    table = tables.language_table(records, task)
    means = ["mean of the others", "mean of the others, parallel items"]
    assert list(table.index) == ["en", "de", "fi", "ja", *means]
    assert table.index.name == "language"
    assert list(table.columns) == [
        "items",
        BASELINE,
        ID,
        "difference",
        "95 % interval over items",
        "95 % interval over seeds",
    ]
    assert list(table["items"]) == ["96", "48", "48", "48", "144", "24"]
    base, ours = Cell("baseline", 0, 0.0), Cell("id", 0, 0.0)
    metrics = [f"test/f1/{name}" for name in ("en", "de", "fi", "ja")] + [F1_OTHERS, F1_PARALLEL]
    for label, metric in zip(table.index, metrics, strict=True):
        row, before, after = table.loc[label], *(values(records, c, metric) for c in (base, ours))
        assert (row[BASELINE], row[ID]) == (told(before), told(after))
        interval = t_interval(after - before)
        assert row["difference"] == with_sign(interval.mean)
        assert row["95 % interval over seeds"] == (
            f"{with_sign(interval.low)} to {with_sign(interval.high)}"
        )
    over_items = [item_bounds(records, [name]) for name in ("en", "de", "fi", "ja")]
    over_items.append(item_bounds(records, ("de", "fi", "ja")))
    over_items.append(item_bounds(records, ("de", "fi", "ja"), range(24)))
    assert list(table["95 % interval over items"]) == over_items
    assert table.loc["fi", "difference"] == "+0.10"  # what seed 2 adds to every language
    assert table.loc[means[1], "difference"] == "+3.10"


def test_language_table_of_another_score_and_of_none():
    records = medium("answering")
    exact = tables.language_table(records, "answering", "em")
    assert list(exact.index) == ["en", "de", "fi", "ja", "mean of the others"]
    expected = told(values(records, Cell("baseline", 0, 0.0), "test/em/de"))
    assert exact.loc["de", BASELINE] == expected
    assert "95 % interval over items" not in exact  # no items are kept of it
    plain = tables.language_table(records, "answering", untrained={"first line": "f1_first"})
    assert list(plain["first line"]) == ["5.00"] * 5 + ["–"]
    assert list(plain.columns[:-1].drop("95 % interval over items")) == list(exact.columns)


def test_language_table_of_one_seed_has_no_interval_over_seeds():
    table = tables.language_table(small("tagging"), "tagging")
    assert set(table["95 % interval over seeds"]) == {"–"}
    row = table.loc["de"]
    assert (row[BASELINE], row[ID], row["difference"]) == ("36.00", "42.00", "+6.00")
    assert " to " in row["95 % interval over items"]
    alone = tables.language_table(medium("tagging", MODELS[:1]), "tagging")
    assert set(alone[ID]) == set(alone["difference"]) == {"–"}


def test_gap_is_between_english_and_the_mean_of_the_others():
    for task, english, others in (
        ("tagging", "test/f1_parallel/en", F1_PARALLEL),
        ("answering", F1_ENGLISH, F1_OTHERS),
    ):
        records = medium(task)
        table = tables.gap_table(small(task), records, task)
        assert list(table.loc[(ID, THREE)]) == [
            told(values(records, Cell("id", 0, 0.0), name)) for name in (english, others)
        ] + [
            told(
                values(records, Cell("id", 0, 0.0), english)
                - values(records, Cell("id", 0, 0.0), others)
            )
        ]
        assert set(table.index.get_level_values("model")) == {
            BASELINE,
            ID,
            "K passes, α = 0",
            "K × the updates",
        }
        assert (BASELINE, ONE) in table.index and ("K passes, α = 0", ONE) not in table.index
    # in tagging both are on the same items: 0.72 − mean(0.46, 0.23, 0.33)
    gap = tables.gap_table(small("tagging"), None, "tagging").loc[(ID, ONE)]
    assert list(gap) == ["73.00", "35.00", "38.00"]


def test_a_record_without_a_score_has_no_gap():
    lacking = medium("tagging", MODELS[:1], seeds=(1,), drop=(F1_PARALLEL,))
    row = tables.gap_table(lacking, None, "tagging").iloc[0]
    assert list(row) == ["71.00", "–", "–"]


@TEXT
def test_controls_table_has_the_scores_by_language(task):
    records = medium(task)
    table = tables.controls_table(small(task), records)
    first = {
        "tagging": [F1_PARALLEL, F1_OTHERS, F1_ENGLISH],
        "answering": [F1_OTHERS, "test/em/others", F1_ENGLISH],
    }
    assert list(table.columns[3:]) == [
        "test NLL (English)",
        "sensitivity std × 1000",
        "sensitivity std / mean",
    ]
    assert table.columns[2] == "F1 on English (points)"
    for cell, name in zip(CONTROLS, ("K passes, α = 0", "K × the updates"), strict=True):
        row = table.loc[(name, THREE)]
        assert list(row)[:3] == [told(values(records, cell, metric)) for metric in first[task]]
        assert row["test NLL (English)"] == told(values(records, cell, NLL), 1.0, ".3f")
        assert row["sensitivity std × 1000"] == "0.400 ± 0.000"
    assert len(table) == 6  # the build has no controls


@TEXT
def test_rounds_table_of_the_tasks_measures(task):
    records = medium(task)
    table = tables.rounds_table(small(task), records, task)
    score, title = {
        "tagging": (F1_PARALLEL, "F1 on parallel items in the other languages (points)"),
        "answering": (F1_OTHERS, "F1 on the other languages (points)"),
    }[task]
    assert list(table.index.get_level_values("measure").unique()) == [
        "test NLL (nats)",
        title,
        "std of sensitivity (× 10⁻³)",
    ]
    for measure, metric, scale, form in (
        ("test NLL (nats)", NLL, 1.0, ".3f"),
        (title, score, 100.0, ".2f"),
    ):
        for method, name in (("id", ID), ("baseline", BASELINE)):
            assert list(table.loc[(measure, name, THREE)]) == [
                *(
                    told(values(records, Cell(method, round_, 0.0), metric), scale, form)
                    for round_ in (0, 1)
                ),
                "–",
            ]
    # nobody states these on other languages, so nobody else has a row
    assert set(table.index.get_level_values("from")) == {ONE, THREE}


def test_score_table_shows_what_others_state_of_english():
    records = medium("tagging")
    table = tables.score_table(small("tagging"), records, metric_name=F1_ENGLISH, task="tagging")
    assert list(table.index) == [ONE, THREE, "earlier report", "paper"]
    assert list(table.loc["paper"])[:3] == ["84.50", "85.40", "+0.90"]
    assert list(table.loc["earlier report"])[:3] == ["82.35", "83.41", "+1.06"]
    assert set(table.loc["paper"].iloc[3:]) == {"not stated"}
    assert P_ITEMS not in table.columns  # SacreBLEU's alone has one
    base, ours = (values(records, Cell(m, 0, 0.0), F1_ENGLISH) for m in ("baseline", "id"))
    interval = t_interval(ours - base)
    assert list(table.loc[THREE]) == [
        told(base),
        told(ours),
        with_sign(interval.mean),
        item_bounds(records, ["en"]),
        f"{with_sign(interval.low)} to {with_sign(interval.high)}",
    ]
    answering = tables.score_table(small("answering"), None, F1_ENGLISH, "answering")
    assert list(answering.loc["earlier report"])[:3] == ["63.54", "66.85", "+3.31"]
    assert set(answering.loc["paper"]) == {"not stated"}


def test_score_table_of_other_languages_is_ours_alone():
    table = tables.score_table(small("tagging"), None, F1_PARALLEL, "tagging")
    assert list(table.loc[ONE])[:3] == ["32.00", "35.00", "+3.00"]
    assert set(table.loc["paper"]) == set(table.loc["earlier report"]) == {"not stated"}


def test_cost_tables_have_no_row_of_the_report_where_it_states_only_a_sum():
    for task in MADE:
        table = tables.cost_table(small(task), medium(task), task)
        assert set(table.index.get_level_values("from")) == {ONE, THREE}
        assert table.loc[(ID, THREE), "runs"] == "6"
        assert tables.cost_table([], task=task).empty


def test_verdict_table_of_english_has_the_reports_difference():
    table = tables.verdict_table(outcomes.verdicts(medium("tagging"), "tagging")["C2"])
    row = table.loc[("F1 on English (points)", "against the baseline, s = 0")]
    assert (row["difference"], row["earlier report"]) == ("+2.10", "+1.06")
    first = table.iloc[0]
    assert table.index[0][0] == "F1 on parallel items in the other languages (points)"
    assert first["earlier report"] == "not stated" and " to " in first["95 % interval over items"]


@TEXT
def test_tables_of_nothing_are_empty(task):
    assert tables.language_table([], task).empty
    assert tables.gap_table([], None, task).empty
    assert tables.controls_table([]).empty
    assert tables.rounds_table([], task=task).empty
    stated = tables.score_table([], None, F1_ENGLISH, task)
    assert list(stated.index) == ["earlier report", "paper"]


def test_std_is_written_as_everywhere():
    records = medium("tagging", std=5e-4)
    table = tables.rounds_table(records, task="tagging")
    stds = table.loc["std of sensitivity (× 10⁻³)"]
    expected = told(values(records, Cell("id", 0, 0.0), STD), 1000.0, ".3f")
    assert stds.iloc[0, 0] == expected == "0.500 ± 0.000"
