"""Scores of single test items by language, and the bootstrap over them."""

from __future__ import annotations

import numpy as np
import pytest
from made_up.records import made_up_answering, made_up_classification, made_up_tagging

from idlib.metrics.items import Items, bootstrap, items_of, languages, score
from idlib.report.names import F1_ENGLISH, F1_OTHERS, F1_PARALLEL, NLL, SCORE, STD, Cell

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
    "test/nll/items": [1.0] * 6,
}


def means(numbers, values):
    """One language whose score is the mean of these values."""
    return {"en": Items(np.array(numbers), np.array(values, float), np.ones(len(values)))}


def drawn_plainly(weights, systems, resamples, seed):
    """The resampled statistic, one draw after another, from dictionaries by item."""
    every = [run for system in systems for run in system]
    numbers = sorted({int(n) for items in every[0].values() for n in items.numbers})
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        draw = [numbers[place] for place in rng.integers(len(numbers), size=len(numbers))]
        total = 0.0
        for weight, system in zip(weights, systems, strict=True):
            for run in system:
                for items in run.values():
                    parts = {
                        n: (a, b)
                        for n, a, b in zip(
                            items.numbers, items.numerators, items.denominators, strict=True
                        )
                    }
                    above = sum(parts[n][0] for n in draw if n in parts)
                    below = sum(parts[n][1] for n in draw if n in parts)
                    ratio = above / below if below else 0.0
                    total += weight * ratio / len(run) / len(system)
        found.append(total)
    return np.array(found)


def some(rng, languages_=("de", "ja"), size=12):
    """Items of languages that share part of their numbers, with scores like span F1."""
    made = {}
    for name in languages_:
        numbers = np.sort(rng.choice(size, size=size - 3, replace=False))
        denominators = rng.integers(0, 5, size=len(numbers)).astype(float)
        made[name] = Items(numbers, np.floor(denominators * rng.random(len(numbers))), denominators)
    return made


def like(items, rng):
    """Another system's scores on the same items."""
    return {
        name: one._replace(numerators=np.floor(one.denominators * rng.random(len(one.numbers))))
        for name, one in items.items()
    }


def test_score_is_the_ratio_of_sums_and_not_the_mean_of_ratios():
    items = items_of(CURVES, "test/f1/de")["de"]
    assert items.score == 8 / 16
    assert np.mean(items.numerators / items.denominators) != items.score
    assert Items(*(np.zeros(3) for _ in range(3))).score == 0.0
    assert Items(*(np.zeros(0) for _ in range(3))).score == 0.0


def test_languages_put_english_first():
    assert languages(CURVES) == ["en", "de", "ja"]
    assert languages({"validation/nll": [1.0]}) == []


def test_items_of_one_language_and_of_the_others():
    (items,) = items_of(CURVES, F1_ENGLISH).values()
    assert items.numbers.tolist() == [0, 1, 2, 3, 4, 5] and items.score == 16 / 20
    others = items_of(CURVES, F1_OTHERS)
    assert sorted(others) == ["de", "ja"]
    assert score(others) == pytest.approx((8 / 16 + 6 / 16) / 2)


def test_items_that_every_language_has():
    shared = items_of(CURVES, F1_PARALLEL)
    assert {name: items.numbers.tolist() for name, items in shared.items()} == {
        "de": [1, 4],
        "ja": [1, 4],
    }
    assert score(shared) == pytest.approx((6 / 8 + 2 / 8) / 2)
    (english,) = items_of(CURVES, "test/f1_parallel/en").values()
    assert english.numbers.tolist() == [1, 4] and english.score == 8 / 9
    without = {**CURVES, "test/items/en": [0, 2, 3, 4, 6, 7]}  # item 1 is not in English
    shared = items_of(without, F1_PARALLEL)
    assert {name: items.numbers.tolist() for name, items in shared.items()} == {
        "de": [4],
        "ja": [4],
    }
    apart = {**CURVES, "test/items/ja": [6, 7, 8]}
    assert bootstrap([1.0], [[items_of(apart, F1_PARALLEL)]]) is None  # there are none


def test_items_of_a_task_without_languages():
    curves = {"test/items/en": [3, 5, 8], "test/accuracy/numerators": [1, 0, 1]}
    assert list(items_of(curves, "test/accuracy")) == ["en"]
    items = items_of(curves, "test/accuracy")["en"]
    assert items.denominators.tolist() == [1, 1, 1] and items.score == pytest.approx(2 / 3)


