"""The parameters of a notebook: what is no parameter, and what a parameter cannot be."""

from __future__ import annotations

import json

import pytest

from idlib.book.parameters import check_parameters
from idlib.training.settings import SettingsError


def checked(value, annotation, **choices):
    namespace = {"x": value, "__annotations__": {"x": annotation}}
    check_parameters(namespace, **choices)
    return namespace["x"]


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, float, 1.0),
        ("2.5", float, 2.5),
        (None, float | None, None),
        ("[0.0, 0.1]", list[float], [0.0, 0.1]),
        ([1, 2], tuple[int, ...], (1, 2)),
        ("5", str, "5"),
    ],
)
def test_values_are_read_strictly_but_kindly(value, annotation, expected) -> None:
    result = checked(value, annotation)
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [(True, int), (True, float), (1.0, int), ("abc", int), (1, str), ("[1.5]", list[int])]
    + [(float("nan"), float), (1, bool), ([1], int), ("null", int)],
)
def test_other_types_are_refused(value, annotation) -> None:
    with pytest.raises(SettingsError, match="parameter 'x' must be"):
        checked(value, annotation)


@pytest.mark.parametrize(
    ("value", "annotation", "says"),
    [
        ("kk", str, "unknown x 'kk': choose one of x, js"),
        (["x", "kk"], list[str], "unknown x 'kk': choose one of x, js"),
        ({"kk": 4}, dict[str, int], "unknown x 'kk': choose one of x, js"),
        ([], list[str], "'x'"),
        ("[]", list[str], "'x'"),
        (["x", "js", "x"], list[str], "'x'.*twice"),
    ],
)
def test_choices_are_those_of_values_items_and_keys(value, annotation, says) -> None:
    with pytest.raises(SettingsError, match=says):
        checked(value, annotation, x=("x", "js"))
    assert checked("js", str, x=("x", "js")) == "js"
    assert checked('{"js": 4}', dict[str, int] | None, x=("x", "js")) == {"js": 4}


def test_numbers_have_a_least_value() -> None:
    for value, annotation in ((-1, int), (-0.5, float | None), ([0, -1], list[int])):
        with pytest.raises(SettingsError, match="parameter 'x'.*at least 0"):
            checked(value, annotation, minimum={"x": 0})
    assert checked(0, int, minimum={"x": 0}) == 0
    assert checked(None, int | None, minimum={"x": 0}) is None
    assert checked(-1, int, minimum={"y": 0}) == -1


def test_imports_and_later_cells_are_no_parameters() -> None:
    cell = "a: int = 1"
    namespace = {"In": ["", cell, "from string import digits", "%magic"], "a": 1, "digits": "0"}
    namespace |= {"json": json, "open": open, "_hidden": 1}
    check_parameters(namespace)  # annotations read from the cells, as on Python 3.14
    namespace["later"] = 1
    check_parameters(namespace)
    with pytest.raises(SettingsError, match="unknown parameter 'b'; there are: a: int"):
        check_parameters({"In": [cell], "a": 1, "b": 2})
    with pytest.raises(SettingsError, match="there are: a: int"):
        check_parameters({"__annotate__": lambda form: {"a": int}, "b": 2})
    with pytest.raises(SettingsError, match="there are: none"):
        check_parameters({"b": 2})
