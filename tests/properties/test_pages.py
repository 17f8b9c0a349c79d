"""Text of data and models is shown as it is: it is neither markup nor script on a page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from idlib.report.links import SCHEME
from idlib.report.text import bullets, literal

CONFIG = yaml.safe_load((Path(__file__).resolve().parents[2] / "book/_config.yml").read_text())
EXTENSIONS = set(CONFIG["parse"]["myst_enable_extensions"])
NASTY = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    f"![a]({SCHEME}?x)",
    "{{ version }}",
    "{eval}`1`",
    "$\\href{javascript:alert(1)}{a}$",
    "# title",
    "1. item",
    "- item",
    ":::{include} /etc/passwd",
    "(target)=",
    "% comment",
    "---",
    "&lt;b&gt;",
    "a{onclick=alert(1)}",
    "a | b",
]
TEXTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t#-*_[](){}<>$")
)


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        config = MdParserConfig(enable_extensions=EXTENSIONS)
        self.feed(create_md_parser(config, RendererHTML).render(markdown))
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        assert not attrs

    def handle_data(self, data) -> None:
        self.text += data


SHAPES = {
    "a line": (lambda text: f"A {literal(text)} b.", "A {} b.", {"p"}),
    "a paragraph": (lambda text: f"{literal(text)} b.", "{} b.", {"p"}),
    "bullets": (lambda text: bullets([text, "b."]), "{} b.", {"ul", "li"}),
    "a table": (
        lambda text: f"| a | b |\n| --- | --- |\n| {literal(text)} | b. |",
        "a b {} b.",
        {"table", "thead", "tbody", "tr", "th", "td"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@given(text=TEXTS.filter(str.strip))
def test_a_text_is_read_as_it_is(shape: str, text: str) -> None:
    made, expected, tags = SHAPES[shape]
    page = Page(made(text))
    assert page.text.split() == expected.replace("{}", text).split()
    assert page.tags == tags


for nasty in NASTY:
    test_a_text_is_read_as_it_is = example(text=nasty)(test_a_text_is_read_as_it_is)
