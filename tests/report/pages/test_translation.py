"""What the page of translation says is what its records hold."""

from __future__ import annotations

import pytest
from made_up.records import made_up_translation

from idlib.report.conditions import Condition
from idlib.report.pages import translation as page
from idlib.report.results import Results

BASELINE, ID = Condition("baseline", 0, 0.1), Condition("id", 0, 0.1)


def records(seeds=(1, 2, 3), profile="medium", **settings):
    return [
        made_up_translation(
            condition, seed, 24 + 3 * (condition == ID) + 0.1 * seed, 2.5, profile, **settings
        )
        for condition in (BASELINE, ID)
        for seed in seeds
    ]


@pytest.fixture
def results():
    return Results("translation", "medium", "embedded", records())


def test_each_metric_says_whether_it_is_better(results):
    lines = page.gain_in_each_metric(results).splitlines()
    assert "(profile medium, 3 seeds)" in lines[0]
    assert lines[2] == "- test SacreBLEU (points): +3.00, better (supported)"
    assert lines[4].startswith("- test NLL (nats): +0.000, not better")


def test_the_brevity_penalty_is_taken_off(results):
    table = page.brevity(results)
    assert list(table.index) == ["baseline", "intra-distillation"]
    row = table.loc["baseline"]  # the ratio is 0.98: exp(1 − 1/0.98) = 0.9798
    assert list(row) == ["0.980", "0.980", "24.20", "24.70"]


def test_where_the_baseline_overfits(results):
    text = page.where_the_baseline_overfits(results)  # 3.6 to 3.8, 2.5, 2.6 nats
    assert "lowest at update 20 and 20 and 20 of 30" in text
    assert "within 0.03 nats of that from update 20 and 20 and 20 on" in text
    assert "0.100 and 0.100 and 0.100 nats above it" in text
    near = page.where_the_baseline_overfits(results, near=2.0)
    assert "within 2 nats of that from update 10 and 10 and 10 on" in near
    assert "no record" in page.where_the_baseline_overfits(
        Results("translation", "medium", "embedded", records()[3:])
    )


def test_ours_stands_beside_the_reports_bits(results):
    text = page.likelihood_in_bits(results)
    assert "2.352 and 2.209 bits a token" in text
    assert "3.621 and 3.621 bits (profile medium, 3 seeds)" in text  # (2.5 + 0.01) / ln 2


def test_parameters_are_counted(results):
    assert "each model: 1,000; counted apart: 0." in page.parameters_measured(results)
    results.records[0].measured.metrics["sensitivity/excluded"] = 12.0
    assert "counted apart: 0 or 12." in page.parameters_measured(results)


def swept():
    long = {"epochs": 20, "examples": {"train": 2000}}
    short = {"epochs": 10, "examples": {"train": 2000}}
    worse = [
        made_up_translation(condition, 1, 24 - 2 * (condition == ID), 2.5, **short)
        for condition in (BASELINE, ID)
    ]
    return [*records((1,), **long), *worse]


def test_where_the_gain_is():
    lines = page.where_the_gain_is(swept()).splitlines()
    assert lines[2:] == [
        "- validation SacreBLEU (points): ahead on average at 1 of 2 setting(s); not ahead at 10 "
        "epochs of 2,000 pairs",
        "- validation NLL (nats): ahead on average at 0 of 2 setting(s); not ahead at 10 epochs of "
        "2,000 pairs, 20 epochs of 2,000 pairs",
    ]
    assert page.where_the_gain_is([]) == "Nothing was measured."
    table = page.gains_by_seed(swept())
    assert list(table[1]) == ["−0.000", "−0.000", "−2.00", "+3.00"]
    assert page.gains_by_seed(records((1,), epochs=5, examples={})).index[0][2] == "all"


def test_the_shorter_grid_has_half_the_epochs_of_what_is_judged():
    long = records((1, 2, 3), epochs=20, examples={"train": 2000})
    results = Results("translation", "small", "embedded", records((1,), "small"), long)
    text = page.shorter_grid(results, swept())
    assert text.startswith("10 epochs, 2 records:")
    assert "2 seeds" not in text and "against the baseline" in text and "lowest at update" in text
    assert page.shorter_grid(results, []) == "10 epochs, 0 records:\n\nNo records."


def test_others_figures_are_theirs():
    assert "50,000 updates (46 epochs) on one V100" in page.published_cost()
    assert "at most 7.8 and 2.4 GB (A15)" in page.published_cost()
    assert "tok:13a" in page.signature() and "not stated" in page.signature()
