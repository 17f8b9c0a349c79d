"""The pages of the book become one document: whole, in order, and with links that lead right."""

from pathlib import Path

import pytest
from joined_book import chapters_of, joined, running_heads
from lxml import html

PAGE = """<html lang="en"><head><title>{title} — The Book</title>
<link rel="stylesheet" href="{up}_static/a.css"><script src="{up}_static/theme.js"></script>
<meta name="docbuild:last-update" content="Nov 26, 2026"></head>
<body><nav class="bd-docs-nav"><ul><li><a href="{home}">Start</a></li></ul>
<p>Part</p><ul><li><a href="sub/one.html">One "1"</a></li><li><a href="two.html">Two</a></li></ul>
</nav><article class="bd-article"><section id="top"><h1>{title}</h1>{body}</section></article>
</body></html>"""
ONE = """<h2 id="details">Details</h2><a class="x" href="#details">here</a>
<a class="x" href="../two.html#details">there</a> <a class="x" href="../two.html?show=1">page</a>
<a class="x" href="https://example.org/">outside</a>
<a class="x" href="../_sources/one.ipynb">no</a>
<img src="../_images/a.svg" alt="a"><p class="page-tools"><button>Show code</button></p>
<details><summary><p class="collapsed">Show the rows</p>
<p class="expanded">Hide the rows</p></summary>
<table><tr><td>7</td></tr></table></details>
<details><summary>Show code cell source</summary>
<div class="cell_input">import torch</div></details>
<div class="cell tag_hide-input"><div class="cell_input">import hidden</div></div>
<div class="cell"><div class="cell_input">import shown</div></div>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pages = {"index": "<a class='x' href='sub/one.html#details'>one</a>", "sub/one": ONE}
    pages["two"] = '<h2 id="details">Details</h2>'
    (tmp_path / "sub").mkdir()
    for name, body in pages.items():
        text = PAGE.format(title=name, body=body, home="#", up="../" * name.count("/"))
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    formulas = '<script src="_static/mathjax/tex.js"></script></head>'  # on the pages that have any
    two = (tmp_path / "two.html").read_text(encoding="utf-8")
    (tmp_path / "two.html").write_text(two.replace("</head>", formulas), encoding="utf-8")
    return tmp_path


def test_chapters_are_those_of_the_contents(folder: Path) -> None:
    assert [tuple(chapter) for chapter in chapters_of(folder)] == [
        ("", "Start", "index.html"),
        ("Part", 'One "1"', "sub/one.html"),
        ("Part", "Two", "two.html"),
    ]


def test_links_lead_to_their_places_in_the_document(folder: Path) -> None:
    document = html.document_fromstring(joined(folder, "1.0"))
    links = {link.text: link.get("href") for link in document.xpath("//a[@class='x']")}
    assert links == {
        "one": "#sub-one--details",
        "here": "#sub-one--details",
        "there": "#two--details",
        "page": "#two",
        "outside": "https://example.org/",
        "no": None,
    }
    ids = document.xpath("//@id")
    assert len(ids) == len({*ids})
    assert {href[1:] for href in document.xpath("//a/@href") if href[0] == "#"} <= {*ids}
    assert document.xpath("//img/@src") == ["_images/a.svg"]


def test_what_is_folded_stands_open_and_code_and_buttons_are_gone(folder: Path) -> None:
    document = html.document_fromstring(joined(folder, "1.0"))
    assert not document.xpath("//details | //summary | //button")
    text = " ".join(document.text_content().split())
    assert "The rows" in text and "7" in text
    assert "Hide" not in text and "code" not in text and "torch" not in text
    assert "hidden" not in text and "import shown" in text  # what a tutorial is about


def test_styles_are_taken_once_and_of_the_scripts_that_of_formulas(folder: Path) -> None:
    document = html.document_fromstring(joined(folder, "1.0"))
    assert document.xpath("//link/@href") == ["_static/a.css"]
    assert document.xpath("//script/@src") == ["_static/mathjax/tex.js"]


def test_the_first_page_says_what_and_when(folder: Path) -> None:
    document = html.document_fromstring(joined(folder, "1.0"))
    assert document.findtext("head/title") == "The Book"
    assert (
        document.xpath("string(//p[@class='book-version'])") == "Version 1.0, built on Nov 26, 2026"
    )
    entries = document.xpath("//p[@class='book-entry']/a")
    assert [(entry.text, entry.get("href")) for entry in entries] == [
        ("Start", "#index"),
        ('One "1"', "#sub-one"),
        ("Two", "#two"),
    ]


def test_a_page_that_is_left_out_is_linked_from_nowhere(folder: Path) -> None:
    document = html.document_fromstring(joined(folder, "1.0", without=["two"]))
    links = {link.text: link.get("href") for link in document.xpath("//a")}
    assert links["there"] is None and links["here"] == "#sub-one--details" and "Two" not in links
    with pytest.raises(ValueError, match="no page three to leave out"):
        joined(folder, "1.0", without=["three", "two"])


def test_heads_hold_any_title(folder: Path) -> None:
    assert 'content: "One \\"1\\""' in running_heads(chapters_of(folder))


def test_a_page_without_an_article_is_an_error(folder: Path) -> None:
    (folder / "two.html").write_text("<html><body><p>nothing</p></body></html>")
    with pytest.raises(ValueError, match="two.html: no article"):
        joined(folder, "1.0")
