"""Sentence pairs, German and English."""

from __future__ import annotations

from collections.abc import Mapping

from idlib.data.folding import fold
from libreoffice_help.corpus import SPLITS, Item, differ, rank
from libreoffice_help.sentences import sentences

SHORTEST, LONGEST = 5, 60  # whitespace tokens a side
AT_MOST = {"train": None, "validation": 1500, "test": 2500}


def pairs(items: Mapping[str, Item], language: str = "de") -> dict[str, list[dict[str, str]]]:
    """Unique sentence pairs by split, in an order that does not depend on the pages'."""
    found: dict[str, dict[tuple[str, str], dict[str, str]]] = {split: {} for split in SPLITS}
    for item in items.values():
        for english, other in item.translations.get(language, []):
            ours, theirs = sentences(english.text), sentences(other.text)
            if len(ours) != len(theirs):
                continue  # which belongs to which is not known
            for source, target in zip(theirs, ours, strict=True):
                key = fold(source), fold(target)
                if _fits(source) and _fits(target) and differ(*key):
                    found[item.split].setdefault(key, {language: source, "en": target})
    seen: set[str] = set()
    kept = {}
    for split in SPLITS:  # a text of an earlier split is not in a later one
        own = {key: pair for key, pair in found[split].items() if not seen & set(key)}
        seen |= {text for key in own for text in key}
        ranked = sorted(own, key=lambda key: rank("translation", *key))[: AT_MOST[split]]
        kept[split] = [{"translation": own[key]} for key in ranked]
    return kept


def _fits(sentence: str) -> bool:
    return SHORTEST <= len(sentence.split()) <= LONGEST
