"""Checks of what a run asks of its data; each message names the setting and how to change it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from idlib.data.errors import DataError, TooFewItems

SPLITS = ("train", "validation", "test")


def how(name: str, value: object) -> str:
    """How a setting takes another value, for messages.

    >>> how("max_length", 64)
    'set max_length (--set max_length=64; in a notebook overrides["max_length"])'
    """
    return f'set {name} (--set {name}={value}; in a notebook overrides["{name}"])'


def check_splits(names: Iterable[str]) -> None:
    """Raise :class:`DataError` at a name that is no split."""
    for name in names:
        if name not in SPLITS:
            raise DataError(
                f"unknown split {name!r}; choose from {', '.join(SPLITS)}, as in "
                "--set examples='{train: 60}'"
            )


def check_size(name: str, size: int, there: int, what: str = "items") -> None:
    """Whether a sample of ``size`` can be taken from the ``there`` items of a split.

    Args:
        name: of the split, ``train`` or ``test/de``.
        size: how many are asked for.
        there: how many it has.
        what: they are.

    Raises:
        TooFewItems: there are fewer.
        DataError: none are asked for.
    """
    if 1 <= size <= there:
        return
    split = name.split("/")[0]
    message = (
        f"{name} has {there} {what}, so {size} cannot be taken from it; take 1 to {there}: "
        + how("examples", f"'{{{split}: {there}}}'")
    )
    raise DataError(message) if size < 1 else TooFewItems(message, split, there)


def check_length(max_length: int, tokenizer: Any, pair: bool = False) -> None:
    """Whether an encoder takes ``max_length`` pieces, and a text has room among them.

    Raises:
        DataError: it does not.
    """
    least = tokenizer.num_special_tokens_to_add(pair) + 1 + pair
    most = tokenizer.model_max_length
    if not least <= max_length <= most:
        raise DataError(
            f"max_length is {max_length}, but the encoder takes from {least} to {most} pieces; "
            + how("max_length", min(max(max_length, least), most))
        )
