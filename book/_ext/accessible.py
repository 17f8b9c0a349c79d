"""What the theme's pages lack for readers who use a screen reader: mended once all are written.

Checked with axe-core; each replacement says what was wrong.
"""

from __future__ import annotations

import re

from finished_pages import change_pages
from sphinx.application import Sphinx

MENDED = (
    # The search button is read as "Search", where its text tells the keys too.
    (re.compile(r'(<button\b[^>]*\bsearch-button-field\b[^>]*?)\s+aria-label="Search"'), r"\1"),
    # So is what is folded away, where its words tell what it is.
    (re.compile(r'<summary aria-label="Toggle hidden content"'), "<summary"),
    # The titles of the colour mode's icons are read for the name of their button.
    (re.compile(r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"'), r"\1"),
    # A list whose items docutils does not mark as such.
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
)


def mended(page: str) -> str:
    """A page with all of it."""
    for wrong, right in MENDED:
        page = wrong.sub(right, page)
    return page


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    change_pages(app, mended)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
