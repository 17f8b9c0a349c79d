"""Spans of tag sequences and their F1: strict IOB2, as seqeval's ``mode="strict"`` counts.

A tag is ``O`` (outside), ``B-KIND`` (a span of this kind begins) or ``I-KIND`` (it goes on). An
``I-`` that follows no ``B-`` or ``I-`` of its kind belongs to no span. seqeval gives the spans of
an item too, in seven times the time, and is installed from source; the tests compare with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

OUTSIDE = "O"
BEGIN, INSIDE = "B-", "I-"

Span = tuple[int, int, str]


class Counts(NamedTuple):
    """Numbers of spans: correct (gold and predicted), predicted, gold."""

    correct: int
    predicted: int
    gold: int


def kind_of(tag: str) -> str | None:
    """The kind of span that a tag names, None for ``O``.

    Raises:
        ValueError: the tag is neither ``O`` nor ``B-`` or ``I-`` and a kind.

    >>> kind_of("B-PER"), kind_of("O")
    ('PER', None)
    """
    if tag == OUTSIDE:
        return None
    if tag[:2] not in (BEGIN, INSIDE) or not tag[2:]:
        raise ValueError(f"the tag {tag!r} is neither O, nor B- or I- and a kind, as in B-PER")
    return tag[2:]


def tags_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """All tags of these kinds, ``O`` first.

    >>> tags_of(["PER", "LOC"])
    ('O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC')
    """
    return (OUTSIDE, *(prefix + kind for kind in kinds for prefix in (BEGIN, INSIDE)))


def continued(tag: str) -> str:
    """The tag of a token that goes on with what the token before it has.

    >>> continued("B-PER"), continued("O")
    ('I-PER', 'O')
    """
    return tag if tag == OUTSIDE else INSIDE + tag[2:]


def spans(tags: Sequence[str]) -> set[Span]:
    """Start, stop (exclusive) and kind of every span.

    >>> sorted(spans(["B-PER", "I-PER", "O", "I-LOC", "B-PER"]))
    [(0, 2, 'PER'), (4, 5, 'PER')]
    """
    ended: set[Span] = set()
    start = None
    for place, tag in enumerate([*tags, OUTSIDE]):
        if start is not None and tag != continued(tags[start]):
            ended.add((start, place, tags[start][2:]))
            start = None
        if tag.startswith(BEGIN):
            start = place
    return ended


def orphans(tags: Sequence[str]) -> int:
    """How many ``I-`` tags belong to no span.

    >>> orphans(["I-PER", "B-PER", "I-LOC"])
    2
    """
    inside = sum(stop - start - 1 for start, stop, _ in spans(tags))
    return sum(tag.startswith(INSIDE) for tag in tags) - inside


def count(gold: Sequence[str], predicted: Sequence[str]) -> Counts:
    """What one item adds to the F1: a span is correct if start, stop and kind are.

    Raises:
        ValueError: one sequence is longer than the other.

    >>> count(["B-PER", "I-PER", "B-LOC"], ["B-PER", "O", "B-LOC"])
    Counts(correct=1, predicted=2, gold=2)
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold tags and {len(predicted)} predicted ones")
    of_gold, of_predicted = spans(gold), spans(predicted)
    return Counts(len(of_gold & of_predicted), len(of_predicted), len(of_gold))


def f1(counts: Iterable[Counts]) -> float:
    """F1 over all spans of these items, whatever their kind (micro average), from 0 to 1.

    2·correct / (predicted + gold); 0 where there is no span at all.

    >>> f1([Counts(1, 2, 2), Counts(0, 0, 1)])
    0.4
    """
    correct, predicted, gold = np.sum([(0, 0, 0), *counts], axis=0).tolist()
    return 2 * correct / (predicted + gold) if predicted + gold else 0.0
