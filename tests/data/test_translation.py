"""Sentence pairs: their tensors, vocabulary, limits and samples; tables and text files of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from made_up.data_sets import DATA_SETS
from made_up.pairs import (
    COUNTS,
    PAIRS,
    change,
    load,
    texts,
    write_parquet,
    write_splits,
    write_text,
)
from made_up.tables import publish, sha256, write_table

from idlib.data import DataError, translation
from idlib.data.sources import LIBREOFFICE_HELP
from idlib.data.vocabulary import EOS, PAD, UNK


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Aligned text files."""
    return write_splits(tmp_path / "text")


@pytest.fixture
def hub(tmp_path):
    """Parquet files laid out as the hub's."""
    for name, pairs in PAIRS.items():
        write_parquet(tmp_path / "hub/de-en" / name / "0000.parquet", pairs)
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = write_splits(tmp_path_factory.mktemp("module"))
    return load(root, root / "cache")


# ---- pairs and their tensors


def test_ids_end_and_do_not_begin(data):
    for name, pairs in data.splits.items():
        assert len(pairs) == COUNTS[name] and texts(pairs) == PAIRS[name]
        for side, ids in ((pairs.sources, pairs.source_ids), (pairs.targets, pairs.target_ids)):
            assert ids == [[*one, EOS] for one in data.vocabulary.encode(side)]
            assert data.vocabulary.decode(ids) == side
        both = zip(pairs.source_ids, pairs.target_ids, strict=True)
        assert pairs.lengths == [max(len(a), len(b)) for a, b in both]
        assert data.lines[name] == list(range(len(pairs)))


def test_a_batch_is_its_pairs_padded(data):
    pairs, rows = data.splits["train"], [3, 0, 17, 3]
    batch = pairs.batch(rows)
    kinds = {name: value.dtype for name, value in batch.items()}
    assert kinds.pop("label_mask") == torch.bool and set(kinds.values()) == {torch.int64}
    longest = [max(len(ids[i]) for i in rows) for ids in (pairs.source_ids, pairs.target_ids)]
    for b, i in enumerate(rows):
        source, target = pairs.source_ids[i], pairs.target_ids[i]
        free = [longest[0] - len(source), longest[1] - len(target)]
        started = [EOS, *target[:-1]]  # fairseq's first token is the end of a sentence
        assert {name: value[b].tolist() for name, value in batch.items()} == {
            "input_ids": source + [PAD] * free[0],
            "attention_mask": [1] * len(source) + [0] * free[0],
            "decoder_input_ids": started + [PAD] * free[1],
            "labels": target + [PAD] * free[1],
            "label_mask": [True] * len(target) + [False] * free[1],
        }


# ---- the vocabulary of the loaded data


def test_the_vocabulary_sees_the_training_split_only(folder, cache):
    first = load(folder, cache).vocabulary.model
    for name in ("validation", "test"):
        write_text(folder, name, [(de + " Ωμέγα", en + " omega") for de, en in PAIRS[name]])
    changed = load(folder, cache.with_name("other"))
    assert changed.vocabulary.model == first
    assert UNK in changed.splits["test"].source_ids[0]
    change(folder / "train.de", 1, "Ωμέγα")
    assert load(folder, cache).vocabulary.model != first


def test_limits_and_sizes_do_not_move_the_vocabulary(folder, cache):
    first = load(folder, cache).vocabulary
    limited = load(folder, cache, max_tokens=14, max_ratio=1.2, sizes={"train": 5})
    alone = load(folder, cache, splits=["test"])
    assert limited.vocabulary.checksum == alone.vocabulary.checksum == first.checksum
    assert list(alone.splits) == list(alone.checksums) == list(alone.dropped) == ["test"]
    assert len(list((cache / "vocabularies").glob("*.model"))) == 1