@pytest.mark.parametrize("metric", [NLL, STD, "test/nll/others", "test/f1/fr", "test/em/others"])
def test_metrics_that_no_items_are_kept_of(metric):
    assert items_of(CURVES, metric) == {}
    assert bootstrap([1.0], [[items_of(CURVES, metric)]]) is None


def test_columns_of_unequal_length_are_refused():
    broken = {**CURVES, "test/f1/de/denominators": [2, 4, 6]}
    with pytest.raises(ValueError, match="test/f1/de has 4 numerators and 3 denominators for 4"):
        items_of(broken, "test/f1/de")
    with pytest.raises(ValueError, match="for 2 items"):
        items_of({**CURVES, "test/items/en": [0, 1]}, F1_ENGLISH)


@pytest.mark.parametrize("made", [made_up_tagging, made_up_answering])
def test_made_up_scores_are_those_of_their_items(made):
    record = made(Cell("id", 0, 0.0), 1, {"en": 0.7, "de": 0.4, "ja": 0.2}, 1.5)
    metrics = record.measured.metrics
    names = [f"test/{kind}/{part}" for kind in ("f1", "f1_parallel") for part in ("en", "others")]
    for name in (*names, "test/f1/de", "test/f1_parallel/ja"):
        assert score(items_of(record.measured.curves, name)) == pytest.approx(metrics[name])
    assert metrics[F1_PARALLEL] == pytest.approx(0.3) and metrics[F1_OTHERS] == pytest.approx(0.25)


def test_made_up_accuracy_is_that_of_its_items():
    record = made_up_classification(Cell("id", 0, 0.0), 1, "heading", 0.75, 0.5, items=40)
    for name in (SCORE, "test/accuracy"):
        assert score(items_of(record.measured.curves, name)) == record.measured.metrics[name]


@pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (0.5, -0.5, 0.25)])
def test_bootstrap_is_that_of_a_plain_loop(weights):
    rng = np.random.default_rng(4)
    first = some(rng)
    systems = [[like(first, rng) for _ in range(2)] for _ in weights]
    found = bootstrap(weights, systems, resamples=50, seed=3)
    samples = drawn_plainly(weights, systems, 50, 3)
    value = sum(
        w * np.mean([score(run) for run in s]) for w, s in zip(weights, systems, strict=True)
    )
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(samples, [0.025, 0.975])))
    assert found.value == pytest.approx(value)
    assert found.n == len({n for items in first.values() for n in items.numbers.tolist()})
    assert bootstrap(weights, systems, resamples=50, seed=3) == found


def test_many_items_are_drawn_in_parts_as_if_at_once():
    values = np.random.default_rng(6).random(5000)  # times 1000 resamples: more than one part
    found = bootstrap([1.0], [[means(range(5000), values)]], seed=3)
    rng = np.random.default_rng(3)
    plain = [values[rng.integers(5000, size=5000)].mean() for _ in range(1000)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])))


def test_resamples_without_anything_to_count_score_nothing():
    items = {"en": Items(np.arange(2), np.array([1.0, 0.0]), np.array([1.0, 0.0]))}
    found = bootstrap([1.0], [[items]])  # a quarter of the draws holds the second item alone
    assert found == (1.0, 0.0, 1.0, 2)


def test_a_constant_difference_has_an_interval_of_no_width():
    base = np.random.default_rng(0).random(50)
    systems = [[means(range(50), base + gain)] for gain in (0.1, 0.0)]
    found = bootstrap([1.0, -1.0], systems)
    assert found[:3] == pytest.approx((0.1, 0.1, 0.1))
    alone = bootstrap([1.0], systems[:1])
    assert alone.high - alone.low > 0.05


def test_an_item_is_drawn_with_its_translations():
    values = np.random.default_rng(1).random(40)
    names = [f"l{place}" for place in range(8)]
    together = {name: means(range(40), values)["en"] for name in names}
    apart = {
        name: means(range(40 * place, 40 * place + 40), values)["en"]
        for place, name in enumerate(names)
    }
    one, joint, independent = (
        bootstrap([1.0], [[items]]) for items in (means(range(40), values), together, apart)
    )
    # eight languages that are as hard item by item tell no more than one of them
    assert joint == pytest.approx(one)
    width = joint.high - joint.low
    assert independent.high - independent.low < 0.6 * width  # about 1/√8
    assert independent.value == pytest.approx(joint.value)


