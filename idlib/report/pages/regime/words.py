"""Words that the parts of the page share: sides of zero, lists, what is not known yet."""

from __future__ import annotations

from collections.abc import Mapping

from idlib.report.paired import FEWEST, Gain, Sign
from idlib.report.text import joined

PRACTICE = "**For practice:**"
SIGNS: dict[Sign, str] = {  # what the interval of a gain is
    "better": "above zero",
    "worse": "below zero",
    "either": "not clear of zero",
    "unknown": f"not known, of fewer than {FEWEST} seeds,",
}


def not_yet(what: str) -> str:
    """What is said instead of advice while seeds of something are missing."""
    return f"{PRACTICE} nothing can be said before there are {FEWEST} seeds of {what}."


def grouped(signs: Mapping[str, Sign], word: str) -> str:
    """Names by the sign of their gain, each after a preposition.

    >>> grouped({"a": "better", "b": "either", "c": "better"}, "with")
    'above zero with a and c, not clear of zero with b'
    """
    groups: dict[Sign, list[str]] = {}
    for name, sign in signs.items():
        groups.setdefault(sign, []).append(name)
    return ", ".join(f"{SIGNS[sign]} {word} {joined(names)}" for sign, names in groups.items())


def seeds_of(*gains: Gain) -> str:
    """The number of seeds; a range where gains differ in it."""
    numbers = [one.interval.n if one.interval else 0 for one in gains]
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}–{high}"


def unsigned(one: Gain) -> str:
    """The size of a gain with its interval, whatever its side."""
    turned = dict(one.values)
    if one.interval is not None and one.interval.mean < 0:
        turned = {seed: -value for seed, value in turned.items()}
    return Gain(one.measure, turned).words.removeprefix("+")
