"""Which subword carries which tag, what is out of reach, and the labels of a batch."""

from __future__ import annotations

import pytest
import torch
from made_up.tags import LANGUAGES, NAMES, attained, made_up, unigram, wordpiece

from idlib.data.tagged_subwords import TaggedItem, TaggedSubwords

UNIGRAM, WORDPIECE = unigram(), wordpiece()


def written(split: TaggedSubwords, index: int, tokenizer=UNIGRAM) -> list[str]:
    return tokenizer.convert_ids_to_tokens(split.batch([index])["input_ids"][0].tolist())


def labelled(split: TaggedSubwords, index: int, tokenizer=UNIGRAM) -> dict[str, str]:
    """The labelled subwords of an item with their tags."""
    batch = {name: value[0].tolist() for name, value in split.batch([index]).items()}
    subwords = tokenizer.convert_ids_to_tokens(batch["input_ids"])
    columns = zip(subwords, batch["labels"], batch["label_mask"], strict=True)
    return {subword: NAMES[label] for subword, label, counted in columns if counted}


def one(tokens: str | list[str], tags: str, spaces: str = "", tokenizer=UNIGRAM, max_length=64):
    """One item; ``spaces`` has a character for each token, ``_`` where a space follows."""
    tokens = tokens if isinstance(tokens, list) else tokens.split()
    follows = [space == "_" for space in spaces] or [True] * len(tokens)
    item = TaggedItem("a", tokens, follows, tags.split())
    return TaggedSubwords([item], NAMES, tokenizer, max_length)


def made_up_split(split: str, language: str, tokenizer=UNIGRAM) -> TaggedSubwords:
    names = ("id", "tokens", "spaces", "ner_tags")
    items = [TaggedItem(*(row[name] for name in names)) for row in made_up(split, language)]
    return TaggedSubwords(items, NAMES, tokenizer, 64)


# ---- which subword carries which tag


def test_the_first_subword_of_a_token_is_labelled_and_no_other():
    split = one("see Anna Lee . x", "O B-PER I-PER O B-LOC", "__|_|")
    assert written(split, 0) == ["<s>", "▁see", "▁An", "na", "▁Lee", ".", "▁", "x", "</s>"]
    expected = {"▁see": "O", "▁An": "B-PER", "▁Lee": "I-PER", ".": "O", "x": "B-LOC"}
    assert labelled(split, 0) == expected
    assert split.decode([0], split.batch([0])["labels"]) == split.tags


def test_a_subword_of_several_tokens_is_labelled_as_the_first_and_goes_on_over_the_others():
    tokens = list("見る安名と羅馬")
    split = one(tokens, "O O B-PER I-PER O B-LOC I-LOC", "|" * 7)
    assert labelled(split, 0) == {"見る": "O", "安名": "B-PER", "と": "O", "羅馬": "B-LOC"}
    assert split.decode([0], split.batch([0])["labels"]) == split.tags
    assert attained(split) == 1.0
    inside = torch.full((1, split.lengths[0]), NAMES.index("I-PER"))
    assert split.decode([0], inside) == [["I-PER"] * 7]