def test_seeds_share_the_draws_and_are_averaged():
    values = np.random.default_rng(2).random(30)
    one = bootstrap([1.0], [[means(range(30), values)]])
    three = bootstrap([1.0], [[means(range(30), values + shift) for shift in (-0.1, 0.0, 0.1)]])
    assert three == pytest.approx(one)


def test_order_of_items_changes_nothing():
    shuffled = dict(CURVES)
    for name, order in (("de", [2, 0, 3, 1]), ("ja", [2, 1, 0])):
        for column in (f"test/items/{name}", *_columns(name)):
            shuffled[column] = [CURVES[column][place] for place in order]
    for metric in (F1_OTHERS, F1_PARALLEL, "test/f1/de"):
        both = [[items_of(curves, metric)] for curves in (shuffled, CURVES)]
        assert bootstrap([1.0], both[:1]) == bootstrap([1.0], both[1:])
        assert bootstrap([1.0, -1.0], both)[:3] == pytest.approx((0, 0, 0))


def _columns(language):
    return f"test/f1/{language}/numerators", f"test/f1/{language}/denominators"


def test_other_test_sets_have_no_bootstrap():
    ours = items_of(CURVES, F1_OTHERS)
    other = items_of({**CURVES, "test/items/de": [0, 1, 3, 5]}, F1_OTHERS)
    fewer = items_of(CURVES, "test/f1/de")
    for unlike in (other, fewer, {}):
        assert bootstrap([1.0, -1.0], [[ours], [unlike]]) is None
        assert bootstrap([1.0], [[ours, unlike]]) is None  # another seed's
    assert bootstrap([1.0], [[ours]]) is not None
    assert bootstrap([1.0], [[]]) is None and bootstrap([], []) is None


def test_data_sets_are_drawn_by_themselves():
    values = np.random.default_rng(5).random(60)
    systems = [[means(range(60), values)], [means(range(60), -values)]]
    weights = (0.5, 0.5)
    # one data set: what is drawn from it takes itself off again
    assert bootstrap(weights, systems)[:3] == pytest.approx((0.0, 0.0, 0.0))
    apart = bootstrap(weights, systems, ["a", "b"])
    alone = bootstrap([0.5], systems[:1])
    assert apart.value == pytest.approx(0) and apart.n == 120
    ratio = (apart.high - apart.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(2), rel=0.15)  # variances add up
    # of other sizes too, and the systems of each are still paired
    short = means(range(20), values[:20])
    pairs = [*systems[:1] * 2, [short], [short]]
    found = bootstrap((0.5, -0.5, 0.5, -0.5), pairs, ["a", "a", "b", "b"])
    assert found[:3] == pytest.approx((0.0, 0.0, 0.0)) and found.n == 80
    assert bootstrap((0.5, -0.5, 0.5, -0.5), pairs, ["a", "b", "a", "b"]) is None


def coverage(weights, truth, apart, repetitions=60, size=60):
    """Share of simulated test sets whose interval holds the truth, in six languages.

    Items are as easy in every language; ``apart`` hides that from the bootstrap.
    """
    rng, covered = np.random.default_rng(0), 0
    for repetition in range(repetitions):
        ease = rng.beta(0.5, 0.5, size=size)
        marked = rng.integers(3, 8, size=(6, size))
        systems = [
            [
                {
                    str(place): Items(
                        np.arange(size) + apart * place * size,
                        rng.binomial(there, ease * (1 - loss)).astype(float),
                        there.astype(float),
                    )
                    for place, there in enumerate(marked)
                }
            ]
            for loss in (0.0, 0.2)[: len(weights)]
        ]
        found = bootstrap(weights, systems, resamples=200, seed=repetition)
        covered += found.low <= truth <= found.high
    return covered / repetitions


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    assert 0.85 <= coverage((1.0,), 0.5, apart=False) <= 1
    assert 0.85 <= coverage((1.0, -1.0), 0.1, apart=False) <= 1
    assert coverage((1.0,), 0.5, apart=True) < 0.75  # what drawing them together is for
