"""Check a notebook's parameters before any work.

A notebook states its parameters in one cell tagged ``parameters``, as plain typed assignments
(``alpha: float | None = None``), and calls ``check_parameters(globals())`` in the next one.
Papermill sets values in a cell between the two, and only warns of a name that it does not know.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from idlib.training import settings

SOURCES = ("embedded", "hub")  # or the path of a folder
SHELL_NAMES = {"In", "Out", "exit", "quit", "open", "get_ipython", "display"}  # IPython's own
CHECKED = "__parameters_checked__"


class ParameterError(ValueError):
    """A notebook parameter that does not exist, or whose value is not possible."""


def check_parameters(
    namespace: dict[str, Any], minimum: Mapping[str, float] | None = None, **choices: Collection
) -> None:
    """Refuse an unknown, ill-typed or impossible parameter, before any work.

    A list has at least one item, and none twice.

    Args:
        namespace: ``globals()`` of the notebook, in the cell after the parameters. A value that
            came as text, as papermill's ``-p seeds "[1]"`` does, is replaced by what it says.
        minimum: the least value of a number, by the parameter's name.
        choices: allowed values of a parameter (of each of its items or keys, if it has such).
            Profiles and sources are known without being named.

    Raises:
        ParameterError: naming the parameter, its value, and what is possible.

    >>> cell = {"seeds": "[1, 2]", "__annotations__": {"seeds": list[int]}}
    >>> check_parameters(cell)
    >>> cell["seeds"]
    [1, 2]
    >>> check_parameters({"sed": 1, "__annotations__": {"seed": int}})
    Traceback (most recent call last):
    idlib.book.parameters.ParameterError: unknown parameter 'sed' (did you mean 'seed'?); ...
    """
    declared = declared_types(namespace)
    if not namespace.get(CHECKED):  # later cells may define names: only the first call sees none
        _refuse_unknown(_data_names(namespace), declared)
    for name, annotation in declared.items():
        if name in namespace:
            value = _validated(name, namespace[name], annotation)
            check_choice(name, value, choices.get(name))
            _check_size(name, value, (minimum or {}).get(name))
            namespace[name] = value
    namespace[CHECKED] = True


def notebook_parameters(notebook: str | Path) -> dict[str, Any]:
    """Namespace of a notebook's parameters cell: the defaults, with their annotations.

    Papermill's own inspection does not read ``float | None``, so the cell is run instead.

    Raises:
        ParameterError: the file is no notebook, or its parameters cell does not run.
    """
    namespace: dict[str, Any] = {}
    try:
        for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
            if "parameters" in cell["metadata"].get("tags", ()):
                exec(compile("".join(cell["source"]), str(notebook), "exec"), namespace)
                break
    except Exception as error:
        raise ParameterError(f"{notebook}: no notebook with parameters ({error!r})") from error
    return namespace


def declared_types(namespace: dict[str, Any]) -> dict[str, Any]:
    """Public annotations of a namespace by name, wherever this version of Python keeps them."""
    declared = {}
    for tree in _cells(namespace):  # Python 3.14 keeps the annotations of the last statement only
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                code = compile(ast.Expression(node.annotation), "<parameters>", "eval")
                declared[node.target.id] = eval(code, namespace)
    if not declared and callable(namespace.get("__annotate__")):
        declared.update(namespace["__annotate__"](1))
    declared.update(namespace.get("__annotations__", {}))
    return {name: kind for name, kind in declared.items() if not name.startswith("_")}


def _cells(namespace: dict[str, Any]) -> Iterable[ast.Module]:
    """Syntax trees of the cells that IPython has run in this namespace."""
    for source in namespace.get("In", ()):
        with contextlib.suppress(SyntaxError):
            yield ast.parse(source)


def _data_names(namespace: dict[str, Any]) -> set[str]:
    """Public names that hold plain data and were not imported: all that papermill can inject."""
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for tree in _cells(namespace)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    plain = (type(None), bool, int, float, str, list, tuple, dict)
    return {
        name
        for name, value in namespace.items()
        if isinstance(value, plain) and not name.startswith("_")
        if name not in imported and name not in SHELL_NAMES
    }


def _refuse_unknown(names: Iterable[str], declared: dict[str, Any]) -> None:
    for name in sorted(set(names) - set(declared)):
        nearest = difflib.get_close_matches(name, declared, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        listed = ", ".join(f"{key}: {_type_name(kind)}" for key, kind in declared.items())
        raise ParameterError(f"unknown parameter {name!r}{hint}; there are: {listed or 'none'}")


def _validated(name: str, value: Any, annotation: Any) -> Any:
    """The value, strictly of the annotated type; text that is no text is read as JSON."""
    adapter = TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
    try:  # JSON has no tuples: a list is one
        text = value if isinstance(value, str) else json.dumps(value)
        return adapter.validate_json(text, strict=True)
    except (ValidationError, TypeError, ValueError):
        kind = _type_name(annotation)
        message = f"parameter {name!r} must be {kind}, not {value!r} ({reason})"
        raise ParameterError(message) from None


def check_choice(name: str, value: Any, allowed: Collection | None) -> None:
    """Refuse a value, an item of a list or a key that is not allowed.

    Profiles and sources are known.
    """
    if value is None:
        return
    if name == "profile":
        allowed = settings.PROFILES
    if name == "source" and value not in SOURCES and not (value and Path(value).is_dir()):
        message = f"source {value!r} is not one of {', '.join(SOURCES)} and not an existing folder"
        raise ParameterError(message)
    for item in value if isinstance(value, (list, tuple, dict)) else [value]:
        if allowed is None:
            continue
        try:
            settings.check_choice(name, item, tuple(allowed))
        except settings.SettingsError as error:
            raise ParameterError(str(error)) from None


def _check_size(name: str, value: Any, least: float | None) -> None:
    """Refuse a number below ``least``, and a list that is empty or names something twice."""
    several = isinstance(value, (list, tuple))
    for number in value if several else [value]:
        if least is not None and number is not None and number < least:
            raise ParameterError(f"parameter {name!r} is {value}, but must be at least {least:g}")
    if not several:
        return
    if not value:
        raise ParameterError(f"parameter {name!r} is empty: give at least one value")
    most, times = Counter(value).most_common(1)[0]
    if times > 1:
        raise ParameterError(f"parameter {name!r} has {most!r} {times} times: give it once")


def _type_name(annotation: Any) -> str:
    plain = isinstance(annotation, type) and not getattr(annotation, "__args__", None)
    return annotation.__name__ if plain else str(annotation).replace("typing.", "")
