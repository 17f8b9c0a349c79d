"""Every table of a notebook's page as a CSV file, linked below it."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx

FOLDER = "_tables"  # of the built book
PAGES = ("index", "_executed/")  # whose tables have a file
TABLE = re.compile(r"<table\b(?![^>]*\bparameters\b)[^>]*>.*?</table>", re.DOTALL)


class _Rows(HTMLParser):
    """The cells of a table as text; a cell that spans several stands in each of them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self._span = (1, 1)
        self._below: dict[int, tuple[int, str]] = {}  # column: rows to go, text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            given = dict(attrs)
            self._span = (int(given.get("rowspan") or 1), int(given.get("colspan") or 1))
            self._cell = []
        elif tag == "br" and self._cell is not None:
            self._cell.append(" ")

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            text, (down, across) = " ".join("".join(self._cell).split()), self._span
            self._fill()
            for _ in range(across):
                if down > 1:
                    self._below[len(self.rows[-1])] = (down - 1, text)
                self.rows[-1].append(text)
            self._cell = None
        elif tag == "tr":
            self._fill()

    def _fill(self) -> None:
        """Put in what spans down from the rows above."""
        row = self.rows[-1]
        while (above := self._below.get(len(row))) is not None:
            left, text = above
            if left > 1:
                self._below[len(row)] = (left - 1, text)
            else:
                del self._below[len(row)]
            row.append(text)


def as_csv(table: str) -> str:
    """The text of a table's cells as CSV.

    Args:
        table: its HTML.
    """
    parser = _Rows()
    parser.feed(table)
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(row for row in parser.rows if row)
    return written.getvalue()


def link_tables(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Write the page's tables as files, and a link below each of them."""
    if not page.startswith(PAGES) or not context.get("body"):
        return
    up, name = "../" * page.count("/"), page.rpartition("/")[2]
    folder = Path(app.outdir) / FOLDER
    number = 0

    def linked(match: re.Match[str]) -> str:
        nonlocal number
        number += 1
        folder.mkdir(parents=True, exist_ok=True)
        file = f"{name}-{number}.csv"
        (folder / file).write_text(as_csv(match[0]), encoding="utf-8")
        words = f"Table {number} of this page as CSV"
        link = f'<a class="csv" href="{up}{FOLDER}/{file}" download title="{words}">CSV</a>'
        return f"{match[0]}{link}"

    context["body"] = TABLE.sub(linked, context["body"])


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    app.connect("html-page-context", link_tables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
