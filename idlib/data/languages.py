"""Data in several languages: English to train on, all to test, translations kept together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from idlib.data import checksums, loaded, tables
from idlib.data.errors import DataError
from idlib.data.loaded import LoadedData, RawSplit, S
from idlib.data.sources import SPLITS, Source, how_to_set
from idlib.data.splits import SAMPLE_SEED, check_size, choose
from idlib.data.tables import SUFFIXES, Table

ENGLISH = "en"  # trained on, and always tested
TEST = "test/"  # a language's test split: ``test/de``


class Identified(Protocol):
    """An item of which there are translations."""

    @property
    def id(self) -> str:
        """Translations of one item have the same."""


WithId = TypeVar("WithId", bound=Identified)


@dataclass(frozen=True)
class Multilingual(LoadedData[S]):
    """English to train on, and a test split for each language.

    Attributes:
        languages: those that are tested, English first.
        parallel: ids of the test items that all of them have; none where there is one language.
    """

    languages: tuple[str, ...]
    parallel: frozenset[str]


def available(source: Source, task: str) -> list[str]:
    """Languages that the embedded data of a task, or a user's folder, have a test split of."""
    if source.kind == "embedded":
        paths = [Path(name) for name in checksums.published(source.folder)]
        tests = [path for path in paths if path.match(f"{task}/*/test.parquet")]
        return sorted(path.parent.name for path in tests)
    return in_folder(source.folder, [f"*/test{suffix}" for suffix in SUFFIXES])


def in_folder(folder: Path, shapes: Sequence[str]) -> list[str]:
    """The folders, one a language, in which there is a file of one of these shapes."""
    paths = (path for shape in shapes for path in folder.glob(shape))
    return sorted({path.relative_to(folder).parts[0] for path in paths})


def of_folder(folder: Path) -> tuple[str, ...]:
    """The languages that a user's folder has a test split of, English first.

    Raises:
        DataError: English, which is trained on, is not among them.
    """
    return tested(available(Source("path", folder), ""), None, str(folder))


def tested(known: Sequence[str], asked: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """The languages to test: English first, then those asked for, or all that there are.

    Args:
        known: languages that the source has.
        asked: those wanted; None takes all.
        where: what has them, for messages.

    Raises:
        DataError: one asked for is not there, or English is not; the message names it and the
            choices.
    """
    if ENGLISH not in known:
        raise DataError(
            f"{where} has no test set in English ({ENGLISH}), which is what is trained on; it has "
            f"{', '.join(known) or 'none at all'}"
        )
    every = tuple(dict.fromkeys((ENGLISH, *known)))
    if unknown := [name for name in asked or () if name not in every]:
        raise DataError(
            f"unknown language {unknown[0]!r}; {where} has {', '.join(every)}: "
            + how_to_set("languages", f"'[{', '.join(every[:2])}]'")
        )
    return every if asked is None else tuple(dict.fromkeys((ENGLISH, *asked)))


def read(
    source: Source,
    task: str,
    language: str,
    columns: Sequence[str],
    optional: Sequence[str],
    hub: tuple[str, str] = ("", ""),
) -> dict[str, Table]:
    """The tables of a language by split: all splits of English, the test split of another.

    A row without an id is named by its language and number, so that it is no translation.

    Args:
        source: where they lie.
        task: folder of the embedded tables.
        language: folder, or configuration of the hub's data.
        columns: what every row must have.
        optional: what a user's rows may lack.
        hub: repository and revision of public data that have a configuration for each language.

    Raises:
        DataError: a table is missing, unreadable, not what was published, or lacks a column.
    """
    splits = SPLITS if language == ENGLISH else ("test",)
    if source.kind == "hub":
        by_split = tables.read_hub(source, *hub, splits, columns, language)
    else:
        names = {split: f"{language}/{split}" for split in splits}
        by_split = {
            split: tables.read(source, task, name, columns, optional)
            for split, name in names.items()
        }
    for table in by_split.values():
        for number, row in enumerate(table.rows, 1):
            if row.get("id") is None:
                row["id"] = f"{language}/{number}"
    return {
        f"{TEST}{language}" if split == "test" else split: table
        for split, table in by_split.items()
    }


def sample(raw: Mapping[str, RawSplit[WithId]], sizes: Mapping[str, int]) -> None:
    """Draw a sample of each split that the setting ``examples`` names.

    The test items that all languages have come first, so that they are the same in all of them. A
    smaller sample is part of a larger one.

    Args:
        raw: the splits by name.
        sizes: number of items of ``train`` or ``validation``, and limit of ``test`` in each
            language; a split that is not named stays whole.

    Raises:
        DataError: there are fewer items, or none are asked for.
    """
    shared = _parallel(raw)
    for name, split in raw.items():
        own = [item.id for item in split.items]
        size, test = sizes.get(name.split("/")[0]), name.startswith(TEST)
        if size is None:
            continue
        check_size(name, min(size, len(own)) if test else size, len(own))
        size = min(size, len(own))
        later = [int(test and item not in shared) for item in own]  # 0: taken first
        before = min(size, later.count(0))
        split.keep(choose(own, later, {0: before, 1: size - before}, SAMPLE_SEED))


def account(
    raw: Mapping[str, RawSplit[WithId]],
) -> tuple[dict[str, str], dict[str, dict[str, int]], list[str], tuple[str, ...], frozenset[str]]:
    """All of :class:`Multilingual` but its source and splits."""
    languages = tuple(name.removeprefix(TEST) for name in raw if name.startswith(TEST))
    return (*loaded.account(raw), languages, _parallel(raw))


def _parallel(raw: Mapping[str, RawSplit[WithId]]) -> frozenset[str]:
    """Ids that every language's test split has; none where there is one language."""
    ids = [
        frozenset(item.id for item in split.items)
        for name, split in raw.items()
        if name.startswith(TEST)
    ]
    return frozenset.intersection(*ids) if len(ids) > 1 else frozenset()
