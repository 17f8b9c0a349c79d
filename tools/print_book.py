"""Print the book, built as one page, to a PDF: by a browser, as nothing else sets its formulas.

    python tools/print_book.py book/_build/singlehtml/index.html book/_build/intra-distillation.pdf

The browser is Debian's chromium, or the one that the variable CHROMIUM names.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from idlib.files import replacing

MISSING = "no chromium: install Debian's package chromium, or name a browser in CHROMIUM"
# Chapters that nobody reads on paper: signatures of all functions, and a row for each record.
LEFT_OUT = ("document-api", "document-_executed/records")
FOOT = (
    '<div style="font: 8pt sans-serif; width: 100%; text-align: center; color: #555">'
    '<span class="pageNumber"></span></div>'
)
PREPARE = """async (leftOut) => {
  for (const id of leftOut) {
    document.getElementById(id)?.nextElementSibling?.remove();
    document.querySelectorAll(`li:has(> a[href="#${id}"])`).forEach((e) => e.remove());
  }
  const aside = ".page-tools, a.csv, .bd-header-announcement, details.parameters";
  document.querySelectorAll(aside).forEach((e) => e.remove());
  document.querySelectorAll("details").forEach((e) => { e.open = true; });
  for (const link of document.querySelectorAll("a[href]")) {  // whose target is on no paper
    const target = link.getAttribute("href");
    const here = target.startsWith("#") && target.slice(1);
    if (here && document.getElementById(decodeURIComponent(here))) continue;
    if (!/^https?:/.test(target)) link.replaceWith(...link.childNodes);
  }
  if (window.MathJax?.startup) await window.MathJax.startup.promise;
  await document.fonts.ready;
}"""


def browser() -> str:
    """Path of the browser.

    Raises:
        FileNotFoundError: there is none; the message says how to get one.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found is None or not Path(found).is_file():
        raise FileNotFoundError(MISSING)
    return found


def print_book(page: Path, out: Path) -> None:
    """Print a page of the built book.

    Args:
        page: the HTML file that holds the whole book.
        out: the PDF, written whole or not at all.

    Raises:
        FileNotFoundError: there is no such page, or no browser.
    """
    if not page.is_file():
        raise FileNotFoundError(f"{page}: there is no such page; `nox -s book-pdf` builds it")
    program = browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        shown = opened.new_page(color_scheme="light")
        shown.emulate_media(media="print", color_scheme="light")
        shown.goto(page.resolve().as_uri(), wait_until="networkidle")
        shown.evaluate(PREPARE, list(LEFT_OUT))
        with replacing(out) as partial:
            shown.pdf(
                path=partial,
                format="A4",
                margin={"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOT,
                print_background=True,
                outline=True,
                tagged=True,
            )
        opened.close()


def main() -> None:
    """Read the command line, and print."""
    parser = argparse.ArgumentParser(description="Print the book, built as one page, to a PDF.")
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    try:
        print_book(given.page, given.out)
    except OSError as error:
        sys.exit(f"{parser.prog}: {error}")
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
