"""Tokens and named entities of a paragraph, from the markup of its authors and translators."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from libreoffice_help.pages import Paragraph

KINDS = ("MENU", "UI", "KEY", "CODE", "PRODUCT")
TAGS = ("O", *(f"{prefix}-{kind}" for kind in KINDS for prefix in "BI"))
PRODUCT = "LibreOffice"

# The authors mark paths as menus or as emphasis, and single names either way: the form decides.
_PATH = re.compile(r"\w\W*(?:\s[-–—]\s|[→▸‣›])\W*\w|[\w\])」]\s?>\s?[\w\[(「]")
_OUTSIDE = " \"'“”„‟‘’‚«»‹›「」『』【】[]:;,.…"  # not part of a name when at its ends
# Scripts that are written without spaces: a token is one character. Korean has spaces.
_ONE = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
_TOKEN = re.compile(rf"[{_ONE}]|(?:(?![{_ONE}])\w[\u0300-\u036f]*)+|\S")

Span = tuple[int, int, str]


def tokens(text: str) -> list[tuple[int, int]]:
    """Where the tokens of a text stand.

    A token is one Chinese or Japanese character, or a run of other letters, digits and
    underscores, or any other single sign that is no space.

    >>> text = "用Ctrl+C复制 a_1."
    >>> [text[start:end] for start, end in tokens(text)]
    ['用', 'Ctrl', '+', 'C', '复', '制', 'a_1', '.']
    """
    return [match.span() for match in _TOKEN.finditer(text)]


def entities(paragraph: Paragraph) -> list[Span]:
    """The entities of a paragraph, ascending, none overlapping.

    Names lose the quotes and stops at their ends. What is marked as a menu or as emphasis is MENU
    if it is a path of several names, else UI. The product's name is PRODUCT also where the authors
    left it unmarked.
    """
    text, found = paragraph.text, []
    for start, end, kind in paragraph.marks:
        if kind in ("MENU", "UI"):
            start += len(text[start:end]) - len(text[start:end].lstrip(_OUTSIDE))
            end = start + len(trimmed(text[start:end]))
            kind = "MENU" if is_path(text[start:end]) else "UI"
        if kind == "PRODUCT" or (kind != "KEY" and not re.search(r"\w", text[start:end])):
            continue  # the name is found below, whatever else is marked with it
        found.append((start, end, "PRODUCT" if text[start:end] == PRODUCT else kind))
    for match in re.finditer(PRODUCT, text):
        if all(match.end() <= start or end <= match.start() for start, end, _ in found):
            found.append((*match.span(), "PRODUCT"))
    return sorted(found)


def trimmed(name: str) -> str:
    """A name without the quotes and stops at its ends.

    >>> trimmed("«Options…»")
    'Options'
    """
    return name.strip(_OUTSIDE)


def is_path(name: str) -> bool:
    """Whether a name is a path through menus: several names with signs between them.

    >>> [is_path(name) for name in ("Format - Page", "[書式]>[ページ]", "Drop-down", "<?> in")]
    [True, True, False, False]
    """
    return bool(_PATH.search(name))


def tagged(paragraph: Paragraph) -> tuple[list[str], list[int]]:
    """Tokens and their tags (IOB2, numbers into ``TAGS``).

    A token is of the entity that its first character is in: endings that some languages add to a
    name belong to its last token.
    """
    words, tags = [], []
    spans = entities(paragraph)
    previous = None
    for start, end in tokens(paragraph.text):
        words.append(paragraph.text[start:end])
        span = next((span for span in spans if span[0] <= start < span[1]), None)
        prefix = "I" if span == previous else "B"
        tags.append(TAGS.index(f"{prefix}-{span[2]}" if span else "O"))
        previous = span
    return words, tags


def kinds(spans: Sequence[Span]) -> Counter[str]:
    """How many entities there are of each kind."""
    return Counter(kind for _, _, kind in spans)
