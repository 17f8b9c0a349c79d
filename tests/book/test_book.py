"""The book at profile smoke: every notebook runs, and its pages work in a real browser.

It is made once for all tests of this file, which therefore stay together in one process.
"""

from __future__ import annotations

import base64
import functools
import http.server
import json
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from joined_book import chapters_of
from made_up import network

from idlib.book import execution
from idlib.records import Store

pytestmark = [pytest.mark.slow, pytest.mark.browser]
ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_runs_at_smoke(executed: Path, name: str) -> None:
    path = executed / f"book/_executed/{name}.ipynb"
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"]["idlib"]["seconds"] > 0
    kinds = [output["output_type"] for cell in cells for output in cell["outputs"]]
    assert kinds and "error" not in kinds
    summary = json.loads((path.parent / "build.json").read_text())
    assert summary["profile"] == "smoke"
    assert summary["source"] == "embedded"
    assert summary["notebooks"][name] > 0


def test_images_trained_what_the_book_compares(executed: Path) -> None:
    records = [stored.record for stored in Store(root=executed / ".idlib/records", also=()).all()]
    assert {"baseline", "id", "passes", "compute"} <= {record.asked.method for record in records}
    for record in records:
        assert record.asked.profile == "smoke"
        assert all(math.isfinite(value) for value in record.measured.metrics.values())
        assert record.measured.metrics["test/nll"] > 0


def test_unchanged_notebooks_are_not_run_again(executed: Path, capsys) -> None:
    before = (executed / "book/_executed/build.json").read_text()
    execution.execute_all("smoke")
    said = capsys.readouterr().out
    assert all(f"{name}: unchanged" in said for name in NAMES)
    assert (executed / "book/_executed/build.json").read_text() == before


# --- its pages, in a browser that may ask nobody else ------------------------------------------


