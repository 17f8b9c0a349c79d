"""Verdicts on the claims, from made-up records whose differences can be worked out by hand."""

from __future__ import annotations

import random

import pytest
from made_up.records import (
    BLEU,
    F1_ENGLISH,
    F1_OTHERS,
    GAIN,
    HALF,
    NLL,
    SCORE,
    STD,
    TASKS,
    WORLD,
    Level,
    judged,
    line_of,
    record,
    world,
)

from idlib.report.claims import CLAIMS
from idlib.report.conditions import Condition
from idlib.report.designs import DESIGNS, tasks_of
from idlib.report.outcomes import EXCESS, verdicts
from idlib.report.tasks import REPORTS, report_of

EVERY = pytest.mark.parametrize("task", TASKS)
ONE_ROUND = [task for task in TASKS if task != "images"]  # judged by base models alone
GAINS = pytest.mark.parametrize("task", ONE_ROUND)
C5 = pytest.mark.parametrize("task", tasks_of("C5"))
MEAN = ", mean of application and heading"


def scale(task):
    """What a difference in quality is in the records' unit."""
    return 100 if task == "translation" else 1


def first(task):
    return report_of(task).smoothings[0]


def against(task, control="the baseline"):
    """The label of the comparison that decides."""
    smoothing = f", s = {first(task):g}" if control == "the baseline" else ""
    return f"against {control}{smoothing}{MEAN if task == 'classification' else ''}"


def named(verdict):
    return [(c.label, c.metric.key) for c in verdict.primary]


# ---- of every task


@EVERY
def test_all_is_supported_in_a_world_made_so(task):
    records = world(task)
    found = verdicts(records, task)
    assert {name: v.outcome for name, v in found.items()} == dict.fromkeys(
        DESIGNS[task].rules, "supported"
    )
    for name, verdict in found.items():
        assert verdict.claim is CLAIMS[name] and verdict.task == task and not verdict.reason
        n = DESIGNS[task].seeds
        assert (verdict.n_seeds, verdict.profile) == (n, "medium")
        assert verdict.sentence == f"Supported: {verdict.explanation}."
        assert verdict.explanation == f"{verdict.finding} ({n} seeds, profile medium)"
        assert verdict.finding.count("95 % interval") == len(verdict.primary) > 0
    shuffled = random.Random(0).sample(records, len(records))
    assert verdicts(shuffled, task) == found
    other = record("images" if task != "images" else "tagging", Condition("id", 0, 0.0))
    assert verdicts([*records, other], task) == found  # records of other tasks are left out


@EVERY
@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"seeds": (1, 2)}, "2 seeds, where {} are needed"),
        ({"seeds": (1,)}, "1 seed, where {} are needed"),
        ({"profile": "small"}, "profile small is below medium"),
    ],
)
def test_too_few_seeds_or_too_small_a_profile_is_not_judged(task, made, reason):
    for verdict in judged(task, **made).values():
        assert verdict.outcome == "not judged"
        assert verdict.reason == reason.format(DESIGNS[task].seeds)
        assert verdict.sentence.startswith(f"Not judged ({verdict.reason}): {verdict.finding} (")
        assert verdict.explanation.startswith(f"({verdict.reason}) {verdict.finding} (")
        assert verdict.finding and all(c.interval for c in verdict.primary)  # yet measured
        assert {c.outcome for c in verdict.comparisons} <= {"not judged", "context"}


@EVERY
def test_no_records_at_all(task):
    for verdict in verdicts([], task).values():
        assert verdict.outcome == "not judged" and verdict.reason == f"no records of {task}"
        assert verdict.n_seeds == 0 and not verdict.finding
        assert verdict.sentence == f"Not judged (no records of {task}) (0 seeds, profile none)."


@EVERY
def test_what_is_missing_is_named_and_the_rest_is_judged(task):
    gain, quality = GAIN[task], DESIGNS[task].quality
    without = judged(task, {("passes", 0): None})
    base = f"base model, s = {first(task):g}"
    assert without["C8"].outcome == "not judged"
    assert f"no record of K passes, α = 0, {base}" in without["C8"].reason
    assert without["C8"].primary[1].outcome == without[gain].outcome == "supported"
    lacking = judged(task, drop=(quality,))[gain]
    assert lacking.outcome == "not judged"
    assert lacking.reason.startswith(f"no {quality} of intra-distillation, {base}")


def test_a_claim_has_the_seeds_of_the_comparison_that_has_fewest():
    records = [r for r in world("images") if r.asked.method != "compute" or r.asked.seed < 4]
    c8 = verdicts(records, "images")["C8"]
    assert [len(c.seeds) for c in c8.primary] == [5, 3] and c8.n_seeds == 3
    assert (c8.outcome, c8.reason) == ("not judged", "3 seeds, where 5 are needed")
    # a seed that one data set lacks is left out of the mean, and then there are too few
    records = world("classification")
    fewer = [r for r in records if (r.asked.seed, r.asked.settings["dataset"]) != (3, "heading")]
    assert verdicts(fewer, "classification")["C7"].reason == "2 seeds, where 3 are needed"


