"""The published figures' arithmetic, and that every claim says all it has to."""

from __future__ import annotations

import numpy as np
import pytest

from idlib.published import (
    BLEU,
    CELLS,
    CLAIMS,
    LAYERS,
    NLL,
    NOT_BUILT,
    PAPER_TRANSLATION,
    REPORT_COST,
    REPORT_IMAGES,
    REPORT_TRANSLATION,
    REPORT_TRANSLATION_CARD_GB,
    REPORT_TRANSLATION_EPOCHS,
    SMOOTHINGS,
    STD,
    STD_NORMALIZED,
    Cell,
    title,
)

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


def test_claims_are_complete():
    assert list(CLAIMS) == [f"C{n}" for n in range(1, 9)]
    for name, claim in CLAIMS.items():
        assert claim.id == name and claim.statement.endswith(".")
        assert claim.paper and claim.report and claim.tasks
        assert all(rule.endswith(".") for rule in claim.rules.values())
        assert {*claim.tasks} <= {*SMOOTHINGS} or set(claim.rules.values()) == {NOT_BUILT}
    assert "not stated" in CLAIMS["C4"].paper and "not stated" in CLAIMS["C7"].paper
    judged = {task: [n for n, c in CLAIMS.items() if task in c.rules] for task in SMOOTHINGS}
    assert judged == {"images": ["C4", "C5", "C6", "C8"], "translation": ["C1", "C4", "C5", "C8"]}


def test_tasks_have_names_for_what_is_shown():
    assert set(LAYERS) == set(SMOOTHINGS) == set(REPORT_COST)
    assert Cell("id", 3, 0.1).label == "student of round 3, s = 0.1"
    assert title("something/else") == "something/else"
    assert title(BLEU) == "test SacreBLEU (points)"