def test_a_vocabulary_that_the_text_does_not_support(folder, cache):
    with pytest.raises(DataError, match=r"50000 subwords .*choose at most \d+: set vocabulary"):
        load(folder, cache, vocabulary=50_000)
    write_text(folder, "train", [("", "a")])
    says = "train has no pair with two sides in .*train.de and .*train.en"
    with pytest.raises(DataError, match=says):
        load(folder, cache)


# ---- limits and samples


def sides(data, name):
    pairs = data.splits[name]
    both = zip(pairs.source_ids, pairs.target_ids, strict=True)
    return [(len(source) - 1, len(target) - 1) for source, target in both]  # without EOS


def test_limits_drop_what_is_beyond_them_and_count_it(folder, cache, data):
    limited = load(folder, cache, max_tokens=20, max_ratio=1.2)
    expected = {
        "train": lambda a, b: max(a, b) <= 20 and max(a, b) / min(a, b) <= 1.2,
        "validation": lambda a, b: max(a, b) <= 20,
        "test": lambda a, b: True,
    }
    for name, stays in expected.items():
        counts = sides(data, name)
        kept = [i for i, n in enumerate(counts) if stays(*n)]
        assert texts(limited.splits[name]) == [PAIRS[name][i] for i in kept]
        assert limited.lines[name] == kept
        long = sum(max(n) > 20 for n in counts) if name != "test" else 0
        ratio = len(counts) - len(kept) - long
        assert limited.dropped[name] == {"empty": 0, "long": long, "ratio": ratio}
    assert limited.dropped["train"]["long"] and limited.dropped["train"]["ratio"]
    assert limited.dropped["validation"]["long"] and not limited.dropped["validation"]["ratio"]
    assert limited.checksums == data.checksums and data.report == []


def test_a_pair_at_the_limit_stays(folder, cache, data):
    longest = max(map(max, sides(data, "train")))
    assert load(folder, cache, max_tokens=longest).dropped["train"]["long"] == 0
    assert load(folder, cache, max_tokens=longest - 1).dropped["train"]["long"] > 0
    ratio = max(max(n) / min(n) for n in sides(data, "train"))
    assert load(folder, cache, max_ratio=ratio).dropped["train"]["ratio"] == 0


def test_the_limit_of_the_test_split_is_asked_for(folder, cache, data):
    limited = load(folder, cache, max_tokens=30, test_tokens=20)
    assert max(map(max, sides(limited, "train"))) > 20
    for name in ("validation", "test"):
        kept = sum(max(n) <= 20 for n in sides(data, name))
        assert 0 < len(limited.splits[name]) == kept < COUNTS[name]
    lower = load(folder, cache, max_tokens=20, test_tokens=30)  # which holds for validation
    assert max(map(max, sides(lower, "validation"))) <= 20


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0, but must be at least 1"),
        ({"max_ratio": 0.5}, "max_ratio is 0.5"),
        ({"test_tokens": -3}, "test_tokens is -3"),
        ({"splits": ["dev"]}, "unknown split 'dev'"),
    ],
)
def test_bad_limits(folder, cache, limit, message):
    with pytest.raises(DataError, match=message):
        load(folder, cache, **limit)


def test_the_report_names_the_first_places(folder, cache, data):
    report = load(folder, cache, max_tokens=20).report
    numbers = [(i, n) for i, n in enumerate(sides(data, "train"), 1) if max(n) > 20]
    line = next(line for line in report if line.startswith("train: "))
    assert f"{len(numbers)} of 60 pairs dropped, a side of more than 20 tokens" in line
    number, (source, target) = numbers[0]
    language = "de" if source >= target else "en"
    assert f"(max_tokens): {folder}/train.{language}:{number}," in line
    assert f":{numbers[4][0]}, …" in line and f":{numbers[5][0]}," not in line
    assert len(report) == 2  # train and validation


