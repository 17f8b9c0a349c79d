"""Spans and their F1 are those of seqeval in its strict mode."""

from __future__ import annotations

import random

import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from idlib.metrics import spans
from idlib.metrics.spans import Counts

TAGS = spans.tags_of(["PER", "ORG", "LOC"])
STRICT = {"mode": "strict", "scheme": IOB2, "average": "micro", "zero_division": 0}


def drawn(seed: int) -> list[list[str]]:
    """Random tags; about half of what is inside has no beginning of its kind before it."""
    random_ = random.Random(seed)
    weights = [0.5, *[1 / 6] * 6]
    return [random_.choices(TAGS, weights, k=random_.randint(1, 12)) for _ in range(60)]


def noisy(tags: list[list[str]], seed: int, share: float) -> list[list[str]]:
    random_ = random.Random(seed)
    return [
        [random_.choice(TAGS) if random_.random() < share else tag for tag in item] for item in tags
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_f1_is_seqevals(seed, share):
    gold = drawn(seed)
    predicted = noisy(gold, seed + 100, share)
    counts = [spans.count(g, p) for g, p in zip(gold, predicted, strict=True)]
    total = Counts(*map(sum, zip(*counts, strict=True)))
    assert spans.f1(counts) == pytest.approx(f1_score(gold, predicted, **STRICT), abs=1e-15)
    precision = precision_score(gold, predicted, **STRICT)
    recall = recall_score(gold, predicted, **STRICT)
    assert total.correct / total.predicted == pytest.approx(precision, abs=1e-15)
    assert total.correct / total.gold == pytest.approx(recall, abs=1e-15)
    assert 0 < total.correct < total.gold or share in (0.0, 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_spans_are_seqevals_item_by_item_and_orphans_what_is_inside_none(seed):
    for tags in drawn(seed):
        (entities,) = Entities([tags], IOB2).entities
        assert spans.spans(tags) == {(e.start, e.end, e.tag) for e in entities}
        covered = {place for e in entities for place in range(e.start, e.end)}
        outside = [tag for place, tag in enumerate(tags) if tag != "O" and place not in covered]
        assert spans.orphans(tags) == len(outside)
        assert all(tag.startswith("I-") for tag in outside)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ("B-PER I-PER O", "B-PER I-PER O", (1, 1, 1)),
        ("B-PER I-PER O", "B-PER O O", (0, 1, 1)),  # shorter
        ("B-PER I-PER O", "B-ORG I-ORG O", (0, 1, 1)),  # another kind
        ("B-PER I-PER O", "I-PER I-PER O", (0, 0, 1)),  # no beginning
        ("I-PER I-PER O", "B-PER I-PER O", (0, 1, 0)),
        ("B-PER I-PER O", "B-PER I-ORG O", (0, 1, 1)),  # the kind changes inside
        ("B-PER B-PER I-PER", "B-PER B-PER I-PER", (2, 2, 2)),  # two that touch
        ("B-PER B-PER I-PER", "B-PER I-PER I-PER", (0, 1, 2)),
        ("O B-LOC I-LOC", "O B-LOC I-LOC", (1, 1, 1)),  # to the end
        ("O O O", "O O O", (0, 0, 0)),
    ],
)
def test_written_items(gold, predicted, expected):
    counts = spans.count(gold.split(), predicted.split())
    assert counts == expected
    reference = f1_score([gold.split()], [predicted.split()], **STRICT)
    assert spans.f1([counts]) == pytest.approx(reference, abs=1e-15)


def test_the_average_is_over_spans_and_not_over_items_or_kinds():
    gold = [["B-PER"], ["B-LOC", "B-LOC", "B-LOC"]]
    predicted = [["B-PER"], ["O", "O", "O"]]
    counts = [spans.count(*pair) for pair in zip(gold, predicted, strict=True)]
    assert spans.f1(counts) == pytest.approx(2 / 5)
    assert f1_score(gold, predicted, **STRICT | {"average": "macro"}) == pytest.approx(1 / 2)


def test_strict_differs_from_conlleval_where_a_beginning_is_missing():
    tags = ["I-PER", "O", "B-LOC"]
    assert spans.spans(tags) == {(2, 3, "LOC")}
    assert get_entities(tags) == [("PER", 0, 0), ("LOC", 2, 2)]


def test_no_item_and_no_span_score_nothing():
    assert spans.f1([]) == spans.f1([Counts(0, 0, 0)]) == 0.0


def test_sequences_of_unequal_length():
    with pytest.raises(ValueError, match="2 gold tags and 1 predicted"):
        spans.count(["O", "O"], ["O"])


@pytest.mark.parametrize("tag", ["PER", "S-PER", "B-", "b-PER", "", "OO"])
def test_tags_that_are_none(tag):
    with pytest.raises(ValueError, match=f"the tag '{tag}' is neither O"):
        spans.kind_of(tag)
