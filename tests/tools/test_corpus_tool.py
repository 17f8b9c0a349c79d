"""The corpus' tool as a whole, run on a made-up help in three languages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from libreoffice_help.pages import read_page
from made_up.help_tree import LANGUAGES, PAGES, element, name_of, page, write_tree

from idlib.data.folding import fold

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "make_libreoffice_help.py"
SPLITS = ("train", "validation", "test")
CLASSIFICATION = ("application", "heading")


def run(*arguments: object, seed: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def rows(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


@pytest.fixture(scope="module")
def licences(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("licences")
    (folder / "MPL-2.0").write_text("Text of the MPL")
    (folder / "Apache-2.0").write_text("Text of the Apache License")
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("help")
    write_tree(folder)
    untranslated = folder / "de/text/swriter/01/0000.html"
    untranslated.write_text((folder / "en-US/text/swriter/01/0000.html").read_text())
    disagreeing = folder / "de/text/scalc/01/0001.html"
    text = disagreeing.read_text(encoding="utf-8").replace(". Links wird", ", und links wird")
    disagreeing.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def options(licences) -> list:
    return ["--licences", licences, "--version", "1:2.3", "--languages", *LANGUAGES]


@pytest.fixture(scope="module")
def made(tmp_path_factory, tree, options) -> Path:
    out = tmp_path_factory.mktemp("made") / "corpus"
    done = run("--help-root", tree, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_twice_gives_the_same_bytes_and_leaves_nothing_else(made, tree, options, tmp_path):
    """Also with other hashes, over an older folder, and with the languages in several roots."""
    english = tmp_path / "elsewhere"
    english.mkdir()
    (english / "en-US").symlink_to(tree / "en-US")
    rest = tmp_path / "rest"
    rest.mkdir()
    for name in ("de", "ja"):
        (rest / name).symlink_to(tree / name)
    out = tmp_path / "again"
    out.mkdir()
    (out / "old.parquet").write_text("left from before")
    done = run("--help-root", english, rest, "--out", out, *options, seed=1)
    assert done.returncode == 0, done.stderr
    assert files(out) == files(made)
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "rest", "again"}


def test_papers(made):
    assert (made / "LICENSE").read_text() == "Text of the MPL"
    assert (made / "LICENSE.Apache-2.0").read_text() == "Text of the Apache License"
    note = (made / "SOURCE.md").read_text(encoding="utf-8")
    assert "- `libreoffice-help-en-us` 1:2.3\n- `libreoffice-help-de` 1:2.3\n" in note
    listed = {line.split("  ", 1)[1] for line in (made / "CHECKSUMS").read_text().splitlines()}
    assert listed == set(files(made)) - {"CHECKSUMS"}


def test_every_page_is_in_one_split(made):
    """Each made-up page has words of its own, so that its split can be read off every table."""
    split_of: dict[str, set[str]] = {}
    for split in SPLITS:
        english = [row["translation"]["en"] for row in rows(made, f"translation/{split}")]
        english += [" ".join(row["tokens"]) for row in rows(made, f"tagging/en/{split}")]
        english += [row["context"] for row in rows(made, f"answering/en/{split}")]
        for name in CLASSIFICATION:
            own = rows(made, f"classification/{name}/{split}")
            english += [row[k] for row in own for k in row if k.startswith("sentence")]
        words = {word for text in english for word in fold(text).split()}
        for number in range(PAGES):
            if fold(name_of(number, "en")) in words:
                split_of.setdefault(name_of(number, "en"), set()).add(split)
    assert len(split_of) == PAGES
    assert all(len(splits) == 1 for splits in split_of.values())
    counts = [sum(splits == {split} for splits in split_of.values()) for split in SPLITS]
    assert counts == [PAGES - 11 - 22, 11, 22]  # 9 and 18 % of pages with an access section


def test_what_half_of_the_pages_share_is_in_one_split_once(made):
    shared = "Confirm the dialog by pressing the red key."
    found = [
        split
        for split in SPLITS
        for row in rows(made, f"translation/{split}")
        if row["translation"]["en"] == shared
    ]
    assert len(found) == 1


def test_untranslated_pages_and_unequal_paragraphs_are_dropped(made):
    english = {
        row["translation"]["en"] for split in SPLITS for row in rows(made, f"translation/{split}")
    }
    told = [
        any(name_of(number, "en") in text and text.startswith("Press") for text in english)
        for number in range(PAGES)
    ]
    assert told == [False, False, *[True] * (PAGES - 2)]


def test_other_languages_have_the_english_items_of_the_test(made):
    tags = {row["id"]: row["ner_tags"] for row in rows(made, "tagging/en/test")}
    for language in ("de", "ja"):
        assert not (made / f"tagging/{language}/train.parquet").exists()
        own = rows(made, f"tagging/{language}/test")
        assert own and {row["id"] for row in own} <= set(tags)
        for row in own:
            begins = sorted(tag for tag in row["ner_tags"] if tag % 2)
            assert begins == sorted(tag for tag in tags[row["id"]] if tag % 2)
    assert all(row["parallel"] for row in rows(made, "tagging/ja/test"))


@pytest.mark.parametrize(
    "language, asked, path",
    [
        ("en", "Where is the command “Tool {}”?", "Format - {}"),
        ("de", "Wo finde ich den Befehl „Werkzeug {}“?", "Ansicht – {}"),
        ("ja", "「道具{}」コマンドはどこにありますか。", "書式 → {}"),
    ],
)
def test_the_answer_is_the_path_of_the_page_that_is_asked_about(made, language, asked, path):
    answered = 0
    for row in rows(made, f"answering/{language}/test"):
        (answer,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(answer)] == answer
        names = [name_of(number, language) for number in range(PAGES)]
        name = next(name for name in names if path.format(name) == answer)
        assert row["question"] == asked.format(name)
        assert row["context"].count(answer) == 1
        assert 4 <= len(row["context"].split("\n")) <= 8
        answered += 1
    assert answered >= 20


def test_headings_belong_to_the_paragraph_below_them(made):
    for split in ("train", "test"):
        for row in rows(made, f"classification/heading/{split}"):
            name = row["sentence1"].split()[-1]
            assert (name in row["sentence2"]) == bool(row["label"])


def test_sentences_have_the_application_of_their_page(made):
    order = ("writer", "calc", "impress or draw", "math", "base", "basic")
    found = rows(made, "classification/application/train")
    assert len(found) > 100
    for row in found:
        number = next(n for n in range(PAGES) if name_of(n, "en") in row["sentence"])
        assert row["label"] == order.index(order[number % 6])


# ---- what cannot be made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (
            ["--languages", *LANGUAGES, "fi"],
            1,
            "no fi/text below TREE: install libreoffice-help-fi",
        ),
        (["--licences", "OUT"], 1, "OUT/MPL-2.0 is missing: name its folder with --licences"),
        (["--version", ""], 1, "is not installed: say which one it is with --version"),
        (["--languages", "en", "ja"], 2, "the languages must include en and de"),
    ],
    ids=["language", "licence", "version", "German"],
)
def test_what_cannot_be_made_leaves_the_folder_as_it_was(
    tree, options, tmp_path, arguments, status, says
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("left")
    names = {"OUT": str(out), "TREE": str(tree)}
    given = [names.get(argument, argument) for argument in arguments]
    if "--version" in arguments:  # none is given
        options, given = [], ["--languages", "en", "de", "xx"]
    done = run("--help-root", tree, "--out", out, *options, *given)
    for name, path in names.items():
        says = says.replace(name, path)
    assert done.returncode == status and says in done.stderr and "Traceback" not in done.stderr
    assert files(tmp_path) == {"out/old": b"left"}


def test_a_page_without_content_is_no_obstacle(tmp_path):
    path = tmp_path / "a.html"
    path.write_text(page(""))
    assert read_page(path) == []
    path.write_text("<html><body>" + element("p", 1, "outside") + "</body></html>")
    assert read_page(path) == []
