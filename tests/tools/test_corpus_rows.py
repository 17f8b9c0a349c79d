"""What the rows of the embedded corpus say: sentences, entities, answers and classes."""

from __future__ import annotations

from collections import Counter

import pytest
from made_up.embedded_corpus import CLASSIFICATION, FILES, LANGUAGES, SPLITS, features, rows

from idlib.data.folding import fold


@pytest.mark.parametrize("split", SPLITS)
def test_translations_are_unique_pairs_of_sentences(split):
    pairs = [
        (row["translation"]["de"], row["translation"]["en"]) for row in rows(f"translation/{split}")
    ]
    assert len({tuple(map(fold, pair)) for pair in pairs}) == len(pairs)
    for german, english in pairs:
        assert fold(german) != fold(english)
        for side in (german, english):
            assert 5 <= len(side.split()) <= 60
            assert side == " ".join(side.split())


def test_translations_are_german_and_english():
    common = {"de": {"der", "und", "das"}, "en": {"the", "and", "of"}}
    counts = Counter()
    for row in rows("translation/test"):
        for side, text in row["translation"].items():
            for language, words in common.items():
                counts[side, language] += len(words & set(text.lower().split()))
    assert counts["de", "de"] > 50 * counts["de", "en"]
    assert counts["en", "en"] > 50 * counts["en", "de"]


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("tagging")])
def test_tags_are_whole_entities(name):
    names = features(name)["ner_tags"]["feature"]["names"]
    kinds = ["MENU", "UI", "KEY", "CODE", "PRODUCT"]
    assert names == ["O"] + [f"{prefix}-{kind}" for kind in kinds for prefix in "BI"]
    counts = Counter()
    for row in rows(name):
        assert len(row["tokens"]) == len(row["ner_tags"]) == len(row["spaces"]) >= 5
        assert all(token == token.strip() != "" for token in row["tokens"])
        tags = [names[tag] for tag in row["ner_tags"]]
        for before, tag in zip(["O", *tags], tags, strict=False):
            if tag[0] == "I":
                assert before[1:] == tag[1:] and before != "O", (row["id"], tags)
        counts["with" if any(tag[2:] not in ("", "PRODUCT") for tag in tags) else "without"] += 1
        counts.update(tag[2:] for tag in tags if tag[0] == "B")
    assert counts["with"] > counts["without"] > counts["with"] / 10
    assert (
        counts["UI"] > counts["MENU"] > 0 and counts["KEY"] and counts["CODE"] and counts["PRODUCT"]
    )


@pytest.mark.parametrize("language", ["ja", "zh-CN"])
def test_scripts_without_spaces_are_one_character_a_token(language):
    tokens = {token for row in rows(f"tagging/{language}/test") for token in row["tokens"]}
    cjk = {
        t for t in tokens if any("\u3040" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" for c in t)
    }
    assert len(cjk) > 200 and all(len(token) == 1 for token in cjk)
    assert "LibreOffice" in tokens


@pytest.mark.parametrize("task", ["tagging", "answering"])
def test_parallel_items_are_in_every_language(task):
    common = set.intersection(*({r["id"] for r in rows(f"{task}/{x}/test")} for x in LANGUAGES))
    assert len(common) >= 30
    for language in LANGUAGES:
        marked = {row["id"] for row in rows(f"{task}/{language}/test") if row["parallel"]}
        assert marked == common


@pytest.mark.parametrize("language", LANGUAGES)
def test_entities_of_a_translation_are_as_many_as_in_english(language):
    def kinds(row: dict) -> Counter:
        return Counter(tag for tag in row["ner_tags"] if tag % 2)  # odd numbers begin one

    originals = {row["id"]: kinds(row) for row in rows("tagging/en/test")}
    for row in rows(f"tagging/{language}/test"):
        assert kinds(row) == originals[row["id"]]


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("answering")])
def test_answers_are_in_their_contexts(name):
    places = Counter()
    for row in rows(name):
        assert row["answers"]["text"]
        lines = row["context"].split("\n")
        assert len(lines) >= 4
        for answer, start in zip(*row["answers"].values(), strict=True):
            assert row["context"][start : start + len(answer)] == answer == answer.strip()
        first = row["answers"]["answer_start"][0]
        places[row["context"][:first].count("\n") / len(lines) < 0.5] += 1
    assert min(places.values()) > sum(places.values()) / 4, "position gives the answer away"


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_are_worded_alike_within_a_language(language):
    questions = [row["question"] for row in rows(f"answering/{language}/test")]
    first, last = questions[0], questions[0]
    for question in questions:
        while not question.startswith(first):
            first = first[:-1]
        while not question.endswith(last):
            last = last[1:]
    assert len(first) + len(last) >= 8
    assert len(set(questions)) > len(questions) / 2


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_classes_are_all_there_and_numbered(name):
    for split in SPLITS:
        every = rows(f"classification/{name}/{split}")
        counts = Counter(row["label"] for row in every)
        assert sorted(counts) == list(
            range(len(features(f"classification/{name}/{split}")["label"]["names"]))
        )
        assert [row["idx"] for row in every] == list(range(len(every)))
        assert min(counts.values()) >= 30
        if name == "heading":
            assert counts[0] == counts[1]
