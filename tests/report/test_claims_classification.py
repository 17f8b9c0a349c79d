"""Verdicts on classification, where the mean over data sets decides."""

from __future__ import annotations

import random

import numpy as np
import pytest
from made_up.records import CLASSIFIED, made_up_classification, made_up_classifications

from idlib.report import outcomes
from idlib.report.comparisons import by_cell, cell_of
from idlib.report.names import NLL, SCORE, Cell

SEEDS = (1, 2, 3)
HALF = 4.302653 * 0.001 / np.sqrt(3)  # of the 95 % interval: Student's t with 2 degrees of freedom
MEAN = "against the baseline, s = 0, mean of application and heading"


def line_of(verdict, label, metric):
    return next(line for line in verdict.lines if (line.label, line.metric) == (label, metric))


def c7(records):
    return outcomes.verdicts(records, "classification")["C7"]


def test_c7_is_decided_by_the_mean_over_data_sets():
    verdict = c7(made_up_classifications())
    (line,) = verdict.primary
    assert (line.label, line.metric, line.claimed) == (MEAN, SCORE, "above")
    assert line.interval == pytest.approx((0.02, 0.02 - HALF, 0.02 + HALF, 3))
    assert verdict.verdict == "supported" and len(line.signatures) == 12
    assert "changes the test score by +2.00 points (95 % interval +1.75 to +2.25)" in (
        verdict.sentence
    )
    assert f"{MEAN} (3 seeds, profile medium)" in verdict.sentence


def test_c7_has_lines_for_each_data_set_that_do_not_decide():
    verdict = c7(made_up_classifications())
    labels = [MEAN, *(f"against the baseline, s = 0, {name}" for name in CLASSIFIED)]
    for metric, means, expected in (
        (SCORE, (0.02, 0.06, -0.02), ("supported", "supported", "contradicted")),
        (NLL, (-0.02, -0.06, 0.02), ("supported", "supported", "contradicted")),
    ):
        lines = [line_of(verdict, label, metric) for label in labels]
        assert [line.interval.mean for line in lines] == pytest.approx(means)
        assert tuple(line.verdict for line in lines) == expected
    assert len(verdict.lines) == 6 and len(verdict.primary) == 1


@pytest.mark.parametrize(
    ("heading", "outcome"), [(0.54, "undecided"), (0.50, "contradicted"), (0.60, "supported")]
)
def test_c7_says_what_the_interval_of_the_mean_says(heading, outcome):
    scores = {**CLASSIFIED, "heading": {**CLASSIFIED["heading"], "id": heading}}
    assert c7(made_up_classifications(scores)).verdict == outcome


def test_one_data_set_alone_is_judged_without_its_name():
    one = made_up_classifications({"heading": CLASSIFIED["heading"]})
    verdict = c7(one)
    (line,) = verdict.primary
    assert line.label == "against the baseline, s = 0" and verdict.verdict == "contradicted"
    assert line.interval.mean == pytest.approx(-0.02)
    assert [line.metric for line in verdict.lines] == [SCORE, NLL]
    assert outcomes.verdicts(one, "classification")["C8"].verdict == "contradicted"


def test_c8_of_classification_is_about_the_mean_score():
    verdict = outcomes.verdicts(made_up_classifications(), "classification")["C8"]
    assert [line.label for line in verdict.primary] == [
        f"against {control}, mean of application and heading"
        for control in ("K passes, α = 0", "K × the updates")
    ]
    # (0.04 + 0.01) / 2 and (0.07 − 0.01) / 2
    assert [line.interval.mean for line in verdict.primary] == pytest.approx([0.025, 0.03])
    assert verdict.verdict == "supported"


def test_what_classification_lacks_is_named():
    records = [
        r
        for r in made_up_classifications()
        if (r.asked.method, r.asked.settings["dataset"]) != ("passes", "heading")
    ]
    verdicts = outcomes.verdicts(records, "classification")
    assert verdicts["C7"].verdict == "supported"
    assert verdicts["C8"].verdict == "not judged"
    assert verdicts["C8"].reason == "no record of K passes, α = 0 teacher, s = 0, heading"
    # a seed that one data set lacks is left out of the mean, and then there are too few
    fewer = [
        r
        for r in made_up_classifications()
        if (r.asked.seed, r.asked.settings["dataset"]) != (3, "heading")
    ]
    assert c7(fewer).reason == "2 seeds, where classification needs 3"
    assert c7(made_up_classifications(profile="small")).reason == "profile small is below medium"
    assert c7([]).reason == "no classification records"


def test_data_sets_do_not_collide():
    records = made_up_classifications()
    cells = by_cell(records)
    assert len(cells) == 8 and all(len(runs) == len(SEEDS) for runs in cells.values())
    for cell, runs in cells.items():
        for record in runs.values():
            assert record.asked.settings["dataset"] == cell.dataset
            assert record.asked.method == cell.method
    assert Cell("id", 0, 0.0, "heading").full_label == "intra-distillation teacher, s = 0, heading"
    alone = by_cell(r for r in records if r.asked.settings["dataset"] == "heading")
    assert set(alone) == {Cell(method, 0, 0.0) for method in CLASSIFIED["heading"]}
    shuffled = random.Random(0).sample(records, len(records))
    assert by_cell(shuffled) == cells and c7(shuffled) == c7(records)


def test_two_records_of_one_data_set_and_seed_are_refused():
    twin = made_up_classification(Cell("id", 0, 0.0), 1, "heading", 0.5, 1.0, alpha=2.0)
    with pytest.raises(
        ValueError, match="two records for intra-distillation teacher, s = 0, heading"
    ):
        by_cell([*made_up_classifications(), twin])


def test_data_sets_have_a_bootstrap_each_and_one_of_their_mean():
    # test sets of different sizes, and of the same size, whose items have only numbers in common
    for sizes in ((40, 100), (50, 50)):
        records = [
            record
            for (name, scores), size in zip(CLASSIFIED.items(), sizes, strict=True)
            for record in made_up_classifications({name: scores}, items=size)
        ]
        lines = {line.label: line for line in c7(records).lines if line.metric == SCORE}
        each = [lines[f"against the baseline, s = 0, {name}"].items for name in CLASSIFIED]
        assert tuple(one.n for one in each) == sizes
        mean = lines[MEAN].items
        assert mean.n == sum(sizes)
        assert mean.mean == pytest.approx(sum(one.mean for one in each) / 2)
        widths = [one.high - one.low for one in each]
        assert mean.high - mean.low == pytest.approx(np.hypot(*widths) / 2, rel=0.2)
        losses = [line.items for line in c7(records).lines if line.metric == NLL]
        assert losses[0] is None  # the mean's: items of two data sets make no pairs
        assert [one.n for one in losses[1:]] == list(sizes)
    assert c7(made_up_classifications()).primary[0].items is None


def test_a_folder_of_one_data_set_has_no_name():
    record = made_up_classification(Cell("id", 0, 0.0), 1, None, 0.5, 1.0)
    assert cell_of(record) == Cell("id", 0, 0.0)
    named = made_up_classification(Cell("id", 0, 0.0), 1, "heading", 0.5, 1.0)
    assert {cell.dataset for cell in by_cell([named, record])} == {"", "heading"}
