"""Paragraphs with named entities, in every language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from idlib.data.folding import fold
from libreoffice_help.corpus import ENGLISH, SPLITS, Item, differ, rank
from libreoffice_help.entities import TAGS, entities, kinds, tagged, tokens
from libreoffice_help.pages import Paragraph
from libreoffice_help.sentences import sentences

FEWEST, MOST = 5, 100  # tokens of an English paragraph
MOST_OTHER = 200  # tokens of a translation; one character is one where there are no spaces
LONGEST_NAME = 12  # tokens; longer ones are sentences put in italics
AT_MOST = {"train": 6000, "validation": 800, "test": 1500}
PLAIN = 3  # as many paragraphs with entities for each one without

Rows = dict[str, dict[str, list[dict]]]


def rows(items: Mapping[str, Item], languages: Sequence[str]) -> Rows:
    """By language and split; English has all splits, the others only ``test``.

    The translations of a paragraph are kept where their markup has as many entities of each kind.
    """
    chosen = {split: _english(items, split) for split in SPLITS}
    known = {key for key, item in items.items() if item.split != "test"}
    known |= {fold(s) for key in known for s in sentences(items[key].english.text)}
    translated = {
        item.id: {
            language: other
            for language in languages
            if language != ENGLISH and (other := _translation(item, language, known))
        }
        for split in SPLITS
        for item in chosen[split]
    }
    others = len(languages) - 1

    def row(item: Item, paragraph: Paragraph) -> dict:
        words, tags = tagged(paragraph)
        breaks = [start for start, _ in tokens(paragraph.text)][1:]
        ends = [end for _, end in tokens(paragraph.text)]
        return {
            "id": item.id,
            "tokens": words,
            "ner_tags": tags,
            "spaces": [b > e for b, e in zip(breaks, ends, strict=False)] + [False],
            "parallel": len(translated[item.id]) == others,
        }

    found: Rows = {ENGLISH: {}}
    for split in SPLITS:
        found[ENGLISH][split] = [row(item, item.english) for item in chosen[split]]
    for language in languages:
        if language != ENGLISH:
            pairs = [(item, translated[item.id].get(language)) for item in chosen["test"]]
            found[language] = {"test": [row(item, other) for item, other in pairs if other]}
    return found


def _english(items: Mapping[str, Item], split: str) -> list[Item]:
    """The English paragraphs of a split, a fair share of them without entities."""
    named, plain = [], []
    for key in sorted(items, key=lambda key: rank("tagging", key)):
        item = items[key]
        count = len(tokens(item.english.text))
        if item.split != split or not FEWEST <= count <= MOST:
            continue
        spans = entities(item.english)
        lengths = [len(tokens(item.english.text[start:end])) for start, end, _ in spans]
        longest_name = max(
            (n for n, s in zip(lengths, spans, strict=True) if s[2] == "UI"), default=0
        )
        if longest_name > LONGEST_NAME or sum(lengths) > count - 2:
            continue  # nothing around the names says what they are
        (named if set(kinds(spans)) - {"PRODUCT"} else plain).append(item)
    named = named[: AT_MOST[split] * PLAIN // (PLAIN + 1)]
    chosen = named + plain[: len(named) // PLAIN]
    return sorted(chosen, key=lambda item: rank("order", item.id))


def _translation(item: Item, language: str, known: set[str]) -> Paragraph | None:
    """The first translation that is fit to be tested on."""
    for english, other in item.translations.get(language, []):
        key = fold(other.text)
        if (
            _counts(english) == _counts(other) == _counts(item.english)
            and FEWEST <= len(tokens(other.text)) <= MOST_OTHER
            and differ(fold(english.text), key)
            and key not in known
            and not _english_left(english.text, other.text)
        ):
            return other
    return None


def _counts(paragraph: Paragraph) -> Counter[str]:
    """How many entities of each kind are tagged; one that begins within a token is not."""
    begun = (TAGS[tag] for tag in tagged(paragraph)[1])
    return Counter(name for name in begun if name.startswith("B-"))


def _english_left(english: str, other: str) -> bool:
    """Whether a whole sentence of the original stands in the translation."""
    ours = {fold(sentence) for sentence in sentences(english)}
    return any(fold(s) in ours and len(fold(s).split()) >= 4 for s in sentences(other))