def test_a_sample_is_of_what_is_left_and_depends_on_texts_alone(folder, cache):
    asked = {"max_tokens": 25, "test_tokens": 25, "sizes": {"test": 6}}
    first = load(folder, cache, **asked)
    assert texts(first.splits["test"]) == [PAIRS["test"][line] for line in first.lines["test"]]
    write_text(folder, "test", PAIRS["test"][::-1])
    again = load(folder, cache, **asked)
    assert texts(again.splits["test"]) == texts(first.splits["test"])[::-1]
    with pytest.raises(DataError, match="test has 15 pairs within the limits, so 16 cannot"):
        load(folder, cache, sizes={"test": 16})


def test_nothing_left_says_what_was_dropped(folder, cache):
    says = (
        "nothing is left of split train: train: 60 of 60 pairs dropped, a side of more than 1 "
        "tokens .max_tokens.: .*train...:1, .*--set max_tokens=4"
    )
    with pytest.raises(DataError, match=says):
        load(folder, cache, max_tokens=1)
    write_text(folder, "test", [("", ""), ("a", "")])
    with pytest.raises(DataError, match="split test: test: 2 of 2 pairs dropped, a side without"):
        load(folder, cache)
    for language in ("de", "en"):
        (folder / f"test.{language}").write_bytes(b"")
    with pytest.raises(DataError, match="split test: .*test.de has no pairs"):
        load(folder, cache)


# ---- tables


def test_embedded_loads_as_published(tmp_path):
    splits = ("validation", "test")
    data = translation.load("embedded", vocabulary=2000, splits=splits, cache=tmp_path)
    for name, pairs in data.splits.items():
        path = LIBREOFFICE_HELP / f"translation/{name}.parquet"
        assert data.checksums[name] == sha256(path)
        rows = pq.read_table(path)["translation"].to_pylist()
        assert texts(pairs) == [(row["de"], row["en"]) for row in rows]
        assert not any(data.dropped[name].values())
    assert data.vocabulary.size == 2000


def test_only_the_splits_asked_for_are_read(tmp_path, cache):
    shipped = DATA_SETS["translation"].shipped(tmp_path / "shipped")
    (shipped / "translation/test.parquet").unlink()
    assert load(shipped, cache, "embedded", splits=["validation"]).report == []


@pytest.mark.parametrize("pair", [{"de": "a", "fr": "b"}, {"de": 1, "en": "b"}])
def test_an_embedded_file_of_another_schema(tmp_path, cache, pair):
    shipped = DATA_SETS["translation"].shipped(tmp_path / "shipped")
    write_table(shipped / "translation/train.parquet", [{"translation": pair}])
    publish(shipped)
    with pytest.raises(DataError, match="train.parquet has no column translation of texts de and"):
        load(shipped, cache, "embedded")


def test_the_hubs_layout_gives_the_same_pairs(hub, cache, data):
    public = load(hub, cache, "hub")
    assert {name: texts(pairs) for name, pairs in public.splits.items()} == PAIRS
    assert public.vocabulary.model == data.vocabulary.model
    moved = Path(shutil.move(hub / "de-en", hub.with_name("elsewhere")))  # train/0000.parquet
    assert load(moved, cache, "hub").checksums == public.checksums
    write_parquet(moved / "test/0000.parquet", PAIRS["test"][1:])
    changed = load(moved, cache, "hub").checksums
    assert [changed[name] == public.checksums[name] for name in PAIRS] == [True, True, False]


def test_empty_and_missing_texts_of_a_table_are_counted(hub, cache):
    pairs = [*PAIRS["test"], ("", "click"), ("Klicken", None), ("öffnen\nSie", "open\u2028it")]
    write_parquet(hub / "de-en/test/0000.parquet", pairs)
    public = load(hub, cache, "hub")
    assert public.dropped["test"]["empty"] == 2
    assert texts(public.splits["test"]) == [*PAIRS["test"], ("öffnen Sie", "open it")]
    assert public.report == [
        f"test: 2 of 18 pairs dropped, a side without tokens: {hub}/test:16, {hub}/test:17"
    ]


# ---- text files


