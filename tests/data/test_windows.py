"""Windows of questions and contexts: which tokens they hold, and which characters these are."""

from __future__ import annotations

import pytest
from made_up.questions import made_up, sentence_pieces, word_pieces

from idlib.data.windows import Encoded, cut, encode
from idlib.models import encoders

QUESTION = "where is it?"
# Contexts whose characters do not stand for themselves after normalisation, and an answer in each.
SCRIPTS = {
    "combining marks": ("un cafe\u0301 noir et un the\u0301 vert", "the\u0301 vert"),
    "marks on marks": (
        "Ca\u0302\u0301p nha\u0323\u0302t tre\u0302n ma\u0323ng",
        "nha\u0323\u0302t",
    ),
    "at the end": ("un cafe\u0301", "cafe\u0301"),
    "full width": ("（Ｆｉｌｅ）　ｍｅｎｕ　→　Ｅｄｉｔ", "Ｅｄｉｔ"),
    "half width": ("ﾌｧｲﾙ → ﾍﾟｰｼﾞ を開く", "ﾍﾟｰｼﾞ"),
    "ligatures": ("the ﬁrst oﬃce ﬂow diagram", "oﬃce ﬂow"),
    "one for many": ("㍿ and ㌔ are № 1", "㌔ are №"),
    "chinese": ("选择「格式 - 页面」命令", "格式 - 页面"),
    "japanese": ("挿入 → ページ番号 を選択します。", "挿入 → ページ番号"),
    "korean, composed later": (
        "\u1112\u1161\u11ab\u1100\u1173\u11af 문서",
        "\u1112\u1161\u11ab\u1100\u1173\u11af",
    ),
    "thai": ("เลือก รูปแบบ แล้วคลิก", "รูปแบบ"),
    "devanagari": ("क्षेत्र चुनें और सहेजें", "सहेजें"),
    "arabic, with vowels": ("اختر مَلَفّ ثم حفظ", "مَلَفّ"),
    "emoji": ("go 👩\u200d💻 to 🇩🇪 now", "🇩🇪"),
    "soft hyphens": ("die Silben\u00adtrennung hier", "Silben\u00adtrennung"),
    "white space": ("one\u00a0two\u2009three\n\n four\tfive", "three\n\n four"),
    "no case of its own": ("İSTANBUL ve Straẞe", "Straẞe"),
}
TOKENIZERS = {
    "words": lambda corpus: word_pieces(corpus),
    "words, without marks": lambda corpus: word_pieces(corpus, lowercase=True, strip_accents=True),
    "sentences": sentence_pieces,
    "embedded": lambda corpus: encoders.tokenizer(encoders.EMBEDDED),
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]([QUESTION, *(text for text, _ in SCRIPTS.values())])


@pytest.fixture(scope="module", params=[word_pieces, sentence_pieces], ids=["types", "no types"])
def plain(request):
    return request.param()


def windows_of(tokenizer, context, span, max_length, stride, question=QUESTION):
    (encoded,) = encode(tokenizer, [question], [context])
    return list(cut(encoded, 0, span, max_length, stride))


# ---- tokens and characters


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_answer_is_found_again_as_it_stands_in_the_context(tokenizer, name):
    context, answer = SCRIPTS[name]
    start = context.index(answer)
    (window,) = windows_of(tokenizer, context, (start, start + len(answer)), 200, 10)
    assert window.holds_answer
    begin, end = window.characters(window.start, window.end)
    assert context[begin:end].strip() == answer


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_character_but_white_space_belongs_to_a_token(tokenizer, name):
    context, _ = SCRIPTS[name]
    (encoded,) = encode(tokenizer, [QUESTION], [context])
    covered = {place for begin, end in encoded.offsets for place in range(begin, end)}
    assert {i for i, character in enumerate(context) if not character.isspace()} <= covered
    assert max(covered) < len(context)
    for token in range(len(encoded.offsets)):  # every span of tokens is a part of the context
        begin, end = encoded.offsets[token]
        assert 0 <= begin < end <= len(context)


def test_an_answer_inside_a_token_is_answered_with_the_token():
    tokenizer = word_pieces(["page pages"])
    context = "two oﬃces"
    (encoded,) = encode(tokenizer, ["page"], [context])
    touched = encoded.tokens_of(context.index("ﬃ"), context.index("ﬃ") + 1)
    begin, end = encoded.offsets[touched[0]][0], encoded.offsets[touched[1]][1]
    assert "ﬃ" in context[begin:end] and begin >= context.index("o", 3)


