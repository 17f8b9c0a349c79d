"""How the corpus' tool chooses items for tagging, answering and classification."""

from __future__ import annotations

import pytest
from libreoffice_help import tagging
from libreoffice_help.answering import OTHERS, ask
from libreoffice_help.classification import application_of, heading
from libreoffice_help.corpus import Item
from libreoffice_help.pages import Paragraph
from libreoffice_help.sections import Section, of_pages, of_paragraphs

from idlib.data.folding import fold


def marked(text: str, **options):
    """A paragraph from text in which ``[name]`` is emphasised."""
    plain, marks = "", []
    for i, piece in enumerate(text.replace("]", "[").split("[")):
        if i % 2:
            marks.append((len(plain), len(plain) + len(piece), "UI"))
        plain += piece
    name = options.pop("id", plain)
    return Paragraph(name, options.pop("tag", "p"), plain, tuple(marks), **options)


# ---- tagging


def tagged_rows(*pairs: tuple[str, str]) -> dict:
    """Rows for English paragraphs of the test set with their German translations."""
    items = {}
    for number, (english, german) in enumerate(pairs):
        one, other = marked(english), marked(german)
        items[fold(one.text)] = Item(str(number), one, "test", translations={"de": [(one, other)]})
    return tagging.rows(items, ["en", "de"])


def test_translations_whose_markup_differs_are_dropped():
    found = tagged_rows(
        ("Click the [OK] button to go on.", "Klicken Sie auf die Schaltfläche [OK]."),
        ("Click the [Help] button to read more.", "Klicken Sie auf die Schaltfläche Hilfe."),
        ("Click the [Quit] button to go home.", "Klicken Sie auf dieBildtaste[Ende] hier unten."),
    )
    assert {row["id"] for row in found["en"]["test"]} == {"0", "1", "2"}
    assert [row["id"] for row in found["de"]["test"]] == ["0"]
    assert {row["id"]: row["parallel"] for row in found["en"]["test"]} == {
        "0": True,
        "1": False,
        "2": False,
    }


def test_paragraphs_that_are_nothing_but_names_are_left_out():
    found = tagged_rows(
        ("[Insert the whole of this name].", "[Diesen ganzen Namen einfügen]."),
        ("The [File] menu is for all of them.", "Das Menü [Datei] ist für sie alle."),
    )
    assert [row["id"] for row in found["en"]["test"]] == ["1"]


def test_a_sentence_left_in_english_drops_the_translation():
    left = "This sentence has been left alone."
    found = tagged_rows(
        (f"Click the [OK] button. {left}", f"Klicken Sie doch auf [OK] hier unten. {left}")
    )
    assert found["de"]["test"] == []


def test_some_paragraphs_have_no_names():
    names = ["ab", "cd", "ef", "gh", "ij", "kl"]
    pairs = [(f"Click the [{n}] button to go on.", "x") for n in names]
    pairs += [(f"There is nothing here of {n} today.", "x") for n in names]
    found = tagged_rows(*pairs)["en"]["test"]
    named = [any(row["ner_tags"]) for row in found]
    assert sum(named) == len(names) and len(named) - sum(named) == len(names) // tagging.PLAIN


# ---- answering


def section(name: str, text: str, *paths: str):
    places = tuple((text.index(path), text.index(path) + len(path)) for path in paths)
    return Section(name, text, places, (0,))


