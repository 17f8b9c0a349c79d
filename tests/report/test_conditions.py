"""Records by condition: what a condition is called, and what may stand under it."""

from __future__ import annotations

import random

import pytest
from made_up.records import DATASETS, record, world

from idlib.report.conditions import Condition, by_condition, condition_of, method_name

ID = Condition("id", 0, 0.0)


@pytest.mark.parametrize(
    ("condition", "label"),
    [
        (ID, "intra-distillation, base model, s = 0"),
        (Condition("baseline", 1, 0.1), "baseline, student, s = 0.1"),
        (Condition("passes", 2, 0.1), "K passes, α = 0, second student, s = 0.1"),
        (Condition("compute", 3, 0.0), "K × the updates, student of round 3, s = 0"),
        (Condition("id", 0, 0.0, "heading"), "intra-distillation, base model, s = 0, heading"),
        (Condition("other", 0, 0.0), "other, base model, s = 0"),
    ],
)
def test_a_condition_is_named_by_method_role_smoothing_and_data_set(condition, label):
    assert condition.full_label == label
    assert label == f"{method_name(condition.method)}, {condition.label}"


def test_every_record_stands_under_its_condition_and_seed():
    records = world("classification")
    runs = by_condition(records)
    assert len(runs) == 6 * len(DATASETS) and all(list(each) == [1, 2, 3] for each in runs.values())
    for condition, by_seed in runs.items():
        for seed, one in by_seed.items():
            settings = one.asked.settings
            assert condition == (
                one.asked.method,
                settings["round"],
                settings["smoothing"],
                settings["dataset"],
            )
            assert one.asked.seed == seed and condition_of(one) == condition
    shuffled = random.Random(0).sample(records, len(records))
    assert list(by_condition(shuffled)) == list(runs) and by_condition(shuffled) == runs


def test_a_data_set_is_named_only_where_there_are_several():
    heading = Condition("id", 0, 0.0, "heading")
    named, unnamed = record("classification", heading), record("classification", ID)
    assert set(by_condition([named])) == {ID}
    assert set(by_condition([named, unnamed])) == {ID, heading}


def test_two_records_of_one_condition_and_seed_are_refused():
    one, twin = (record("images", ID, 1, alpha=alpha) for alpha in (1.0, 2.0))
    with pytest.raises(ValueError, match="intra-distillation, base model, s = 0, seed 1.*one grid"):
        by_condition([one, twin])
    assert by_condition([one, one]) == {ID: {1: one}}  # the same record twice is one


def test_records_of_several_tasks_are_refused():
    with pytest.raises(ValueError, match=r"one task .*'images', 'tagging'"):
        by_condition([record("tagging", ID), record("images", ID)])
