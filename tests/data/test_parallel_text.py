"""The sources of sentence pairs: what ships, the hub's tables, and text files; also damaged."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up.pairs import (
    PAIRS,
    change,
    load,
    texts,
    write_parquet,
    write_splits,
    write_text,
)
from made_up.tables import publish, sha256

from idlib.data import DataError, translation

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Aligned text files."""
    return write_splits(tmp_path / "text")


@pytest.fixture
def shipped(tmp_path):
    """Parquet files and checksums as those that ship."""
    root = tmp_path / "embedded"
    for name, pairs in PAIRS.items():
        write_parquet(root / "translation" / f"{name}.parquet", pairs)
    publish(root)
    return root


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


# ---- what ships


def test_embedded_loads_as_published(tmp_path):
    data = translation.load(
        "embedded", vocabulary=2000, splits=("validation", "test"), cache=tmp_path
    )
    folder = ROOT / "idlib/data/embedded/libreoffice_help/translation"
    for name, pairs in data.splits.items():
        path = folder / f"{name}.parquet"
        assert data.checksums[name] == sha256(path)
        rows = pq.read_table(path)["translation"].to_pylist()
        assert texts(pairs) == [(row["de"], row["en"]) for row in rows]
        assert not any(data.dropped[name].values())
    assert data.vocabulary.size == 2000


def test_a_changed_embedded_file_is_refused(shipped, cache):
    assert texts(load(shipped, cache, "embedded").splits["test"]) == PAIRS["test"]
    write_parquet(shipped / "translation/test.parquet", PAIRS["test"][1:])
    with pytest.raises(DataError, match=r"translation/test.parquet is not the file.*restore it"):
        load(shipped, cache, "embedded")
    assert load(shipped, cache, "embedded", splits=["validation"]).report == []


@pytest.mark.parametrize("name", ["translation/train.parquet", "CHECKSUMS"])
def test_a_missing_embedded_file_is_named(shipped, cache, name):
    (shipped / name).unlink()
    with pytest.raises(DataError, match=f"{name}.*restore it"):
        load(shipped, cache, "embedded")


def test_an_embedded_file_that_checksums_does_not_list(shipped, cache):
    (shipped / "CHECKSUMS").write_text("")
    with pytest.raises(DataError, match="listed in CHECKSUMS"):
        load(shipped, cache, "embedded")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("bytes", "is no parquet table"),
        ("column", "has no column translation; it has text$"),
        ("language", "has no column translation of texts de and en"),
        ("number", "has no column translation of texts de and en"),
    ],
)
def test_an_embedded_file_of_another_schema(shipped, cache, damage, message):
    path = shipped / "translation/train.parquet"
    if damage == "bytes":
        path.write_bytes(b"PAR1")
    else:
        table = {
            "column": {"text": ["a"]},
            "language": {"translation": [{"de": "a", "fr": "b"}]},
            "number": {"translation": [{"de": 1, "en": "b"}]},
        }[damage]
        pq.write_table(pa.table(table), path)
    publish(shipped)
    with pytest.raises(DataError, match=f"train.parquet {message}"):
        load(shipped, cache, "embedded")


# ---- the hub


def test_the_hubs_layout_gives_the_same_pairs(hub, folder, cache, data):
    found = load(hub, cache, "hub")
    assert {name: texts(pairs) for name, pairs in found.splits.items()} == PAIRS
    assert found.vocabulary.model == data.vocabulary.model
    assert (cache / "datasets").is_dir()  # and nothing beside the files
    assert sorted(path.name for path in hub.iterdir()) == ["de-en"]


def test_the_hubs_checksums_tell_content_and_not_place(hub, tmp_path, cache):
    first = load(hub, cache, "hub").checksums
    moved = Path(shutil.move(hub / "de-en", tmp_path / "elsewhere"))  # train/0000.parquet
    assert load(moved, cache, "hub").checksums == first
    write_parquet(moved / "test/0000.parquet", PAIRS["test"][1:])
    changed = load(moved, cache, "hub").checksums
    assert changed["test"] != first["test"] and changed["train"] == first["train"]


def test_empty_and_missing_texts_of_a_table_are_counted(hub, cache):
    pairs = [*PAIRS["test"], ("", "click"), ("Klicken", None), ("öffnen\nSie", "open\u2028it")]
    write_parquet(hub / "de-en/test/0000.parquet", pairs)
    found = load(hub, cache, "hub")
    assert found.dropped["test"]["empty"] == 2
    assert texts(found.splits["test"]) == [*PAIRS["test"], ("öffnen Sie", "open it")]
    assert found.report == [
        f"test: 2 of 18 pairs dropped, a side without tokens: {hub}/test:16, {hub}/test:17"
    ]


def test_a_hub_folder_without_a_split(hub, cache):
    shutil.rmtree(hub / "de-en/test")
    with pytest.raises(DataError, match="hub has no split test; it has train, validation"):
        load(hub, cache, "hub")


