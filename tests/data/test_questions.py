"""Questions of every source: what they hold, and what cannot be used."""

from __future__ import annotations

import copy
import json

import pytest
from made_up.questions import every_row, load, word_pieces, write

from idlib.data import DataError, answering
from idlib.metrics import squad
from idlib.models import encoders


@pytest.fixture(scope="module")
def tokenizer():
    return word_pieces()


@pytest.fixture
def rows():
    return copy.deepcopy(every_row())


# ---- sources


def test_lines_of_json_hold_the_same_as_parquet(rows, tmp_path, tokenizer):
    data = load(write(tmp_path / "tables", rows), tokenizer)
    found = load(write(tmp_path / "lines", rows, ".jsonl"), tokenizer)
    assert {n: s.windows for n, s in found.splits.items()} == {
        n: s.windows for n, s in data.splits.items()
    }
    assert found.checksums["train"] != data.checksums["train"]  # they are the files'


def test_the_embedded_help_answers_with_its_own_words():
    sizes, languages = {"train": 100, "test": 40}, ("en", "el", "ja", "ko", "zh-CN")
    tokenizer = encoders.tokenizer(encoders.EMBEDDED)
    found = answering.load("embedded", tokenizer, languages=languages[1:], sizes=sizes)
    assert found.languages == languages and len(found.parallel) >= 33
    assert found.report == [] and not any(map(any, (d.values() for d in found.dropped.values())))
    for name, split in found.splits.items():
        holding = {w.item: i for i, w in enumerate(split.windows) if w.holds_answer}
        assert len(holding) == len(split.ids)
        for place, one in enumerate(split.questions):
            for text, start in zip(one.answers, one.starts, strict=True):
                assert one.context[start : start + len(text)] == text
            window = split.windows[holding[place]]
            text = split.text(holding[place], window.start, window.end)
            # Korean particles can be in one piece with the end of the word before them.
            same = squad.exact_match(text, one.answers[:1])  # "2" and "2." can be one piece
            assert same or (name == "test/ko" and one.answers[0] in text)


@pytest.fixture
def hub(tmp_path):
    """TyDiQA's layout: all languages in one table each of training and validation."""
    rows = every_row()
    train, test = rows["en/train"] + rows["en/validation"], rows["en/test"]
    for i, row in enumerate(train):
        row["id"] = f"english-{i * 7}--{i}"
    for place, row in enumerate(test):
        row["id"] = f"english--{place}-0"
    others = {"japanese": [], "bengali": rows["de/test"], "finnish": rows["ja/test"]}
    for name, table in others.items():
        for i, row in enumerate(table):
            row["id"] = f"{name}-{i}-1"
    tables = {
        "secondary_task/train-00000-of-00001": others["bengali"][:3] + train,
        "secondary_task/validation-00000-of-00001": others["finnish"] + test + others["bengali"],
    }
    for table in tables.values():
        for row in table:
            row["title"] = "made up"
    return tables


def load_hub(tables, tmp_path, tokenizer, **more):
    write(tmp_path, tables)
    return load(tmp_path, tokenizer, source="hub", cache=tmp_path / "cache", **more)


def test_the_hub_holds_out_a_tenth_and_tests_on_the_public_validation(hub, tmp_path, tokenizer):
    data = load_hub(hub, tmp_path, tokenizer)
    assert data.languages == ("en", "bn", "fi") and data.parallel == frozenset()
    train, held = (set(data.splits[name].ids) for name in ("train", "validation"))
    assert (len(train), len(held)) == (34, 4) and not train & held
    (first, second) = hub.values()
    assert train | held == {row["id"] for row in first if row["id"].startswith("english")}
    assert data.splits["test/en"].ids == [r["id"] for r in second if r["id"].startswith("english")]
    assert data.splits["test/fi"].ids == [f"finnish-{i}-1" for i in range(8)]
    assert any("4 of the 38 English training questions, held out" in line for line in data.report)
    assert len(set(data.checksums.values())) == 5
    # Which are held out depends on their names alone.
    assert load_hub(hub, tmp_path, tokenizer, languages=("fi",)).splits["validation"].ids == (
        data.splits["validation"].ids
    )


