"""Tagged text of the tagging task in word pieces: English to train on, every language to test.

LibreOffice Help embedded, WikiANN from the hub, or tables in a folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from idlib.data import checksums, limits, tagged_text
from idlib.data import languages as multilingual
from idlib.data.errors import DataError
from idlib.data.languages import Multilingual
from idlib.data.limits import SPLITS
from idlib.data.tagged_pieces import TaggedPieces
from idlib.data.tagged_text import TaggedText
from idlib.metrics import spans

SOURCES = ("embedded", "hub", "path")


@dataclass(frozen=True)
class TaggingData(Multilingual):
    """Tagged items; the only reason to drop one is ``empty`` (no tokens).

    ``report`` also tells of tokens that cannot be predicted, and of tags that belong to no span.

    Attributes:
        names: all tags, ``O`` first; a tag's place is its class.
    """

    splits: dict[str, TaggedPieces]
    names: tuple[str, ...]


def load(
    source: str,
    tokenizer: Any,
    *,
    root: str | Path | None = None,
    languages: Sequence[str] | None = None,
    max_length: int = 128,
    sizes: Mapping[str, int] | None = None,
    cache: str | Path = checksums.CACHE,
) -> TaggingData:
    """The tagged items of one source, checked and cut into pieces before anything is trained.

    Args:
        source: ``embedded`` (LibreOffice Help), ``hub`` (WikiANN, fetched into ``root`` if it is
            not there), or ``path``: a folder of ``<language>/<split>.parquet`` or ``.jsonl`` with
            columns ``tokens``, ``ner_tags``, ``spaces`` (whether a space follows the token; all
            do if it is missing) and ``id`` (translations of one item share it; if it is missing,
            no item is the translation of another).
        tokenizer: the encoder's, a fast one.
        root: the folder of ``path`` and ``hub`` (there ``.idlib/data`` if None); for ``embedded``
            another place of the embedded files.
        languages: those to test, beside English; None: all that the source has.
        max_length: at most so many pieces an item; what is beyond is cut off, and counted.
        sizes: fewer items of ``train`` or ``validation``, and at most so many of ``test`` in each
            language: the items that all tested languages have come first, the same in all of them.
            A smaller sample is part of a larger one. A split not named stays whole.
        cache: folder of what is made from the hub's files.

    Raises:
        DataError: an unknown source, split or language, a missing, unreadable or damaged table, a
            tag outside the set, or tokens and tags of unequal length; the message names the
            ``file:row``.
    """
    sizes, folder = dict(sizes or {}), None if root is None else Path(root).expanduser()
    _check(source, folder, sizes, tokenizer, max_length)
    there, where = tagged_text.languages(source, folder), str(folder or f"{source} data")
    tested = multilingual.tested(there, languages, where)
    texts: dict[str, TaggedText] = {}
    names: tuple[str, ...] = ()
    for language in tqdm(tested, desc="reading", unit="language", leave=False, disable=None):
        for split, table in tagged_text.tables(source, folder, language, Path(cache)).items():
            names = names or tagged_text.tag_names(table)  # English training data come first
            name = split if split != SPLITS[-1] else f"{split}/{language}"
            texts[name] = tagged_text.checked(table, language, names)
    parallel = multilingual.parallel(texts[f"test/{language}"].ids for language in tested)
    splits, report = {}, []
    for name, text in texts.items():
        report += [f"{name}: {line}" for line in text.report]
        kept = multilingual.sample(name, text.ids, sizes.get(name.split("/")[0]), parallel)
        splits[name] = TaggedPieces(text.subset(kept), names, tokenizer, max_length)
        report += _unpredictable(name, splits[name], max_length)
    return TaggingData(
        source,
        splits,
        tested,
        multilingual.parallel(splits[f"test/{language}"].ids for language in tested),
        {name: text.checksum for name, text in texts.items()},
        {name: {"empty": text.dropped} for name, text in texts.items()},
        report,
        names,
    )


def _check(
    source: str, root: Path | None, sizes: Mapping[str, int], tokenizer: Any, max_length: int
) -> None:
    if source not in SOURCES:
        raise DataError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    limits.check_splits(sizes)
    if source == "path" and root is None:
        raise DataError('source "path" needs root, the folder that holds en/train.parquet, …')
    limits.check_length(max_length, tokenizer)


def _unpredictable(name: str, data: TaggedPieces, max_length: int) -> list[str]:
    """What the scores are over, and what no model can find."""
    tokens = sum(map(len, data.tokens))
    gold = sum(len(spans.spans(tags)) for tags in data.tags)
    lines = (
        (data.cut, f"of {tokens} tokens lie beyond {max_length} pieces and are taken for O"),
        (data.lost, f"of {tokens} tokens have no piece and are taken for O"),
        (data.missed, f"of {gold} spans are out of reach, by their place in the pieces"),
    )
    return [f"{name}: {number} {what}" for number, what in lines if number]