def test_a_task_without_rules_and_another_grids_record_are_refused():
    with pytest.raises(ValueError, match="'music'; choose one of images, translation"):
        verdicts([], "music")
    assert list(DESIGNS) == list(REPORTS) == list(TASKS)
    swept = record("translation", Condition("id", 0, 0.1), epochs=3)
    with pytest.raises(ValueError, match="pass records of one grid"):
        verdicts([*world("translation"), swept], "translation")


# ---- C1, C2, C3, C7: the gain in the task's quality


@GAINS
def test_the_gain_is_the_paired_difference_in_the_tasks_quality(task):
    verdict, unit = judged(task)[GAIN[task]], scale(task)
    (line,) = verdict.primary
    assert named(verdict) == [(against(task), DESIGNS[task].quality)]
    gain, half = 0.04 * unit, HALF[3] * unit
    assert line.interval == pytest.approx((gain, gain - half, gain + half, 3))
    assert line.claimed == "above" and line.seeds == (1, 2, 3)
    assert len(line.signatures) == 6 * (2 if task == "classification" else 1)
    name = report_of(task).metric(DESIGNS[task].quality).name
    assert verdict.finding == (
        f"intra-distillation changes the {name} by +4.00 points "
        f"(95 % interval +3.75 to +4.25) {against(task)}"
    )


@GAINS
@pytest.mark.parametrize(
    ("quality", "outcome"), [(0.41, "supported"), (0.401, "undecided"), (0.39, "contradicted")]
)
def test_the_gain_says_what_its_interval_says(task, quality, outcome):
    changed = judged(task, {("id", 0): Level(2.3, quality)})[GAIN[task]]  # HALF is 0.0025
    assert changed.outcome == outcome
    assert changed.sentence.startswith(f"{outcome.capitalize()}: ")


@pytest.mark.parametrize(
    ("task", "beside"),
    [
        ("translation", {"test/chrf": 2.0, NLL: -0.2}),
        ("tagging", {F1_OTHERS: 0.04, F1_ENGLISH: 0.02, NLL: -0.2, "test/nll/others": -0.4}),
        (
            "answering",
            {"test/em/others": 0.02, F1_ENGLISH: 0.02, NLL: -0.2, "test/nll/others": -0.4},
        ),
        ("classification", {NLL: -0.2}),
        ("images", {"test/accuracy": 0.034125, "test/nll/calibrated": -0.081375}),
    ],
)
def test_what_stands_beside_the_gain(task, beside):
    verdict = judged(task)[GAIN[task]]
    label = verdict.primary[0].label
    lines = {c.metric.key: c for c in verdict.comparisons if c.label == label and not c.primary}
    assert {key: line.interval.mean for key, line in lines.items()} == pytest.approx(beside)
    for key, line in lines.items():
        assert line.claimed == ("below" if "nll" in key else "above")
        assert line.outcome == "supported"


@pytest.mark.parametrize(
    ("task", "claim", "key", "differences"),
    [
        ("translation", "C1", BLEU, [35.11 - 32.90]),
        ("tagging", "C2", F1_ENGLISH, [0.83412 - 0.82353]),
        ("answering", "C3", F1_ENGLISH, [0.66853 - 0.6354]),
        ("images", "C6", NLL, [-0.098, -0.085, -0.12, -0.164, -0.023]),
        ("images", "C4", STD, [0.001196, 0.0013, 0.007906, 0.0002]),
        ("images", "C5", NLL, [-0.011, 0.092, 0.057, -0.1035, -0.075, 0.066]),
        ("images", "C8", NLL, [None, None]),
        ("classification", "C7", SCORE, [None] * 3),
    ],
)
def test_comparisons_carry_the_earlier_reports_difference(task, claim, key, differences):
    lines = [c.earlier_report for c in judged(task)[claim].comparisons if c.metric.key == key]
    assert lines == pytest.approx(differences)


def test_each_data_set_has_comparisons_that_do_not_decide():
    verdict = judged("classification")["C7"]
    label = "against the baseline, s = 0, "
    for key, sign in ((SCORE, 0.04), (NLL, -0.2)):
        for name, share, outcome in (
            ("mean of application and heading", 1, "supported"),
            ("application", 3, "supported"),
            ("heading", -1, "contradicted"),
        ):
            line = line_of(verdict, label + name, key)
            assert line.interval.mean == pytest.approx(sign * share)
            assert line.outcome == outcome
    assert len(verdict.comparisons) == 6