def test_a_character_that_is_taken_away_stays_with_the_word_before_it_only():
    context = "die \u00adSilben\u00ad hier"
    (window,) = windows_of(word_pieces(["die Silben hier"]), context, (4, 12), 50, 5)
    begin, end = window.characters(window.start, window.end)
    assert context[begin:end] == "Silben\u00ad"


def test_several_tokens_of_one_character_are_all_touched():
    encoded = Encoded([], None, 0, 4, [(0, 1), (1, 3), (2, 3), (3, 5)])
    assert encoded.tokens_of(2, 3) == (1, 2)
    assert encoded.tokens_of(0, 1) == (0, 0)
    assert encoded.tokens_of(1, 5) == (1, 3)
    assert encoded.tokens_of(5, 6) is None


# ---- windows


@pytest.mark.parametrize(("max_length", "stride"), [(30, 5), (30, 0), (24, 16), (17, 3), (500, 9)])
def test_windows_are_those_of_transformers(plain, max_length, stride):
    rows = made_up("en", 6, 5, "") + made_up("ja", 6, 5, "")
    for row in rows:
        expected = plain(
            row["question"],
            row["context"],
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
        )
        found = windows_of(plain, row["context"], (0, 1), max_length, stride, row["question"])
        assert [window.ids for window in found] == expected["input_ids"]
        if "token_type_ids" in expected:
            assert [window.types for window in found] == expected["token_type_ids"]
        else:
            assert {window.types for window in found} == {None}
        for i, window in enumerate(found):
            places = [place for place, part in enumerate(expected.sequence_ids(i)) if part == 1]
            assert places == list(range(window.first, window.first + len(window.offsets)))


def test_windows_overlap_by_the_stride_and_hold_everything(plain):
    context = " ".join(row["context"] for row in made_up("en", 3, 8, ""))
    (whole,) = encode(plain, [QUESTION], [context])
    for max_length, stride in ((28, 6), (28, 0), (40, 20)):
        found = list(cut(whole, 7, (0, 1), max_length, stride))
        assert len(found) > 2 and {window.item for window in found} == {7}
        assert {len(window.ids) for window in found[:-1]} == {max_length}
        assert len(found[-1].ids) <= max_length
        again = list(found[0].offsets)
        for before, after in zip(found, found[1:], strict=False):
            assert after.offsets[:stride] == before.offsets[len(before.offsets) - stride :]
            again += after.offsets[stride:]
        assert again == whole.offsets
        assert len(found[-1].offsets) > stride  # it holds something that no other does


def test_a_window_without_the_whole_answer_is_labelled_with_position_0(plain):
    context = " ".join(row["context"] for row in made_up("en", 3, 8, ""))
    (whole,) = encode(plain, [QUESTION], [context])
    for first in range(0, len(whole.offsets) - 3):
        span = (whole.offsets[first + 1][0], whole.offsets[first + 2][1])
        token = whole.tokens_of(*span)
        for number, window in enumerate(cut(whole, 0, span, 28, 6)):
            begin = number * (whole.room(28) - 6)
            inside = begin <= token[0] and token[1] < begin + len(window.offsets)
            assert window.holds_answer == inside
            if inside:
                labels = (window.start - window.first + begin, window.end - window.first + begin)
                assert labels == token and window.start >= window.first > 0
            else:
                assert (window.start, window.end) == (0, 0)


def test_an_answer_longer_than_a_window_is_in_none(plain):
    context = " ".join(row["context"] for row in made_up("en", 3, 8, ""))
    assert not any(w.holds_answer for w in windows_of(plain, context, (0, len(context)), 28, 6))
    assert any(w.holds_answer for w in windows_of(plain, context, (0, len(context)), 500, 6))


def test_room_is_what_question_and_special_tokens_leave(plain):
    for asked in ("", "file?", "choose the file menu"):
        (encoded,) = encode(plain, [asked], ["view page"])
        own = plain(asked, add_special_tokens=False)["input_ids"]
        special = plain.num_special_tokens_to_add(pair=True)
        assert encoded.room(30) == 30 - len(own) - special


def test_nothing_to_encode_and_an_empty_context(plain):
    assert encode(plain, [], []) == []
    (window,) = windows_of(plain, "", (0, 1), 20, 4, question="file?")
    assert window.offsets == [] and not window.holds_answer
