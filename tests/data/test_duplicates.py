"""Near-duplicates by word bigrams, and the folding under which texts count as the same."""

from __future__ import annotations

import random

import numpy as np
import pytest

from idlib.data.duplicates import nearest
from idlib.data.folding import fold


def by_sets(text: str, others: list[str]) -> float:
    """The same from the definition, one pair at a time."""

    def bigrams(t: str) -> set[tuple[str, str]]:
        words = fold(t).split()
        return set(zip(["", *words], [*words, ""], strict=True)) if words else set()

    ours = bigrams(text)
    either = [(bigrams(other) & ours, bigrams(other) | ours) for other in others]
    return max((len(common) / len(whole) for common, whole in either if whole), default=0.0)


def test_nearest_is_the_largest_jaccard_index_by_definition():
    draw = random.Random(3)
    texts, others = (
        [" ".join(draw.choices("a b c d", k=draw.randint(0, 6))) for _ in range(n)]
        for n in (1203, 40)  # more texts than are compared at a time
    )
    expected = [by_sets(text, others) for text in texts]
    assert nearest(texts, others) == pytest.approx(np.array(expected), abs=1e-12)
    assert 0 < np.mean(expected) < 1


def test_case_digits_and_punctuation_do_not_tell_texts_apart():
    assert nearest(["Step 1: press “F5”!"], ["step press f"]).tolist() == [1.0]


def test_nothing_is_like_nothing():
    assert nearest(["a b", "12", ""], ["c d", "", "?"]).tolist() == [0, 0, 0]
    assert nearest(["a"], []).tolist() == [0]
    assert nearest([], ["a"]).tolist() == []


@pytest.mark.parametrize(
    "one, other",
    [
        ("ＡＢＣ", "abc"),  # full width
        ("ﬁle", "File"),  # ligature
        ("STRASSE", "Straße"),
        ("é", "e\u0301"),  # composed, and with a combining mark
        ("ΟΔΟΣ", "οδός".replace("ό", "ο")),  # final sigma
        ("a\u00a0b", "A, b"),
        ("snake_case", "Snake case"),
        ("Chapter 12", "chapter 3"),
        ("ﾗｲﾄ", "ライト"),  # half width
    ],
)
def test_folding_makes_the_same(one, other):
    assert fold(one) == fold(other) != ""


@pytest.mark.parametrize("one, other", [("ab", "a b"), ("かき", "がき"), ("ü", "u"), ("文", "字")])
def test_folding_keeps_apart(one, other):
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    "text", ["Ǆ ẞ İ ŉ", "ᾳ Ῥ ϒ", "Press F5 — now!", "１２ ２０％", "한국어 12"]
)
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)
