"""What is compared for each claim, from made-up records whose differences can be worked out."""

from __future__ import annotations

import random

import pytest
from made_up.records import (
    BLEU,
    F1_ENGLISH,
    F1_OTHERS,
    F1_PARALLEL,
    GAIN,
    HALF,
    NLL,
    SCORE,
    SEEDS,
    STD,
    TASKS,
    WORLD,
    Level,
    compared_in,
    line_of,
    record,
    world,
)

from idlib.metrics.names import LOSS, at
from idlib.report.claims import CLAIMS
from idlib.report.compared import EXCESS, compare
from idlib.report.conditions import Condition
from idlib.report.designs import DESIGNS, selection_of
from idlib.report.tasks import REPORTS, report_of

EVERY = pytest.mark.parametrize("task", TASKS)
ONE_ROUND = [task for task in TASKS if task not in ("images", "classification")]
GAINS = pytest.mark.parametrize("task", ONE_ROUND)  # one comparison in the task's quality
C5 = pytest.mark.parametrize("task", [t for t, one in DESIGNS.items() if "C5" in one.claims])
STD_AT_LOSS, NLL_AT_LOSS = at(STD, LOSS), at(NLL, LOSS)  # where C4 and C5 are judged


def scale(task):
    """What a difference in quality is in the records' unit."""
    return 100 if task == "translation" else 1


def first(task):
    return report_of(task).smoothings[0]


def named(found):
    return [(c.label, c.metric.key) for c in found.main]


# ---- of every task


@EVERY
def test_every_claim_of_a_task_is_compared_whatever_the_order_of_records(task):
    records = world(task)
    found = compare(records, task)
    assert tuple(found) == DESIGNS[task].claims
    for name, one in found.items():
        assert one.claim is CLAIMS[name] and one.task == task
        assert one.main and all(c.interval.n == SEEDS.get(task, 3) for c in one.main)
        assert all("95 % interval" in c.in_words() for c in one.main)
        places = [one.comparisons.index(c) for c in one.main]
        assert places == sorted(places) and (name == "C5" or places == [*range(len(places))])
    shuffled = random.Random(0).sample(records, len(records))
    assert compare(shuffled, task) == found
    other = record("images" if task != "images" else "tagging", Condition("id", 0, 0.0))
    assert compare([*records, other], task) == found  # records of other tasks are left out


@EVERY
def test_no_records_at_all(task):
    for found in compare([], task).values():
        assert {c.reason for c in found.comparisons} == {f"no records of {task}"}
        assert not any(c.interval for c in found.comparisons)


@EVERY
def test_what_is_missing_is_named_and_the_rest_is_compared(task):
    gain, quality = GAIN[task], DESIGNS[task].quality
    without = compared_in(task, {("passes", 0): None})
    base = f"base model, s = {first(task):g}"
    lacking = without["C8"].main[0]
    assert lacking.interval is None
    assert lacking.reason.startswith(f"no record of K passes, α = 0, {base}")
    assert without["C8"].main[-1].interval and without[gain].main[0].interval
    lacking = compared_in(task, drop=(quality,))[gain].main[0]
    assert lacking.reason.startswith(f"no {quality} of intra-distillation, {base}")


def test_a_task_without_a_design_and_another_grids_record_are_refused():
    with pytest.raises(ValueError, match="'music'; choose one of images, translation"):
        compare([], "music")
    assert list(DESIGNS) == list(REPORTS) == list(TASKS)
    swept = record("translation", Condition("id", 0, 0.1), epochs=3)
    with pytest.raises(ValueError, match="pass records of one grid"):
        compare([*world("translation"), swept], "translation")


# ---- C1, C2, C3, C7: the gain in the task's quality


@GAINS
def test_the_gain_is_the_paired_difference_in_the_tasks_quality(task):
    found, unit = compared_in(task)[GAIN[task]], scale(task)
    (line,) = found.main
    label = f"against the baseline, s = {first(task):g}"
    assert named(found) == [(label, DESIGNS[task].quality)]
    gain, half = 0.04 * unit, HALF[3] * unit
    assert line.interval == pytest.approx((gain, gain - half, gain + half, 3))
    assert line.better == "above" and line.seeds == (1, 2, 3)
    assert len(line.signatures) == 6
    assert line.in_words() == "+4.00 points (95 % interval +3.75 to +4.25)"