class Pages(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(built: Path) -> Iterator[str]:
    """Address of the book, served from this machine."""
    handler = functools.partial(Pages, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(chromium: str):
    """A real browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, site: str):
    """A page whose requests, failed answers and complaints are recorded as attributes."""
    page = browser.new_context().new_page()
    page.asked, page.failed, page.complaints = [], [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("requestfailed", lambda request: page.failed.append(request.url))
    page.on("response", lambda got: got.status < 400 or page.failed.append(got.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: said.type == "error" and page.complaints.append(f"{page.url}: {said.text}"),
    )
    yield page
    page.context.close()


def html_pages(built: Path) -> list[str]:
    paths = sorted(built.rglob("*.html"))
    return [str(path.relative_to(built)) for path in paths if "_static" not in path.parts]


def test_every_page_asks_nobody_else(page, site: str, built: Path) -> None:
    names = html_pages(built)
    assert {"index.html", "_executed/images.html", "_executed/method.html"} <= set(names)
    sources = [name for name in names if name.startswith("_modules/")]
    for name in sorted({*names} - {*sources[5:]}):  # which are all made alike
        page.goto(site + name, wait_until="networkidle")
        text = page.inner_text("body")
        assert "smoke" in text and "mean nothing" in text, f"{name} has no banner"
        pictures = page.eval_on_selector_all("img", "all => all.map(i => [i.src, i.alt])")
        # Without a text of its own a picture is given the path of its file.
        told = [alt.strip() and "_images/" not in alt for _, alt in pictures]
        assert all(told), f"{name}: {pictures}"
    local = (site, "data:", "blob:")
    assert [url for url in page.asked if not url.startswith(local)] == []
    assert page.failed == []
    assert page.complaints == []


def test_whoever_makes_the_book_asks_nobody(built: Path, no_network: dict[str, str]) -> None:
    """Notebooks, the runs that they train, and the pages."""
    assert network.asked(no_network) == []


def test_pages_work_from_the_file_system(page, built: Path) -> None:
    for name in ("index.html", "_executed/method.html", "_executed/records.html"):
        page.goto((built / name).as_uri(), wait_until="networkidle")
        assert page.locator(".bd-article h1").first.is_visible()
    assert page.locator(".records-filter input").is_visible()
    assert page.failed == [] and page.complaints == []


def test_no_page_names_a_script_elsewhere(built: Path) -> None:
    loads = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(?:https?:)?//[^\"]+")
    for name in html_pages(built):
        found = loads.findall((built / name).read_text(encoding="utf-8"))
        assert not found, f"{name}: {found}"


def test_formulas_are_set(page, site: str) -> None:
    page.goto(site + "_executed/method.html", wait_until="networkidle")
    page.wait_for_selector("mjx-container", state="attached")
    assert page.locator("mjx-container").count() > 5
    assert page.locator("mjx-merror").count() == 0
    assert "\\frac" not in page.inner_text("main")


def test_search_finds_the_images_page(page, site: str) -> None:
    page.goto(site + "search.html?q=resnet", wait_until="networkidle")
    page.wait_for_selector("#search-results li a", state="attached")
    links = page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    assert any("_executed/images" in link for link in links)


FEW = {f"{name}.html" for name in ("index", "_executed/claims", "_executed/records")}
FEW |= {f"_executed/{name}.html" for name in ("method", "images", "balance")}
OVERFLOWING = """() => {
  const column = document.querySelector(".bd-article");
  if (!column) return [];
  const edge = column.getBoundingClientRect().right + 2;
  const inBox = (e) => e.closest(".mjx-container, mjx-container, details:not([open]), pre");
  return Array.from(column.querySelectorAll("table, img, figure, pre"))
    .filter((e) => e.offsetWidth && !inBox(e.parentElement))
    .filter((e) => e.getBoundingClientRect().right > edge)
    .map((e) => `${e.tagName}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`);
}"""
SIDEWAYS = "() => document.documentElement.scrollWidth > window.innerWidth + 1"


SHOWN = """all => all.map(i => [i.src, i.getBoundingClientRect().width / i.naturalWidth])"""
GLYPHS = re.compile(r"scale\(([\d.]+) -")  # of a text: its size in hundreds of points


def test_text_in_figures_is_at_least_nine_points_high(page, site: str, built: Path) -> None:
    """As shown at 1,280 pixels; exponents aside."""
    page.set_viewport_size({"width": 1280, "height": 900})
    seen = []
    for name in pages_of_the_book(built):
        page.goto(site + name)
        for source, shrunk in page.eval_on_selector_all(".bd-article img", SHOWN):
            kind, _, data = source.partition(";base64,")
            drawn = base64.b64decode(data).decode() if data else page.request.get(source).text()
            assert kind.endswith(("svg", "svg+xml")), f"{name}: {kind} is no drawing"
            sizes = [100 * float(scale) * shrunk for scale in GLYPHS.findall(drawn)]
            seen += [(round(size, 2), name, kind) for size in sizes]
    assert len(seen) > 1000
    assert [one for one in sorted(set(seen)) if one[0] < 8.99] == []


THEMES_OWN = ("_modules", "genindex", "py-modindex", "search")  # pages that nobody writes


def pages_of_the_book(built: Path) -> list[str]:
    return [name for name in html_pages(built) if not name.startswith(THEMES_OWN)]


def test_nothing_is_cut_off_and_no_page_scrolls_sideways(browser, site: str, built: Path) -> None:
    wrong = []
    for width in (1280, 390):
        page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        for name in pages_of_the_book(built):
            page.goto(site + name)
            if page.evaluate(SIDEWAYS):
                wrong.append(f"{name} scrolls sideways at {width}")
            if width == 1280:
                wrong += [f"{name}: {found}" for found in page.evaluate(OVERFLOWING)]
        page.context.close()
    assert wrong == []


def test_a_phone_shows_each_line_and_its_outcome(browser, site: str) -> None:
    """What is not on the screen is announced by a shadow, until the table is at its end."""
    page = browser.new_context(viewport={"width": 390, "height": 900}).new_page()
    for name in ("index.html", "_executed/claims.html", "_executed/images.html"):
        page.goto(site + name)
        table = page.locator(".bd-article table", has=page.get_by_text("outcome", exact=True)).first
        assert table.locator("th").all_inner_texts()[:2] == ["line", "outcome"]
        right = table.locator("td:nth-child(2)").evaluate_all(
            "all => Math.max(...all.map(e => e.getBoundingClientRect().right))"
        )
        assert right <= 390, f"{name}: the outcome ends at {right}"
        assert table.evaluate("e => e.scrollWidth > e.clientWidth"), f"{name} needs no shadow"
        kinds = table.evaluate("e => getComputedStyle(e).backgroundAttachment")
        assert kinds == "local, local, scroll, scroll"
    page.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_no_page_shuts_readers_out(
    browser, site: str, built: Path, scheme: str, width: int
) -> None:
    """By axe-core: nothing serious or critical; what scrolls can be reached by keys."""
    from axe_playwright_python.sync_playwright import Axe

    # axe is put into the page, which its policy rightly forbids to anybody else
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
    )
    page, wrong = context.new_page(), []
    for name in pages_of_the_book(built):
        if name == "api.html" or ((scheme, width) != ("light", 1280) and name not in FEW):
            continue  # thousands of signatures, which autodoc makes alike, take axe minutes
        page.goto(site + name)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        wrong += [
            f"{name}: {one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
    context.close()
    assert wrong == []


def test_code_is_shown_by_one_switch_that_is_remembered(page, site: str) -> None:
    code = ".cell.tag_hide-input .cell_input"
    page.goto(site + "_executed/images.html")
    assert page.locator(code).count() > 5
    assert not any(one.is_visible() for one in page.locator(code).all())
    assert page.locator(".page-tools a[download]").get_attribute("download") is not None
    page.click(".code-switch")
    assert all(one.is_visible() for one in page.locator(code).all())
    page.goto(site + "_executed/translation.html")
    assert page.locator(code).first.is_visible()
    page.click(".code-switch")
    page.reload()
    assert not page.locator(code).first.is_visible() and page.complaints == []


def test_without_scripts_the_pages_can_be_read(browser, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site + "_executed/images.html")
    assert not page.locator(".code-switch").is_visible()
    assert page.locator(".page-tools a[download]").is_visible()
    assert page.locator("details.parameters table").count() == 1
    page.goto(site + "_executed/records.html")
    assert page.locator("table.records-table tbody tr").first.is_visible()
    context.close()


def test_records_are_filtered_by_words(page, site: str) -> None:
    page.goto(site + "_executed/records.html?show=images")
    rows = page.locator("table.records-table tbody tr")
    every = rows.count()
    assert {"images"} == {row.inner_text().split()[1] for row in rows.all() if row.is_visible()}
    page.fill(".records-filter input", "images baseline medium")
    shown = [row.inner_text() for row in rows.all() if row.is_visible()]
    assert 0 < len(shown) < every
    assert all({"images", "baseline", "medium"} <= set(text.split()) for text in shown)


def test_a_number_is_two_clicks_from_its_record(page, site: str) -> None:
    """From the landing page: to the records of a difference, and to one of them."""
    page.goto(site)
    page.locator("table a", has_text="nats").first.click()
    page.wait_for_selector(".records-of")
    rows = [row for row in page.locator("table.records-table tbody tr").all() if row.is_visible()]
    runs = page.locator(".records-of").inner_text()
    assert 0 < len(rows) < page.locator("table.records-table tbody tr").count()
    assert all(row.inner_text().split("\t")[-2] in runs for row in rows if "; " not in runs)
    link = rows[0].locator("a")
    signature = link.inner_text()
    address = site + "_executed/" + str(link.get_attribute("href"))
    assert page.request.get(address).json()["asked"]["seed"] >= 1 and signature in address
    page.click(".records-of button")
    assert rows[0].is_visible() and page.locator(".records-of").count() == 0


def test_every_link_within_the_book_resolves(built: Path) -> None:
    from lxml import html

    pages = {name: html.parse(str(built / name)).getroot() for name in html_pages(built)}
    anchors = {name: set(root.xpath("//@id | //a/@name")) for name, root in pages.items()}
    wrong = []
    for name in pages_of_the_book(built):
        root = pages[name]
        for href in root.xpath("//a/@href"):
            target, _, anchor = href.partition("#")
            target = target.partition("?")[0]
            if ":" in target or target.startswith("//"):
                continue
            there = (
                os.path.normpath(os.path.join(os.path.dirname(name), target)) if target else name
            )
            if not (built / there).exists():
                wrong.append(f"{name}: {href}")
            elif anchor and there in anchors and anchor not in anchors[there]:
                wrong.append(f"{name}: {href} has no such place")
    assert wrong == []


# --- on paper ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pdf(built: Path, chromium: str, tmp_path_factory: pytest.TempPathFactory):
    """The book, printed but for its API reference, which takes the browser long."""
    from pypdf import PdfReader

    out = tmp_path_factory.mktemp("pdf") / "book.pdf"
    tool = [sys.executable, "tools/print_book.py", str(built), str(out)]
    given = ["--version", "1.2.3", "--without", "api", "--browser", chromium]
    done = subprocess.run([*tool, *given], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in out.parent.iterdir()] == ["book.pdf"]
    return PdfReader(out)


def pages_of_chapter(pdf, title: str) -> list:
    """The pages from where the outline names a chapter to where it names the next."""
    chapters = [entry for entry in pdf.outline if not isinstance(entry, list)]
    starts = [pdf.get_destination_page_number(entry) for entry in chapters] + [len(pdf.pages)]
    place = [entry.title for entry in chapters].index(title)
    return [pdf.pages[number] for number in range(starts[place], starts[place + 1])]


def test_every_chapter_is_in_the_outline_and_on_the_first_page(pdf, executed: Path) -> None:
    parts = yaml.safe_load((executed / "book/_toc.yml").read_text())["parts"]
    files = [chapter["file"] for part in parts for chapter in part["chapters"]]
    chapters = chapters_of(executed / "book/_build/html")
    assert [chapter.path for chapter in chapters] == [f"{name}.html" for name in ["index", *files]]
    chapters = [chapter for chapter in chapters if chapter.stem != "api"]
    outlined = [entry for entry in pdf.outline if not isinstance(entry, list)]
    assert [entry.title for entry in outlined] == [chapter.title for chapter in chapters]
    first = pdf.pages[0].extract_text()
    assert "Version 1.2.3" in first and "mean nothing" in " ".join(first.split())
    for entry in outlined:
        page = pdf.get_destination_page_number(entry) + 1
        assert re.search(rf"{re.escape(entry.title)}\s*{page}\b", first), entry.title


def test_links_of_the_pdf_lead_into_it_or_to_the_web(pdf, built: Path) -> None:
    links = [note.get_object() for page in pdf.pages for note in page.get("/Annots") or []]
    places = {str(name).lstrip("/") for name in pdf.named_destinations}
    inside = {str(link["/Dest"]).lstrip("/") for link in links if "/Dest" in link}
    outside = {str(link["/A"]["/URI"]) for link in links if "/A" in link}
    chapters = {chapter.name for chapter in chapters_of(built) if chapter.stem != "api"}
    assert chapters < inside <= places
    assert any(name.startswith("bibliography--") for name in inside)
    assert all(url.startswith("https://") for url in outside)


@pytest.mark.parametrize("name", ["claims", "translation", "images", "method"])
def test_no_page_of_the_pdf_cuts_tables_and_formulas(pdf, built: Path, name: str) -> None:
    """What the last column of each table says is there, and no text begins beyond the margin."""
    from lxml import html

    article = html.parse(str(built / f"_executed/{name}.html")).getroot().find(".//article")
    title = article.findtext(".//h1")
    printed = ".//table[not(contains(@class, 'parameters'))]//tr/*[last()]"
    last = {word for cell in article.xpath(printed) for word in cell.text_content().split()}
    assert last
    found, text = [], ""
    for page in pages_of_chapter(pdf, title):
        right = float(page.mediabox.right) - 16 / 25.4 * 72  # the margin, in points

        def see(piece: str, outer, inner, font, size, right=right) -> None:
            if piece.strip() and inner[4] * outer[0] + outer[4] > right:
                found.append(piece)

        text += page.extract_text(visitor_text=see)
    words = "".join(text.split())
    assert [word for word in sorted(last) if word not in words] == []
    assert found == []
