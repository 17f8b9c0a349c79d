"""The published figures' arithmetic, and that every claim says all it has to."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from idlib.report.designs import DESIGNS
from idlib.report.names import (
    BLEU,
    CELLS,
    F1_ENGLISH,
    LAYERS,
    NLL,
    SMOOTHINGS,
    STD,
    STD_NORMALIZED,
    Cell,
    title,
    written,
)
from idlib.report.published import (
    CLAIMS,
    PAPER_ANSWERING_F1,
    PAPER_STATED,
    PAPER_TRANSLATION,
    REPORT_COST,
    REPORT_IMAGES,
    REPORT_JOINT_COST,
    REPORT_TRANSLATION,
    REPORT_TRANSLATION_CARD_GB,
    REPORT_TRANSLATION_EPOCHS,
    REPORTED,
)
from idlib.tasks import TASKS, task_class

BASELINE, ID = Cell("baseline", 0, 0.1), Cell("id", 0, 0.1)


def test_image_tables_give_the_printed_figures():
    nll = REPORT_IMAGES[NLL]
    gains = [nll[Cell("baseline", *c)] - nll[Cell("id", *c)] for c in CELLS]
    assert np.mean(gains) == pytest.approx(0.098)
    # printed as 0.098 too, where the table gives this (A21)
    assert nll[Cell("baseline", 1, 0.1)] - nll[Cell("id", 0, 0.1)] == pytest.approx(0.089)
    normalised = REPORT_IMAGES[STD_NORMALIZED]
    falls = [normalised[Cell("baseline", *c)] - normalised[Cell("id", *c)] for c in CELLS]
    assert np.mean(falls) == pytest.approx(0.00564, abs=5e-6)


@pytest.mark.parametrize(("metric", "by_id", "by_student"), [(STD, 1, 1), (STD_NORMALIZED, 3, 4)])
def test_image_sensitivities_count_as_the_report_counts(metric, by_id, by_student):
    table = REPORT_IMAGES[metric]
    assert sum(table[Cell("id", *c)] < table[Cell("baseline", *c)] for c in CELLS) == by_id
    students = [c for c in table if c.round == 1]
    assert sum(table[c] < table[c._replace(round=0)] for c in students) == by_student


@pytest.mark.parametrize(
    ("table", "said"), [(PAPER_TRANSLATION, CLAIMS["C1"].paper), (REPORT_TRANSLATION, "")]
)
def test_translation_scores_give_the_printed_differences(table, said):
    scores = table[BLEU]
    gain = scores[ID] - scores[BASELINE]
    text = f"{scores[BASELINE]:.2f} → {scores[ID]:.2f} (+{gain:.2f}, {gain / scores[BASELINE]:.2%})"
    assert text.replace("%", " %") in (said or CLAIMS["C1"].report)


def test_translation_likelihood_and_cost_give_the_audits_figures():
    bits = REPORT_TRANSLATION["validation/bits"]
    assert bits[BASELINE] - bits[ID] == pytest.approx(0.143)  # A16
    assert (bits[BASELINE] - bits[ID]) * np.log(2) == pytest.approx(0.099, abs=5e-4)
    costs = REPORT_COST["translation"]
    assert costs["id"].seconds / REPORT_TRANSLATION_EPOCHS == pytest.approx(
        236.8, abs=0.05
    )  # printed seconds an epoch
    assert costs["baseline"].seconds / REPORT_TRANSLATION_EPOCHS == pytest.approx(78.6, abs=0.05)
    for cost in costs.values():  # A15: more than the card of the logs holds
        assert cost.logged_gb < REPORT_TRANSLATION_CARD_GB < cost.gpu_gb


@pytest.mark.parametrize(("task", "claim"), [("tagging", "C2"), ("answering", "C3")])
def test_english_scores_are_those_of_the_claims_texts(task, claim):
    stated = REPORTED[task]
    assert list(stated) == [F1_ENGLISH]  # the language of training alone (A18)
    scores = [100 * stated[F1_ENGLISH][Cell(method, 0, 0.0)] for method in ("baseline", "id")]
    language, *said = CLAIMS[claim].report.replace(" → ", " ").split()[:3]
    assert language == "English"
    assert [float(number) for number in said] == pytest.approx(scores)


def test_the_papers_scores_are_those_of_the_claims_texts():
    scores = PAPER_STATED["tagging"][F1_ENGLISH]
    baseline, ours = (100 * scores[Cell(method, 0, 0.0)] for method in ("baseline", "id"))
    assert CLAIMS["C2"].paper.startswith(f"English {baseline:.2f} → {ours:.2f} ")
    baseline, ours = (100 * value for value in PAPER_ANSWERING_F1)
    assert CLAIMS["C3"].paper.startswith(f"{baseline:.2f} → {ours:.2f} ")
    assert "not stated" in CLAIMS["C3"].paper  # over which languages
    assert "answering" not in PAPER_STATED  # so it has no place in a table by language


@pytest.mark.parametrize(
    ("task", "hours", "minutes", "seconds", "epochs"),
    [("tagging", 8, 16, 59, 10), ("answering", 16, 34, 25, 15)],
)
def test_joint_costs_are_the_printed_times(task, hours, minutes, seconds, epochs):
    cost = REPORT_JOINT_COST[task]
    printed = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert (timedelta(seconds=cost.seconds), cost.epochs) == (printed, epochs)
    assert (cost.gpu, cost.gpu_gb) == ("T4", 15.0)
    if task == "tagging":
        assert cost.seconds / cost.epochs / 60 == pytest.approx(49.7, abs=0.05)  # printed too


def test_costs_of_one_model_and_of_both_together_stand_apart():
    assert set(REPORT_COST) == {"images", "translation"}
    assert set(REPORT_JOINT_COST) == {"tagging", "answering"}


def test_claims_are_complete():
    assert list(CLAIMS) == [f"C{n}" for n in range(1, 9)]
    for name, claim in CLAIMS.items():
        assert claim.id == name and claim.statement.endswith(".")
        assert claim.paper and claim.report and claim.tasks
        assert all(rule.endswith(".") for rule in claim.rules.values())
        assert {*claim.tasks} <= {*SMOOTHINGS}
    assert "not stated" in CLAIMS["C4"].paper and "not stated" in CLAIMS["C7"].paper
    judged = {task: [n for n, c in CLAIMS.items() if task in c.rules] for task in SMOOTHINGS}
    assert judged == {
        "images": ["C4", "C5", "C6", "C8"],
        "translation": ["C1", "C4", "C5", "C8"],
        "tagging": ["C2", "C5", "C8"],
        "answering": ["C3", "C5", "C8"],
        "classification": ["C7", "C8"],
    }


def test_designs_are_what_the_rules_say_in_words():
    primary = {
        "images": ((0.0, 0.1), "test/nll", "below"),
        "translation": ((0.1,), "test/bleu", "above"),
        "tagging": ((0.0,), "test/f1_parallel/others", "above"),
        "answering": ((0.0,), "test/f1/others", "above"),
        "classification": ((0.0,), "test/score", "above"),
    }
    found = {task: (d.smoothings, d.quality, d.better) for task, d in DESIGNS.items()}
    assert found == primary
    # The grid trains at the smoothings that are judged.
    assert {name: task_class(name).smoothing for name in TASKS} == SMOOTHINGS
    assert {task: smoothings for task, (smoothings, *_) in primary.items()} == SMOOTHINGS


def test_every_metric_of_a_design_has_a_name_and_a_side():
    for design in DESIGNS.values():
        sides = dict([(design.quality, design.better), *design.beside])
        assert len(sides) == 1 + len(design.beside)  # none twice
        for metric, side in sides.items():
            assert written(metric).name != metric, metric
            assert side == ("below" if "nll" in metric else "above"), metric


def test_tasks_have_names_for_what_is_shown():
    assert set(LAYERS) == set(SMOOTHINGS)
    assert Cell("id", 3, 0.1).label == "student of round 3, s = 0.1"
    assert Cell("id", 0, 0.0, "heading").full_label == "intra-distillation teacher, s = 0, heading"
    assert title("something/else") == "something/else"
    assert title(BLEU) == "test SacreBLEU (points)"
    assert title("test/em/de") == "exact match in de (points)"
    assert (written("test/f1/zh-CN").scale, written("test/f1/zh-CN").form) == (100.0, ".2f")
    assert written("test/nll/de").scale == 1.0  # a loss is no percentage
