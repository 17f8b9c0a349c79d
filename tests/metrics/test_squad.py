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


def by_reference(pairs) -> dict[str, float]:
    predictions = [{"id": str(i), "prediction_text": text} for i, (text, _) in enumerate(pairs)]
    target = [
        {"id": str(i), "answers": {"text": list(answers), "answer_start": [0] * len(answers)}}
        for i, (_, answers) in enumerate(pairs)
    ]
    found = reference(predictions, target)
    return {"f1": found["f1"].item() / 100, "em": found["exact_match"].item() / 100}


def ours(pairs) -> dict[str, float]:
    scores = {"f1": squad.f1, "em": squad.exact_match}
    return {
        name: sum(score(text, answers) for text, answers in pairs) / len(pairs)
        for name, score in scores.items()
    }


@pytest.mark.parametrize("pair", WRITTEN, ids=lambda pair: repr(pair[0]))
def test_written_answers_score_as_torchmetrics_says(pair):
    assert ours([pair]) == pytest.approx(by_reference([pair]), abs=1e-6)


def test_random_answers_score_as_torchmetrics_says():
    draw = random.Random(0)
    words = [
        "a",
        "The",
        "an",
        "page",
        "Page,",
        "menu",
        "-",
        "→",
        "ページ",
        "é",
        "cell's",
        "THE.",
        " ",
    ]
    text = lambda most: " ".join(draw.choices(words, k=draw.randint(0, most)))  # noqa: E731
    pairs = [(text(6), [text(5) for _ in range(draw.randint(1, 3))]) for _ in range(400)]
    for pair in pairs:
        assert ours([pair]) == pytest.approx(by_reference([pair]), abs=1e-6)
    found = ours(pairs)
    assert found == pytest.approx(by_reference(pairs), abs=1e-6)
    assert 0.05 < found["em"] < found["f1"] < 0.95


def test_text_without_spaces_is_one_token():
    assert squad.f1("ページ番号", ["ページ"]) == 0.0
    assert squad.f1("挿入 ページ番号", ["挿入 ページ"]) == 0.5


def test_an_answer_may_be_repeated_but_not_gained_twice():
    assert squad.f1("page page", ["page"]) == pytest.approx(2 / 3)
    assert squad.f1("page", ["page page"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("score", [squad.f1, squad.exact_match])
def test_nothing_to_compare_with(score):
    with pytest.raises(ValueError, match="at least one answer; none is given"):
        score("page", [])


# ---- without a model

CONTEXT = "Open the Edit menu.\n\nChoose Insert - Page.\nClick Page on the page tab."


def test_the_first_line_and_every_line():
    assert squad.first_line("?", CONTEXT) == ["Open the Edit menu."]
    assert squad.any_line("?", CONTEXT) == [line for line in CONTEXT.split("\n") if line]
    assert squad.first_line("?", "") == squad.any_line("?", "") == [""]


def test_the_line_that_shares_most_words_with_the_question():
    # Both lines have "page", the second "choose" too; words within words count.
    assert squad.shared_line("Which page to choose?", CONTEXT) == ["Choose Insert - Page."]
    assert squad.shared_line("Where is “Edit”?", CONTEXT) == ["Open the Edit menu."]
    assert squad.shared_line("nothing of it", "one\ntwo") == ["one"]
    assert (
        squad.shared_line("「ページ番号」はどこ", "書式\n挿入 → ページ番号 を選択")[0][:2] == "挿入"
    )


def test_a_rules_score_is_the_mean_over_its_answers():
    answers = ["Insert - Page", "the menu"]
    lines = [squad.f1(line, answers) for line in squad.any_line("?", CONTEXT)]
    assert squad.baseline_f1("line", "?", CONTEXT, answers) == pytest.approx(sum(lines) / 3)
    assert squad.baseline_f1("first", "?", CONTEXT, answers) == lines[0]
    assert squad.baseline_f1("shared", "insert?", CONTEXT, answers) == lines[1]
    assert len({round(line, 6) for line in lines}) == 3
