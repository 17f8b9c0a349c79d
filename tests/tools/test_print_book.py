"""The browser prints what is too wide for a page in a smaller size, and nothing that is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

pytestmark = [pytest.mark.slow, pytest.mark.browser]
ROOT = Path(__file__).resolve().parents[2]
WORDS = "".join(f"<td style='white-space: nowrap'>column{number}</td>" for number in range(25))
WIDE = f"""<table><tr>{WORDS}<td>tableend</td></tr></table>
<span class="math">\\[ {" + ".join(["abcdefgh"] * 30)} \\text{{formulaend}} \\]</span>
<pre>{"x" * 300}pre-end</pre>"""
PAGE = """<html lang="en"><head><title>Start — Small</title>
<link rel="stylesheet" href="_static/custom.css">
<script defer src="_static/mathjax/tex-mml-chtml.js"></script></head><body>
<nav class="bd-docs-nav"><a href="#">Start</a></nav>
<article class="bd-article"><h1>Start</h1>{body}</article></body></html>"""


def print_small(folder: Path, body: str, browser: str) -> subprocess.CompletedProcess:
    """Print a book of one page to ``small.pdf`` beside its folder."""
    shutil.copytree(ROOT / "book/_static", folder / "_static")
    (folder / "index.html").write_text(PAGE.format(body=body), encoding="utf-8")
    tool = [sys.executable, str(ROOT / "tools/print_book.py"), str(folder)]
    given = [str(folder.with_name("small.pdf")), "--version", "1", "--browser", browser]
    return subprocess.run([*tool, *given], capture_output=True, text=True)


def test_what_is_too_wide_is_made_smaller(tmp_path: Path, chromium: str) -> None:
    done = print_small(tmp_path / "html", WIDE, chromium)
    assert done.returncode == 0, done.stderr
    page = PdfReader(tmp_path / "small.pdf").pages[1]
    begins = {}

    def see(text: str, outer, inner, font, size) -> None:
        begins[text.strip()] = inner[4] * outer[0] + outer[4]

    text = page.extract_text(visitor_text=see)
    assert "tableend" in text and "formulaend" in text and "pre-end" in text
    width = float(page.mediabox.width)
    assert width == pytest.approx(210 / 25.4 * 72, abs=1)
    assert max(begins.values()) < width - 16 / 25.4 * 72


BROKEN = {
    "formulas": '<span class="math">\\[ \\left( x \\]</span>',
    "pictures": '<img src="_images/none.svg" alt="missing">',
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_an_error_and_leaves_no_file(
    tmp_path: Path, chromium: str, kind: str
) -> None:
    done = print_small(tmp_path / "html", BROKEN[kind], chromium)
    assert done.returncode == 1 and done.stderr == f"errors in {kind}: 1\n"
    assert not list(tmp_path.glob("small*"))


def test_without_a_book_it_says_so(tmp_path: Path) -> None:
    tool = [sys.executable, str(ROOT / "tools/print_book.py"), str(tmp_path), "x.pdf"]
    done = subprocess.run([*tool, "--version", "1"], capture_output=True, text=True)
    assert done.returncode == 2 and f"no book in {tmp_path}" in done.stderr
