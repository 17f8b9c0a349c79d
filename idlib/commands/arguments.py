"""Settings and lists of numbers, read from what was typed on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from idlib.training.settings import SettingsError, distinct


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values: in 1.1 ``no`` is false, 010 is eight, and 5e-4 is text."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}


for _tag, _shape, _starts in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^({_shape})$"), _starts)


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def settings_of(changes: Sequence[str]) -> dict[str, Any]:
    """The settings that ``NAME=VALUE`` name; a value is YAML.

    Raises:
        SettingsError: one is not of that form, is empty, or is there twice.

    >>> settings_of(["lr_peak=5e-4", "languages=[en, no]"])
    {'lr_peak': 0.0005, 'languages': ['en', 'no']}
    """
    settings: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not name or not equals:
            raise SettingsError(f"--set {change!r}: give NAME=VALUE, as in alpha=2.5")
        try:
            value = yaml.load(text, _Loader)
        except Exception as error:  # it raises many kinds
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise SettingsError(
                f"--set {change!r}: {text!r} cannot be read as YAML ({problem}); give a value as "
                "in alpha=2.5, languages='[en, de]' or examples='{train: 60}'"
            ) from None
        if value is None:
            raise SettingsError(
                f"--set {change!r}: no value leaves {name} as the profile has it; give one, or "
                "leave this out"
            )
        if name in settings:
            raise SettingsError(f"--set {change!r}: {name} is set twice, set it once")
        settings[name] = value
    return settings


def names_of(text: str) -> tuple[str, ...]:
    """Names with commas between them, each once; none of an empty text.

    >>> names_of("images, claims"), names_of("")
    (('images', 'claims'), ())
    """
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def numbers_of(what: str, text: str, kind: Callable[[str], Any] = int) -> tuple[Any, ...]:
    """Numbers with commas between them: at least one, and none twice.

    Raises:
        SettingsError: otherwise; the message names ``what``.

    >>> numbers_of("seeds", "1,2")
    (1, 2)
    """
    try:
        numbers = [kind(number) for number in text.split(",")]
    except ValueError:
        named, example = ("integers", "1,2,3") if kind is int else ("numbers", "0,0.1")
        raise SettingsError(
            f"{what} {text!r}: give {named} with commas between them, as in {example}"
        ) from None
    return distinct(what, numbers)
