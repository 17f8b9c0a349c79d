"""How the book shows a notebook: its parameters as a table, and its own scripts alone."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from pathlib import Path
from types import SimpleNamespace

import accessible
import content_policy
import notebook_pages
import pytest
import record_links
import table_files
from docutils import nodes
from docutils.utils import new_document

ELSEWHERE = '<a href="records.html">records:</a>'
CELL = """profile: str = "small"  # how large
seeds: list[int] = [1]
# None from here on:
# the profile's own.
alpha: float | None = None  # weight of the "divergence" # 1
"""


def test_parameters_are_read_with_their_comments() -> None:
    assert [tuple(one) for one in notebook_pages.parameters_of(CELL)] == [
        ("profile", "str", "'small'", "how large"),
        ("seeds", "list[int]", "[1]", ""),
        ("", "", "", "None from here on: the profile's own."),
        ("alpha", "float | None", "None", 'weight of the "divergence" # 1'),
    ]
    assert notebook_pages.values_of("# Parameters\nprofile = 'smoke'\nseeds = [1, 2]\n") == {
        "profile": "'smoke'",
        "seeds": "[1, 2]",
    }


def cell(tag: str, source: str) -> nodes.container:
    block = nodes.literal_block(source, source)
    return nodes.container("", nodes.container("", block), classes=["cell", tag])


def test_a_table_takes_the_place_of_both_cells() -> None:
    document = new_document("page")
    given = cell("tag_injected-parameters", "profile = 'smoke'")
    other = cell("tag_hide-input", "seeds = [5]")
    document += [cell("tag_parameters", CELL), given, other]
    notebook_pages.ParametersAsTable(document).apply()
    rows = [
        [entry.astext() for entry in row.findall(nodes.entry)]
        for row in document.findall(nodes.row)
    ]
    assert rows == [
        [*notebook_pages.COLUMNS],
        ["profile", "how large", "str", "'small'", "'smoke'"],
        ["seeds", "", "list[int]", "[1]", "[1]"],
        ["", "None from here on: the profile's own.", "", "", ""],
        ["alpha", 'weight of the "divergence" # 1', "float | None", "None", "None"],
    ]
    assert [block.astext() for block in document.findall(nodes.literal_block)] == ["seeds = [5]"]


def test_a_page_allows_its_own_scripts_and_no_others() -> None:
    scripts = ["let a = 1;", "\n  b('<');\n"]
    page = "<html><head><title>x</title></head><body>{}</body></html>".format(
        "".join(f"<script>{one}</script>" for one in scripts) + '<script src="c.js"></script>'
    )
    made = content_policy.with_policy(page)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    (meta,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', made)
    assert f"script-src 'self' 'sha256-{digests[0]}' 'sha256-{digests[1]}';" in meta
    assert "default-src 'none'" in meta and "unsafe-eval" not in meta
    assert made.index("Content-Security-Policy") < made.index("<title>")
    assert content_policy.with_policy(made) == made


TABLE = """<table class="dataframe"><thead>
<tr><th rowspan="2">model</th><th colspan="2">std</th></tr><tr><th>a</th><th>b</th></tr></thead>
<tbody><tr><td rowspan="2">&lt;id&gt;</td><td>1<br>2</td><td>3,4</td></tr>
<tr><td>5</td><td></td></tr></tbody></table>"""


def test_a_table_is_written_as_it_reads() -> None:
    rows = [*csv.reader(io.StringIO(table_files.as_csv(TABLE)))]
    assert rows == [
        ["model", "std", "std"],
        ["model", "a", "b"],
        ["<id>", "1 2", "3,4"],
        ["<id>", "5", ""],
    ]


@pytest.mark.parametrize(
    ("page", "files"),
    [("_executed/images", ["images-1.csv"]), ("index", ["index-1.csv"]), ("api", [])],
)
def test_tables_of_notebooks_have_a_file_and_a_link(tmp_path: Path, page: str, files: list) -> None:
    app = SimpleNamespace(outdir=str(tmp_path))
    body = f"<p>x</p>{TABLE}<table class='parameters'><tr><td>1</td></tr></table>"
    context = {"body": body}
    table_files.link_tables(app, page, "page.html", context, None)
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == files
    assert context["body"].count('class="csv"') == len(files)
    if files:
        (href,) = re.findall(r'class="csv" href="([^"]+)"', context["body"])
        assert (tmp_path / page).parent.joinpath(href).resolve() == tmp_path / "_tables" / files[0]
    table_files.link_tables(app, page, "search.html", {}, None)  # no body


@pytest.mark.parametrize(
    ("page", "there"), [("index", "_executed/records"), ("_executed/a", "../_executed/records")]
)
def test_numbers_lead_to_the_page_of_records(page: str, there: str) -> None:
    context = {"body": f'<p><a class="x" href="records:?run=a%3A+b">1</a> {ELSEWHERE}</p>'}
    record_links.link_records(None, page, "page.html", context, None)
    assert context["body"] == (
        f'<p><a class="x" href="{there}.html?run=a%3A+b">1</a> {ELSEWHERE}</p>'
    )


def test_files_of_records_stand_beside_their_page(tmp_path: Path, caplog) -> None:
    signature, lost = "0123456789abcdef", "fedcba9876543210"
    for folder in ("book", "records/evidence", "html/_executed"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / f"records/evidence/images-id-{signature}.json").write_text("{}")
    rows = "".join(f'<a href="records/{one}.json">x</a>' for one in (signature, lost))
    (tmp_path / "html/_executed/records.html").write_text(rows)
    app = SimpleNamespace(srcdir=str(tmp_path / "book"), outdir=str(tmp_path / "html"))
    record_links.copy_records(app, ValueError())
    assert not (tmp_path / "html/_executed/records").exists()
    record_links.copy_records(app, None)
    copied = [path.name for path in (tmp_path / "html/_executed/records").iterdir()]
    assert copied == [f"{signature}.json"] and lost in caplog.text


def test_the_themes_pages_are_mended() -> None:
    page = (
        '<button class="search-button-field x" title="Search" aria-label="Search" y="1">S</button>'
        '<summary aria-label="Toggle hidden content">More</summary>'
        '<i class="theme-switch a" title="S"></i>'
        '<button class="other" aria-label="Search"></button>'
        '<div role="list" class="citation-list">'
    )
    made = accessible.mended(page)
    assert made.count("aria-label") == 1 and 'class="other" aria-label="Search"' in made
    assert "<summary>More" in made and '<i class="theme-switch a"></i>' in made
    assert 'role="list"' not in made and 'title="Search" y="1">S' in made
    assert accessible.mended(made) == made
