"""The embedded corpus as it ships: whole, and no text of a test set in training."""

from __future__ import annotations

import hashlib

import pyarrow.parquet as pq
import pytest
from made_up.embedded_corpus import (
    EMBEDDED,
    FILES,
    LANGUAGES,
    OTHERS,
    ROOT,
    SPLITS,
    english,
    rows,
    text_of,
    texts,
)

from idlib.data.folding import fold

# ---- the files


def test_nothing_but_the_tables_and_their_papers():
    found = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.is_file()}
    papers = {"CHECKSUMS", "LICENSE", "LICENSE.Apache-2.0", "SOURCE.md"}
    assert found == {f"{name}.parquet" for name in FILES} | papers


def test_checksums_are_those_of_the_files():
    listed = dict(
        reversed(line.split("  ", 1)) for line in (ROOT / "CHECKSUMS").read_text().splitlines()
    )
    found = {p.relative_to(ROOT).as_posix(): p for p in ROOT.rglob("*") if p.is_file()}
    del found["CHECKSUMS"]
    assert listed == {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in found.items()}


def test_all_embedded_data_stay_below_twelve_mebibytes():
    folders = (EMBEDDED / "fashion_mnist", ROOT)
    total = sum(p.stat().st_size for folder in folders for p in folder.rglob("*") if p.is_file())
    assert 3 * 2**20 < total < 12 * 2**20


def test_licences_and_sources_are_there():
    assert "Mozilla Public License Version 2.0" in (ROOT / "LICENSE").read_text()[:200]
    assert "Apache License\n" in (ROOT / "LICENSE.Apache-2.0").read_text()[:200]
    note = (ROOT / "SOURCE.md").read_text(encoding="utf-8")
    for language in LANGUAGES:
        name = "en-us" if language == "en" else language.lower()
        assert f"- `libreoffice-help-{name}` 4:7.4.7-1+deb12u14\n" in note
    for word in ("apt source libreoffice", "git.libreoffice.org/help", "Apache License 2.0"):
        assert word in note


def test_the_note_counts_what_is_there():
    note = (ROOT / "SOURCE.md").read_text(encoding="utf-8")
    for name in FILES:
        folder, split = name.rsplit("/", 1)
        line = next(x for x in note.splitlines() if x.startswith(f"| {folder} |"))
        cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
        assert cells[SPLITS.index(split)] == f"{len(rows(name)):,}"


@pytest.mark.parametrize(
    "name, schema",
    [
        ("translation/test", "translation: struct<de: string, en: string>"),
        (
            "tagging/ja/test",
            "id: string, tokens: list<element: string>, ner_tags: list<element: int64>, "
            "spaces: list<element: bool>, parallel: bool",
        ),
        (
            "answering/ko/test",
            "id: string, context: string, question: string, answers: struct<text: list<element: "
            "string>, answer_start: list<element: int32>>, parallel: bool",
        ),
        ("classification/application/test", "sentence: string, label: int64, idx: int64"),
        (
            "classification/heading/test",
            "sentence1: string, sentence2: string, label: int64, idx: int64",
        ),
    ],
)
def test_schemas_are_those_of_the_public_data_sets(name, schema):
    found = pq.read_schema(ROOT / f"{name}.parquet")
    assert ", ".join(f"{field.name}: {field.type}" for field in found) == schema
    siblings = [other for other in FILES if other.split("/")[0] == name.split("/")[0]]
    if name.startswith("classification"):
        siblings = [other for other in siblings if other.rsplit("/", 1)[0] in name]
    for other in siblings:
        assert pq.read_schema(ROOT / f"{other}.parquet").equals(found, check_metadata=True)


# ---- no text of a test set in training


def test_every_english_text_is_in_one_split_in_all_tasks():
    train, validation, test = map(english, SPLITS)
    assert len(train) > 25_000 and len(validation) > 1_500 and len(test) > 3_000
    assert not train & test
    assert not train & validation
    assert not validation & test


def test_no_side_of_a_translation_is_another_side_elsewhere():
    both = [texts("translation", "de", s) | texts("translation", "en", s) for s in SPLITS]
    assert not (both[0] & both[2] or both[0] & both[1] or both[1] & both[2])


@pytest.mark.parametrize("task", ["tagging", "answering"])
@pytest.mark.parametrize("language", OTHERS)
def test_no_original_of_another_language_is_in_english_training(task, language):
    """Ids lead from an item to its English original, which is in the English test set alone."""
    of_split = {split: {row["id"] for row in rows(f"{task}/en/{split}")} for split in SPLITS}
    own = [row["id"] for row in rows(f"{task}/{language}/test")]
    assert len(own) == len(set(own)) >= 40
    assert set(own) <= of_split["test"]
    assert not of_split["test"] & (of_split["train"] | of_split["validation"])
    seen = english("train") | english("validation")
    assert not texts(task, language, "test") & seen
    originals = {row["id"]: row for row in rows(f"{task}/en/test")}
    for name in own:
        row = originals[name]
        lines = [text_of(row)] if task == "tagging" else row["context"].split("\n")
        assert not set(map(fold, lines)) & seen


@pytest.mark.parametrize("column", ["question", "answers"])
def test_no_question_or_answer_of_the_test_is_in_training(column):
    found = []
    for split in SPLITS:
        every = rows(f"answering/en/{split}")
        values = [r["answers"]["text"] if column == "answers" else [r[column]] for r in every]
        found.append({fold(text) for value in values for text in value})
    assert all(found) and not (found[0] | found[1]) & found[2]
    assert not found[0] & found[1]


@pytest.mark.parametrize("language", OTHERS)
def test_no_paragraph_is_left_in_english(language):
    originals = {row["id"]: fold(text_of(row)) for row in rows("tagging/en/test")}
    for row in rows(f"tagging/{language}/test"):
        assert fold(text_of(row)) != originals[row["id"]]
    originals = {row["id"]: row for row in rows("answering/en/test")}
    for row in rows(f"answering/{language}/test"):
        assert fold(row["context"]) != fold(originals[row["id"]]["context"])
        assert not set(map(fold, row["context"].split("\n"))) & {
            line
            for line in map(fold, originals[row["id"]]["context"].split("\n"))
            if len(line.split()) > 2  # names of keys can be the same
        }
