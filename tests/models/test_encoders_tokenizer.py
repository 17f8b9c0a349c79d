"""The embedded encoder's tokenizer: text is cut as it was published to be, and others refused."""

from __future__ import annotations

import unicodedata
from hashlib import sha256
from itertools import pairwise

import pytest
from made_up.embedded_corpus import LANGUAGES, rows, text_of

from idlib.models import encoders
from idlib.models.encoders import EncoderError

# Sha256 of the pieces that the uncut tokenizer cuts the first texts of each language into.
PUBLISHED_PIECES = {
    "en": "d3ffb549e1340ab4",
    "de": "343538feaec2d910",
    "es": "6ba08bfb669a987d",
    "fr": "1dd13259e415577a",
    "it": "c2cd264279a8a3d4",
    "nl": "14b2f5004136c041",
    "pl": "73a0e9e2f9af6367",
    "ru": "1991ff36a664ce76",
    "el": "c577b6ded697a3bb",
    "tr": "57e94aeb1cca6890",
    "fi": "8971f92543ab2d79",
    "hu": "f63ff83a6dafef96",
    "vi": "e44fa280d9281d5b",
    "ja": "b4eddb9a785a8cdb",
    "ko": "aa3f7ad9718e1d48",
    "zh-CN": "fe55c5ff69bbe75a",
}
PLAIN = {"add_special_tokens": False, "verbose": False}


@pytest.fixture(scope="module")
def tokenizer():
    return encoders.tokenizer("embedded")


def texts_of(language: str) -> list[str]:
    asked = rows(f"answering/{language}/test")[:20]
    texts = [text_of(row) for row in rows(f"tagging/{language}/test")[:100]]
    return [*texts, *(row["context"] for row in asked), *(row["question"] for row in asked)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_is_cut_as_by_the_whole_vocabulary(tokenizer, language):
    found = [" ".join(tokenizer.tokenize(text)) for text in texts_of(language)]
    assert sha256("\n".join(found).encode()).hexdigest()[:16] == PUBLISHED_PIECES[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_offsets_lead_to_the_text(tokenizer, language):
    """Apart from what normalisation lengthens, and the mark of a word's beginning alone."""
    compared = 0
    for text in texts_of(language):
        found = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        pieces = tokenizer.convert_ids_to_tokens(found["input_ids"])
        places = found["offset_mapping"]
        assert all(a <= b and c <= d and a <= c for (a, b), (c, d) in pairwise(places))
        for piece, (start, end) in zip(pieces, places, strict=True):
            if piece != "▁" and "…" not in text:
                read = "".join(unicodedata.normalize("NFKC", text[start:end]).split())
                assert read == piece.replace("▁", "")
                compared += 1
    assert compared > 2000


def test_special_tokens(tokenizer):
    assert tokenizer.is_fast and tokenizer.model_max_length == 512
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert tokenizer.mask_token_id == len(tokenizer) - 1 == 39768
    names = ("cls", "pad", "sep", "unk")
    assert [getattr(tokenizer, f"{name}_token_id") for name in names] == [0, 1, 2, 3]
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("the key", "menu")["input_ids"])
    assert pieces == ["<s>", "▁the", "▁key", "</s>", "</s>", "▁menu", "</s>"]
    assert list(tokenizer("the key")) == ["input_ids", "attention_mask"]


def pieces_of(tokenizer, texts):
    return tokenizer(texts)["input_ids"]


def test_other_text_of_these_languages_is_spelled_out(tokenizer):
    encoders.check_coverage(
        tokenizer,
        pieces_of(tokenizer, ["Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich"]),
        "it",
    )
    encoders.check_coverage(
        tokenizer,
        pieces_of(
            tokenizer, ["色は匂へど散りぬるを我が世誰ぞ常ならむ", "키스의 고유조건은 입술끼리"]
        ),
        "it",
    )
    encoders.check_coverage(tokenizer, [], "nothing")


@pytest.mark.parametrize("text", ["เป็นมนุษย์สุดประเสริฐ เลิศคุณค่า", "نص حكيم له سر قاطع", "א׳ ב׳ ג׳"])
def test_text_in_other_scripts_is_refused(tokenizer, text):
    with pytest.raises(EncoderError) as refused:
        encoders.check_coverage(
            tokenizer, pieces_of(tokenizer, ["the key", text]), "the text of split test/xx"
        )
    message = str(refused.value)
    pieces = tokenizer("the key")["input_ids"][1:-1] + tokenizer(text)["input_ids"][1:-1]
    assert message.startswith(
        f"{pieces.count(3) / len(pieces):.1%} of the tokens of the text of split"
    )
    assert "test/xx are unknown" in message and "choose another encoder by its name" in message


def test_the_limit_is_one_in_a_hundred(tokenizer):
    encoders.check_coverage(
        tokenizer,
        pieces_of(tokenizer, ["the " * 98 + "ส"]),
        "98, the mark of a word, and one unknown",
    )
    with pytest.raises(EncoderError, match=r"1\.0% .* more than 1%"):
        encoders.check_coverage(tokenizer, pieces_of(tokenizer, ["the " * 97 + "ส"]), "one fewer")