def test_one_data_set_alone_is_judged_without_its_name():
    heading = [r for r in world("classification") if r.asked.settings["dataset"] == "heading"]
    found = verdicts(heading, "classification")
    assert named(found["C7"]) == [("against the baseline, s = 0", SCORE)]
    assert found["C7"].primary[0].interval.mean == pytest.approx(-0.04)
    assert {v.outcome for v in found.values()} == {"contradicted"}


# ---- C6: images, the mean over four pairs


def test_c6_is_the_mean_of_the_pairs_seed_by_seed():
    c6 = judged("images")["C6"]
    assert named(c6) == [("mean of the 4 pairs", NLL)]
    # −0.20 and −0.11 without smoothing, a tenth more with it; students have the step twice
    mean, half = -0.16275, 1.5 * HALF[5]
    assert c6.primary[0].interval == pytest.approx((mean, mean - half, mean + half, 5))
    each = {c.label: c.interval.mean for c in c6.comparisons if c.metric.key == NLL}
    assert each == pytest.approx(
        {
            "mean of the 4 pairs": mean,
            "base model, s = 0": -0.20,
            "student, s = 0": -0.11,
            "base model, s = 0.1": -0.22,
            "student, s = 0.1": -0.121,
        }
    )
    assert c6.finding == (
        "intra-distillation changes the test NLL by −0.163 nats "
        "(95 % interval −0.165 to −0.161) as the mean of the 4 pairs"
    )
    assert len(c6.comparisons) == 15 and len(c6.primary) == 1


@pytest.mark.parametrize(("shift", "outcome"), [(0.3, "contradicted"), (0.16275, "undecided")])
def test_c6_says_what_its_interval_says(shift, outcome):
    """All of intra-distillation moved by the same."""
    records = world("images")
    for one in records:
        if one.asked.method == "id":
            one.measured.metrics[NLL] += shift
    assert verdicts(records, "images")["C6"].outcome == outcome


# ---- C4: balance of sensitivity


def test_c4_is_judged_on_both_kinds_of_distillation_at_each_smoothing():
    expected = {
        "intra-distillation − baseline, base model, s = 0": -0.2e-3,
        "intra-distillation − baseline, base model, s = 0.1": -0.22e-3,
        "baseline, student − base model, s = 0": -0.1e-3,
        "baseline, student − base model, s = 0.1": -0.11e-3,
    }
    c4 = judged("images")["C4"]
    assert named(c4) == [(label, STD) for label in expected]
    assert {c.label: c.interval.mean for c in c4.primary} == pytest.approx(expected)
    assert "changes by −0.200 × 10⁻³" in c4.finding
    kinds = ("std", "cv", "std_normalized", "gini", "std@last", "cv@last")
    others = {f"sensitivity/{name}" for name in kinds}
    assert {c.metric.key for c in c4.comparisons if c.claimed == "below"} == others
    training = [c for c in c4.comparisons if c.metric.key == "train/nll"]
    assert len(training) == 4 and {c.outcome for c in training} == {"context"}
    (label,) = (c.label for c in judged("translation")["C4"].primary[:1])
    assert label == "intra-distillation − baseline, base model, s = 0.1"


def test_c4_needs_every_comparison():
    rising = {Condition("baseline", 1, 0.1): Level(2.6, 0.42)}
    c4 = judged("images", rising)["C4"]
    assert c4.outcome == "contradicted"
    assert [c.outcome for c in c4.primary] == ["supported"] * 3 + ["contradicted"]
    assert c4.finding.count("; supported)") == 3 and c4.finding.count("; contradicted)") == 1
    assert judged("translation", rising)["C4"].outcome == "contradicted"
    lacking = judged("images", drop=(STD,))
    assert f"no {STD} of intra-distillation, base model, s = 0" in lacking["C4"].reason
    assert lacking["C6"].outcome == "supported"


# ---- C5: whether distillation still helps after intra-distillation


@C5
def test_c5_is_the_paired_difference_of_gains(task):
    c5, s = judged(task)["C5"], first(task)
    line = line_of(c5, f"{EXCESS}student, s = {s:g}")
    # distillation takes 0.01 off with intra-distillation and 0.10 off the baseline: 0.01 − 0.10/2
    half = HALF[DESIGNS[task].seeds]
    assert line.interval == pytest.approx((-0.04, -0.04 - half, -0.04 + half, len(line.seeds)))
    assert line.primary and named(c5)[0] == (line.label, NLL)
    assert len(c5.primary) == len(report_of(task).smoothings)
    assert c5.finding.startswith("what distillation takes off the test NLL after")
    low, high = ("−0.042", "−0.038") if len(line.seeds) == 3 else ("−0.041", "−0.039")
    said = f"is −0.040 nats (95 % interval {low} to {high}) for the student, s = {s:g}"
    assert said in c5.finding
    for method, change in (("baseline", -0.1), ("intra-distillation", -0.01)):
        beside = line_of(c5, f"{method}, student − base model, s = {s:g}")
        assert beside.interval.mean == pytest.approx(change) and not beside.primary


