"""What a page says about its records is what the records and the verdicts say."""

from __future__ import annotations

import pytest
from made_up import made_up_translation

from idlib import claims
from idlib.names import BLEU, NLL, Cell
from idlib.pages import Page

PAIR = [Cell("baseline", 0, 0.1), Cell("id", 0, 0.1)]


def records(seeds, profile, gain=2.0):
    return [
        made_up_translation(
            cell, seed, 20 + gain * (cell.method == "id") + 0.01 * seed, 3.0, profile
        )
        for seed in seeds
        for cell in PAIR
    ]


@pytest.fixture
def page():
    return Page(
        "translation", "small", "embedded", records([1], "small"), records([1, 2, 3], "medium")
    )


def test_evidence_is_judged_where_there_is_some(page):
    assert list(page.judged) == list(page.evidence)
    assert page.basis == "6 committed records (profile medium, 3 seeds)"
    alone = Page("translation", "small", "embedded", page.records)
    assert list(alone.judged) == list(page.records)
    assert alone.basis == "2 records of this build (profile small, 1 seed)"


def test_only_smoke_has_a_banner(page):
    assert page.banner == "" and "numbers of this build mean nothing" not in page.introduction
    smoke = Page("translation", "smoke", "embedded", records([1, 2], "smoke"))
    assert smoke.introduction.startswith(smoke.banner) and "mean nothing" in smoke.banner
    assert "seeds [1, 2], 4 runs" in smoke.introduction


def test_verdicts_are_those_of_the_rules(page):
    assert page.verdicts == claims.verdicts(page.evidence, "translation")
    assert page.here == claims.verdicts(page.records, "translation")
    assert page.verdicts["C1"].verdict == "supported"
    assert page.here["C1"].verdict == "not judged"


def test_what_is_glued(page):
    texts = page.glued({"score": ("C1", BLEU), "likelihood": ("C1", NLL), "none": ("C8", NLL)})
    assert texts["translation_seeds"] == "profile small, seed 1"
    assert texts["verdict_c1"] == page.verdicts["C1"].sentence
    assert texts["outcome_c1"] == "supported" and texts["outcome_c8"] == "not judged"
    assert texts["score"] == "against the baseline, s = 0.1: +2.00 points (supported)"
    assert texts["likelihood"].startswith("against the baseline, s = 0.1: +0.000 nats")
    assert texts["none"] == "nothing measured"


def test_lists_of_sentences(page):
    assert page.sentences().splitlines()[0] == f"- **C1.** {page.verdicts['C1'].sentence}"
    assert page.sentences(here=True).splitlines()[0] == f"- C1: {page.here['C1'].sentence}"


def test_this_builds_gain(page):
    assert page.gain("C1") == "+2.00 points"
    assert page.gain("C8") == "–"  # no control was run
