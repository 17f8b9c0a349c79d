"""Print the built book as a PDF, with the browser: ``python tools/print_book.py --help``.

The pages become one document (``joined_book.py``), in which formulas are set and what is wider than
a page is made smaller. The browser prints it by the rules of ``book/_static/custom.css``, and again
until the table of contents names the pages that the chapters are on: most often twice.
"""

from __future__ import annotations

import argparse
import io
import mimetypes
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from joined_book import joined
from playwright.sync_api import Page, Route, sync_playwright
from pypdf import PdfReader

SITE = "http://book.invalid/"  # of the document, while it is printed; answered from the folder
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
# The width in CSS pixels between the margins of a page: 210 mm less those of custom.css.
COLUMN = round((210 - 2 * 16) / 25.4 * 96)
PRINTS = 5  # Chromium may break a page elsewhere when it prints for the second time
LIMIT = 10 * 60_000  # milliseconds that the browser may take for one step
READY = """() => {
  return !document.querySelector('script[src*="mathjax"]') || window.MathJax.startup?.promise;
}"""
WHEN_SET = """async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  const shown = Array.from(document.images, (image) => image.decode().then(() => 0, () => 1));
  return {
    formulas: document.querySelectorAll("mjx-merror").length,
    pictures: (await Promise.all(shown)).reduce((sum, one) => sum + one, 0),
  };
}"""
# Makes what is wider than the column smaller, and counts what is wider all the same.
FIT = """() => {
  const within = (e) => {
    const { left, right } = e.getBoundingClientRect();
    return (e.closest(".chapter").getBoundingClientRect().right - left) / (right - left);
  };
  const wide = "table, mjx-container > mjx-math, pre, img, dt.sig";
  const over = () => Array.from(document.querySelectorAll(wide)).filter((e) => within(e) < 0.999);
  for (const e of over()) e.style.zoom = 0.99 * within(e);
  return over().length;
}"""
NUMBER = """(pages) => {
  for (const [name, page] of Object.entries(pages)) {
    document.querySelector(`.book-entry a[href="#${name}"] ~ .book-page`).textContent = page;
  }
}"""


def print_book(
    folder: Path, out: Path, version: str, browser: str, without: Collection[str] = ()
) -> None:
    """Print the book.

    Args:
        folder: the built HTML.
        out: the PDF, which is whole or, after an error, what it was before.
        version: for the first page.
        browser: path of Chromium.
        without: names of pages that are left out, such as "api".

    Raises:
        RuntimeError: if a formula has an error, a picture is missing, or something stays wider
            than a page.
        ValueError: if there is no page of such a name.
    """
    document = joined(folder, version, without)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=[*FLAGS])
        page = opened.new_page(color_scheme="light", viewport={"width": COLUMN, "height": 1000})
        page.set_default_timeout(LIMIT)
        page.emulate_media(media="print")
        page.route("**/*", lambda route: _answer(route, folder, document))
        page.goto(SITE)
        page.wait_for_function(READY)
        for kind, wrong in page.evaluate(WHEN_SET).items():
            if wrong:
                raise RuntimeError(f"errors in {kind}: {wrong}")
        if wide := page.evaluate(FIT):
            raise RuntimeError(f"{wide} tables, formulas or pictures are wider than a page")
        printed = _numbered(page)
        opened.close()
    temporary = out.with_name(f"{out.name}.part")
    temporary.write_bytes(printed)
    os.replace(temporary, out)


def _numbered(page: Page) -> bytes:
    """Print until the numbers in the table of contents are right."""
    shown: dict[str, int] = {}
    for _ in range(PRINTS):
        printed = page.pdf(
            outline=True, tagged=True, print_background=True, prefer_css_page_size=True
        )
        found = _page_numbers(printed)
        if found == shown:
            return printed
        page.evaluate(NUMBER, found)
        shown = found
    raise RuntimeError(f"the chapters are on other pages each time, {PRINTS} times")


def _page_numbers(printed: bytes) -> dict[str, int]:
    """The page, from 1, on which each place begins that a link leads to."""
    reader = PdfReader(io.BytesIO(printed))
    places = reader.named_destinations.items()
    pages = {name.lstrip("/"): reader.get_destination_page_number(place) for name, place in places}
    return {name: page + 1 for name, page in pages.items() if "--" not in name}


def _answer(route: Route, folder: Path, document: str) -> None:
    """Answer a request from the folder, and none to anybody else."""
    address = urlsplit(route.request.url)
    path = folder / unquote(address.path).lstrip("/")
    if not route.request.url.startswith(SITE):
        route.abort()
    elif address.path == "/":
        route.fulfill(body=document, content_type="text/html; charset=utf-8")
    elif path.is_file():
        route.fulfill(path=path, content_type=mimetypes.guess_type(path.name)[0])
    else:
        route.fulfill(status=404)


def main() -> None:
    """Print what the command line names."""
    parser = argparse.ArgumentParser(description="Print the built book as a PDF.")
    parser.add_argument("folder", type=Path, help="the built HTML")
    parser.add_argument("out", type=Path, help="the PDF")
    parser.add_argument("--version", required=True, help="for the first page")
    parser.add_argument("--browser", default=os.environ.get("CHROMIUM") or shutil.which("chromium"))
    parser.add_argument("--without", nargs="+", default=[], metavar="PAGE", help="such as api")
    options = parser.parse_args()
    if not options.browser:
        parser.error("no chromium: install Debian's package chromium, or name one in CHROMIUM")
    if not (options.folder / "index.html").is_file():
        parser.error(f"no book in {options.folder}")
    try:
        print_book(options.folder, options.out, options.version, options.browser, options.without)
    except (RuntimeError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