@pytest.mark.parametrize(
    ("task", "beside"),
    [
        ("translation", {"test/chrf": 2.0, NLL: -0.2}),
        ("tagging", {F1_PARALLEL: 0.04, F1_ENGLISH: 0.02, NLL: -0.2, "test/nll/others": -0.4}),
        (
            "answering",
            {"test/em/others": 0.02, F1_ENGLISH: 0.02, NLL: -0.2, "test/nll/others": -0.4},
        ),
        ("classification", {NLL: -0.6}),
        ("images", {"test/accuracy": 0.04, "test/nll/calibrated": -0.1}),
    ],
)
def test_what_stands_beside_the_gain(task, beside):
    found = compared_in(task)[GAIN[task]]
    label = found.main[0].label
    lines = {c.metric.key: c for c in found.comparisons if c.label == label and not c.main}
    assert {key: line.interval.mean for key, line in lines.items()} == pytest.approx(beside)
    for key, line in lines.items():
        assert line.better == ("below" if "nll" in key else "above")


@pytest.mark.parametrize(
    ("task", "claim", "key", "differences"),
    [
        ("translation", "C1", BLEU, [35.11 - 32.90]),
        ("tagging", "C2", F1_ENGLISH, [0.83412 - 0.82353]),
        ("answering", "C3", F1_ENGLISH, [0.66853 - 0.6354]),
        ("images", "C6", NLL, [-0.085, -0.12, -0.164, -0.023]),
        ("images", "C4", STD_AT_LOSS, [0.001196, 0.0013, 0.007906, 0.0002]),
        ("images", "C5", NLL_AT_LOSS, [-0.011, 0.092, 0.057, -0.1035, -0.075, 0.066]),
        ("images", "C4", "sensitivity/std@last", [None] * 4),
        ("images", "C8", NLL, [None, None]),
        ("classification", "C7", SCORE, [None] * 2),
    ],
)
def test_comparisons_carry_the_earlier_reports_difference(task, claim, key, differences):
    found = compared_in(task)[claim].comparisons
    assert [c.earlier_report for c in found if c.metric.key == key] == pytest.approx(differences)


def test_each_data_set_is_compared_by_itself():
    found = compared_in("classification")["C7"]
    label = "against the baseline, s = 0, "
    for key, sign in ((SCORE, 0.04), (NLL, -0.2)):
        for name, share in (("application", 3), ("heading", -1)):
            line = line_of(found, label + name, key)
            assert line.interval.mean == pytest.approx(sign * share)
            assert line.main == (key == SCORE)
    assert len(found.comparisons) == 4


def test_one_data_set_alone_is_compared_without_its_name():
    heading = [r for r in world("classification") if r.asked.settings["dataset"] == "heading"]
    found = compare(heading, "classification")
    assert named(found["C7"]) == [("against the baseline, s = 0", SCORE)]
    assert found["C7"].main[0].interval.mean == pytest.approx(-0.04)


# ---- C6: images, each pair


def test_c6_has_each_pair_by_itself():
    c6 = compared_in("images")["C6"]
    each = {c.label: c.interval.mean for c in c6.main}
    # −0.20 and −0.11 without smoothing, a tenth more with it
    assert each == pytest.approx(
        {
            "base model, s = 0": -0.20,
            "student, s = 0": -0.11,
            "base model, s = 0.1": -0.22,
            "student, s = 0.1": -0.121,
        }
    )
    assert {c.metric.key for c in c6.main} == {NLL} and len(c6.comparisons) == 12


# ---- C4: balance of sensitivity


def test_c4_has_both_kinds_of_distillation_at_each_smoothing():
    expected = {
        "intra-distillation − baseline, base model, s = 0": -0.2e-3,
        "intra-distillation − baseline, base model, s = 0.1": -0.22e-3,
        "baseline, student − base model, s = 0": -0.1e-3,
        "baseline, student − base model, s = 0.1": -0.11e-3,
    }
    c4 = compared_in("images")["C4"]
    assert named(c4) == [(label, STD_AT_LOSS) for label in expected]
    assert {c.label: c.interval.mean for c in c4.main} == pytest.approx(expected)
    kinds = ("std@loss", "cv@loss", "std_normalized@loss", "gini@loss", "std@last", "cv@last")
    others = {f"sensitivity/{name}" for name in kinds}
    assert {c.metric.key for c in c4.comparisons if c.better == "below"} == others
    training = [c for c in c4.comparisons if c.metric.key == "train/nll@loss"]
    assert len(training) == 4 and {c.better for c in training} == {None}
    label = compared_in("translation")["C4"].main[0].label
    assert label == "intra-distillation − baseline, base model, s = 0.1"