def test_what_cannot_be_used_on_the_hub_is_left_out_and_counted(hub, tmp_path, tokenizer):
    first, second = hub.values()
    (placed,) = (i for i, row in enumerate(second) if row["id"] == "bengali-4-1")
    second[placed]["answers"]["answer_start"] = [1000]
    second[placed + 1]["answers"] = {"text": [], "answer_start": []}
    second[placed + 2]["question"] = "why " * 30
    second[placed + 3]["id"] = "bengali-0-1"
    data = load_hub(hub, tmp_path, tokenizer)
    expected = {"answer": 1, "span": 1, "twice": 1, "question": 1, "window": 0}
    assert data.dropped["test/bn"] == expected
    assert data.splits["test/bn"].ids == [f"bengali-{i}-1" for i in range(4)]
    assert sum(data.dropped["test/fi"].values()) == 0
    for reason, offset in (("span", 0), ("answer", 1), ("question", 2), ("twice", 3)):
        (line,) = (one for one in data.report if answering.REASONS[reason] in one)
        assert line.startswith("test/bn: 1 of 8 questions dropped")
        assert line.endswith(f"/validation:{placed + offset + 1}")


def test_an_id_of_no_language(hub, tmp_path, tokenizer):
    next(iter(hub.values()))[1]["id"] = "klingon-3"
    with pytest.raises(DataError, match=r"train:2 has the id 'klingon-3'.*english, arabic"):
        load_hub(hub, tmp_path, tokenizer)


# ---- what cannot be used elsewhere


FAULTS = {
    "span": (
        lambda row: row["answers"].update(answer_start=[row["answers"]["answer_start"][0] + 1]),
        r"test\.jsonl:3: the answer '.*' does not stand at character \d+ of its context, where",
    ),
    "negative": (
        lambda row: row["answers"].update(text=[row["context"][:2]], answer_start=[-2]),
        r"test\.jsonl:3: the answer .* does not stand at character -2",
    ),
    "other case": (
        lambda row: row["answers"].update(text=[row["answers"]["text"][0].swapcase()]),
        r"test\.jsonl:3: the answer",
    ),
    "none": (
        lambda row: row.update(answers={"text": [], "answer_start": []}),
        r"test\.jsonl:3: there is no answer, or an empty one",
    ),
    "blank": (
        lambda row: row.update(
            context="a " + row["context"], answers={"text": [" "], "answer_start": [1]}
        ),
        r"test\.jsonl:3: there is no answer, or an empty one",
    ),
    "long question": (
        lambda row: row.update(question="why " * 40),
        r"test\.jsonl:3: the question leaves room for 0 of 32 tokens, .* share 8; shorten it",
    ),
    "unequal": (
        lambda row: row["answers"].update(answer_start=[0, 1]),
        r"test\.jsonl:3: 1 answers have 2 answer_start",
    ),
    "no lists": (
        lambda row: row.update(answers="Datei"),
        r"test\.jsonl:3: 1 answers have 0 answer_start; .*list text and a list answer_start",
    ),
    "no text": (
        lambda row: row.update(context=None),
        r"test\.jsonl:3: context is None; id, context and question should be texts",
    ),
    "no number": (
        lambda row: row["answers"].update(answer_start=["0"]),
        r"test\.jsonl:3: an answer_start is '0'",
    ),
    "no word": (
        lambda row: row["answers"].update(text=[7]),
        r"test\.jsonl:3: an answer is 7",
    ),
    "twice": (
        lambda row: row.update(id="test-0"),
        r"test\.jsonl:3: the id 'test-0' is that of .*test\.jsonl:1 too; ids must differ",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_question_that_cannot_be_used_is_named(fault, rows, tmp_path, tokenizer):
    change, message = FAULTS[fault]
    write(tmp_path, rows, ".jsonl")
    path = tmp_path / "de/test.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines[2])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match=message):
        load(tmp_path, tokenizer)


def test_an_unknown_language(rows, tmp_path, tokenizer):
    with pytest.raises(DataError, match=r"unknown language 'fr'; .* has en, de, ja"):
        load(write(tmp_path, rows), tokenizer, languages=("de", "fr"))


def test_no_english(tokenizer, tmp_path):
    rows = {"de/test": every_row()["de/test"]}
    with pytest.raises(DataError, match=r"no test set in English \(en\).*it has de"):
        load(write(tmp_path, rows), tokenizer)
    with pytest.raises(DataError, match="it has none at all"):
        load(tmp_path / "nowhere", tokenizer)