@pytest.mark.parametrize(
    ("task", "key", "gains"),
    [
        ("translation", BLEU, [2.0, 0.5]),
        ("tagging", "test/f1_parallel/others", [0.02, 0.005]),
        ("answering", F1_OTHERS, [0.02, 0.005]),
    ],
)
def test_c5_has_the_quality_of_the_rounds_beside_it(task, key, gains):
    beside = [c for c in judged(task)["C5"].comparisons if c.metric.key == key]
    assert [c.interval.mean for c in beside] == pytest.approx(gains)
    assert {c.outcome for c in beside} == {"context"}


@C5
def test_c5_is_contradicted_or_has_nothing_to_hold(task):
    still = {("id", 1): Level(2.24, 0.45)}  # 0.06 off: more than half of 0.10
    assert judged(task, still)["C5"].outcome == "contradicted"
    none = judged(task, {("baseline", 1): Level(2.51, 0.4)})["C5"]
    assert none.outcome == "not judged" and not none.primary
    assert none.reason.startswith("no baseline student is shown to beat its base model")
    s = first(task)
    assert f"baseline, student − base model, s = {s:g}: +0.010 nats" in none.reason
    assert none.n_seeds == DESIGNS[task].seeds
    alone = judged(task, {("baseline", 1): None, ("id", 1): None})["C5"]
    assert alone.outcome == "not judged"
    assert f"nor of baseline, student, s = {s:g}" in alone.reason


def test_c5_is_tested_only_where_baseline_students_beat_their_base_models():
    c5 = judged("images", {Condition("baseline", 1, 0.0): Level(2.55, 0.4)})["C5"]
    assert c5.outcome == "supported" and named(c5) == [(f"{EXCESS}student, s = 0.1", NLL)]
    left_out = line_of(c5, f"{EXCESS}student, s = 0")
    assert left_out.outcome == "not judged" and "not shown to beat" in left_out.reason


@C5
def test_c5_tests_the_second_round_if_it_is_there(task):
    rounds = {("baseline", 2): Level(2.38, 0.43), ("id", 2): Level(2.15, 0.46)}
    s = first(task)
    c5 = judged(task, rounds)["C5"]  # 0.15 off with intra-distillation, 0.12 off the baseline
    assert c5.outcome == "contradicted"
    assert line_of(c5, f"{EXCESS}student, s = {s:g}").outcome == "supported"
    assert line_of(c5, f"{EXCESS}second student, s = {s:g}").outcome == "contradicted"
    # a second round of too few seeds, or of intra-distillation alone, leaves the first's verdict
    few = [r for r in world(task, rounds) if r.asked.settings["round"] < 2 or r.asked.seed < 3]
    first_alone = verdicts(few, task)["C5"]
    assert (first_alone.outcome, first_alone.n_seeds) == ("supported", DESIGNS[task].seeds)
    assert judged(task, {("id", 2): rounds["id", 2]})["C5"].outcome == "supported"
    # where the baseline's holds more, what lacks beside it is lacking
    alone = judged(task, {("baseline", 2): rounds["baseline", 2]})["C5"]
    assert alone.outcome == "not judged"
    assert f"no record of intra-distillation, second student, s = {s:g}" in alone.reason
    beside = line_of(alone, f"baseline, second student − base model, s = {s:g}")
    assert beside.interval.mean == pytest.approx(-0.12)


# ---- C8: whether the divergence makes the gain


@EVERY
def test_c8_is_about_the_same_gain_and_must_beat_both_controls(task):
    c8, unit = judged(task)["C8"], scale(task)
    controls = [against(task, name) for name in ("K passes, α = 0", "K × the updates")]
    assert named(c8) == [(label, DESIGNS[task].quality) for label in controls]
    differences = [-0.15, -0.3] if task == "images" else [0.03 * unit, 0.05 * unit]
    assert [c.interval.mean for c in c8.primary] == pytest.approx(differences)
    keys = {key for key, _ in DESIGNS[task].beside} | {DESIGNS[task].quality}
    assert {c.metric.key for c in c8.comparisons} == keys
    better, equal = Level(2.2, 0.46), WORLD["id", 0]
    for control in (("passes", 0), ("compute", 0)):
        assert judged(task, {control: better})["C8"].outcome == "contradicted"
        assert judged(task, {control: equal})["C8"].outcome == "undecided"
