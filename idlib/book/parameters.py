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
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from idlib.experiments.sources import check_source
from idlib.training.settings import PROFILES, SettingsError, check_choice, distinct

SHELL_NAMES = {"In", "Out", "exit", "quit", "open", "get_ipython", "display"}  # IPython's own
CHECKED = "__parameters_checked__"


def check_parameters(
    namespace: dict[str, Any],
    minimum: Mapping[str, float] | None = None,
    **choices: Collection[Any],
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
        SettingsError: naming the parameter, its value, and what is possible.

    >>> cell = {"seeds": "[1, 2]", "__annotations__": {"seeds": list[int]}}
    >>> check_parameters(cell)
    >>> cell["seeds"]
    [1, 2]
    >>> check_parameters({"sed": 1, "__annotations__": {"seed": int}})
    Traceback (most recent call last):
    idlib.training.settings.SettingsError: unknown parameter 'sed' (did you mean 'seed'?); ...
    """
    declared = declared_types(namespace)
    if not namespace.get(CHECKED):  # later cells may define names: only the first call sees none
        _refuse_unknown(_data_names(namespace), declared)
    choices = {"profile": PROFILES, **choices}
    for name, annotation in declared.items():
        if name not in namespace:
            continue
        value = _validated(name, namespace[name], annotation)
        if isinstance(value, (list, tuple)):
            distinct(f"parameter {name!r}", value)
        for item in _items(value):
            if name == "source":
                check_source(item)
            if name in choices:
                check_choice(name, item, tuple(choices[name]))
            if minimum and name in minimum and item < minimum[name]:
                least = f"{minimum[name]:g}"
                raise SettingsError(f"parameter {name!r} is {value}, but must be at least {least}")
        namespace[name] = value
    namespace[CHECKED] = True


def notebook_parameters(notebook: str | Path) -> dict[str, Any]:
    """Namespace of a notebook's parameters cell: the defaults, with their annotations.

    Papermill's own inspection does not read ``float | None``, so the cell is run instead.

    Raises:
        SettingsError: the file is no notebook, or its parameters cell does not run.
    """
    namespace: dict[str, Any] = {}
    try:
        for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
            if "parameters" in cell["metadata"].get("tags", ()):
                exec(compile("".join(cell["source"]), str(notebook), "exec"), namespace)
                break
    except Exception as error:
        raise SettingsError(f"{notebook}: no notebook with parameters ({error!r})") from error
    return namespace


def declared_types(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Public annotations of a namespace by name, wherever this version of Python keeps them."""
    declared = {}
    for tree in _cells(namespace):  # Python 3.14 keeps the annotations of the last statement only
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                code = compile(ast.Expression(node.annotation), "<parameters>", "eval")
                declared[node.target.id] = eval(code, dict(namespace))
    if not declared and callable(namespace.get("__annotate__")):
        declared.update(namespace["__annotate__"](1))
    declared.update(namespace.get("__annotations__", {}))
    return {name: kind for name, kind in declared.items() if not name.startswith("_")}


def _cells(namespace: Mapping[str, Any]) -> Iterator[ast.Module]:
    """Syntax trees of the cells that IPython has run in this namespace."""
    for source in namespace.get("In", ()):
        with contextlib.suppress(SyntaxError):
            yield ast.parse(source)


def _data_names(namespace: Mapping[str, Any]) -> set[str]:
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


def _refuse_unknown(names: Iterable[str], declared: Mapping[str, Any]) -> None:
    for name in sorted(set(names) - set(declared)):
        nearest = difflib.get_close_matches(name, declared, n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        listed = ", ".join(f"{key}: {_type_name(kind)}" for key, kind in declared.items())
        raise SettingsError(f"unknown parameter {name!r}{hint}; there are: {listed or 'none'}")


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
        raise SettingsError(message) from None


def _items(value: Any) -> Iterable[Any]:
    """The items of a list, the keys of a table, or the one value, if there is any."""
    if value is None:
        return ()
    return value if isinstance(value, (list, tuple, dict)) else (value,)


def _type_name(annotation: Any) -> str:
    plain = isinstance(annotation, type) and not getattr(annotation, "__args__", None)
    return annotation.__name__ if plain else str(annotation).replace("typing.", "")
