"""What all five loaders have in common: sources, splits, samples, checksums, batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_up.data_sets import DATA_SETS
from made_up.tables import sha256

from idlib.data import DataError, checksums

ALL = pytest.mark.parametrize("name", DATA_SETS)
NAMED = pytest.mark.parametrize("name", [name for name in DATA_SETS if name != "images"])
ENCODERS = pytest.mark.parametrize("name", [name for name, own in DATA_SETS.items() if own.encoder])


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("folders")
    return {name: own.written(root / name) for name, own in DATA_SETS.items()}


@pytest.fixture
def load(folders, tmp_path):
    def go(name: str, source: str = "path", **asked):
        asked = {"root": folders[name], "cache": tmp_path / "cache", **asked}
        return DATA_SETS[name].load(source, **asked)

    return go


def names_of(split) -> list:
    """What tells the items of a split apart, in their order."""
    if hasattr(split, "ids"):
        return split.ids
    return list(zip(split.sources, split.targets, strict=True))


# ---- sources


@ALL
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"source": "cloud"}, "unknown source 'cloud'; choose one of embedded, hub, path"),
        ({"root": None}, 'source "path" needs root, the folder that holds'),
        ({"sizes": {"dev": 3}}, "unknown split 'dev'; choose from train, validation, test"),
        ({"sizes": {"train": 5000}}, r"train has \d+ .*, so 5000 cannot be taken.*--set examples"),
        ({"sizes": {"test": 0}}, r"test.* has \d+ .*, so 0 cannot be taken"),
    ],
)
def test_bad_arguments(load, name, asked, message):
    with pytest.raises(DataError, match=message):
        load(name, **asked)


@ENCODERS
@pytest.mark.parametrize("max_length", [2, 4000])
def test_an_encoder_takes_so_many_tokens(load, name, max_length):
    says = rf"max_length is {max_length}, but .* from \d to \d+ tokens; set max_length .--set"
    with pytest.raises(DataError, match=says):
        load(name, max_length=max_length)


@pytest.mark.parametrize("name", ["tagging", "answering"])
def test_an_unknown_language(load, name):
    with pytest.raises(DataError, match=r"unknown language 'sv'; .* has en, de, ja: set languages"):
        load(name, languages=["de", "sv"])


@pytest.mark.parametrize("name", ["tagging", "answering"])
def test_english_is_needed(name, tmp_path):
    root = DATA_SETS[name].written(tmp_path / "data")
    (root / "en/test.parquet").unlink()
    with pytest.raises(DataError, match=r"no test set in English \(en\).*it has de, ja"):
        DATA_SETS[name].load(root=root)
    with pytest.raises(DataError, match="it has none at all"):
        DATA_SETS[name].load(root=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tagging", "answering"])
def test_languages_are_those_asked_for_english_always_first(load, name):
    asked = {("ja",): ("en", "ja"), ("ja", "de", "ja"): ("en", "ja", "de"), (): ("en",)}
    for languages, expected in asked.items():
        data = load(name, languages=languages)
        assert data.languages == expected and bool(data.parallel) == (len(expected) > 1)
        tests = [f"test/{language}" for language in expected]
        assert list(data.splits) == ["train", "validation", *tests]


@ALL
def test_an_embedded_file_that_is_missing_or_changed_is_refused(name, tmp_path):
    own = DATA_SETS[name]
    root = own.shipped(tmp_path / "data")
    data = own.load("embedded", root=root, cache=tmp_path)
    published = checksums.published(root)
    assert set(data.checksums.values()) == set(published.values())
    path = root / own.table
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    says = f"{own.table} is not the file.*{published[own.table]}.*{sha256(path)}; restore it"
    with pytest.raises(DataError, match=says):
        own.load("embedded", root=root, cache=tmp_path)
    assert path.read_bytes() == content
    path.unlink()
    with pytest.raises(DataError, match=f"{own.table} cannot be read.*restore it"):
        own.load("embedded", root=root, cache=tmp_path)


# ---- samples and checksums


@NAMED
def test_a_smaller_sample_is_part_of_a_larger_one(load, name):
    whole = load(name)
    sizes = (2, 5, 8)
    samples = [load(name, sizes={"train": n, "validation": 3, "test": n}) for n in sizes]
    for split in whole.splits:
        every = names_of(whole.splits[split])
        small, middle, large = (names_of(sample.splits[split]) for sample in samples)
        expected = [3, 3, 3] if split == "validation" else list(sizes)
        assert [len(small), len(middle), len(large)] == expected
        assert set(small) <= set(middle) <= set(large) <= set(every)
        assert large == sorted(large, key=every.index)  # in the source's order
    assert large != every[: len(large)] or len(every) == len(large)


@ALL
def test_a_sample_moves_no_checksum(load, name):
    whole, part = load(name), load(name, sizes={"train": 2})
    assert part.checksums == whole.checksums and set(whole.checksums) == set(whole.splits)
    assert whole.report == part.report == []
    assert set(whole.dropped) == set(whole.splits)
    assert not any(count for counts in whole.dropped.values() for count in counts.values())


@ALL
def test_checksums_tell_content_and_not_place(load, folders, name, tmp_path):
    moved = DATA_SETS[name].written(tmp_path / "elsewhere")
    assert load(name, root=moved).checksums == load(name).checksums


# ---- batches


@ALL
def test_a_batch_does_not_depend_on_what_is_beside_an_item(load, name):
    split = load(name).splits["train"]
    rows = [3, 0, 2, 3]
    batch, same = split.batch(rows), split.batch(torch.tensor(rows))
    assert all(torch.equal(batch[column], same[column]) for column in batch)
    for place, row in enumerate(rows):
        for column, value in split.batch([row]).items():
            beside = batch[column][place]
            if value.ndim == 2:  # what is beyond an item is padding, in which nothing counts
                beside = beside[: value.shape[1]]
            assert torch.equal(value[0], beside)
            if column in ("attention_mask", "label_mask", "positions"):
                assert not batch[column][place, value.shape[1] :].any()


@ENCODERS
def test_rows_of_tokens_and_their_lengths(load, name):
    for split in load(name).splits.values():
        rows = list(split.input_ids)
        assert list(map(len, rows)) == list(split.lengths) and len(rows) == len(split)
        batch = split.batch(range(len(split)))
        assert batch["attention_mask"].sum(1).tolist() == list(split.lengths)
        for row, ids, mask in zip(rows, batch["input_ids"], batch["attention_mask"], strict=True):
            assert ids[mask.bool()].tolist() == row
