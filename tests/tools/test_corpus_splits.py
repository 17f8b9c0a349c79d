"""How the corpus' tool groups and splits texts, aligns languages and pairs sentences."""

from __future__ import annotations

import pytest
from libreoffice_help import translation
from libreoffice_help.corpus import Item, aligned, build, page_splits, text_splits
from libreoffice_help.pages import Paragraph


def made(text: str, **options):
    return Paragraph(options.pop("id", text), options.pop("tag", "p"), text, **options)


def test_texts_that_share_a_sentence_are_in_one_split():
    splits = {f"p{i}": ("train", "validation", "test")[i % 3] for i in range(30)}
    pages = {
        name: [made(f"Only {chr(97 + i)}."), made(f"Both! Own {chr(97 + i)}.")]
        for i, name in enumerate(splits)
    }
    pages["p0"].append(made("both 7"))  # the same but for case, digits and punctuation
    found = text_splits(pages, splits)
    shared = {found[f"both own {chr(97 + i)}"] for i in range(26)} | {found["both"]}
    assert len(shared) == 1
    assert [found[f"only {chr(97 + i)}"] for i in range(3)] == ["train", "validation", "test"]


def test_pages_whose_access_sections_share_a_text_stay_together():
    pages = {}
    for i in range(300):
        name = f"{chr(97 + i % 26)}{chr(97 + i // 26)}"
        pages[f"a{i}"] = [made(f"Choose {name}.", access=True)]
        pages[f"b{i}"] = [made(f"CHOOSE {name}", access=True), made(f"Text {name}")]
    found = page_splits(pages)
    assert all(found[f"a{i}"] == found[f"b{i}"] for i in range(300))
    assert {"train", "validation", "test"} == set(found.values())
    held_out = sum(split == "test" for split in found.values()) / len(found)
    assert held_out == pytest.approx(0.18, abs=0.01)


def test_how_to_reach_a_command_is_in_the_split_of_its_page():
    """Wherever else the same text stands: else a question's page and its context could part."""
    splits = {f"p{i}": "train" for i in range(20)} | {"own": "test"}
    pages = {name: [made("Choose this.")] for name in splits}
    pages["own"] = [made("Choose this.", access=True), made("The title", tag="h1")]
    pages["p0"].append(made("The title"))
    assert text_splits(pages, splits) == {"choose this": "test", "the title": "test"}


def test_what_is_left_in_english_is_no_translation():
    english = {"a": [made("Left as it is.", id="x"), made("Done here.", id="y")]}
    german = {"a": [made("LEFT as it is!", id="x"), made("Hier fertig.", id="y")]}
    items, _ = build({"en": english, "de": german})
    assert items["left as it is"].translations == {}
    ((original, translated),) = items["done here"].translations["de"]
    assert (original.text, translated.text) == ("Done here.", "Hier fertig.")


def test_a_large_group_of_pages_is_for_training():
    words = [f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghijklmnopqrstuvwxyz"]
    pages = {word: [made(f"Choose {word}.", access=True)] for word in words}
    large = {f"{a}{i}": [made(f"Go {a}.", access=True)] for a in "abcdefgh" for i in range(13)}
    found = page_splits(pages | large)
    assert {found[page] for page in large} == {"train"}
    assert {found[page] for page in pages} == {"train", "validation", "test"}


def test_an_id_that_occurs_unequally_often_is_not_aligned():
    one = [made("a", id="x"), made("b", id="y"), made("c", id="y"), made("d", id="z")]
    other = [made("A", id="x"), made("B", id="y"), made("C", id="y"), made("D", id="z")]
    assert [(a.text, b.text) for a, b in aligned(one, other[:1] + other[2:])] == [
        ("a", "A"),
        ("d", "D"),
    ]
    assert [b.text for _, b in aligned(one, other)] == ["A", "B", "C", "D"]


# ---- translation


def item(english: str, german: str, split: str = "train"):
    first = made(english)
    return Item("x", first, split, translations={"de": [(first, made(german))]})


def pairs(*items) -> dict[str, list[tuple[str, str]]]:
    found = translation.pairs({str(i): item for i, item in enumerate(items)})
    return {s: sorted(tuple(r["translation"].values()) for r in rows) for s, rows in found.items()}


ONE, EINS = "The first sentence has six words.", "Der erste Satz hat sechs Wörter."
TWO, ZWEI = "And the second has them too.", "Und der zweite hat sie auch."


def test_paragraphs_are_split_where_the_counts_agree():
    assert pairs(item(f"{ONE} {TWO}", f"{EINS} {ZWEI}"))["train"] == [(EINS, ONE), (ZWEI, TWO)]
    assert pairs(item(f"{ONE} {TWO}", f"{EINS[:-1]}, {ZWEI}"))["train"] == []


@pytest.mark.parametrize(
    "english, german",
    [
        ("Only four words here.", "Hier sind es fünf Wörter."),
        (ONE, ONE.upper()),
        ("Sum, Count, Average, Max and Min.", "Sum, Count, Average, Max und Min."),
        ("word " * 61, "Wort " * 60),
    ],
    ids=["short", "english", "hardly translated", "long"],
)
def test_pairs_that_teach_nothing_are_dropped(english, german):
    assert pairs(item(english, german))["train"] == []


def test_pairs_are_unique_and_no_side_is_in_two_splits():
    found = pairs(
        item(ONE, EINS),
        item(ONE.upper() + "!", EINS),
        item(TWO, EINS, "test"),  # its German is in training
        item(TWO, ZWEI, "validation"),
        item("A third one is for the test.", "Ein dritter ist für den Test.", "test"),
    )
    assert found["train"] == [(EINS, ONE)]
    assert found["validation"] == [(ZWEI, TWO)]
    assert [german for german, _ in found["test"]] == ["Ein dritter ist für den Test."]
