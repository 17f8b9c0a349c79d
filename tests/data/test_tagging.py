"""Tagged tokens: what is loaded from each source, what is reported, and what cannot be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up.data_sets import subwords
from made_up.tags import COUNTS, NAMES, attained, made_up, write, write_folder, write_hub

from idlib.data import DataError, tables, tagging
from idlib.data.sources import LIBREOFFICE_HELP
from idlib.metrics import spans
from idlib.models import encoders

CHOICES = "which the English training data do not have: choose from O, B-PER, I-PER, B-LOC, I-LOC"
HUB_NAMES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tags")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> tagging.TaggingData:
    return load(write_folder(tmp_path_factory.mktemp("tags")))


def load(root: Path, source: str = "path", **more) -> tagging.TaggingData:
    return tagging.load(source, subwords(), root=root, cache=root / "cache", **more)


def without(rows: list[dict], *columns: str) -> list[dict]:
    return [{name: row[name] for name in row if name not in columns} for row in rows]


# ---- what is loaded


def test_english_to_train_on_and_a_test_set_for_each_language(data):
    assert data.languages == ("en", "de", "ja") and data.names == NAMES
    for name, split in data.splits.items():
        kind, _, language = name.partition("/")
        expected = made_up(kind, language or "en")
        assert len(split) == COUNTS[kind]
        for column, values in (
            ("id", split.ids),
            ("tokens", split.tokens),
            ("ner_tags", split.tags),
        ):
            assert values == [row[column] for row in expected]
    assert data.parallel == {row["id"] for row in made_up("test", "en")}
    tokens = {language: made_up("test", language)[0]["tokens"] for language in ("en", "ja")}
    assert data.splits["test/en"].texts[0] == " ".join(tokens["en"]).replace(" .", ".")
    assert data.splits["test/ja"].texts[0] == "".join(tokens["ja"])


def test_lines_of_text_and_tables_of_numbers_say_the_same(data, folder, tmp_path):
    write(folder / "de/test.parquet", made_up("test", "de"), NAMES[::-1])  # its own numbers
    assert load(folder).splits["test/de"].tags == data.splits["test/de"].tags
    lines = load(write_folder(tmp_path / "lines", ".jsonl"))
    assert set(lines.names) == set(NAMES) and lines.names[0] == "O"
    for name, split in data.splits.items():
        assert lines.splits[name].tags == split.tags
        assert lines.splits[name].lengths == split.lengths


def test_columns_that_may_be_missing(folder, data):
    """Without ids nothing is a translation; without spaces one follows each token."""
    write(folder / "de/test.parquet", without(made_up("test", "de"), "id"))
    write(folder / "ja/test.parquet", without(made_up("test", "ja"), "spaces"))
    other = load(folder)
    assert other.splits["test/de"].ids[:2] == ["de/1", "de/2"] and not other.parallel
    japanese = other.splits["test/ja"]
    assert japanese.texts[0] == " ".join(japanese.tokens[0])
    assert japanese.tags == data.splits["test/ja"].tags


def test_items_without_tokens_are_dropped_and_counted(folder):
    rows = made_up("test", "de")
    rows[2] |= {"tokens": [], "ner_tags": [], "spaces": []}
    rows[5] |= {"tokens": [" ", ""], "ner_tags": ["O", "O"], "spaces": [True, False]}
    write(folder / "de/test.parquet", rows)
    data = load(folder)
    assert data.dropped["test/de"] == {"empty": 2} and len(data.splits["test/de"]) == 18
    file = folder / "de/test.parquet"
    assert data.report == [f"test/de: 2 of 20 items dropped, no tokens: {file}:3, {file}:6"]
    assert data.parallel == {row["id"] for row in rows} - {rows[2]["id"], rows[5]["id"]}


def test_tokens_out_of_reach_are_reported(folder):
    data = load(folder, max_length=8)
    for name, split in data.splits.items():
        tokens = sum(map(len, split.tokens))
        line = f"{name}: {split.cut} of {tokens} tokens lie beyond 8 subwords and are taken for O"
        assert split.cut > 0 and line in data.report
        gold = sum(len(spans.spans(tags)) for tags in split.tags)
        line = f"{name}: {split.missed} of {gold} spans are out of reach"
        assert split.missed > 0 and sum(text.startswith(line) for text in data.report) == 1


def test_the_items_of_all_languages_come_first_and_are_the_same_ones(folder):
    write(folder / "de/test.parquet", made_up("test", "de")[:9] + made_up("test", "de")[12:])
    write(folder / "ja/test.parquet", made_up("test", "ja")[4:])
    shared = {row["id"] for row in made_up("test", "en")[4:9] + made_up("test", "en")[12:]}
    few, more = load(folder, sizes={"test": 6}), load(folder, sizes={"test": 17})
    assert len(few.parallel) == 6 and few.parallel < shared == more.parallel
    tests = [f"test/{language}" for language in ("en", "de", "ja")]
    assert [set(few.splits[name].ids) for name in tests] == [few.parallel] * 3
    assert [len(more.splits[name]) for name in tests] == [17, 17, 16]
    assert all(shared < set(more.splits[name].ids) for name in tests)


def test_a_sample_depends_on_the_ids_and_not_on_their_order(folder):
    first = load(folder, sizes={"train": 6}).splits["train"].ids
    write(folder / "en/train.parquet", made_up("train", "en")[::-1])
    assert load(folder, sizes={"train": 6}).splits["train"].ids == first[::-1]


# ---- the hub's schema


def test_a_folder_laid_out_as_wikiann(workspace):
    root = write_hub(workspace / ".idlib/data/wikiann")
    data = load(root, "hub")
    assert data.languages == ("en", "de", "ja") and data.names == HUB_NAMES
    for name, split in data.splits.items():
        kind, _, language = name.partition("/")
        rows = made_up(kind, language or "en")
        assert split.tags == [row["ner_tags"] for row in rows]
        assert split.texts == [" ".join(row["tokens"]) for row in rows]
        assert split.ids[0] == f"{language or 'en'}/1"
        assert attained(split) == 1.0
    assert not data.parallel, "row numbers of two languages are not translations"
    assert tagging.load("hub", subwords()).checksums == data.checksums  # it needs no root
    with pytest.raises(DataError, match="unknown language 'sv'; .* has en, de, ja"):
        load(root, "hub", languages=["sv"])


def test_tags_inside_nothing_are_kept_counted_and_no_span(tmp_path):
    root = write_hub(tmp_path / "wikiann")
    rows = [
        {"tokens": ["see", "Rome"], "ner_tags": ["I-LOC", "I-LOC"]},
        {"tokens": ["x"], "ner_tags": ["B-PER"]},
    ]
    write(root / "de/test-00000-of-00001.parquet", rows, HUB_NAMES)
    data = load(root, "hub", languages=["de"])
    assert data.splits["test/de"].tags == [["I-LOC", "I-LOC"], ["B-PER"]]
    (line,) = data.report
    assert line.startswith("test/de: 2 tags I- follow no tag of their kind")
    assert line.endswith("test:1")
    assert [len(spans.spans(tags)) for tags in data.splits["test/de"].tags] == [0, 1]


def test_the_hubs_languages_are_the_papers():
    paper = (
        "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko "
        "th sw yo my zh kk tr et fi hu qu pl uk az lt pa gu ro"
    ).split()
    assert sorted(paper) == sorted(tagging.HUB_LANGUAGES) and len(set(paper)) == 48
    with pytest.raises(DataError, match="unknown language 'klingon'; hub data has en, ar, he"):
        tagging.load("hub", subwords(), languages=["klingon"])


# ---- what ships


@pytest.mark.slow
def test_what_ships_is_loaded_whole():
    data = tagging.load("embedded", subwords(), languages=["vi", "fi"], max_length=64)
    sizes = {"train": 6000, "validation": 644, "test/en": 992, "test/vi": 261, "test/fi": 309}
    assert {name: len(split) for name, split in data.splits.items()} == sizes
    assert data.names == spans.tags_of(("MENU", "UI", "KEY", "CODE", "PRODUCT"))
    table = tables.read_embedded("tagging/vi/test", ["tokens", "spaces"], LIBREOFFICE_HELP)
    assert data.splits["test/vi"].tokens == [row["tokens"] for row in table.rows]
    assert data.checksums["test/vi"] == table.checksum
    with pytest.raises(DataError, match="unknown language 'sv'; .* has en, de, el, es, fi"):
        tagging.load("embedded", subwords(), languages=["sv"])


@pytest.mark.slow
def test_what_ships_can_be_tagged_in_its_own_encoders_subwords():
    """Where a text has no spaces too: they run over several tokens, and hardly over a border."""
    tokenizer, asked = encoders.tokenizer("embedded"), ["ja", "zh-CN", "ko", "it"]
    data = tagging.load("embedded", tokenizer, languages=asked, sizes={"train": 1})
    ratios = {}
    for language in asked:
        split = data.splits[f"test/{language}"]
        assert attained(split) > 0.99 and split.lost == 0
        assert len(data.parallel & set(split.ids)) == len(data.parallel) > 200
        ratios[language] = sum(split.lengths) / sum(map(len, split.tokens))
    assert ratios["ja"] < 0.7 and ratios["ko"] > 1.5


# ---- what cannot be loaded


def with_row(folder: Path, name: str, index: int, suffix: str = ".jsonl", **columns) -> Path:
    """Other columns in one row of a table."""
    split, language = name.split("/")[0], name.split("/")[-1]
    rows = made_up(split, language)
    rows[index] |= columns
    path = folder / language / f"{split}{suffix}"
    for old in path.parent.glob(f"{split}.*"):
        old.unlink()
    write(path, rows, NAMES if suffix == ".parquet" else None)
    return path


def first_tag(tag, name: str = "test/de") -> dict:
    """Row 4 of a table with another first tag."""
    tags = made_up(*name.split("/"))[3]["ner_tags"]
    other = tags if isinstance(tag, str) else [0] * len(tags)
    return {"ner_tags": [tag, *other[1:]]}


FAULTS = [
    ("train/en", {"ner_tags": ["O"]}, r" has \d+ tokens and 1 ner_tags; each"),
    ("test/de", {"spaces": [True]}, r" has \d+ tokens and 1 spaces; each"),
    ("test/de", {"ner_tags": "O"}, r" has \d+ tokens and no list of ner_tags"),
    ("test/de", {"tokens": ["a", 3]}, ": tokens is no list of texts"),
    ("test/de", {"id": "test-01"}, " has the id 'test-01', as has .*:2; ids must differ"),
    ("test/de", first_tag("B-ORG"), f" has the tag 'B-ORG', {CHOICES}"),
    ("train/en", first_tag("S-PER", "train/en"), ": the tag 'S-PER' is neither O, nor B- or I-"),
    ("test/de", first_tag(0), " has the tag 0, and .* write tags as text"),
    ("train/en", first_tag(0, "train/en"), " has the tag 0, and .* write tags as text"),
    *(("test/de", first_tag(tag), f" has the tag {tag}, which") for tag in (None, True, 0.5)),
]


@pytest.mark.parametrize(("name", "columns", "message"), FAULTS)
def test_a_row_that_cannot_be_used_is_named(folder, name, columns, message):
    path = with_row(folder, name, 3, **columns)
    with pytest.raises(DataError, match=f"{path}:4{message}"):
        load(folder)


def test_numbers_outside_their_names(folder):
    for tag in (9, -1):
        path = with_row(folder, "test/de", 3, ".parquet", **first_tag(tag))
        with pytest.raises(DataError, match=rf"{path}:4 has the tag {tag}, {CHOICES}"):
            load(folder)
    row = made_up("test", "de")[3]
    other = row | {"ner_tags": ["B-ORG", *row["ner_tags"][1:]]}
    write(folder / "de/test.parquet", [other], (*NAMES, "B-ORG"))
    with pytest.raises(DataError, match=rf":1 has the tag 5 \(B-ORG\), {CHOICES}"):
        load(folder)


def test_tables_with_nothing_to_learn(folder):
    path = with_row(folder, "test/de", 0)
    write(path, [{"tokens": [], "ner_tags": []}])
    with pytest.raises(DataError, match="split test/de: test/de: 1 of 1 items dropped, no tok"):
        load(folder)
    rows = [row | {"ner_tags": ["O"] * len(row["tokens"])} for row in made_up("train", "en")]
    write(folder / "en/train.parquet", rows, ("O",))
    with pytest.raises(DataError, match="train.parquet has no tag but O"):
        load(folder)
    (folder / "en/train.parquet").unlink()
    with pytest.raises(DataError, match="has no en/train.parquet or en/train.jsonl"):
        load(folder)