def letters(number: int) -> str:
    return "".join("bdfgklmnpr"[number // 10**i % 10] + "a" for i in range(3))


def many(count: int) -> dict:
    return {
        letters(i): section(letters(i), f"Go: Go - {letters(i)}", f"Go - {letters(i)}")
        for i in range(count)
    }


def test_no_other_section_of_a_context_answers_the_question():
    sections = many(20)
    sections["page"] = section("Page", "Choose Format - Page.", "Format - Page")
    sections["style"] = section("Style", "On the Page tab, View - Style.", "View - Style")
    found = ask({"en": sections}, dict.fromkeys(sections, "train"))["en"]["train"]
    asked = [row for row in found if "“Page”" in row["question"]]
    assert len(asked) == 2
    assert not any("Style" in row["context"] for row in asked)
    assert any("Page" in row["context"] for row in found if "“Page”" not in row["question"])


def test_a_question_that_another_split_has_is_kept_for_the_test():
    sections = many(40)
    splits = {name: ("train", "test")[i % 2] for i, name in enumerate(sections)}
    sections |= {
        "one": section("Zoom", "Choose View - Zoom.", "View - Zoom"),
        "same path": section("Size", "There is View - Zoom too.", "View - Zoom"),
        "same name": section("Zoom", "Or take Window - Zoom.", "Window - Zoom"),
    }
    splits |= {"one": "test", "same path": "train", "same name": "validation"}
    found = ask({"en": sections}, splits)["en"]
    assert "Zoom" in str(found["test"])
    assert "Zoom" not in str(found["train"]) + str(found["validation"])


def test_position_tells_nothing():
    sections = many(200)
    found = ask({"en": sections}, dict.fromkeys(sections, "test"))["en"]["test"]
    places, lengths = [], set()
    for row in found:
        before = row["context"][: row["answers"]["answer_start"][0]]
        lengths.add(row["context"].count("\n"))
        places.append(before.count("\n") / row["context"].count("\n"))
    assert lengths == set(range(OTHERS[0], OTHERS[1] + 1))
    assert sum(places) / len(places) == pytest.approx(0.5, abs=0.08)


def test_the_path_that_shares_most_words_with_the_title_is_the_answer():
    def sections(title: str) -> list[list[str]]:
        ways = ("Choose [View - Styles].", "Open [Format - Page Number], or [Format - Page Count].")
        page = [marked(title, tag="h1"), *(marked(way, access=True) for way in ways)]
        return [found.answers for found in of_pages({"a": page}, None).values()]

    assert sections("Page number") == [["Format - Page Number"]]
    assert sections("The page") == [["Format - Page Number", "Format - Page Count"]]
    assert sections("Colours") == []


def test_a_paragraph_with_one_path_is_asked_about_by_its_last_name():
    texts = {
        "one": "To see more, choose [View – Zoom…] here.",
        "two": "Choose [View - Zoom] or [View - All].",
        "none": "Choose [Zoom].",
    }
    items = {name: Item(name, marked(text), "train") for name, text in texts.items()}
    found = of_paragraphs(items, None)
    assert {name: (own.name, own.answers) for name, own in found.items()} == {
        "one": ("Zoom", ["View – Zoom"])
    }


# ---- classification


def headed(pages: dict[str, list[tuple[str, str]]]) -> list[dict]:
    """Rows of the heading task for pages of (heading, paragraph)."""
    found = {
        name: [p for title, text in pairs for p in (marked(title, tag="h2"), marked(text))]
        for name, pairs in pages.items()
    }
    items = {
        fold(p.text): Item("x", p, "train") for paragraphs in found.values() for p in paragraphs
    }
    return heading(items, found)["train"]


def test_wrong_paragraphs_are_of_another_page_of_the_same_application():
    pages = {
        f"{folder}/{letters(i)}": [
            (
                f"x{folder} x{letters(i)} x{part}",
                f"This is {folder} for {letters(i)} as part {part}.",
            )
            for part in ("upper", "lower")
        ]
        for folder in ("swriter", "scalc")
        for i in range(30)
    }
    found = headed(pages)
    assert sum(row["label"] for row in found) == len(found) / 2 > 25
    for row in found:
        (folder, name, part), told = row["sentence1"].split(), row["sentence2"].split()
        assert folder == f"x{told[2]}"
        assert (name == f"x{told[4]}") == bool(row["label"])
        assert not row["label"] or f"{part}." == f"x{told[-1]}"


def test_a_heading_whose_words_all_stand_in_the_paragraph_is_left_out():
    told = "Sets the number of columns and what is between them."
    pages = {name: [(f"The {name} here", f"This {name} is for you.")] for name in ("ab", "cd")}
    pages |= {f"{name}2": [("Number of columns", told + name)] for name in ("ab", "cd")}
    assert all("olumns" not in row["sentence1"] for row in headed(pages))


@pytest.mark.parametrize(
    "pages, expected",
    [
        (["swriter/a", "swriter/guide/b"], "writer"),
        (["sdraw/a", "simpress/b"], "impress or draw"),
        (["shared/explorer/database/a"], "base"),
        (["shared/01/a"], None),
        (["swriter/a", "shared/01/b"], None),
        (["swriter/a", "scalc/b"], None),
    ],
)
def test_the_application_of_pages(pages, expected):
    assert application_of(pages) == expected
