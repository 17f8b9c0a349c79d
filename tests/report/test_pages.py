"""What a page says about its records is what the records and the verdicts say."""

from __future__ import annotations

import html
import re

import pytest
from made_up.records import CLASSIFIED, made_up_classifications, made_up_translation
from markdown_it import MarkdownIt

from idlib.report import outcomes
from idlib.report.names import BLEU, NLL, Cell, literal
from idlib.report.page import Page, bullets

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
    assert page.verdicts == outcomes.verdicts(page.evidence, "translation")
    assert page.here == outcomes.verdicts(page.records, "translation")
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


def test_where_validation_loss_is_lowest_is_read_from_the_curves(page):
    (line,) = page.past_lowest()  # as made up: 10, 20 and 30 updates, and 0.1 more at the last
    assert line.startswith("baseline teacher, s = 0.1: lowest at update 20 of 30, before the last")
    assert "with 3 of 3 seeds" in line and line.endswith("0.100 nats above it")
    both = page.past_lowest(["baseline", "id"])
    assert both[0] == line and both[1].startswith("intra-distillation teacher")
    assert page.glued({})["translation_past_lowest"] == line


def test_a_loss_that_is_lowest_at_the_end_is_not_past_it():
    falling = records([1], "medium")
    for record in falling:
        record.measured.curves["validation/nll"] = [3.0, 2.0, 1.0]
    page = Page("translation", "medium", "embedded", [*falling, *records([2], "medium")])
    (line,) = page.past_lowest()
    assert "lowest at update 20 to 30 of 30" in line and "with 1 of 2 seeds" in line
    assert line.endswith("0.000 to 0.100 nats above it")


ODD = ["my_data*|<b>", "a\\b", "`{doc}`x``", "[l](u) ![i](u)", "$x$ ~~y~~ &amp; **z**", "é – it's"]


def rendered(text):
    """The text of a page that a Markdown renderer with tables makes."""
    made = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    return html.unescape(re.sub(r"<[^>]+>", "", made))


@pytest.mark.parametrize("name", ODD)
def test_a_name_comes_out_of_markdown_as_it_is(name):
    assert rendered(f"- data of {literal(name)} here").strip() == f"data of {name} here"
    cells = rendered(f"| a | b |\n| --- | --- |\n| {literal(name)} | 2 |").split("\n")
    assert name in cells and "2" in cells
    assert rendered(bullets([f"of {name}"])).strip() == f"of {name}"


def test_names_of_folders_are_literal_on_the_page_and_plain_where_glued():
    name = ODD[0]
    scores = {name: CLASSIFIED["application"], "heading": CLASSIFIED["heading"]}
    made = made_up_classifications(scores)
    page = Page("classification", "medium", f"folder/{name}", made)
    assert f"source folder/{name}," in rendered(page.introduction)
    for text in (page.sentences(), page.sentences(here=True), bullets(page.past_lowest())):
        assert name in rendered(text) and name not in text
    assert name in page.glued({})["verdict_c7"]
