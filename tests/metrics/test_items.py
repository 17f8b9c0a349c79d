"""What records keep of single test items, and the scores that follow from it."""

from __future__ import annotations

import numpy as np
import pytest
from made_up.records import LANGUAGES, record

from idlib.metrics.items import RATIO, Items, items_of, languages, score
from idlib.report.conditions import Condition

# Six items: all in English, four in German, three in Japanese, two (1 and 4) in all of them.
CURVES = {
    "test/items/ja": [1, 4, 5],
    "test/items/en": [0, 1, 2, 3, 4, 5],
    "test/items/de": [0, 1, 3, 4],
    "test/f1/ja/numerators": [0, 2, 4],
    "test/f1/ja/denominators": [4, 4, 8],
    "test/f1/en/numerators": [2, 2, 4, 0, 6, 2],
    "test/f1/en/denominators": [2, 3, 5, 0, 6, 4],
    "test/f1/de/numerators": [0, 2, 2, 4],
    "test/f1/de/denominators": [2, 4, 6, 4],
    "test/nll/items": [1.0, 2.0, 3.0, 4.0, 5.0, 9.0],
}


def numbers_of(items):
    return {name: one.numbers.tolist() for name, one in items.items()}


def test_score_is_the_ratio_of_sums_and_not_the_mean_of_ratios():
    items = items_of(CURVES, "test/f1/de")
    above, below = items["de"].statistics
    assert score(items) == 8 / 16 != np.mean(above / below)
    nothing = {"de": Items(np.arange(3), np.zeros((2, 3)))}
    assert score(nothing) == score({"de": Items(np.arange(0), np.zeros((2, 0)))}) == 0.0


def test_a_ratio_of_nothing_is_nothing_also_among_others():
    assert RATIO.of_sums(np.array([[1.0, 0.0], [4.0, 0.0]])).tolist() == [0.25, 0.0]


def test_languages_put_english_first():
    assert languages(CURVES) == ["en", "de", "ja"]
    assert languages({"validation/nll": [1.0]}) == []


def test_items_of_one_language_and_of_the_others():
    english = items_of(CURVES, "test/f1/en")
    assert numbers_of(english) == {"en": [0, 1, 2, 3, 4, 5]} and score(english) == 16 / 20
    others = items_of(CURVES, "test/f1/others")
    assert sorted(others) == ["de", "ja"]
    assert score(others) == pytest.approx((8 / 16 + 6 / 16) / 2)


def test_items_that_every_language_has():
    shared = items_of(CURVES, "test/f1_parallel/others")
    assert numbers_of(shared) == {"de": [1, 4], "ja": [1, 4]}
    assert score(shared) == pytest.approx((6 / 8 + 2 / 8) / 2)
    english = items_of(CURVES, "test/f1_parallel/en")
    assert numbers_of(english) == {"en": [1, 4]} and score(english) == 8 / 9
    without = {**CURVES, "test/items/en": [0, 2, 3, 4, 6, 7]}  # item 1 is not in English
    assert numbers_of(items_of(without, "test/f1_parallel/others")) == {"de": [4], "ja": [4]}
    apart = items_of({**CURVES, "test/items/ja": [6, 7, 8]}, "test/f1_parallel/others")
    assert numbers_of(apart) == {"de": [], "ja": []}


def test_a_mean_is_of_values_in_the_order_of_their_items():
    shuffled = {"test/items/en": [2, 0, 1], "test/nll/items": [3.0, 1.0, 8.0]}
    (items,) = items_of(shuffled, "test/nll").values()
    assert items.numbers.tolist() == [0, 1, 2]
    assert items.statistics.tolist() == [[1.0, 8.0, 3.0], [1.0, 1.0, 1.0]]
    assert score({"en": items}) == 4.0
    # losses of items that have no numbers are numbered as they stand
    for numbers in ([], [5, 6, 7]):  # those of others
        curves = {"test/items/en": numbers, "test/nll/items": [3.0, 1.0]}
        assert numbers_of(items_of(curves, "test/nll")) == {"en": [0, 1]}


def test_items_of_a_task_without_languages():
    curves = {"test/items/en": [3, 5, 8], "test/accuracy/numerators": [1, 0, 1]}
    items = items_of(curves, "test/accuracy")
    assert numbers_of(items) == {"en": [3, 5, 8]} and score(items) == pytest.approx(2 / 3)
    assert items["en"].statistics[1].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "metric", ["sensitivity/std", "test/nll/others", "test/f1/fr", "test/em/others"]
)
def test_metrics_that_no_items_are_kept_of(metric):
    assert items_of(CURVES, metric) == {}


def test_columns_of_unequal_length_are_refused():
    broken = {**CURVES, "test/f1/de/denominators": [2, 4, 6]}
    with pytest.raises(ValueError, match="test/f1/de has 4 items.*4 and 3 values"):
        items_of(broken, "test/f1/de")
    with pytest.raises(ValueError, match="test/f1/en has 2 items"):
        items_of({**CURVES, "test/items/en": [0, 1]}, "test/f1/en")


def test_order_of_items_changes_nothing():
    shuffled = dict(CURVES)
    for name, order in (("de", [2, 0, 3, 1]), ("ja", [2, 1, 0])):
        curves = (f"test/items/{name}", *(f"test/f1/{name}/{c}" for c in RATIO.columns))
        for column in curves:
            shuffled[column] = [CURVES[column][place] for place in order]
    for metric in ("test/f1/others", "test/f1_parallel/others", "test/f1/de"):
        ours, theirs = items_of(shuffled, metric), items_of(CURVES, metric)
        assert numbers_of(ours) == numbers_of(theirs)
        for name, items in ours.items():
            assert np.array_equal(items.statistics, theirs[name].statistics)


@pytest.mark.parametrize("task", ["tagging", "answering", "classification", "images"])
def test_made_up_scores_are_those_of_their_items(task):
    one = record(task, Condition("id", 0, 0.0), items=24)
    names = {
        "images": ["test/nll"],
        "classification": ["test/score", "test/accuracy", "test/nll"],
    }.get(task) or [
        f"test/{kind}/{part}" for kind in ("f1", "f1_parallel") for part in (*LANGUAGES, "others")
    ]
    for name in names:
        found = score(items_of(one.measured.curves, name))
        assert found == pytest.approx(one.measured.metrics[name]), name
