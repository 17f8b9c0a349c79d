"""Tagged tokens as their sources hold them: one checked table for each language and split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from idlib.data import rows
from idlib.data.errors import DataError
from idlib.data.languages import ENGLISH
from idlib.data.limits import SPLITS
from idlib.data.rows import EMBEDDED, FILES, Table
from idlib.metrics import spans

TAGS = "ner_tags"
COLUMNS = ("tokens", TAGS)
TASK = "tagging"  # the folder of the embedded tables
NAMED = 5  # offenders that a report names

HUB = "unimelb-nlp/wikiann"
HUB_REVISION = "main"  # the repository itself holds parquet
HUB_KINDS = ("PER", "ORG", "LOC")
HUB_LANGUAGES = tuple(  # the 48 of the paper, English first
    "en ar he vi id jv ms tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th "
    "sw yo my zh kk tr et fi hu qu pl uk az lt pa gu ro".split()
)


@dataclass(frozen=True)
class TaggedText:
    """The items of one split of one language, in the order of their source.

    Attributes:
        ids: translations of one item have the same.
        tokens: of each item; never none.
        spaces: for each token, whether a space follows it.
        tags: for each token its tag, ``O``, ``B-…`` or ``I-…``.
        checksum: sha256 of the content as it was read.
        dropped: items left out because no token of theirs has a visible character.
        report: lines of text on what was dropped and what is unusual, with ``file:row``.
    """

    ids: list[str]
    tokens: list[list[str]]
    spaces: list[list[bool]]
    tags: list[list[str]]
    checksum: str
    dropped: int = 0
    report: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, kept: Sequence[int]) -> TaggedText:
        """These items."""
        columns = ("ids", "tokens", "spaces", "tags")
        return replace(self, **{name: [getattr(self, name)[i] for i in kept] for name in columns})

    def texts(self) -> list[str]:
        """The text of each item, as its tokens and spaces make it; none after the last token."""
        found = []
        for tokens, spaces in zip(self.tokens, self.spaces, strict=True):
            follows = [" " * bool(space) for space in spaces[:-1]] + [""]
            found.append("".join(map("".join, zip(tokens, follows, strict=True))))
        return found


def languages(source: str, root: Path | None) -> tuple[str, ...]:
    """The languages that a source has a test set of, English first.

    Raises:
        DataError: if English, which a tagger is trained on, is not among them.
    """
    folder = root
    if source == "embedded":
        folder = (root or EMBEDDED) / TASK
    elif source == "hub":
        folder = rows.local_folder(HUB, root)
        if not (folder / ENGLISH).is_dir():
            return HUB_LANGUAGES
    as_hub = ("*/test*.parquet", "*/test/*.parquet")
    shapes = as_hub if source == "hub" else [f"*/{SPLITS[-1]}{suffix}" for suffix in FILES]
    there = (path for shape in shapes for path in folder.glob(shape))
    found = sorted({path.relative_to(folder).parts[0] for path in there})
    if ENGLISH not in found:
        raise DataError(
            f"{folder} has no folder {ENGLISH} with a test set, and English is what a tagger is "
            f"trained on; its folders with one: {', '.join(found) or 'none'}"
        )
    return (ENGLISH, *(name for name in found if name != ENGLISH))


def tables(source: str, root: Path | None, language: str, cache: Path) -> dict[str, Table]:
    """The tables of a language: all splits of English, the test set of another."""
    names = SPLITS if language == ENGLISH else SPLITS[-1:]
    if source == "embedded":
        folder = root or EMBEDDED
        columns = ("id", *COLUMNS, "spaces")
        return {
            name: rows.read_embedded(f"{TASK}/{language}/{name}", columns, folder) for name in names
        }
    if source == "path":
        return {name: rows.read_path(root, f"{language}/{name}", COLUMNS) for name in names}
    found = rows.read_hub(
        HUB, HUB_REVISION, names, COLUMNS, config=language, root=root, cache=cache
    )
    named = {TAGS: spans.tags_of(HUB_KINDS)}
    return {name: replace(table, names={**named, **table.names}) for name, table in found.items()}


def tag_names(table: Table) -> tuple[str, ...]:
    """All tags that may occur, ``O`` first: those that the table names, or else those it has.

    Raises:
        DataError: a tag is not of the form ``B-PER`` (the message names ``file:row``), or there
            is none but ``O``.
    """
    named = table.names.get(TAGS)
    every = ((row[TAGS], table.place(index)) for index, row in enumerate(table.rows))
    kinds: dict[str | None, None] = {}
    for tags, place in [(named, table.file)] if named else every:
        for tag in tags or ():
            if not isinstance(tag, str):
                raise _nameless(tag, place, table)
            try:
                kinds[spans.kind_of(tag)] = None
            except ValueError as error:
                raise DataError(f"{place}: {error}") from error
    kinds.pop(None, None)
    if not kinds:
        raise DataError(f"{table.file} has no tag but O, so there is nothing to learn")
    return spans.tags_of(kinds if named else sorted(kinds))


def checked(table: Table, language: str, allowed: Sequence[str]) -> TaggedText:
    """The items of a table, each of them looked at.

    Args:
        table: with the columns of ``COLUMNS``; ``id`` and ``spaces`` may be missing. Without
            an id an item is named by its language and row, without spaces one follows each token.
        language: of its items.
        allowed: the tags of the English training data.

    Raises:
        DataError: columns of unequal length, a tag that is not allowed, or an id that occurs
            twice; the message names ``file:row``.
    """
    meanings = _Meanings(table, allowed)
    places: dict[str, str] = {}
    empty, strays, columns = [], {}, ([], [], [], [])
    for index, row in enumerate(table.rows):
        place = table.place(index)
        tokens, spaces, tags = _columns(row, place)
        if not "".join(tokens).strip():
            empty.append(place)
            continue
        name = str(row["id"]) if row.get("id") is not None else f"{language}/{index + 1}"
        if name in places:
            raise DataError(f"{place} has the id {name!r}, as has {places[name]}; ids must differ")
        places[name] = place
        named = [meanings.of(tag, place) for tag in tags]
        if stray := spans.orphans(named):
            strays[place] = stray
        for column, value in zip(columns, (name, tokens, spaces, named), strict=True):
            column.append(value)
    report = []
    if empty:
        report.append(f"{len(empty)} of {len(table.rows)} items dropped, no tokens: {_some(empty)}")
    if strays:
        report.append(
            f"{sum(strays.values())} tags I- follow no tag of their kind and are part of no span: "
            f"{_some(list(strays))}"
        )
    if not columns[0]:
        raise DataError(f"{table.file} has no item with a token; give more text")
    return TaggedText(*columns, table.checksum, len(empty), report)


class _Meanings:
    """From what stands in a table to the names of tags."""

    def __init__(self, table: Table, allowed: Sequence[str]):
        self.table, self.allowed = table, allowed
        self.names = table.names.get(TAGS)
        own = dict(enumerate(self.names or ())) | {name: name for name in allowed}
        self.known = {key: name for key, name in own.items() if name in set(allowed)}

    def of(self, tag: Any, place: str) -> str:
        number = isinstance(tag, int) and not isinstance(tag, bool)
        if (number or isinstance(tag, str)) and tag in self.known:
            return self.known[tag]
        if number and not self.names:
            raise _nameless(tag, place, self.table)
        named = f" ({self.names[tag]})" if number and 0 <= tag < len(self.names) else ""
        raise DataError(
            f"{place} has the tag {tag!r}{named}, which the English training data do not have: "
            f"choose from {', '.join(self.allowed)}"
        )


def _nameless(tag: Any, place: str, table: Table) -> DataError:
    return DataError(
        f"{place} has the tag {tag!r}, and {table.file} does not say what it means: write tags as "
        "text (O, B-PER, …), or save the table with datasets, which keeps their names"
    )


def _columns(row: Mapping[str, Any], place: str) -> tuple[list[str], list[bool], list[Any]]:
    """Tokens, spaces and tags of a row, of one length."""
    tokens, tags = ([] if row[name] is None else row[name] for name in COLUMNS)
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise DataError(f"{place}: tokens is no list of texts")
    spaces = row.get("spaces")
    spaces = [True] * len(tokens) if spaces is None else spaces
    for name, values in ((TAGS, tags), ("spaces", spaces)):
        if not isinstance(values, list) or len(values) != len(tokens):
            many = len(values) if isinstance(values, list) else "no list of"
            raise DataError(
                f"{place} has {len(tokens)} tokens and {many} {name}; each token needs one"
            )
    return tokens, spaces, tags


def _some(places: Sequence[str]) -> str:
    return ", ".join(places[:NAMED]) + (", …" if len(places) > NAMED else "")
