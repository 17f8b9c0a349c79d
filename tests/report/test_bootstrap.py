"""The bootstrap over seeds and items: as a plain loop, as SacreBLEU's, and its coverage."""

from __future__ import annotations

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from idlib.metrics import bleu
from idlib.metrics.items import RATIO, Items, items_of, score
from idlib.report.bootstrap import bootstrap

WORDS = "the a file menu opens closes saves document , . page Page's (first) 12.5 % über ß".split()


def means(numbers, values):
    """One language whose score is the mean of these values."""
    return {"en": Items(np.array(numbers), np.array([values, np.ones(len(values))], float))}


def some(rng, size=12):
    """Items of two languages that share part of their numbers, with scores like span F1."""
    made = {}
    for name in ("de", "ja"):
        numbers = np.sort(rng.choice(size, size=size - 3, replace=False))
        below = rng.integers(0, 5, size=len(numbers)).astype(float)
        made[name] = Items(numbers, np.stack([np.floor(below * rng.random(len(numbers))), below]))
    return made


def like(items, rng):
    """Another system's scores on the same items."""
    return {
        name: one._replace(
            statistics=np.stack(
                [np.floor(one.statistics[1] * rng.random(len(one.numbers))), one.statistics[1]]
            )
        )
        for name, one in items.items()
    }


def drawn_plainly(weights, systems, resamples, seed, how=RATIO):
    """The resampled statistic, one draw after another, from dictionaries by item."""
    numbers = sorted({int(n) for items in systems[0][0].values() for n in items.numbers})
    rng, n_seeds = np.random.default_rng(seed), len(systems[0])
    seeds = np.random.default_rng([seed, n_seeds]).choice(n_seeds, size=(resamples, n_seeds))
    totals = []
    for resample in range(resamples):
        draw = [numbers[place] for place in rng.choice(len(numbers), size=len(numbers))]
        total = 0.0
        for weight, system in zip(weights, systems, strict=True):
            for run in [system[place] for place in seeds[resample]]:
                for items in run.values():
                    parts = dict(zip(items.numbers.tolist(), items.statistics.T, strict=True))
                    sums = np.sum([parts[n] for n in draw if n in parts], axis=0)
                    value = how.of_sums(np.array(sums)[:, None]).item()
                    total += weight * value / len(run) / len(system)
        totals.append(total)
    return np.quantile(totals, [0.025, 0.975]).tolist()


@pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (0.5, -0.5, 0.25)])
def test_it_is_that_of_a_plain_loop(weights):
    rng = np.random.default_rng(4)
    first = some(rng)
    systems = [[like(first, rng) for _ in range(2)] for _ in weights]
    interval = bootstrap(weights, systems, resamples=50, seed=3)
    assert [interval.low, interval.high] == pytest.approx(drawn_plainly(weights, systems, 50, 3))
    assert interval.mean == pytest.approx(
        sum(w * np.mean([score(run) for run in s]) for w, s in zip(weights, systems, strict=True))
    )
    assert interval.n == len({n for items in first.values() for n in items.numbers.tolist()})
    assert bootstrap(weights, systems, resamples=50, seed=3) == interval


def corpora(drops, size=40, seed=0):
    """References, and for each share hypotheses that lack about so many of their words."""
    rng = np.random.default_rng(seed)
    references = [" ".join(rng.choice(WORDS, size=rng.integers(2, 14))) for _ in range(size)]
    return references, [
        [" ".join(w for w in line.split() if rng.random() > drop) or "a" for line in references]
        for drop in drops
    ]


def bleu_items(hypotheses, references):
    curves = bleu.as_curves(bleu.sentence_statistics(hypotheses, references))
    return items_of(curves, "test/bleu", bleu.ITEMS)


def test_seeds_in_sacrebleu_enter_by_the_mean_of_their_scores():
    """And not of their statistics."""
    references, hypotheses = corpora((0.05, 0.2, 0.1, 0.3), size=25)
    runs = [bleu_items(one, references) for one in hypotheses]
    systems = [runs[:2], runs[2:]]
    interval = bootstrap((1.0, -1.0), systems, bleu.ITEMS, resamples=40, seed=3)
    plain = drawn_plainly((1.0, -1.0), systems, 40, 3, bleu.ITEMS)
    assert [interval.low, interval.high] == pytest.approx(plain)
    first, second, *others = [bleu.score(one, references).bleu for one in hypotheses]
    assert interval.mean == pytest.approx((first + second - sum(others)) / 2)
    assert abs(first - second) > 1  # or this would not tell the two apart


def test_one_system_is_sacrebleus_bootstrap():
    """Of 1,001 resamples both take the same two as bounds, of 1,000 we interpolate."""
    references, (first, second) = corpora((0.10, 0.14))
    metrics = {"BLEU": BLEU(references=[references])}
    test = PairedTest([("a", first), ("b", second)], metrics, None, "bs", n_samples=1001)
    for hypotheses, theirs in zip((first, second), test()[1]["BLEU"], strict=True):
        items = bleu_items(hypotheses, references)
        ours = bootstrap([1.0], [[items]], bleu.ITEMS, resamples=1001)
        assert ours.mean == pytest.approx(theirs.score, abs=1e-9)
        assert (ours.high - ours.low) / 2 == pytest.approx(theirs.ci, abs=1e-6)  # in float32
        assert ours.low < theirs.mean < ours.high  # of the resamples


