"""Scores of answers equal those of torchmetrics' SQuAD; what needs no model is what it says."""

from __future__ import annotations

import random

import pytest
from torchmetrics.functional.text import squad as reference

from idlib.metrics import squad

WRITTEN = [  # prediction, answers
    ("Insert - Page", ["Insert - Page Number"]),
    ("the Insert  PAGE number.", ["Insert – Page Number", "insert page number"]),
    ("Insert - Page Number", ["View", "Insert - Page Number", "Page"]),
    ("page page page", ["page number page"]),
    ("page page", ["page"]),
    ("a an the", ["The"]),
    ("a", ["an apple"]),
    ("", ["page"]),
    ("", ["the"]),
    ("...", ["!"]),
    ("theme", ["the me"]),
    ("state-of-the-art", ["state of art", "stateoftheart"]),
    ("an-", ["-an"]),
    ("a\u00a0page\u2003number\n", ["page number"]),
    ("挿入 → ページ番号", ["挿入 → ページ番号"]),
    ("挿入→ページ番号", ["挿入 → ページ番号"]),
    ("格式", ["格式 - 页面"]),
    ("Straße", ["STRASSE", "straße"]),
    ("İstanbul", ["i̇stanbul"]),
    ("cafe\u0301", ["café"]),
    ("“Page”", ["Page"]),
    ("$5,000.00", ["5000.00", "500000"]),
    ("l'a b'the c", ["la bthe c"]),
]
WORDS = ["a", "The", "an", "page", "Page,", "menu", "-", "→", "ページ", "é", "cell's", "THE.", " "]


def drawn(count: int) -> list[tuple[str, list[str]]]:
    draw = random.Random(0)

    def text(longest: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(0, longest)))

    return [(text(6), [text(5) for _ in range(draw.randint(1, 3))]) for _ in range(count)]


@pytest.mark.parametrize("pairs", [WRITTEN, drawn(400)], ids=["written", "drawn"])
def test_answers_score_as_torchmetrics_says(pairs):
    for prediction, answers in pairs:
        target = {"text": list(answers), "answer_start": [0] * len(answers)}
        expected = reference(
            [{"id": "1", "prediction_text": prediction}], [{"id": "1", "answers": target}]
        )
        f1, em = squad.f1(prediction, answers), squad.exact_match(prediction, answers)
        assert 100 * f1 == pytest.approx(expected["f1"].item(), abs=1e-4), prediction
        assert 100 * em == expected["exact_match"].item(), prediction


def test_text_without_spaces_is_one_token():
    assert squad.f1("ページ番号", ["ページ"]) == 0.0
    assert squad.f1("挿入 ページ番号", ["挿入 ページ"]) == 0.5


@pytest.mark.parametrize("score", [squad.f1, squad.exact_match])
def test_nothing_to_compare_with(score):
    with pytest.raises(ValueError, match="at least one answer; none is given"):
        score("page", [])


# ---- without a model

CONTEXT = "Open the Edit menu.\n\nChoose Insert - Page.\nClick Page on the page tab."
LINES = [line for line in CONTEXT.split("\n") if line]


@pytest.mark.parametrize(
    ("rule", "question", "context", "expected"),
    [
        ("first", "?", CONTEXT, LINES[:1]),
        ("line", "?", CONTEXT, LINES),
        ("first", "?", "", [""]),
        ("line", "?", "", [""]),
        # Both lines have "page", the second "choose" too; words within words count.
        ("shared", "Which page to choose?", CONTEXT, LINES[1:2]),
        ("shared", "Where is “Edit”?", CONTEXT, LINES[:1]),
        ("shared", "nothing of it", "one\ntwo", ["one"]),
        ("shared", "「ページ番号」はどこ", "書式\n挿入 → ページ番号", ["挿入 → ページ番号"]),
    ],
)
def test_rules(rule, question, context, expected):
    assert squad.BASELINES[rule](question, context) == expected


def test_a_rules_score_is_the_mean_over_its_answers():
    answers = ["Insert - Page", "the menu"]
    scores = [squad.f1(line, answers) for line in LINES]
    assert squad.baseline_f1("line", "?", CONTEXT, answers) == pytest.approx(sum(scores) / 3)
    assert squad.baseline_f1("first", "?", CONTEXT, answers) == scores[0]
    assert squad.baseline_f1("shared", "insert?", CONTEXT, answers) == scores[1]
    assert len({round(score, 6) for score in scores}) == 3