def test_a_border_inside_a_subword_is_out_of_reach_and_costs_what_it_must():
    split = one(list("弁と羅馬"), "B-PER O B-LOC I-LOC", "||||")
    assert labelled(split, 0) == {"弁と": "B-PER", "羅馬": "B-LOC"}
    (tags,) = split.decode([0], split.batch([0])["labels"])
    assert tags == ["B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert attained(split) == pytest.approx(1 / 2) and split.missed == 1


def test_the_mark_of_a_words_start_alone_carries_no_tag():
    # At the start of a text its offsets are those of the character behind it.
    split = one(["羅", "馬", "x"], "B-LOC I-LOC O", "|_|")
    assert written(split, 0) == ["<s>", "▁", "羅馬", "▁", "x", "</s>"]
    assert labelled(split, 0) == {"羅馬": "B-LOC", "x": "O"}


def test_normalisation_moves_no_tag_and_takes_tokens_away_as_o():
    # One character of several subwords, full-width forms, a combining mark, a token that goes.
    tokens = ["\u200b", "Ｂｅｎ", "\u200b", "…", "e\u0301", "Rome"]
    split = one(tokens, "B-LOC B-PER I-PER O O B-LOC", "______")
    assert written(split, 0)[1] == "▁Ben" or "▁Ben" in written(split, 0)
    found = labelled(split, 0)
    assert found["▁Ben"] == "B-PER" and found["▁Rom"] == "B-LOC"
    (tags,) = split.decode([0], split.batch([0])["labels"])
    assert tags == ["O", "B-PER", "O", "O", "O", "B-LOC"]
    assert (split.cut, split.lost) == (0, 2)


def test_what_is_cut_off_is_counted_and_taken_for_o():
    tokens, tags = "see Anna Lee then Rome .", "O B-PER I-PER O B-LOC O"
    whole = one(tokens, tags)
    assert (whole.lengths, whole.cut, whole.lost) == ([11], 0, 0)
    split = one(tokens, tags, max_length=6)
    assert written(split, 0) == ["<s>", "▁see", "▁An", "na", "▁Lee", "</s>"]
    assert (split.lengths, split.cut, split.lost, split.missed) == ([6], 3, 0, 1)
    assert split.decode([0], split.batch([0])["labels"]) == ["O B-PER I-PER O O O".split()]
    assert attained(split) == pytest.approx(2 / 3)
    # Cut inside a token: its first subword is there.
    assert one(tokens, tags, max_length=4).cut == 4


def test_a_text_of_exactly_the_limit_is_not_cut():
    split = one(["see", "\u200b"], "O O", "||", max_length=3)
    assert (split.lengths, split.cut, split.lost) == ([3], 0, 1)


@pytest.mark.parametrize("tokenizer", [UNIGRAM, WORDPIECE], ids=["unigram", "wordpiece"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_token_of_the_made_up_text_can_be_tagged(language, tokenizer):
    split = made_up_split("test", language, tokenizer)
    assert attained(split) == 1.0 and split.cut == split.lost == split.missed == 0


def test_subwords_between_spaces_are_those_of_the_tokens_alone():
    """With a space after each token, as WikiANN is read, no subword is of two tokens."""
    for language in ("en", "ja"):
        for row in made_up("test", language):
            split = one(row["tokens"], " ".join(row["ner_tags"]))
            alone = UNIGRAM(row["tokens"], is_split_into_words=True)
            assert split.batch([0])["input_ids"][0].tolist() == alone["input_ids"]
            assert split.batch([0])["label_mask"].sum() == len(row["tokens"])


# ---- batches


def test_labels_are_classes_and_only_first_subwords_count():
    split = made_up_split("train", "en")
    batch = split.batch([3, 0, 17])
    kinds = {name: value.dtype for name, value in batch.items()}
    assert kinds.pop("label_mask") == torch.bool and set(kinds.values()) == {torch.int64}
    assert list(batch) == ["input_ids", "attention_mask", "labels", "label_mask"]
    for row, i in enumerate((3, 0, 17)):
        own = batch["labels"][row][batch["label_mask"][row]].tolist()
        assert [NAMES[label] for label in own] == split.tags[i]  # each token has its own subword
    assert not batch["label_mask"][:, 0].any(), "special tokens are not counted"


def test_the_padding_is_the_tokenizers():
    other = unigram()
    other.pad_token = "x"
    items = [
        TaggedItem("a", ["see"], [True], ["O"]),
        TaggedItem("b", ["see", "Rome"], [True] * 2, ["O"] * 2),
    ]
    batch = TaggedSubwords(items, NAMES, other, 64).batch([0, 1])
    assert batch["input_ids"][0, -1] == other.convert_tokens_to_ids("x") != 0
    assert batch["attention_mask"][0].tolist() == [1, 1, 1, 0, 0]
