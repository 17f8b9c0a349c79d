"""Where data come from, and what a run asks of them; each message names the setting to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from idlib.data.errors import DataError

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedTokenizerFast

SOURCE_KINDS = ("embedded", "hub", "path")
SPLITS = ("train", "validation", "test")

LIBREOFFICE_HELP = Path(__file__).parent / "embedded" / "libreoffice_help"
HUB_ROOT = Path(".idlib/data")  # what is fetched from the hub, or put there by hand
CACHE = Path(".idlib")  # what is made from data and can be made again


@dataclass(frozen=True)
class Source:
    """Where a data set is read from; its parts are arguments of every loader.

    Attributes:
        kind: ``embedded`` (what ships), ``hub`` (the public data, fetched if they are not there) or
            ``path`` (a folder on disk).
        root: the folder of ``path`` or ``hub`` (there ``.idlib/data`` if None), or another place of
            the embedded files.
        cache: folder of what is made from the data and can be made again.
    """

    kind: str
    root: Path | None = None
    cache: Path = CACHE

    @property
    def folder(self) -> Path:
        """The folder of the embedded texts, or the one that ``path`` names."""
        return self.root or LIBREOFFICE_HELP

    @property
    def where(self) -> str:
        """Where the data are, for messages."""
        return str(self.root or f"{self.kind} data")


def checked(
    kind: str,
    root: str | Path | None,
    cache: str | Path = CACHE,
    *,
    holding: str,
    splits: Iterable[str] = (),
) -> Source:
    """A source as a user asks for it.

    Args:
        kind: see :class:`Source`, as for ``root`` and ``cache``.
        root: a folder; ``path`` needs one.
        cache: a folder.
        holding: what the folder of ``path`` holds, for the message.
        splits: those that the user names.

    Raises:
        DataError: an unknown source or split, or ``path`` without a folder.
    """
    if kind not in SOURCE_KINDS:
        raise DataError(f"unknown source {kind!r}; choose one of {', '.join(SOURCE_KINDS)}")
    for split in splits:
        if split not in SPLITS:
            raise DataError(
                f"unknown split {split!r}; choose from {', '.join(SPLITS)}, as in "
                "--set examples='{train: 60}'"
            )
    if kind == "path" and root is None:
        raise DataError(f'source "path" needs root, the folder that holds {holding}')
    return Source(kind, None if root is None else Path(root).expanduser(), Path(cache))


def how_to_set(name: str, value: object) -> str:
    """How a setting takes another value, for messages.

    >>> how_to_set("max_length", 64)
    'set max_length (--set max_length=64; in a notebook the parameter max_length)'
    """
    return f"set {name} (--set {name}={value}; in a notebook the parameter {name})"


def check_max_length(
    max_length: int, tokenizer: PreTrainedTokenizerFast, pair: bool = False
) -> None:
    """Whether an encoder takes texts of ``max_length`` tokens, with room for one of each text.

    Raises:
        DataError: it does not.
    """
    lowest = tokenizer.num_special_tokens_to_add(pair) + 1 + pair
    highest = tokenizer.model_max_length
    if not lowest <= max_length <= highest:
        raise DataError(
            f"max_length is {max_length}, but the encoder takes from {lowest} to {highest} "
            f"tokens; {how_to_set('max_length', min(max(max_length, lowest), highest))}"
        )
