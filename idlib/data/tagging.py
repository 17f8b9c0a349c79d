"""Tagged tokens of the tagging task: English to train on, every language to test.

LibreOffice Help embedded, WikiANN from the hub, or tables in a folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from idlib.data import languages as multilingual
from idlib.data import sources, tables
from idlib.data.errors import DataError
from idlib.data.languages import ENGLISH, Multilingual
from idlib.data.loaded import RawSplit, first_places
from idlib.data.sources import CACHE, Source
from idlib.data.tables import Row, Table
from idlib.data.tagged_subwords import TaggedItem, TaggedSubwords
from idlib.metrics import spans

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedTokenizerFast

TASK = "tagging"  # the folder of the embedded tables
TAGS = "ner_tags"
COLUMNS, OPTIONAL = ("tokens", TAGS), ("id", "spaces")

HUB = "unimelb-nlp/wikiann"
HUB_REVISION = "main"  # the repository itself holds parquet
HUB_KINDS = ("PER", "ORG", "LOC")
HUB_LANGUAGES = (  # the 48 of the paper, English first
    "en ar he vi id jv ms tl eu ml ta te af nl de el bn hi mr ur fa fr it pt es bg ru ja ka ko th "
    "sw yo my zh kk tr et fi hu qu pl uk az lt pa gu ro"
).split()


@dataclass(frozen=True)
class TaggingData(Multilingual[TaggedSubwords]):
    """Tagged items; the only reason to drop one is ``empty`` (no tokens).

    ``report`` also tells of tokens that cannot be predicted, and of tags that belong to no span.

    Attributes:
        names: all tags, ``O`` first; a tag's place is its class.
    """

    names: tuple[str, ...]


def load(
    source: str,
    tokenizer: PreTrainedTokenizerFast,
    *,
    root: str | Path | None = None,
    languages: Sequence[str] | None = None,
    max_length: int = 128,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = CACHE,
) -> TaggingData:
    """The tagged items of one source, checked and cut into subwords before anything is trained.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (WikiANN, fetched into ``root`` if it is
            not there), or ``path``: a folder of ``<language>/<split>.parquet`` or ``.jsonl`` with
            columns ``tokens``, ``ner_tags``, ``spaces`` (whether a space follows the token; all
            do if it is missing) and ``id`` (translations of one item share it; if it is missing,
            no item is the translation of another).
        tokenizer: the encoder's.
        root: see :class:`idlib.data.sources.Source`, as for ``cache``.
        languages: those to test, beside English; None: all that the source has.
        max_length: limit of an item in subwords; what is beyond is cut off, and counted.
        sizes: see :func:`idlib.data.languages.sample`.
        cache: of what ``datasets`` makes of the hub's files.

    Raises:
        DataError: data or arguments that cannot be used; the message names the ``file:row``.
    """
    sizes = dict(sizes or {})
    origin = sources.checked(source, root, cache, holding="en/train.parquet, …", splits=sizes)
    sources.check_max_length(max_length, tokenizer)
    tested = multilingual.tested(_available(origin), languages, origin.where)
    names: tuple[str, ...] = ()
    raw: dict[str, RawSplit[TaggedItem]] = {}
    for language in tqdm(tested, desc="reading", unit="language", leave=False, disable=None):
        own = multilingual.read(origin, TASK, language, COLUMNS, OPTIONAL, (HUB, HUB_REVISION))
        for name, table in own.items():
            if source == "hub":
                table.names.setdefault(TAGS, spans.tags_of(HUB_KINDS))
            names = names or _tag_names(table)  # English training data come first
            raw[name] = _read(name, table, names)
    multilingual.sample(raw, sizes)
    splits = {}
    for name, split in raw.items():
        splits[name] = TaggedSubwords(split.items, names, tokenizer, max_length)
        split.notes += _unpredictable(splits[name], max_length)
    return TaggingData(source, splits, *multilingual.account(raw), names)


def _unpredictable(data: TaggedSubwords, max_length: int) -> list[str]:
    """What the scores are over, and what no model can find."""
    tokens = sum(map(len, data.tokens))
    gold = sum(len(spans.spans(tags)) for tags in data.tags)
    lines = (
        (data.cut, f"of {tokens} tokens lie beyond {max_length} subwords and are taken for O"),
        (data.lost, f"of {tokens} tokens have no subword and are taken for O"),
        (data.missed, f"of {gold} spans are out of reach, by their place in the subwords"),
    )
    return [f"{number} {what}" for number, what in lines if number]


# ---- from the tables of a source to tagged items


def _available(source: Source) -> Sequence[str]:
    """The languages that a source has a test split of."""
    if source.kind != "hub":
        return multilingual.available(source, TASK)
    folder = tables.hub_folder(source, HUB)
    if not (folder / ENGLISH).is_dir():
        return HUB_LANGUAGES
    return multilingual.in_folder(folder, ["*/test*.parquet", "*/test/*.parquet"])


def _tag_names(table: Table) -> tuple[str, ...]:
    """All tags that may occur, ``O`` first: those that the table names, or else those it has.

    Raises:
        DataError: a tag is not of the form ``B-PER`` (the message names ``file:row``), or there
            is none but ``O``.
    """
    named = table.names.get(TAGS)
    places = ((row, table.place(index)) for index, row in enumerate(table.rows))
    every = ((_columns(row, place)[2], place) for row, place in places)
    kinds: dict[str, None] = {}
    for tags, place in [(named, table.file)] if named else every:
        for tag in tags:
            if not isinstance(tag, str):
                raise _without_name(tag, place, table)
            try:
                kind = spans.kind_of(tag)
            except ValueError as error:
                raise DataError(f"{place}: {error}") from error
            if kind is not None:
                kinds[kind] = None
    if not kinds:
        raise DataError(f"{table.file} has no tag but O, so there is nothing to learn")
    return spans.tags_of(kinds if named else sorted(kinds))


def _read(name: str, table: Table, allowed: Sequence[str]) -> RawSplit[TaggedItem]:
    """The items of a table, each of them checked.

    Args:
        name: of the split.
        table: without ``spaces`` one follows each token.
        allowed: the tags of the English training data.

    Raises:
        DataError: columns of unequal length, a tag that is not allowed, or an id that occurs
            twice (the message names ``file:row``), or no item with a token.
    """
    raw: RawSplit[TaggedItem] = RawSplit(
        name, "items", table.file, table.checksum, len(table.rows), {"empty": "no tokens"}
    )
    places: dict[str, str] = {}
    strays: dict[str, int] = {}
    for index, row in enumerate(table.rows):
        place = table.place(index)
        tokens, spaces, tags = _columns(row, place)
        if not "".join(tokens).strip():
            raw.leave_out("empty", place)
            continue
        item = str(row["id"])
        if item in places:
            raise DataError(f"{place} has the id {item!r}, as has {places[item]}; ids must differ")
        places[item] = place
        named = [_tag(tag, place, table, allowed) for tag in tags]
        if stray := spans.orphans(named):
            strays[place] = stray
        raw.items.append(TaggedItem(item, tokens, spaces, named))
    raw.check()
    if strays:
        raw.notes.append(
            f"{sum(strays.values())} tags I- follow no tag of their kind and are part of no span: "
            + first_places(list(strays))
        )
    return raw


def _tag(tag: object, place: str, table: Table, allowed: Sequence[str]) -> str:
    """The name of a tag, which may be given by its number in the table's own list of names."""
    names = table.names.get(TAGS, ())
    name = tag
    if isinstance(tag, int) and not isinstance(tag, bool):
        if not names:
            raise _without_name(tag, place, table)
        name = names[tag] if 0 <= tag < len(names) else None
    if isinstance(name, str) and name in allowed:
        return name
    meaning = f" ({name})" if name and name != tag else ""
    raise DataError(
        f"{place} has the tag {tag!r}{meaning}, which the English training data do not have: "
        f"choose from {', '.join(allowed)}"
    )


def _without_name(tag: object, place: str, table: Table) -> DataError:
    return DataError(
        f"{place} has the tag {tag!r}, and {table.file} does not say what it means: write tags as "
        "text (O, B-PER, …), or save the table with datasets, which keeps their names"
    )


def _columns(row: Row, place: str) -> tuple[list[str], list[bool], list[Any]]:
    """Tokens, spaces and tags of a row, of one length."""
    tokens, tags = ([] if row[name] is None else row[name] for name in COLUMNS)
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise DataError(f"{place}: tokens is no list of texts")
    spaces = row.get("spaces")
    spaces = [True] * len(tokens) if spaces is None else spaces
    for name, values in ((TAGS, tags), ("spaces", spaces)):
        if not isinstance(values, list) or len(values) != len(tokens):
            count = len(values) if isinstance(values, list) else "no list of"
            raise DataError(
                f"{place} has {len(tokens)} tokens and {count} {name}; each token needs one"
            )
    if wrong := [space for space in spaces if not isinstance(space, bool)]:
        raise DataError(f"{place} has {wrong[0]!r} in spaces; give true or false for each token")
    return tokens, spaces, tags
