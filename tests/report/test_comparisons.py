"""Comparisons seed by seed: what is paired, what is left out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from made_up.records import HALF, NLL, SCORE, Level, record, world

from idlib.metrics.items import items_of
from idlib.report.bootstrap import bootstrap
from idlib.report.comparisons import Contrast, Runs, difference, student_minus_base
from idlib.report.conditions import Condition
from idlib.report.statistics import t_interval

BASELINE, ID = Condition("baseline", 0, 0.0), Condition("id", 0, 0.0)
PAIR = difference("ours", ID, BASELINE)


def images(levels, **more):
    """Image records of these test NLLs by condition and seed, in the order given."""
    return [
        record("images", condition, seed, Level(nll, 0.5), **more)
        for condition, by_seed in levels.items()
        for seed, nll in by_seed.items()
    ]


def test_a_comparison_carries_all_that_is_known_of_it():
    records = world("images", items=6)
    compared = Runs(records, "images").compare(PAIR, NLL, "below", main=True)
    assert (compared.label, compared.metric.key, compared.better) == ("ours", NLL, "below")
    assert compared.interval == pytest.approx((-0.2, -0.2 - HALF[5], -0.2 + HALF[5], 5))
    assert (compared.reason, compared.main) == ("", True)
    assert compared.earlier_report == pytest.approx(0.480 - 0.565)
    assert compared.seeds == (1, 2, 3, 4, 5)
    behind = [r for r in records if r.asked.settings["round"] == r.asked.settings["smoothing"] == 0]
    of_pair = [r for r in behind if r.asked.method in ("id", "baseline")]
    assert compared.signatures == tuple(sorted(r.signature for r in of_pair))
    assert compared.in_words() == "−0.200 nats (95 % interval −0.201 to −0.199)"


def test_a_contrast_is_a_weighted_sum_of_any_conditions():
    student = student_minus_base("id", 1, 0.1)
    assert student.label == "intra-distillation, student − base model, s = 0.1"
    assert student.terms == ((1.0, Condition("id", 1, 0.1)), (-1.0, Condition("id", 0, 0.1)))
    assert Contrast("", ((0.5, ID), (0.25, BASELINE))).of({ID: 2.0, BASELINE: 4.0}) == 2.0


def test_pairs_are_of_one_seed_and_seeds_that_one_side_lacks_are_left_out():
    # seeds differ far more than methods: only pairs can tell, and only pairs of one seed
    level = {1: 0.1, 2: 0.9, 3: 0.3, 4: 0.7, 5: 0.5}
    gains = {2: 0.01, 3: 0.06, 4: -0.01}
    records = images(
        {
            BASELINE: {seed: level[seed] for seed in (1, 2, 3, 4)},
            ID: {seed: level[seed] - gains.get(seed, 0.0) for seed in (5, 4, 3, 2)},
        },
        items=8,
    )
    compared = Runs(records, "images").compare(PAIR, NLL, "below")
    assert compared.seeds == (2, 3, 4)
    assert compared.interval == pytest.approx(t_interval([-0.01, -0.06, 0.01]))
    assert compared.items.mean == pytest.approx(-0.02)
    assert set(compared.signatures) == {r.signature for r in records if r.asked.seed in (2, 3, 4)}


def test_the_mean_over_seeds_has_a_bootstrap_over_items():
    base = np.random.default_rng(0).gamma(1.0, 0.5, size=40)
    records = images({BASELINE: {1: 0.5, 2: 0.7}, ID: {1: 0.4, 2: 0.5}})
    for one in records:
        one.measured.curves["test/nll/items"] = (base * one.measured.metrics[NLL]).tolist()
    of_pair = Runs(records, "images").compare(PAIR, NLL)
    systems = [
        [items_of(r.measured.curves, NLL) for r in part] for part in (records[2:], records[:2])
    ]
    assert of_pair.items == bootstrap([1.0, -1.0], systems)
    assert of_pair.items.n == 40
    assert Runs(records, "images").compare(PAIR, "test/accuracy").items is None  # none are kept
    records[0].measured.curves["test/nll/items"] = [0.1]  # another test set
    assert Runs(records, "images").compare(PAIR, NLL).items is None


@pytest.mark.parametrize("sizes", [(40, 100), (50, 50)])
def test_a_mean_over_data_sets_has_a_bootstrap_over_the_items_of_each(sizes):
    """Of other sizes or not: their items have only numbers in common."""
    records = [
        one
        for dataset, size in zip(("application", "heading"), sizes, strict=True)
        for one in world("classification", items=size)
        if one.asked.settings["dataset"] == dataset
    ]
    each = [
        difference(name, Condition("id", 0, 0.0, name), Condition("baseline", 0, 0.0, name))
        for name in ("application", "heading")
    ]
    both = Contrast("mean", tuple((w / 2, c) for one in each for w, c in one.terms))
    runs = Runs(records, "classification")
    for key in (SCORE, NLL):
        single = [runs.compare(one, key).items for one in each]
        assert tuple(one.n for one in single) == sizes
        mean = runs.compare(both, key).items
        assert mean.n == sum(sizes)
        assert mean.mean == pytest.approx(sum(one.mean for one in single) / 2)
        widths = [one.high - one.low for one in single]
        assert mean.high - mean.low == pytest.approx(np.hypot(*widths) / 2, rel=0.2)


@pytest.mark.parametrize(
    ("levels", "key", "reason"),
    [
        ({}, NLL, "no records of images"),
        ({ID: {1: 0.5}}, NLL, "no record of baseline, base model, s = 0"),
        (
            {Condition("passes", 0, 0.0): {1: 0.5}},
            NLL,
            "no record of intra-distillation, base model, s = 0, nor of baseline, base model,",
        ),
        (
            {ID: {1: 0.5}, BASELINE: {1: 0.6}},
            "test/music",
            "no test/music of intra-distillation, base model, s = 0, nor of baseline, base model,",
        ),
        ({ID: {1: 0.5}, BASELINE: {2: 0.5}}, NLL, "no seed that all records of ours have"),
    ],
)
def test_what_is_lacking_is_named(levels, key, reason):
    compared = Runs(images(levels), "images").compare(PAIR, key, "below", main=True)
    assert compared.reason.startswith(reason)
    assert compared.interval is compared.items is None
    assert compared.in_words() == compared.reason and compared.main
    assert compared.seeds == compared.signatures == ()


def test_one_seed_has_a_difference_without_an_interval():
    compared = Runs(images({ID: {1: 0.4}, BASELINE: {1: 0.6}}), "images").compare(
        PAIR, NLL, "below"
    )
    assert compared.in_words() == "−0.200 nats" and not compared.reason


def test_records_of_two_profiles_or_tasks_and_unknown_tasks_are_refused():
    with pytest.raises(ValueError, match=r"one profile .*'medium', 'small'"):
        Runs([record("images", ID), record("images", ID, 2, profile="small")], "images")
    with pytest.raises(ValueError, match=r"one task .*'images', 'tagging'"):
        Runs([record("images", ID), record("tagging", ID)], "images")
    with pytest.raises(ValueError, match="'music'; choose one of"):
        Runs([], "music")
