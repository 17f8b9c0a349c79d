"""What every loader gives: splits, their checksums, and an account of what was left out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from idlib.data.errors import DataError

NAMED = 5  # places that a line of the report names

Item = TypeVar("Item")
S = TypeVar("S")  # a split


@dataclass(frozen=True)
class LoadedData(Generic[S]):
    """The splits of a data set, and what a model and a record need to know of it.

    Attributes:
        source: ``embedded``, ``hub`` or ``path``.
        splits: by name: ``train``, ``validation`` and ``test``, or a test split for each language:
            ``test/en``, ``test/de``, …
        checksums: sha256 of each split's content, independent of where it lies.
        dropped: for each split the number of items left out, by reason.
        report: lines of text on what was left out or is unusual, with the places of the first.
    """

    source: str
    splits: dict[str, S]
    checksums: dict[str, str]
    dropped: dict[str, dict[str, int]]
    report: list[str]


class RawSplit(Generic[Item]):
    """The items of one split as they are read from their source, and those that are left out.

    Args:
        name: of the split.
        noun: what its items are, in the plural: ``pairs``.
        file: what holds them, for messages.
        checksum: sha256 of their content.
        total: how many the source has.
        reasons: why an item can be left out, in words, by the reason's name.
        strict: whether one that is refused is an error.

    Attributes:
        items: those that stay, in the order of the source.
        places: ``file:row`` of those that are left out, by reason.
        notes: further lines of text on the split.
    """

    def __init__(
        self,
        name: str,
        noun: str,
        file: str,
        checksum: str,
        total: int,
        reasons: Mapping[str, str],
        strict: bool = False,
    ) -> None:
        self.name, self.noun, self.file, self.checksum = name, noun, file, checksum
        self.total, self.reasons, self.strict = total, dict(reasons), strict
        self.items: list[Item] = []
        self.places: dict[str, list[str]] = {reason: [] for reason in reasons}
        self.notes: list[str] = []

    def leave_out(self, reason: str, place: str) -> None:
        """Leave out an item."""
        self.places[reason].append(place)

    def refuse(self, reason: str, place: str, error: str) -> None:
        """Leave out an item that only public data may have.

        Raises:
            DataError: the split is strict; ``error`` says what is wrong with the item.
        """
        if self.strict:
            raise DataError(f"{place}: {error}")
        self.leave_out(reason, place)

    def keep(self, indices: Sequence[int]) -> None:
        """Keep these items alone, as a sample."""
        self.items = [self.items[index] for index in indices]

    def note(self, places: Sequence[str], what: str) -> None:
        """Add a line of text on some items, unless there are none."""
        if places:
            self.notes.append(f"{len(places)} of {self.total} {what}: {first_places(places)}")

    @property
    def report(self) -> list[str]:
        """Lines of text, one for each reason that left items out, and the notes."""
        lines = [
            f"{len(places)} of {self.total} {self.noun} dropped, {self.reasons[reason]}: "
            + first_places(places)
            for reason, places in self.places.items()
            if places
        ]
        return [f"{self.name}: {line}" for line in [*lines, *self.notes]]

    def check(self, remedy: str = "") -> None:
        """Whether any item is left.

        Raises:
            DataError: none is; the message says why, the remedy how there would be more.
        """
        if not self.items:
            why = "; ".join(self.report) or f"{self.file} has no {self.noun}"
            raise DataError(f"nothing is left of split {self.name}: {why}; {remedy}give more text")


def account(
    raw: Mapping[str, RawSplit[Any]],
) -> tuple[dict[str, str], dict[str, dict[str, int]], list[str]]:
    """``checksums``, ``dropped`` and ``report`` of :class:`LoadedData`."""
    return (
        {name: split.checksum for name, split in raw.items()},
        {name: {why: len(own) for why, own in split.places.items()} for name, split in raw.items()},
        [line for split in raw.values() for line in split.report],
    )


def first_places(places: Sequence[str]) -> str:
    """The first places, and whether there are more."""
    return ", ".join(places[:NAMED]) + (", …" if len(places) > NAMED else "")
