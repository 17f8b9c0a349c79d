"""The rules of the corpus' tool, each on made-up pages: markup, switches, sentences, entities."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
from libreoffice_help.entities import TAGS, tagged, tokens
from libreoffice_help.pages import read_page
from libreoffice_help.sentences import sentences
from made_up.help_tree import element, page, switch

TOOLS = Path(__file__).parents[2] / "tools"
MODULES = [path.stem for path in (TOOLS / "libreoffice_help").glob("[a-z]*.py")]


@pytest.fixture
def read(tmp_path):
    """Reads a page with the given body."""

    def read(body: str) -> list:
        path = tmp_path / "page.html"
        path.write_text(page(body), encoding="utf-8")
        return read_page(path)

    return read


def paragraph(read, content: str):
    return read(element("p", 1, content))[0]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings(name):
    module = importlib.import_module(f"libreoffice_help.{name}")
    assert doctest.testmod(module).failed == 0


# ---- pages


def test_only_the_elements_with_an_id_inside_the_page_are_read(read):
    found = read(
        element("h1", 1, "Title")
        + '<p class="embedded">no id</p>'
        + f"<table><tr><td>{element('p', 2, 'cell')}</td></tr></table>"
        + f"<ul><li>{element('p', 3, 'item')}</li></ul>"
        + f'<div class="howtogetbody">{element("p", 4, "way")}'
        '<p class="embedded"><a name="anchor"></a>taken from another page</p></div>'
    )
    assert [(p.id, p.tag, p.text, p.access) for p in found] == [
        ("par_id1", "h1", "Title", False),
        ("par_id2", "p", "cell", False),
        ("par_id3", "p", "item", False),
        ("par_id4", "p", "way", True),
        ("variable/anchor", "p", "taken from another page", True),
    ]


def test_space_is_single_and_text_is_composed(read):
    content = " Cafe\u0301\n\tand\u00a0<br>so <img src=x alt=y>on\u200b. <a name=z></a>"
    assert paragraph(read, content).text == "Café and so on."


def test_marks_stand_where_their_text_is(read):
    found = paragraph(
        read,
        'See <span class="avis">the <span class="emph">Lines </span>box, '
        '<span class="menuitem">View -</span> <span class="menuitem">Zoom</span> '
        'or <span class="keycode">F5</span></span>.',
    )
    marked = [(found.text[start:end], kind) for start, end, kind in found.marks]
    assert found.text == "See the Lines box, View - Zoom or F5."
    assert marked == [("Lines", "UI"), ("View - Zoom", "MENU"), ("F5", "KEY")]


@pytest.mark.parametrize(
    "content",
    ["x<sup>2</sup>", "H<sub>2</sub>O", "see <code>a = 1</code>"],
    ids=["raised", "lowered", "code"],
)
def test_what_flat_text_would_misstate_is_not_used(read, content):
    assert paragraph(read, content).text is None


def test_program_text_is_not_used(read):
    found = read('<p id="a" class="code">Dim a</p><pre>Sub</pre><p id="b">Prose</p>')
    assert [(p.id, p.text) for p in found] == [("a", None), ("b", "Prose")]


# ---- switches


def test_the_default_of_a_switch_is_kept(read):
    inline = switch("switchinline", MAC="Command", default='<span class="keycode">Ctrl</span>')
    found = paragraph(read, f"Press {inline} now.")
    assert found.text == "Press Ctrl now."
    assert found.marks == ((6, 10, "KEY"),)


def test_a_default_inside_a_default_is_kept(read):
    inner = switch("switchinline", WRITER="text", default="cell")
    found = paragraph(read, f"A {switch('switchinline', MAC='Mac', default=f'plain {inner}')}.")
    assert found.text == "A plain cell."


def test_a_paragraph_whose_switch_has_no_default_is_not_used(read):
    assert paragraph(read, f"Press {switch('switchinline', MAC='Command')} now.").text is None


def test_of_whole_paragraphs_those_of_the_default_are_kept(read):
    found = read(
        switch(
            "switch",
            "div",
            CALC=element("p", 1, "For sheets."),
            default=element("p", 2, "For all."),
        )
    )
    assert [(p.id, p.text) for p in found] == [("par_id1", None), ("par_id2", "For all.")]


# ---- sentences and tokens


@pytest.mark.parametrize(
    "text, count",
    [
        ("One. Two! Three? Four… Five.", 5),
        ("Choose z. B. Format. Dann drücken Sie Enter.", 2),
        ("See e.g. Chapter and fig. Two (cf. Three). End.", 2),
        ("Open file.txt or 3.5 apples.", 1),
        ("He said “Stop.” Then he left.", 2),
        ("Enter a name. the rest is lower case.", 1),
        ("Step 1. Press the key.", 1),
        ("Click OK. «Ja» ist gewählt.", 2),
    ],
)
def test_sentences_are_split_at_stops_and_joined_give_the_text(text, count):
    found = sentences(text)
    assert len(found) == count
    assert " ".join(found) == text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Press Ctrl+C.", ["Press", "Ctrl", "+", "C", "."]),
        ("ファイルを開く", list("ファイルを開く")),
        ("选择Writer文档", ["选", "择", "Writer", "文", "档"]),
        ("파일 열기", ["파일", "열기"]),
        ("Tệp ở đây", ["Tệp", "ở", "đây"]),
        ("l'objet", ["l", "'", "objet"]),
        ("ｶﾅ", ["ｶ", "ﾅ"]),
        ("n\u0303o", ["n\u0303o"]),  # a mark that has not been composed
    ],
)
def test_tokens(text, expected):
    assert [text[start:end] for start, end in tokens(text)] == expected


# ---- entities


def tags(read, content: str) -> list[str]:
    words, numbers = tagged(paragraph(read, content))
    return [f"{word}/{TAGS[tag]}" for word, tag in zip(words, numbers, strict=True)]


def test_paths_are_menus_and_names_are_not_however_they_are_marked(read):
    assert tags(
        read, '<span class="emph">File - New</span> or <span class="menuitem">OK</span>'
    ) == [
        "File/B-MENU",
        "-/I-MENU",
        "New/I-MENU",
        "or/O",
        "OK/B-UI",
    ]


def test_names_lose_quotes_and_stops_at_their_ends(read):
    assert tags(read, 'Box <span class="emph">「表…」</span>') == [
        "Box/O",
        "「/O",
        "表/B-UI",
        "…/O",
        "」/O",
    ]


def test_the_product_is_tagged_unless_it_is_within_a_name(read):
    content = 'LibreOffice: <span class="emph">LibreOffice View</span>'
    assert tags(read, content) == [
        "LibreOffice/B-PRODUCT",
        ":/O",
        "LibreOffice/B-UI",
        "View/I-UI",
    ]


def test_an_ending_belongs_to_the_name_and_neighbours_are_two(read):
    content = (
        '<span class="emph">Tamam</span>ı <span class="emph">A</span>/<span class="emph">B</span>'
    )
    assert tags(read, content) == ["Tamamı/B-UI", "A/B-UI", "//O", "B/B-UI"]
    content = '<span class="keycode">F</span>+<span class="input">x y</span>'
    assert tags(read, content) == ["F/B-KEY", "+/O", "x/B-CODE", "y/I-CODE"]
