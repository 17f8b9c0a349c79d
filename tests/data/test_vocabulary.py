"""The joint vocabulary: its subwords, its bytes, and its cache."""

from __future__ import annotations

import hashlib
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece

from idlib.data import DataError, vocabulary
from idlib.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

TEXTS = [
    "Klicken Sie auf die Schaltfläche und wählen Sie eine Zelle.",
    "Wählen Sie die Tabelle und klicken Sie auf Einfügen.",
    "Click the button and select a cell.",
    "Select the table and click Insert.",
]


@pytest.fixture(scope="module")
def made():
    return Vocabulary(vocabulary.train(TEXTS, 60))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def written(vocabulary: Vocabulary, ids) -> list[str]:
    """The written form of each subword: ``▁`` stands for a space."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=vocabulary.model)
    return [processor.id_to_piece(subword) for subword in ids]


def models(cache: Path) -> list[Path]:
    return sorted((cache / "vocabularies").glob("*.model"))


def test_special_tokens_are_numbered_as_in_fairseq(made):
    assert (BOS, PAD, EOS, UNK) == (0, 1, 2, 3)
    assert written(made, range(4)) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert made.size == 60 and len(set(written(made, range(60)))) == 60


def test_text_comes_back_from_its_tokens(made):
    ids = made.encode(TEXTS)
    assert made.decode(ids) == TEXTS
    assert all(UNK < token < made.size for one in ids for token in one)
    # Byte-pair encoding has joined something, or there would be a token for each character.
    assert sum(map(len, ids)) < sum(map(len, TEXTS))
    assert "".join(written(made, ids[2])) == "▁" + TEXTS[2].replace(" ", "▁")


def test_one_vocabulary_for_both_languages(made):
    german, english = ("".join(written(made, ids)) for ids in made.encode([TEXTS[0], TEXTS[2]]))
    assert "ä" in german and "button" in english


def test_decoding_stops_at_the_end_and_leaves_special_tokens_out(made):
    (ids,) = made.encode(["Select a table."])
    assert made.decode([[BOS, *ids, EOS, *ids], [EOS, *ids], [PAD, *ids, PAD, UNK]]) == [
        "Select a table.",
        "",
        "Select a table.",
    ]
    assert made.decode([]) == [] and made.encode([]) == []


def test_an_unknown_character_is_unknown_and_no_other(made):
    (ids,) = made.encode(["cell ж"])
    assert ids[-1] == UNK and UNK not in ids[:-1]


def test_texts_are_normalised(made):
    same = ["click the cell", "  click  the\u00a0cell ", "ｃlick the\u200bcell"]
    first, *others = made.encode(same)
    assert all(ids == first for ids in others)
    assert made.encode(["", " ", "\u200b"]) == [[], [], []]


def test_the_same_text_gives_the_same_bytes(made):
    assert vocabulary.train(TEXTS, 60) == made.model != vocabulary.train(TEXTS[:-1], 60)
    assert made.checksum == hashlib.sha256(made.model).hexdigest()
    other = pickle.loads(pickle.dumps(made))  # it travels to other processes
    assert other.encode(TEXTS) == made.encode(TEXTS) and other.checksum == made.checksum


def test_every_text_counts_however_long():
    # By default SentencePiece leaves out texts of more than 4,192 bytes.
    long = "Ω" + " cell" * 2000
    found = Vocabulary(vocabulary.train([*TEXTS, long], 60))
    assert UNK not in found.encode(["Ω"])[0]


# ---- sizes that the text does not support


@pytest.mark.parametrize(
    ("size", "message", "beyond"),
    [
        (5000, r"5000 subwords is larger than.*choose at most (\d+)", 1),
        (9, r"9 subwords does not hold.*choose at least (\d+)", -1),
    ],
)
def test_the_size_that_is_possible_is_named_and_works(size, message, beyond):
    with pytest.raises(DataError, match=message) as caught:
        vocabulary.train(TEXTS, size)
    possible = int(re.search(message, str(caught.value))[1])
    assert Vocabulary(vocabulary.train(TEXTS, possible)).size == possible
    with pytest.raises(DataError, match=f"choose at .* {possible}"):
        vocabulary.train(TEXTS, possible + beyond)


@pytest.mark.parametrize(("texts", "size"), [([], 50), (TEXTS, 0), (TEXTS, -1)])
def test_no_text_or_no_size_is_an_error(texts, size):
    with pytest.raises(DataError, match=f"of {size} subwords"):
        vocabulary.train(texts, size)


# ---- the cache


def test_the_cache_gives_what_training_gives(made, cache):
    first = vocabulary.cached(TEXTS, 60, cache)
    (path,) = models(cache)
    assert first.model == made.model == path.read_bytes()
    before = path.stat().st_mtime_ns
    assert vocabulary.cached(TEXTS, 60, cache).model == made.model
    assert models(cache) == [path] and path.stat().st_mtime_ns == before


def test_the_cache_is_read(made, cache):
    vocabulary.cached(TEXTS, 60, cache)
    other = vocabulary.train(TEXTS[::-1] + ["another table"], 60)
    assert other != made.model
    (path,) = models(cache)
    path.write_bytes(other)
    Path(f"{path}.sha256").write_text(f"{hashlib.sha256(other).hexdigest()}  {path.name}\n")
    assert vocabulary.cached(TEXTS, 60, cache).model == other


@pytest.mark.parametrize(
    ("texts", "size"),
    [
        (TEXTS, 61),
        (TEXTS[1:], 60),
        (TEXTS[::-1], 60),
        ([TEXTS[0] + TEXTS[1], *TEXTS[2:]], 60),
        ([TEXTS[0] + "\n" + TEXTS[1], *TEXTS[2:]], 60),
    ],
)
def test_other_text_or_size_is_another_file(cache, texts, size):
    vocabulary.cached(TEXTS, 60, cache)
    vocabulary.cached(texts, size, cache)
    assert len(models(cache)) == 2


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "other"])
def test_a_damaged_cache_is_made_again(made, cache, damage):
    vocabulary.cached(TEXTS, 60, cache)
    (path,) = models(cache)
    cut, other = made.model[: len(made.model) // 8], vocabulary.train(TEXTS, 59)
    path.write_bytes({"empty": b"", "text": b"no model", "cut": cut, "other": other}[damage])
    assert vocabulary.cached(TEXTS, 60, cache).model == made.model
    assert [p.read_bytes() for p in models(cache)] == [made.model]


def test_a_flipped_bit_is_found_and_the_vocabulary_made_again(made, cache, caplog):
    vocabulary.cached(TEXTS, 60, cache)
    generator = random.Random(0)
    for path in sorted((cache / "vocabularies").iterdir()):
        content = path.read_bytes()
        for _ in range(40):
            flipped = bytearray(content)
            flipped[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
            path.write_bytes(flipped)
            assert vocabulary.cached(TEXTS, 60, cache).model == made.model
            assert path.read_bytes() == content, "it was made again"
    assert len(caplog.records) > 40 and "is not what was written" in caplog.text


def test_a_cache_that_cannot_be_written_costs_only_time(made, tmp_path, cache):
    (tmp_path / "file").write_text("")
    assert vocabulary.cached(TEXTS, 60, tmp_path / "file").model == made.model
    vocabulary.cached(TEXTS, 60, cache)
    (path,) = models(cache)
    path.unlink()
    path.mkdir()  # what stands in the file's place cannot be replaced
    assert vocabulary.cached(TEXTS, 60, cache).model == made.model
    assert models(cache) == [path]


def test_a_vocabulary_that_cannot_be_made_leaves_nothing(cache):
    with pytest.raises(DataError):
        vocabulary.cached(TEXTS, 5000, cache)
    assert not cache.exists()


@pytest.mark.slow
def test_two_processes_at_once_make_the_same_file(made, cache):
    code = (
        "from pathlib import Path; from idlib.data import vocabulary; "
        f"print(vocabulary.cached({TEXTS!r}, 60, Path({str(cache)!r})).checksum)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in started] == [made.checksum] * 2
    assert [path.read_bytes() for path in models(cache)] == [made.model]