def test_many_items_are_drawn_in_parts_as_if_at_once():
    values = np.random.default_rng(6).random(5000)  # times 1000 resamples: more than one part
    interval = bootstrap([1.0], [[means(range(5000), values)]])
    drawn = np.random.default_rng(12345).choice(5000, size=(1000, 5000))
    expected = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    assert [interval.low, interval.high] == pytest.approx(expected.tolist())


def test_resamples_without_anything_to_count_score_nothing():
    items = {"en": Items(np.arange(2), np.array([[1.0, 0.0], [1.0, 0.0]]))}
    # a quarter of the draws holds the second item alone
    assert bootstrap([1.0], [[items]]) == (1.0, 0.0, 1.0, 2)


def test_a_constant_difference_has_an_interval_of_no_width():
    base = np.random.default_rng(0).random(50)
    systems = [[means(range(50), base + gain)] for gain in (0.1, 0.0)]
    assert bootstrap([1.0, -1.0], systems)[:3] == pytest.approx((0.1, 0.1, 0.1))
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
    assert independent.mean == pytest.approx(joint.mean)


def test_items_that_are_all_equal_leave_the_bootstrap_over_seeds():
    levels = [0.1, 0.4, 0.3, 0.8]
    interval = bootstrap([1.0], [[means(range(30), np.full(30, one)) for one in levels]])
    drawn = np.random.default_rng([12345, 4]).choice(4, size=(1000, 4))
    expected = np.quantile(np.array(levels)[drawn].mean(axis=1), [0.025, 0.975])
    assert [interval.low, interval.high] == pytest.approx(expected.tolist())
    paired = [[means(range(30), np.full(30, x + gain)) for x in levels] for gain in (0.2, 0.0)]
    assert bootstrap([1.0, -1.0], paired)[:3] == pytest.approx((0.2, 0.2, 0.2))


def test_systems_of_other_numbers_of_seeds_are_refused():
    one = means(range(30), np.zeros(30))
    with pytest.raises(ValueError, match=r"systems of \[1, 2\] seeds are not paired"):
        bootstrap([1.0, -1.0], [[one], [one, one]])


def test_it_covers_what_another_seed_on_another_test_set_would_give():
    """Where an interval over the items alone, of as many models, falls far short."""
    rng = np.random.default_rng(7)
    covered, of_items = 0, 0
    for _ in range(120):
        ease = rng.normal(0, 1.0, size=200)
        runs = [means(range(200), ease + shift) for shift in rng.normal(0, 0.4, size=10)]
        both = bootstrap([1.0], [runs], resamples=200)
        mean = means(range(200), np.mean([run["en"].statistics[0] for run in runs], axis=0))
        alone = bootstrap([1.0], [[mean]], resamples=200)
        covered += both.low <= 0 <= both.high
        of_items += alone.low <= 0 <= alone.high
    assert covered / 120 >= 0.87 and of_items / 120 < 0.8


def test_other_test_sets_have_no_bootstrap():
    ours = some(np.random.default_rng(3))
    moved = ours["de"]._replace(numbers=ours["de"].numbers + 1)
    for unlike in ({**ours, "de": moved}, {"de": ours["de"]}, {}):
        assert bootstrap([1.0, -1.0], [[ours], [unlike]]) is None
        assert bootstrap([1.0], [[ours, unlike]]) is None  # another seed's
    assert bootstrap([1.0], [[ours]]) is not None
    assert bootstrap([1.0, -1.0], [[ours], []]) is None  # a system that nobody ran
    assert bootstrap([1.0], [[]]) is None and bootstrap([], []) is None
    assert bootstrap([1.0], [[means([], [])]]) is None


def test_data_sets_are_drawn_by_themselves():
    values = np.random.default_rng(5).random(60)
    systems = [[means(range(60), values)], [means(range(60), -values)]]
    weights = (0.5, 0.5)
    # one data set: what is drawn from it takes itself off again
    assert bootstrap(weights, systems)[:3] == pytest.approx((0.0, 0.0, 0.0))
    apart = bootstrap(weights, systems, datasets=["a", "b"])
    alone = bootstrap([0.5], systems[:1])
    assert apart.mean == pytest.approx(0) and apart.n == 120
    ratio = (apart.high - apart.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(2), rel=0.15)  # variances add up
    # of other sizes too, and the systems of each are still paired
    short = means(range(20), values[:20])
    pairs, weights = [*systems[:1] * 2, [short], [short]], (0.5, -0.5, 0.5, -0.5)
    interval = bootstrap(weights, pairs, datasets=["a", "a", "b", "b"])
    assert interval[:3] == pytest.approx((0.0, 0.0, 0.0)) and interval.n == 80
    assert bootstrap(weights, pairs, datasets=["a", "b", "a", "b"]) is None


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
                        np.array([rng.binomial(there, ease * (1 - loss)), there], float),
                    )
                    for place, there in enumerate(marked)
                }
            ]
            for loss in (0.0, 0.2)[: len(weights)]
        ]
        interval = bootstrap(weights, systems, resamples=200, seed=repetition)
        covered += interval.low <= truth <= interval.high
    return covered / repetitions


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    assert 0.85 <= coverage((1.0,), 0.5, apart=False) <= 1
    assert 0.85 <= coverage((1.0, -1.0), 0.1, apart=False) <= 1
    assert coverage((1.0,), 0.5, apart=True) < 0.75  # what drawing them together is for
