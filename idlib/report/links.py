"""Links from a number to the records behind it.

Their addresses are of no page: the book's extension ``record_links`` turns them into that of the
page of all records, which then shows these alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import urlencode

SCHEME = "records:"


def run_name(study: str, cell: str) -> str:
    """How the page of records names a registered run, whatever its seed.

    >>> run_name("images", "id")
    'images: id'
    """
    return f"{study}: {cell}"


def to_records(words: str, study: str, cells: Iterable[str]) -> str:
    """Words in HTML that lead to the records of some cells of a study.

    Args:
        words: plain text.
        study: of the protocol.
        cells: of the study.

    >>> to_records("a < b", "images", ["id", "passes"])
    '<a href="records:?run=images%3A+id&amp;run=images%3A+passes">a &lt; b</a>'
    """
    runs = [("run", run_name(study, cell)) for cell in cells]
    return f'<a href="{escape(f"{SCHEME}?{urlencode(runs)}")}">{escape(words)}</a>'
