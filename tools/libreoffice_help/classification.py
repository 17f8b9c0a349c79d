"""English tasks in the schema of GLUE: a sentence's application, and a heading's paragraph."""

from __future__ import annotations

from collections.abc import Mapping

from idlib.data.folding import fold
from libreoffice_help.corpus import SPLITS, Item, Pages, differ, rank
from libreoffice_help.entities import PRODUCT, tokens
from libreoffice_help.pages import HEADINGS
from libreoffice_help.sentences import sentences

APPLICATIONS = ("writer", "calc", "impress or draw", "math", "base", "basic")
FOLDERS = {  # the beginning of a page's path: the application that it is about
    "swriter/": "writer",
    "scalc/": "calc",
    "simpress/": "impress or draw",
    "sdraw/": "impress or draw",
    "smath/": "math",
    "sdatabase/": "base",
    "shared/explorer/database/": "base",
    "sbasic/": "basic",
}
FEWEST, MOST = 6, 60  # tokens of a sentence or paragraph
LONGEST_HEADING = 15  # tokens
PER_CLASS = {"train": 700, "validation": 60, "test": 100}  # sentences of one application, at most
PAIRS = {"train": 4000, "validation": 400, "test": 800}  # headings with paragraphs, at most

Rows = dict[str, list[dict]]


def application_of(pages: list[str]) -> str | None:
    """The application that pages are about; None if it is not one.

    >>> application_of(["swriter/01/a.html", "swriter/guide/b.html"])
    'writer'
    >>> application_of(["swriter/01/a.html", "shared/01/b.html"]) is None
    True
    """
    found = {
        next((name for start, name in FOLDERS.items() if page.startswith(start)), None)
        for page in pages
    }
    return found.pop() if len(found) == 1 else None


def application(items: Mapping[str, Item]) -> Rows:
    """Sentences that are in the help of one application alone and do not name the product."""
    where: dict[str, tuple[str, str, set[str | None]]] = {}
    for item in items.values():
        if item.english.tag != "p":
            continue
        for sentence in sentences(item.english.text):
            key = fold(sentence)
            known = where.setdefault(key, (sentence, item.split, set()))
            known[2].add(application_of(item.pages))
    counts: dict[tuple[str, str], int] = {}
    found: Rows = {split: [] for split in SPLITS}
    for key in sorted(where, key=lambda key: rank("application", key)):
        sentence, split, applications = where[key]
        label = next(iter(applications)) if len(applications) == 1 else None
        fits = FEWEST <= len(tokens(sentence)) <= MOST and PRODUCT not in sentence
        place = split, label
        if label and fits and len(key.split()) >= FEWEST - 1:
            counts[place] = counts.get(place, 0) + 1
            if counts[place] <= PER_CLASS[split]:
                row = {"sentence": sentence, "label": APPLICATIONS.index(label)}
                found[split].append(row)
    return _numbered(found)


def heading(items: Mapping[str, Item], pages: Pages) -> Rows:
    """Headings and paragraphs: half of them the first one below, half from another page.

    The paragraph of a wrong pair stands below another heading, on another page of the same
    application.
    """
    found: Rows = {}
    for split in SPLITS:
        pairs = _true_pairs(items, pages, split)
        pairs.sort(key=lambda pair: rank("heading", *pair[:2]))
        true, given = pairs[: PAIRS[split] : 2], pairs[1 : PAIRS[split] : 2]
        false, taken = [], set()
        for title, _, page, part in given:
            for j in sorted(range(len(given)), key=lambda j: rank("other", title, given[j][1])):
                _, other, elsewhere, other_part = given[j]
                fits = elsewhere != page and other_part == part
                if fits and j not in taken:
                    taken.add(j)
                    false.append((title, other, 0))
                    break
        rows = [(title, paragraph, 1) for title, paragraph, *_ in true[: len(false)]] + false
        rows.sort(key=lambda row: rank("order", *row[:2]))
        found[split] = [
            dict(zip(("sentence1", "sentence2", "label"), r, strict=True)) for r in rows
        ]
    return _numbered(found)


def _true_pairs(
    items: Mapping[str, Item], pages: Pages, split: str
) -> list[tuple[str, str, str, str]]:
    """(heading, paragraph, page, folder) of headings with the paragraph right below them.

    Headings nearly all of whose words stand in the paragraph are left out: they give it away.
    """
    found, seen = [], set()
    for page, paragraphs in pages.items():
        for above, below in zip(paragraphs, paragraphs[1:], strict=False):
            if above.tag not in HEADINGS or below.tag != "p" or above.access or below.access:
                continue
            keys = fold(above.text or ""), fold(below.text or "")
            if not all(keys) or seen & set(keys) or {items[k].split for k in keys} != {split}:
                continue
            fits = FEWEST <= len(tokens(below.text)) <= MOST
            if fits and len(tokens(above.text)) <= LONGEST_HEADING and differ(*keys):
                seen |= set(keys)
                found.append((above.text, below.text, page, page.split("/")[0]))
    return found


def _numbered(rows: Rows) -> Rows:
    return {split: [row | {"idx": i} for i, row in enumerate(own)] for split, own in rows.items()}
