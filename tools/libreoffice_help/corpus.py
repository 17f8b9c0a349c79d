"""The paragraphs of the help, in English with their translations, each in one split."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scipy.cluster.hierarchy import DisjointSet

from idlib.data.folding import fold
from libreoffice_help.pages import Paragraph, read_page
from libreoffice_help.sentences import sentences

ENGLISH = "en"
FOLDERS = {"en": "en-US"}  # languages whose folder has another name
LANGUAGES = "en de es fr it nl pl ru el tr fi hu vi ja ko zh-CN".split()
SPLITS = ("train", "validation", "test")
SEED = "libreoffice-help/1"  # of every draw; another seed is another corpus
# Shares of the pages in validation and test. Pages with an access section are fewer and carry the
# questions, so more of them are held out.
SHARES = {True: (0.09, 0.18), False: (0.08, 0.06)}
ALIKE = 0.8  # share of the shorter side's words that the other side has too
LARGEST_HELD_OUT = 12  # pages; a larger group of pages is for training

Pages = Mapping[str, Sequence[Paragraph]]


@dataclass
class Item:
    """One English text of the help, wherever it stands, and its translations.

    Attributes:
        id: sha256 of the folded English text, shortened; the same in all languages and tasks.
        english: the first paragraph that has the text.
        split: the one split that the text is in.
        pages: the pages that have it, sorted.
        access: whether it stands in the access section of a page.
        translations: by language, the different ones in the order of the pages, each with the
            English paragraph that it is a translation of.
    """

    id: str
    english: Paragraph
    split: str
    pages: list[str] = field(default_factory=list)
    access: bool = False
    translations: dict[str, list[tuple[Paragraph, Paragraph]]] = field(default_factory=dict)


def rank(*names: str) -> str:
    """A hash of names that orders them as if at random, but always alike."""
    return hashlib.sha256("\t".join((SEED, *names)).encode()).hexdigest()


def differ(one: str, other: str) -> bool:
    """Whether two folded texts differ in words; lists of names and program text do not."""
    ours, theirs = Counter(one.split()), Counter(other.split())
    fewer = min(ours.total(), theirs.total())
    return fewer > 0 and (ours & theirs).total() < ALIKE * fewer


def read_languages(roots: Sequence[Path], languages: Sequence[str]) -> dict[str, Pages]:
    """All pages of the languages, by their path below ``text``.

    Raises:
        SystemExit: if a language is in none of the roots.
    """
    found = {}
    for language in languages:
        folder = FOLDERS.get(language, language)
        texts = [root / folder / "text" for root in roots if (root / folder / "text").is_dir()]
        if not texts:
            raise SystemExit(
                f"no {folder}/text below {', '.join(map(str, roots))}: install "
                f"libreoffice-help-{folder.lower()}, or name its folder with --help-root"
            )
        found[language] = {
            path.relative_to(texts[0]).as_posix(): read_page(path)
            for path in sorted(texts[0].rglob("*.html"))
        }
    return found


def page_splits(pages: Pages) -> dict[str, str]:
    """The split of each page, from the English pages alone.

    Pages whose access sections share a sentence or a menu path, or that have such a section and
    the same title, stay together.
    """
    groups = DisjointSet()
    with_access = set()
    for page, paragraphs in pages.items():
        groups.add(("page", page))
        access = [p for p in paragraphs if p.access and p.text]
        if not access:
            continue
        with_access.add(page)
        titles = [p for p in paragraphs if p.tag == "h1" and p.text]
        for paragraph in access + titles:
            for sentence in [paragraph.text, *sentences(paragraph.text)]:
                _join(groups, ("page", page), ("text", fold(sentence)))
        for paragraph in access:
            for start, end, kind in paragraph.marks:
                if kind in ("MENU", "UI"):
                    _join(groups, ("page", page), ("path", fold(paragraph.text[start:end])))
    members = [sorted(name for sort, name in group if sort == "page") for group in groups.subsets()]
    splits = {}
    for kind, (validation, test) in SHARES.items():
        own = [m for m in members if m and bool(with_access & set(m)) == kind]
        total = sum(map(len, own))
        quota = {"test": round(test * total), "validation": round(validation * total)}
        for group in sorted(own, key=lambda m: rank("pages", *m)):
            fits = [s for s in quota if len(group) <= min(quota[s], LARGEST_HELD_OUT)]
            split = fits[0] if fits else "train"
            if fits:
                quota[split] -= len(group)
            splits |= dict.fromkeys(group, split)
    return splits


def text_splits(pages: Pages, of_page: Mapping[str, str]) -> dict[str, str]:
    """The split of each folded English text.

    Texts that share a sentence stay together, whatever pages they are on. Their split is that of
    the pages where they say how to reach a command or are the title of such a page (all of which
    are in one split), else of one of their pages, drawn by hash.
    """
    groups, homes, binding = DisjointSet(), defaultdict(set), defaultdict(set)
    for page, paragraphs in pages.items():
        bound = any(p.access and p.text for p in paragraphs)
        for paragraph in paragraphs:
            if not paragraph.text:
                continue
            key = fold(paragraph.text)
            groups.add(key)
            for sentence in sentences(paragraph.text):
                _join(groups, key, fold(sentence))
            homes[key].add(page)
            if paragraph.access or (bound and paragraph.tag == "h1"):
                binding[key].add(page)
    splits = {}
    for group in groups.subsets():
        own = set().union(*(binding[key] for key in group if key in binding))
        own = own or set().union(*(homes[key] for key in group if key in homes))
        home = min(own, key=lambda page: rank("home", page, min(group)))
        splits |= dict.fromkeys(group, of_page[home])
    return splits


def aligned(english: Sequence[Paragraph], other: Sequence[Paragraph]):
    """Pairs of paragraphs of a page and its translation: same id, same occurrence of the id."""
    left, right = Counter(p.id for p in english), Counter(p.id for p in other)
    by_place = {(p.id, k): p for p, k in _occurrences(other)}
    for paragraph, k in _occurrences(english):
        if left[paragraph.id] == right[paragraph.id]:
            yield paragraph, by_place[paragraph.id, k]


def _join(groups: DisjointSet, one: Hashable, other: Hashable) -> None:
    groups.add(one)
    groups.add(other)
    groups.merge(one, other)


def _occurrences(paragraphs: Sequence[Paragraph]):
    seen: Counter[str] = Counter()
    for paragraph in paragraphs:
        yield paragraph, seen[paragraph.id]
        seen[paragraph.id] += 1


def build(languages: Mapping[str, Pages]) -> tuple[dict[str, Item], dict[str, str]]:
    """All items by folded English text, and the splits of the pages."""
    pages = languages[ENGLISH]
    of_page = page_splits(pages)
    of_text = text_splits(pages, of_page)
    items: dict[str, Item] = {}
    for page, paragraphs in pages.items():
        for paragraph in paragraphs:
            key = fold(paragraph.text or "")
            if not key:
                continue
            name = hashlib.sha256(key.encode()).hexdigest()[:12]
            item = items.setdefault(key, Item(name, paragraph, of_text[key]))
            if page not in item.pages:
                item.pages.append(page)
            item.access |= paragraph.access
    for language, translated in languages.items():
        if language == ENGLISH:
            continue
        for page, paragraphs in pages.items():
            for paragraph, other in aligned(paragraphs, translated.get(page, [])):
                key = fold(paragraph.text or "")
                if not key or not other.text or fold(other.text) in ("", key):
                    continue
                known = items[key].translations.setdefault(language, [])
                if all(other.text != old.text for _, old in known):
                    known.append((paragraph, other))
    return items, of_page
