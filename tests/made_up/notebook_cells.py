"""Run the code cells of a notebook in this process, which costs no start of a kernel."""

from __future__ import annotations

import ast
import io
import json
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def run_cells(name: str, **parameters: Any) -> list[str]:
    """What the cells of ``notebooks/NAME.ipynb`` show, as text, HTML or Markdown.

    Parameters are set behind their cell, as papermill does it. A figure is drawn, and shown as "".
    """
    namespace: dict[str, Any] = {"__name__": "__main__", "In": [""]}
    shown: list[str] = []
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]

    def display(*values: Any, raw: bool = False, **_: Any) -> None:
        shown.extend(() if raw else map(_shown, values))  # raw: what is glued

    with mock.patch("IPython.display.display", display), plt.rc_context(), _pandas_options():
        for cell in cells:
            if cell["cell_type"] != "code":
                continue
            namespace["In"].append("".join(cell["source"]))
            if (value := _run(namespace["In"][-1], name, namespace)) is not None:
                shown.append(_shown(value))
            if "parameters" in cell["metadata"].get("tags", ()):
                namespace |= parameters
    return shown


def _pandas_options() -> pd.option_context:
    """Give back the options that pages set."""
    names = ("display.max_colwidth", "display.html.use_mathjax")
    return pd.option_context(*(part for name in names for part in (name, pd.get_option(name))))


def _run(source: str, name: str, namespace: dict[str, Any]) -> Any:
    """The value of the last line, if it is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of other people's libraries
        exec(compile(ast.Module(body, []), name, "exec"), namespace)
        return last and eval(compile(ast.Expression(last.value), name, "eval"), namespace)


def _shown(value: Any) -> str:
    if isinstance(value, Figure):
        value.savefig(io.BytesIO())
        return ""
    for form in ("_repr_markdown_", "_repr_html_"):
        if hasattr(value, form):
            return getattr(value, form)()
    return str(value)
