"""What a page says of its records is what the records and the verdicts say."""

from __future__ import annotations

import html
import re

import pytest
from made_up.records import BLEU, Level, record, results, world
from markdown_it import MarkdownIt

from idlib.report import tables
from idlib.report.compared import compare
from idlib.report.conditions import Condition
from idlib.report.results import ONE_DATASET, Results
from idlib.report.text import bullets, literal


def pair(seeds, profile):
    """Translation by base models of baseline and intra-distillation alone."""
    made = world("translation", seeds=seeds, profile=profile)
    return [
        r for r in made if r.asked.method in ("baseline", "id") and not r.asked.settings["round"]
    ]


@pytest.fixture
def page():
    return results("translation", pair([1], "small"), pair([1, 2, 3], "medium"))


def test_evidence_is_judged_where_there_is_some(page):
    assert list(page.judged) == list(page.evidence)
    assert page.basis == "6 committed records (profile medium, 3 seeds)"
    assert list(page.by_label) == [
        "this build (small, 1 seed)",
        "recorded evidence (medium, 3 seeds)",
    ]
    alone = results("translation", page.records)
    assert list(alone.judged) == list(page.records)
    assert alone.basis == "2 records of this build (profile small, 1 seed)"
    assert list(alone.by_label) == ["this build (small, 1 seed)"]
    nothing = results("translation", [])
    assert nothing.basis == "0 records of this build (profile smoke)" and not nothing.by_label


def test_only_smoke_has_a_banner(page):
    assert page.banner == "" and "numbers of this build mean nothing" not in page.introduction
    smoke = results("translation", pair([1, 2], "smoke"))
    assert smoke.introduction.startswith(smoke.banner) and "mean nothing" in smoke.banner
    assert "profile `smoke`, source embedded, seeds [1, 2], 4 runs." in smoke.introduction
    assert smoke.introduction.endswith(f"rest on {smoke.basis}.")


def test_records_of_another_task_are_refused(page):
    with pytest.raises(ValueError, match="records of 'translation' are no results of 'images'"):
        results("images", page.records)
    with pytest.raises(ValueError, match=r"one task .*'images', 'translation'"):
        results("images", world("images"), page.evidence)


def test_base_models_are_those_judged_at_the_first_smoothing():
    judged = world("images", {("baseline", 2): Level(2.4, 0.4)})
    models = results("images", world("images", seeds=[1], profile="small"), judged).base_models
    assert {method: [r.asked.seed for r in runs] for method, runs in models.items()} == (
        dict.fromkeys(("baseline", "compute", "id", "passes"), [1, 2, 3, 4, 5])
    )
    for one in sum(models.values(), []):
        settings = one.asked.settings
        assert (settings["round"], settings["smoothing"], one.asked.profile) == (0, 0.0, "medium")


def test_what_is_compared_is_of_the_evidence_and_of_the_build(page):
    assert page.compared == compare(page.evidence, "translation")
    assert page.compared_of_build == compare(page.records, "translation")


def test_what_is_glued(page):
    texts = page.glued()
    assert texts["translation_seeds"] == "profile small, seed 1"
    assert texts["translation_banner"] == ""
    several = results("translation", pair([2, 1], "small"))
    assert several.glued()["translation_seeds"] == "profile small, seeds 1, 2"


def test_this_build_alone_is_compared_in_words(page):
    table = tables.of_build(page)["in this build"]
    for claim, found in page.compared_of_build.items():
        assert dict(table[claim]) == {c.label: c.in_words() for c in found.main}


def test_numbers_of_this_build(page):
    assert page.gain_of_build("C1") == "+3.90 points"  # 4, less the step of seed 1
    assert page.gain_of_build("C8") == "–"  # no control was run
    assert page.of_build(BLEU) == "41.0" and page.of_build("test/music") == "–"
    two = results("translation", world("translation", seeds=[1, 3], profile="small"))
    assert two.gain_of_build("C8") == "+3.00 points"  # the first of two: against K passes
    assert two.of_build(BLEU, ".2f") == "41.00 to 43.00"  # base models of the baseline alone
    images = results("images", world("images", seeds=[1]))
    assert images.of_build("test/accuracy") == "41.0"


def test_where_validation_loss_is_lowest_is_read_from_the_curves(page):
    (line,) = page.past_lowest()  # as made up: 10, 20 and 30 updates, and 0.1 more at the last
    assert line == (
        "baseline, base model, s = 0.1: lowest at update 20 of 30, before the last with 3 of "
        "3 seeds; at the last 0.100 nats above it"
    )
    both = page.past_lowest(["baseline", "id"])
    assert both[0] == line and both[1].startswith("intra-distillation, base model, s = 0.1")
    assert page.glued()["translation_past_lowest"] == line
    images = results("images", world("images"))
    assert [text.partition(":")[0] for text in images.past_lowest()] == [
        "baseline, base model, s = 0",
        "baseline, base model, s = 0.1",
    ]


def test_a_loss_that_is_lowest_at_the_end_is_not_past_it():
    runs = pair([1, 2], "medium")
    for one in runs:
        if one.asked.seed == 1:
            one.measured.curves["validation/nll"] = [3.0, 2.0, 1.0]
    (line,) = results("translation", runs).past_lowest()
    assert "lowest at update 20 to 30 of 30, before the last with 1 of 2 seeds" in line
    assert line.endswith("0.000 to 0.100 nats above it")


def test_results_by_data_set_also_where_nobody_named_it():
    evidence, unnamed = world("classification"), record("classification", Condition("id", 0, 0.0))
    parts = dict(results("classification", [unnamed], evidence).by_dataset())
    assert list(parts) == ["application", "heading", ONE_DATASET]
    assert list(parts[ONE_DATASET].records) == [unnamed] and not parts[ONE_DATASET].evidence
    for name in ("application", "heading"):
        assert not parts[name].records
        assert len(parts[name].evidence) == len(evidence) / 2
        assert {r.asked.settings["dataset"] for r in parts[name].evidence} == {name}


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
    made = [
        record("classification", Condition(method, 0, 0.0, dataset))
        for method in ("baseline", "id")
        for dataset in (name, "heading")
    ]
    page = Results("classification", "medium", f"folder/{name}", made)
    assert f"source folder/{name}," in rendered(page.introduction)
    lowest = bullets(page.past_lowest())
    assert name in rendered(lowest) and name not in lowest