def test_a_hub_folder_of_another_schema(hub, cache):
    for path in hub.rglob("*.parquet"):
        pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(DataError, match="hub/train has no column translation; it has text$"):
        load(hub, cache, "hub")


def test_a_corrupt_hub_folder(hub, cache):
    (hub / "de-en/train/0000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="hub cannot be loaded"):
        load(hub, cache, "hub")


def test_the_hub_needs_a_package(hub, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the package datasets; install it"):
        load(hub, cache, "hub")


def test_without_network_the_hub_says_what_to_do(tmp_path, cache, monkeypatch):
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match="bbaaaa/iwslt14-de-en-preprocess cannot.*refs/convert/parq"
    ):
        load(tmp_path / "empty", cache, "hub")


# ---- text files


@pytest.mark.parametrize("spelling", ["valid", "dev"])
def test_the_validation_split_has_other_names(folder, cache, data, spelling):
    for language in ("de", "en"):
        (folder / f"validation.{language}").rename(folder / f"{spelling}.{language}")
    found = load(folder, cache)
    assert texts(found.splits["validation"]) == PAIRS["validation"]
    assert found.checksums == data.checksums


def test_checksums_of_text_files_tell_content_and_not_place(folder, tmp_path, cache):
    first = load(folder, cache).checksums
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    assert load(moved, cache).checksums == first
    # The same lines on the other side are another content.
    for a, b in (("de", "x"), ("en", "de"), ("x", "en")):
        (moved / f"test.{a}").rename(moved / f"test.{b}")
    changed = load(moved, cache).checksums
    assert changed["test"] != first["test"] and changed["train"] == first["train"]


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


def test_source_and_target_of_different_lengths(folder, cache):
    with (folder / "train.en").open("a") as file:
        file.write("one more\n")
    with pytest.raises(DataError, match=r"train.de has 60 lines and .*train.en has 61"):
        load(folder, cache)


def test_empty_lines_are_counted_and_shift_nothing(folder, cache):
    change(folder / "train.de", 7, " \t")
    change(folder / "train.en", 9, "")
    change(folder / "test.en", 1, "\u200b")  # nothing is left of it after normalisation
    found = load(folder, cache)
    assert found.dropped["train"] == {"empty": 2, "long": 0, "ratio": 0}
    assert found.dropped["test"]["empty"] == 1
    kept = [pair for i, pair in enumerate(PAIRS["train"], 1) if i not in (7, 9)]
    assert texts(found.splits["train"]) == kept
    assert found.report == [
        f"train: 2 of 60 pairs dropped, a side without tokens: {folder}/train.de:7, "
        f"{folder}/train.en:9",
        f"test: 1 of 15 pairs dropped, a side without tokens: {folder}/test.en:1",
    ]


def test_a_line_past_the_length_limit_is_counted_and_named(folder, cache):
    change(folder / "train.en", 11, "click " * 1500)
    found = load(folder, cache, max_tokens=175)
    assert found.dropped["train"] == {"empty": 0, "long": 1, "ratio": 0}
    assert found.report == [
        "train: 1 of 60 pairs dropped, a side of more than 175 tokens (max_tokens): "
        f"{folder}/train.en:11"
    ]


@pytest.mark.parametrize(("language", "line"), [("de", 1), ("en", 5), ("de", 15)])
def test_undecodable_bytes_are_named_by_file_and_line(folder, cache, language, line):
    path = folder / f"test.{language}"
    change(path, line, "Schaltfläche".encode("latin-1"))
    with pytest.raises(DataError, match=f"test.{language}:{line} is no UTF-8 .byte 0xe4.*convert"):
        load(folder, cache)


def test_a_missing_text_file_is_named(folder, cache):
    (folder / "test.en").unlink()
    with pytest.raises(DataError, match="text has no test.en, the en side of split test"):
        load(folder, cache)
    for language in ("de", "en"):
        (folder / f"validation.{language}").unlink()
    with pytest.raises(DataError, match="no validation.de or valid.de or dev.de"):
        load(folder, cache, splits=["validation"])
    with pytest.raises(DataError, match="nowhere is no folder; it should hold train.de"):
        load(folder / "nowhere", cache)


def test_two_files_for_one_split(folder, cache):
    shutil.copy(folder / "validation.de", folder / "dev.de")
    with pytest.raises(DataError, match="has validation.de and dev.de; keep one"):
        load(folder, cache)
    (folder / "validation.de").unlink()
    with pytest.raises(DataError, match="dev.de and .*validation.en have different names"):
        load(folder, cache)


def test_a_text_file_that_cannot_be_read(folder, cache):
    (folder / "test.de").unlink()
    (folder / "test.de").mkdir()
    with pytest.raises(DataError, match="test.de cannot be read"):
        load(folder, cache)
