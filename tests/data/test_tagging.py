"""Tagged text: what is loaded from each source, samples, and what cannot be loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up.tags import (
    COUNTS,
    NAMES,
    attained,
    made_up,
    unigram,
    wordpiece,
    write,
    write_folder,
    write_hub,
)

from idlib.data import DataError, tables, tagging
from idlib.data.sources import LIBREOFFICE_HELP
from idlib.data.tagging import HUB_LANGUAGES
from idlib.metrics import spans
from idlib.models import encoders

UNIGRAM, WORDPIECE = unigram(), wordpiece()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tags")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> tagging.TaggingData:
    return load(write_folder(tmp_path_factory.mktemp("tags")))


def load(root: Path, source: str = "path", tokenizer=UNIGRAM, **limits) -> tagging.TaggingData:
    return tagging.load(source, tokenizer, root=root, cache=root / "cache", **limits)


# ---- what is loaded


def test_english_to_train_on_and_a_test_set_for_each_language(data):
    assert list(data.splits) == ["train", "validation", "test/en", "test/de", "test/ja"]
    assert data.languages == ("en", "de", "ja") and data.names == NAMES
    for name, split in data.splits.items():
        kind, _, language = name.partition("/")
        expected = made_up(kind, language or "en")
        assert len(split) == len(split.ids) == COUNTS[kind]
        assert (split.tokens, split.tags) == tuple(
            [row[column] for row in expected] for column in ("tokens", "ner_tags")
        )
    assert data.parallel == {row["id"] for row in made_up("test", "en")}
    assert data.report == [] and set(data.checksums) == set(data.splits)
    assert all(dropped == {"empty": 0} for dropped in data.dropped.values())


def test_the_text_is_that_of_tokens_and_spaces(data):
    row = made_up("test", "en")[0]
    assert data.splits["test/en"].texts[0] == " ".join(row["tokens"]).replace(" .", ".")
    assert data.splits["test/ja"].texts[0] == "".join(made_up("test", "ja")[0]["tokens"])


def test_lines_of_text_and_tables_of_numbers_say_the_same(data, tmp_path):
    written = load(write_folder(tmp_path / "lines", ".jsonl"))
    assert set(written.names) == set(NAMES) and written.names[0] == "O"
    for name, split in data.splits.items():
        assert written.splits[name].tags == split.tags
        assert written.splits[name].lengths == split.lengths


def test_numbers_mean_what_their_own_table_says(folder, data):
    write(folder / "de/test.parquet", made_up("test", "de"), NAMES[::-1])
    assert load(folder).splits["test/de"].tags == data.splits["test/de"].tags


def test_languages_are_chosen_and_english_is_always_tested(folder):
    assert load(folder, languages=["ja", "de", "ja"]).languages == ("en", "ja", "de")
    alone = load(folder, languages=["en"])
    assert list(alone.splits) == ["train", "validation", "test/en"] and not alone.parallel


def test_items_without_ids_are_nobodys_translation(folder):
    for language in ("en", "de", "ja"):
        rows_ = [{k: v for k, v in row.items() if k != "id"} for row in made_up("test", language)]
        write(folder / language / "test.parquet", rows_)
    found = load(folder)
    assert found.splits["test/de"].ids[:2] == ["de/1", "de/2"] and not found.parallel


def test_without_spaces_one_follows_each_token(folder, data):
    rows_ = [{k: v for k, v in row.items() if k != "spaces"} for row in made_up("test", "ja")]
    write(folder / "ja/test.parquet", rows_)
    split = load(folder).splits["test/ja"]
    assert split.texts[0] == " ".join(split.tokens[0])
    assert split.tags == data.splits["test/ja"].tags


def test_items_without_tokens_are_dropped_and_counted(folder):
    rows_ = made_up("test", "de")
    rows_[2] |= {"tokens": [], "ner_tags": [], "spaces": []}
    rows_[5] |= {"tokens": [" ", ""], "ner_tags": ["O", "O"], "spaces": [True, False]}
    write(folder / "de/test.parquet", rows_)
    found = load(folder)
    assert found.dropped["test/de"] == {"empty": 2} and len(found.splits["test/de"]) == 18
    file = folder / "de/test.parquet"
    assert found.report == [f"test/de: 2 of 20 items dropped, no tokens: {file}:3, {file}:6"]
    assert {rows_[2]["id"], rows_[5]["id"]}.isdisjoint(found.parallel) and len(found.parallel) == 18


def test_tokens_out_of_reach_are_reported(folder):
    cut = load(folder, max_length=8)
    for name, split in cut.splits.items():
        tokens = sum(map(len, split.tokens))
        line = f"{name}: {split.cut} of {tokens} tokens lie beyond 8 subwords and are taken for O"
        assert split.cut > 0 and line in cut.report
        gold = sum(len(spans.spans(tags)) for tags in split.tags)
        line = f"{name}: {split.missed} of {gold} spans are out of reach"
        assert split.missed > 0 and sum(text.startswith(line) for text in cut.report) == 1


# ---- samples


def test_a_smaller_sample_is_part_of_a_larger_one(folder):
    samples = [
        load(folder, sizes={"train": n, "validation": 4}).splits["train"].ids for n in (5, 9)
    ]
    assert [len(set(sample)) for sample in samples] == [5, 9]
    assert set(samples[0]) < set(samples[1])
    assert samples[1] == sorted(samples[1])  # in the source's order


def test_the_items_of_all_languages_come_first_and_are_the_same_ones(folder):
    write(folder / "de/test.parquet", made_up("test", "de")[:9] + made_up("test", "de")[12:])
    write(folder / "ja/test.parquet", made_up("test", "ja")[4:])
    shared = {row["id"] for row in made_up("test", "en")[4:9] + made_up("test", "en")[12:]}
    few = load(folder, sizes={"test": 6})
    assert len(few.parallel) == 6 and few.parallel < shared
    assert all(set(split.ids) == few.parallel for name, split in few.splits.items() if "/" in name)
    more = load(folder, sizes={"test": 17})
    assert more.parallel == shared
    sizes = {name: len(split) for name, split in more.splits.items() if "/" in name}
    assert sizes == {"test/en": 17, "test/de": 17, "test/ja": 16}
    for name, split in more.splits.items():
        if "/" in name:
            assert shared < set(split.ids) and set(few.splits[name].ids) < set(split.ids)
    assert more.checksums == few.checksums


def test_a_sample_depends_on_the_ids_and_not_on_their_order(folder):
    first = load(folder, sizes={"train": 6}).splits["train"].ids
    write(folder / "en/train.parquet", made_up("train", "en")[::-1])
    assert load(folder, sizes={"train": 6}).splits["train"].ids == first[::-1]


# ---- the hub's schema


def test_a_folder_laid_out_as_wikiann(tmp_path):
    root = write_hub(tmp_path / "wikiann")
    found = load(root, "hub")
    assert found.languages == ("en", "de", "ja")
    assert found.names == ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
    for name, split in found.splits.items():
        kind, _, language = name.partition("/")
        rows_ = made_up(kind, language or "en")
        assert split.tags == [row["ner_tags"] for row in rows_]
        assert split.texts == [" ".join(row["tokens"]) for row in rows_]
        assert split.ids[0] == f"{language or 'en'}/1"
        assert attained(split) == 1.0
    assert not found.parallel, "row numbers of two languages are not translations"
    assert load(root, "hub", languages=["ja"]).languages == ("en", "ja")
    with pytest.raises(DataError, match="unknown language 'sv'; .* has en, de, ja"):
        load(root, "hub", languages=["sv"])


def test_tags_inside_nothing_are_kept_counted_and_no_span(tmp_path):
    root = write_hub(tmp_path / "wikiann")
    names = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
    rows_ = [
        {"tokens": ["see", "Rome"], "ner_tags": ["I-LOC", "I-LOC"]},
        {"tokens": ["x"], "ner_tags": ["B-PER"]},
    ]
    write(root / "de/test-00000-of-00001.parquet", rows_, names)
    found = load(root, "hub", languages=["de"])
    assert found.splits["test/de"].tags == [["I-LOC", "I-LOC"], ["B-PER"]]
    (line,) = found.report
    assert line.startswith("test/de: 2 tags I- follow no tag of their kind") and line.endswith(
        "test:1"
    )
    assert [len(spans.spans(tags)) for tags in found.splits["test/de"].tags] == [0, 1]


def test_a_copy_of_the_hub_needs_no_root(workspace):
    root = write_hub(workspace / ".idlib/data/wikiann")
    found, named = tagging.load("hub", UNIGRAM), tagging.load("hub", UNIGRAM, root=root)
    assert found.languages == ("en", "de", "ja") and found.checksums == named.checksums


def test_the_hubs_languages_are_the_papers():
    paper = (
        "ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko "
        "th sw yo my zh kk tr et fi hu qu pl uk az lt pa gu ro"
    ).split()
    assert len(paper) == 48 == len(HUB_LANGUAGES) and HUB_LANGUAGES[0] == "en"
    assert set(HUB_LANGUAGES) == set(paper)
    with pytest.raises(DataError, match="unknown language 'klingon'; .* has en, ar, he"):
        tagging.load("hub", UNIGRAM, languages=["klingon"])


# ---- what ships


def test_what_ships_is_loaded_whole():
    found = tagging.load("embedded", UNIGRAM, languages=["vi", "fi"], max_length=64)
    assert found.languages == ("en", "vi", "fi")
    sizes = {name: len(split) for name, split in found.splits.items()}
    assert sizes == {
        "train": 6000,
        "validation": 644,
        "test/en": 992,
        "test/vi": 261,
        "test/fi": 309,
    }
    assert found.names == spans.tags_of(("MENU", "UI", "KEY", "CODE", "PRODUCT"))
    table = tables.read_embedded("tagging/vi/test", ["tokens", "spaces"], LIBREOFFICE_HELP)
    assert found.splits["test/vi"].tokens == [row["tokens"] for row in table.rows]
    assert found.checksums["test/vi"] == table.checksum
    with pytest.raises(DataError, match="unknown language 'sv'; .* has en, de, el, es, fi"):
        tagging.load("embedded", UNIGRAM, languages=["sv"])


def test_what_ships_can_be_tagged_in_its_own_encoders_pieces():
    """Where a text has no spaces too: pieces run over several tokens, and hardly over a border."""
    tokenizer, asked = encoders.tokenizer("embedded"), ["ja", "zh-CN", "ko", "it"]
    found = tagging.load("embedded", tokenizer, languages=asked, sizes={"train": 1})
    for language in asked:
        split = found.splits[f"test/{language}"]
        assert attained(split) > 0.99 and split.lost == 0
        shared = [i for i, item in enumerate(split.ids) if item in found.parallel]
        assert len(shared) == len(found.parallel) > 200
    pieces = {language: sum(found.splits[f"test/{language}"].lengths) for language in asked}
    tokens = {name: sum(map(len, found.splits[f"test/{name}"].tokens)) for name in asked}
    assert pieces["ja"] < 0.7 * tokens["ja"] and pieces["ko"] > 1.5 * tokens["ko"]


# ---- what cannot be loaded


def with_row(folder: Path, name: str, index: int, suffix: str = ".parquet", **columns) -> Path:
    split, language = name.split("/")[0], name.split("/")[-1]
    rows_ = made_up(split, language)
    rows_[index] |= columns
    path = folder / language / f"{split}{suffix}"
    for old in path.parent.glob(f"{split}.*"):
        old.unlink()
    write(path, rows_, NAMES if suffix == ".parquet" else None)
    return path


@pytest.mark.parametrize("name", ["train/en", "test/de"])
def test_columns_of_unequal_length(folder, name):
    path = with_row(folder, name, 6, ner_tags=["O"])
    with pytest.raises(DataError, match=rf"{path}:7 has \d+ tokens and 1 ner_tags; each"):
        load(folder)
    path = with_row(folder, name, 6, spaces=[True])
    with pytest.raises(DataError, match=rf"{path}:7 has \d+ tokens and 1 spaces; each"):
        load(folder)


def test_tags_outside_the_set(folder):
    row = made_up("test", "de")[3]
    other = ["B-ORG", *row["ner_tags"][1:]]
    path = with_row(folder, "test/de", 3, ".jsonl", ner_tags=other)
    choices = "which the English training data do not have: choose from O, B-PER, I-PER, B-LOC"
    with pytest.raises(DataError, match=rf"{path}:4 has the tag 'B-ORG', {choices}"):
        load(folder)
    path = with_row(folder, "test/de", 3, ner_tags=[9, *[0] * (len(other) - 1)])
    with pytest.raises(DataError, match=rf"{path}:4 has the tag 9, {choices}"):
        load(folder)
    path = with_row(folder, "test/de", 3, ner_tags=[-1, *[0] * (len(other) - 1)])
    with pytest.raises(DataError, match=rf"{path}:4 has the tag -1, {choices}"):
        load(folder)
    write(folder / "de/test.parquet", [row | {"ner_tags": other}], (*NAMES, "B-ORG"))
    with pytest.raises(DataError, match=rf":1 has the tag 5 \(B-ORG\), {choices}"):
        load(folder)


@pytest.mark.parametrize("tag", [None, True, 0.0, ["O"]])
def test_tags_that_are_none(folder, tag):
    row = made_up("test", "de")[3]
    path = with_row(folder, "test/de", 3, ".jsonl", ner_tags=[tag, *row["ner_tags"][1:]])
    with pytest.raises(DataError, match=re.escape(f"{path}:4 has the tag {tag!r}, which")):
        load(folder)


def test_training_tags_of_another_scheme(folder):
    row = made_up("train", "en")[3]
    path = with_row(folder, "train/en", 3, ".jsonl", ner_tags=["S-PER", *row["ner_tags"][1:]])
    with pytest.raises(DataError, match=rf"{path}:4: the tag 'S-PER' is neither O, nor B- or I-"):
        load(folder)


@pytest.mark.parametrize("name", ["train/en", "test/de"])
def test_numbers_without_names(folder, name):
    split, language = name.split("/")
    rows_ = [row | {"ner_tags": [0] * len(row["tokens"])} for row in made_up(split, language)]
    path = folder / language / f"{split}.parquet"
    write(path, rows_, None)
    with pytest.raises(DataError, match=f"{path}:1 has the tag 0, and .* write tags as text"):
        load(folder)


def test_tokens_that_are_no_texts(folder):
    path = with_row(folder, "test/de", 0, ".jsonl", tokens=["a", 3])
    with pytest.raises(DataError, match=rf"{path}:1: tokens is no list of texts"):
        load(folder)


def test_ids_that_occur_twice(folder):
    path = with_row(folder, "test/de", 4, id="test-01")
    with pytest.raises(DataError, match=rf"{path}:5 has the id 'test-01', as has {path}:2"):
        load(folder)


def test_a_source_without_english(folder):
    (folder / "en/test.parquet").unlink()
    with pytest.raises(DataError, match="no test set in English.* it has de, ja"):
        load(folder)
    (folder / "en/train.parquet").rename(folder / "en/test.parquet")
    with pytest.raises(DataError, match="en has no train.parquet|no en/train.parquet"):
        load(folder)


def test_tables_with_nothing_to_learn(folder):
    write(folder / "de/test.jsonl", [{"tokens": [], "ner_tags": []}])
    (folder / "de/test.parquet").unlink()
    with pytest.raises(
        DataError,
        match="split test/de: test/de: 1 of 1 items dropped, no tok",
    ):
        load(folder)
    rows_ = [row | {"ner_tags": ["O"] * len(row["tokens"])} for row in made_up("train", "en")]
    write(folder / "en/train.parquet", rows_, ("O",))
    with pytest.raises(DataError, match="train.parquet has no tag but O"):
        load(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "cloud"}, "unknown source 'cloud'; choose one of embedded, hub, path"),
        ({"root": None}, 'source "path" needs root'),
        ({"sizes": {"dev": 3}}, "unknown split 'dev'; choose from train, validation, test"),
        ({"sizes": {"train": 49}}, "train has 48 items, so 49 cannot be taken"),
        ({"sizes": {"test": 0}}, "test/en has 20 items, so 0 cannot be taken"),
        ({"languages": ["de", "sv"]}, "unknown language 'sv'; .* has en, de, ja"),
        ({"max_length": 2}, "max_length is 2, but the encoder takes from 3 to 128 tokens"),
        ({"max_length": 129}, "max_length is 129"),
    ],
)
def test_bad_arguments(folder, arguments, message):
    asked = {"source": "path", "root": folder, **arguments}
    with pytest.raises(DataError, match=message):
        tagging.load(asked.pop("source"), UNIGRAM, **asked)