# ---- C5: whether distillation still helps after intra-distillation


@C5
def test_c5_is_the_paired_difference_of_gains(task):
    c5, s, key = compared_in(task)["C5"], first(task), at(NLL, selection_of(task, "C5"))
    line = line_of(c5, f"{EXCESS}student, s = {s:g}", key)
    # distillation takes 0.01 off with intra-distillation and 0.10 off the baseline: 0.01 − 0.10/2
    half = HALF[SEEDS.get(task, 3)]
    assert line.interval == pytest.approx((-0.04, -0.04 - half, -0.04 + half, len(line.seeds)))
    assert line.main and named(c5)[0] == (line.label, key)
    assert len(c5.main) == len(report_of(task).smoothings)
    for method, change in (("baseline", -0.1), ("intra-distillation", -0.01)):
        beside = line_of(c5, f"{method}, student − base model, s = {s:g}", key)
        assert beside.interval.mean == pytest.approx(change) and not beside.main


@pytest.mark.parametrize(
    ("task", "key", "gains"),
    [
        ("translation", BLEU, [2.0, 0.5]),
        ("tagging", "test/f1_parallel/others", [0.02, 0.005]),
        ("answering", F1_OTHERS, [0.02, 0.005]),
    ],
)
def test_c5_has_the_quality_of_the_rounds_beside_it(task, key, gains):
    beside = [c for c in compared_in(task)["C5"].comparisons if c.metric.key == key]
    assert [c.interval.mean for c in beside] == pytest.approx(gains)
    assert {c.better for c in beside} == {None}


def test_c4_and_c5_are_compared_at_the_checkpoint_that_the_protocol_judges():
    """Where the best SacreBLEU comes after the lowest loss, the two say different things."""
    at_loss = {  # by method and round: loss, std of sensitivity in thousandths, SacreBLEU
        ("baseline", 0): (2.0, 4.0, 17.0),
        ("baseline", 1): (1.9, 3.0, 18.0),
        ("id", 0): (1.8, 5.0, 20.0),
        ("id", 1): (1.77, 4.0, 21.0),
    }
    made = [
        record(
            "translation",
            Condition(method, round_, 0.1),
            seed,
            WORLD[method, round_],
            metrics={
                NLL_AT_LOSS: nll,
                STD_AT_LOSS: std / 1000,
                at(BLEU, LOSS): bleu,
                "selected/step": 30.0,
            },
            items=24,
        )
        for (method, round_), (nll, std, bleu) in at_loss.items()
        for seed in (1, 2, 3)
    ]
    found = compare(made, "translation")
    c4 = {c.label: c.interval.mean for c in found["C4"].main}
    assert list(c4.values()) == pytest.approx([0.001, -0.001])
    (excess,) = found["C5"].main
    assert excess.interval.mean == pytest.approx(0.03 - 0.1 / 2)
    assert excess.items is None, "of that checkpoint no items are kept"
    student = "baseline, student − base model, s = 0.1"
    for key, mean in ((BLEU, 2.0), (at(BLEU, LOSS), 1.0)):
        assert line_of(found["C5"], student, key).interval.mean == pytest.approx(mean)
    same = world("translation", items=24)  # one checkpoint by both rules: its items are kept
    assert compare(same, "translation")["C5"].main[0].items is not None


def test_a_second_round_is_compared_where_there_is_one():
    second = {("baseline", 2): Level(2.35, 0.43), ("id", 2): Level(2.28, 0.446)}
    main = compared_in("translation", second)["C5"].main
    assert [c.label for c in main] == [
        f"{EXCESS}student, s = 0.1",
        f"{EXCESS}second student, s = 0.1",
    ]
    # 0.02 off with intra-distillation, 0.15 off the baseline's base model
    assert main[1].interval.mean == pytest.approx(0.02 - 0.15 / 2)


# ---- C8: the two controls


@GAINS
def test_c8_is_against_each_control(task):
    found, unit = compared_in(task)["C8"], scale(task)
    assert {c.label: c.interval.mean for c in found.main} == pytest.approx(
        {"against K passes, α = 0": 0.03 * unit, "against K × the updates": 0.05 * unit}
    )
