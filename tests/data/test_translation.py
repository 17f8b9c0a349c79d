"""Sentence pairs: the tensors made of them, their vocabulary, limits and samples."""

from __future__ import annotations

import pytest
import torch
from made_up.pairs import COUNTS, PAIRS, change, load, texts, write_splits, write_text

from idlib.data import DataError, translation
from idlib.data.vocabulary import EOS, PAD, UNK


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Aligned text files."""
    return write_splits(tmp_path / "text")


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


def test_a_batch_is_its_pairs_padded(data):
    pairs, rows = data.splits["train"], [3, 0, 17, 3]
    batch = pairs.batch(rows)
    assert {name: value.dtype for name, value in batch.items()} == {
        "input_ids": torch.int64,
        "attention_mask": torch.int64,
        "decoder_input_ids": torch.int64,
        "labels": torch.int64,
        "label_mask": torch.bool,
    }
    longest = [max(len(ids[i]) for i in rows) for ids in (pairs.source_ids, pairs.target_ids)]
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (4, longest[0])
    for name in ("decoder_input_ids", "labels", "label_mask"):
        assert batch[name].shape == (4, longest[1])
    for b, i in enumerate(rows):
        source, target = pairs.source_ids[i], pairs.target_ids[i]
        free = [longest[0] - len(source), longest[1] - len(target)]
        assert batch["input_ids"][b].tolist() == source + [PAD] * free[0]
        assert batch["attention_mask"][b].tolist() == [1] * len(source) + [0] * free[0]
        assert batch["labels"][b].tolist() == target + [PAD] * free[1]
        assert batch["label_mask"][b].tolist() == [True] * len(target) + [False] * free[1]
        started = [EOS, *target[:-1]]  # fairseq's first piece is the end of a sentence
        assert batch["decoder_input_ids"][b].tolist() == started + [PAD] * free[1]


def test_masks_hide_padding_and_nothing_else(data):
    batch = data.splits["train"].batch(range(60))
    assert torch.equal(batch["attention_mask"].bool(), batch["input_ids"] != PAD)
    assert torch.equal(batch["label_mask"], batch["labels"] != PAD)
    assert torch.equal(batch["label_mask"], batch["decoder_input_ids"] != PAD)
    # Each row ends once, in its last place that counts; a decoder's begins with the same piece.
    for ids, mask in (("input_ids", "attention_mask"), ("labels", "label_mask")):
        ends = batch[ids] == EOS
        assert torch.equal(ends.sum(1), torch.ones(60, dtype=torch.int64))
        assert torch.equal(ends.long().argmax(1), batch[mask].sum(1) - 1)
    starts = batch["decoder_input_ids"] == EOS
    assert starts[:, 0].all() and not starts[:, 1:].any()


# ---- the vocabulary of the loaded data


def test_the_vocabulary_sees_the_training_split_only(folder, cache):
    first = load(folder, cache).vocabulary.model
    for name in ("validation", "test"):
        pairs = [(de + " Ωμέγα", en + " omega") for de, en in PAIRS[name]]
        write_text(folder, name, pairs)
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


def test_a_vocabulary_larger_than_the_text_supports(folder, cache):
    with pytest.raises(DataError, match=r"50000 subwords is larger.*choose at most \d+"):
        load(folder, cache, vocabulary=50_000)


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
        kept = [pair for pair, n in zip(PAIRS[name], counts, strict=True) if stays(*n)]
        assert texts(limited.splits[name]) == kept
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
    # The lower limit holds for validation.
    assert (
        max(map(max, sides(load(folder, cache, max_tokens=20, test_tokens=30), "validation"))) <= 20
    )


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


def test_a_smaller_sample_is_part_of_a_larger_one(folder, cache):
    samples = [
        texts(load(folder, cache, max_tokens=25, sizes={"train": size, "test": 4}).splits["train"])
        for size in (5, 10, 20)
    ]
    assert [len(set(sample)) for sample in samples] == [5, 10, 20]
    assert set(samples[0]) < set(samples[1]) < set(samples[2])
    assert samples[2] == sorted(samples[2], key=PAIRS["train"].index)  # in the source's order
    assert samples[2] != PAIRS["train"][:20]


def test_a_sample_depends_on_the_texts_and_not_on_their_order(folder, cache):
    first = texts(load(folder, cache, sizes={"test": 6}).splits["test"])
    write_text(folder, "test", PAIRS["test"][::-1])
    assert texts(load(folder, cache, sizes={"test": 6}).splits["test"]) == first[::-1]


def test_a_sample_larger_than_what_is_left(folder, cache):
    with pytest.raises(DataError, match="train has 60 pairs within the limits, so 61 cannot"):
        load(folder, cache, sizes={"train": 61})
    with pytest.raises(DataError, match="so 0 cannot"):
        load(folder, cache, sizes={"train": 0})


# ---- what cannot be loaded


def test_nothing_left_says_what_was_dropped(folder, cache):
    with pytest.raises(
        DataError,
        match="nothing is left of split train: train: 60 of 60 pairs dropped, a side of more "
        "than 1 tokens .max_tokens.: .*train...:1, .*--set max_tokens=4",
    ):
        load(folder, cache, max_tokens=1)
    write_text(folder, "test", [("", ""), ("a", "")])
    with pytest.raises(DataError, match="split test: test: 2 of 2 pairs dropped, a side without"):
        load(folder, cache)
    for language in ("de", "en"):
        (folder / f"test.{language}").write_bytes(b"")
    with pytest.raises(DataError, match="split test: .*test.de has no pairs"):
        load(folder, cache)


def test_no_text_to_make_a_vocabulary_from(folder, cache):
    write_text(folder, "train", [("", "a")])
    with pytest.raises(
        DataError, match="train has no pair with two sides in .*train.de and .*train.en"
    ):
        load(folder, cache)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "cloud"}, "unknown source 'cloud'; choose one of embedded, hub, path"),
        ({"source": "path"}, 'source "path" needs root'),
        ({"source": "embedded", "splits": ["dev"]}, "unknown split 'dev'; choose from train"),
        ({"source": "embedded", "sizes": {"dev": 3}}, "unknown split 'dev'"),
        ({"source": "embedded", "max_tokens": 0}, "max_tokens is 0, but must be at least 1"),
        ({"source": "embedded", "max_ratio": 0.5}, "max_ratio is 0.5"),
        ({"source": "embedded", "test_tokens": -3}, "test_tokens is -3"),
    ],
)
def test_bad_arguments(arguments, message, cache):
    with pytest.raises(DataError, match=message):
        translation.load(**arguments, cache=cache)