@pytest.mark.parametrize("spelling", ["valid", "dev"])
def test_the_validation_split_has_other_names(folder, cache, data, spelling):
    for language in ("de", "en"):
        (folder / f"validation.{language}").rename(folder / f"{spelling}.{language}")
    other = load(folder, cache)
    assert texts(other.splits["validation"]) == PAIRS["validation"]
    assert other.checksums == data.checksums


def test_the_same_lines_on_the_other_side_are_another_content(folder, cache, data):
    for a, b in (("de", "x"), ("en", "de"), ("x", "en")):
        (folder / f"test.{a}").rename(folder / f"test.{b}")
    turned = load(folder, cache).checksums
    assert [turned[name] == data.checksums[name] for name in PAIRS] == [True, True, False]


def test_only_a_line_feed_ends_a_line(folder, cache):
    odd = [
        ("eins\u2028zwei", "one two"),
        ("drei\x85vier\r", "three\x0bfour\r"),
        ("\tfünf ", "five"),
    ]
    write_text(folder, "test", odd)
    content = (folder / "test.de").read_bytes()
    (folder / "test.de").write_bytes(b"\xef\xbb\xbf" + content[:-1])  # a mark, no last line feed
    assert texts(load(folder, cache).splits["test"]) == [
        ("eins zwei", "one two"),
        ("drei vier", "three four"),
        ("fünf", "five"),
    ]


def test_lines_that_are_left_out_shift_nothing_and_are_named(folder, cache):
    change(folder / "train.de", 7, " \t")
    change(folder / "train.en", 9, "")
    change(folder / "train.en", 11, "click " * 1500)
    change(folder / "test.en", 1, "\u200b")  # nothing is left of it after normalisation
    data = load(folder, cache, max_tokens=175)
    assert data.dropped["train"] == {"empty": 2, "long": 1, "ratio": 0}
    assert data.dropped["test"]["empty"] == 1
    kept = [pair for i, pair in enumerate(PAIRS["train"], 1) if i not in (7, 9, 11)]
    assert texts(data.splits["train"]) == kept
    assert data.report == [
        f"train: 2 of 60 pairs dropped, a side without tokens: {folder}/train.de:7, "
        f"{folder}/train.en:9",
        "train: 1 of 60 pairs dropped, a side of more than 175 tokens (max_tokens): "
        f"{folder}/train.en:11",
        f"test: 1 of 15 pairs dropped, a side without tokens: {folder}/test.en:1",
    ]


@pytest.mark.parametrize(("language", "line"), [("de", 1), ("en", 5), ("de", 15)])
def test_undecodable_bytes_are_named_by_file_and_line(folder, cache, language, line):
    change(folder / f"test.{language}", line, "Schaltfläche".encode("latin-1"))
    with pytest.raises(DataError, match=f"test.{language}:{line} is no UTF-8 .byte 0xe4.*convert"):
        load(folder, cache)


def test_text_files_that_do_not_belong_together(folder, cache):
    with pytest.raises(DataError, match="nowhere is no folder; it should hold train.de"):
        load(folder / "nowhere", cache)
    shutil.copy(folder / "validation.de", folder / "dev.de")
    with pytest.raises(DataError, match="has validation.de and dev.de; keep one"):
        load(folder, cache)
    (folder / "validation.de").unlink()
    with pytest.raises(DataError, match="dev.de and .*validation.en have different names"):
        load(folder, cache)
    (folder / "dev.de").unlink()
    with pytest.raises(DataError, match="no validation.de or valid.de or dev.de, the de side of"):
        load(folder, cache)
    with (folder / "train.en").open("a") as file:
        file.write("one more\n")
    with pytest.raises(DataError, match=r"train.de has 60 lines and .*train.en has 61"):
        load(folder, cache, splits=["test"])
    (folder / "train.en").unlink()
    (folder / "train.en").mkdir()
    with pytest.raises(DataError, match="train.en cannot be read"):
        load(folder, cache, splits=["test"])
