"""What the help says about reaching a command, in every language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from idlib.data.folding import fold
from libreoffice_help.corpus import Item, Pages, aligned, differ, rank
from libreoffice_help.entities import entities, kinds, trimmed
from libreoffice_help.pages import Paragraph

LONGEST = 60  # whitespace tokens of an English section
SHORTEST_WORD = 3  # letters; shorter words do not tell what a name and a path have in common
_BETWEEN = re.compile(r"\s[-–—]\s|\s?[→▸‣›>]\s?")


@dataclass(frozen=True)
class Section:
    """A piece of the help that says how to reach a command.

    Attributes:
        name: of the command.
        text: one or more paragraphs, one a line.
        paths: (start, end) of all menu paths in ``text``.
        wanted: which of the paths lead to the command.
    """

    name: str
    text: str
    paths: tuple[tuple[int, int], ...]
    wanted: tuple[int, ...]

    @cached_property
    def answers(self) -> list[str]:
        """The paths that lead to the command."""
        return [self.text[slice(*self.paths[i])] for i in self.wanted]

    @cached_property
    def folded(self) -> str:
        """The text as it is compared."""
        return fold(self.text)


def words(text: str) -> set[str]:
    """The words of a text that tell what it is about."""
    return {word for word in fold(text).split() if len(word) >= SHORTEST_WORD}


def of_pages(english: Pages, translated: Pages | None) -> dict[str, Section]:
    """The access sections of the pages, named by the pages' titles.

    The paths that lead to the command are those that share most words with the title in English;
    a page where none does is left out.

    Args:
        english: the English pages.
        translated: the same in another language; None for the English sections.

    Returns:
        Sections by an id that is the same in all languages.
    """
    found = {}
    for page, paragraphs in english.items():
        pairs = [(p, p) for p in paragraphs]
        if translated is not None:
            pairs = list(aligned(paragraphs, translated.get(page, [])))
        titles = [pair for pair in pairs if pair[0].tag == "h1" and pair[0].text]
        access = [pair for pair in pairs if pair[0].access and fold(pair[0].text or "")]
        original = _join([one for one, _ in access])
        if not titles or not original or len(original[0].split()) > LONGEST:
            continue
        shared = [len(words(titles[0][0].text) & words(path)) for path in _texts(original)]
        wanted = tuple(i for i, count in enumerate(shared) if count == max(shared) > 0)
        whole = all(p is o or _is_translation(p, o) for p, o in [titles[0], *access])
        own = _join([other for _, other in access]) if whole else None
        if wanted and own and len(own[1]) == len(original[1]):
            name = rank("section", page)[:12]
            found[name] = Section(trimmed(titles[0][1].text), *own, wanted)
    return found


def of_paragraphs(items: Mapping[str, Item], language: str | None) -> dict[str, Section]:
    """Paragraphs with a single menu path, named by the last name of the path.

    Args:
        items: all English texts.
        language: of the sections; None for English.
    """
    found = {}
    for item in items.values():
        counts = kinds(entities(item.english))
        if counts["MENU"] != 1 or item.access or len(item.english.text.split()) > LONGEST:
            continue
        pairs = [(item.english, item.english)]
        if language:
            pairs = item.translations.get(language, [])
        for one, other in pairs:
            if one is not other and not _is_translation(one, other):
                continue
            if counts == kinds(entities(one)) == kinds(entities(other)):
                text, paths = _join([other])
                last = trimmed(_BETWEEN.split(text[slice(*paths[0])])[-1])
                if fold(last):
                    found[item.id] = Section(last, text, paths, (0,))
                break
    return found


def _join(paragraphs: Sequence[Paragraph]) -> tuple[str, tuple[tuple[int, int], ...]] | None:
    """The text of paragraphs, one a line, and its menu paths; None if there is no path."""
    text, paths = "", []
    for paragraph in paragraphs:
        if text:
            text += "\n"
        paths += [
            (len(text) + start, len(text) + end)
            for start, end, kind in entities(paragraph)
            if kind == "MENU"
        ]
        text += paragraph.text
    return (text, tuple(paths)) if paths else None


def _texts(joined: tuple[str, tuple[tuple[int, int], ...]]) -> list[str]:
    return [joined[0][start:end] for start, end in joined[1]]


def _is_translation(one: Paragraph, other: Paragraph) -> bool:
    """Whether a paragraph is not left in English; keys and single names can be the same."""
    if not other.text:
        return False
    ours, theirs = fold(one.text), fold(other.text)
    short = one.tag == "p" and len(ours.split()) <= 2
    return bool(theirs) and (short or differ(ours, theirs))
