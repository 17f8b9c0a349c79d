"""The notebooks of the repository: their form, and wrong parameters are refused before any work."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from idlib.book.parameters import check_parameters, notebook_parameters
from idlib.training.settings import SettingsError

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
MOST_LINES = 15  # of a code cell, but for the one of the parameters, which is a list


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    notebook = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text())
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"  # papermill asks for both
    assert notebook["metadata"]["language_info"]["name"] == "python"
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells[0]["metadata"]["tags"] == ["parameters"]
    assert "check_parameters(globals()" in "".join("".join(cells[1]["source"]).split())
    for statement in ast.parse("".join(cells[0]["source"])).body:
        assert isinstance(statement, ast.AnnAssign), "parameters are typed assignments"
    for cell in cells:
        assert not cell["outputs"] and cell["execution_count"] is None
        tree = ast.parse("".join(cell["source"]))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
        assert not found, f"line {found[0].lineno}: notebooks import, call and plot"
    lengths = {cell["id"]: "".join(cell["source"]).count("\n") + 1 for cell in cells[1:]}
    long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES}
    assert not long, f"cells longer than {MOST_LINES} lines: move what is logic to idlib/explain"


def imported(cells: list[dict]) -> dict[str, Any]:
    """What the cells import from this package, by the name that they give it."""
    found = {}
    for node in (node for cell in cells for node in ast.walk(ast.parse("".join(cell["source"])))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("idlib"):
            for one in node.names:
                module = importlib.import_module(str(node.module))
                if not hasattr(module, one.name):
                    importlib.import_module(f"{node.module}.{one.name}")
                found[one.asname or one.name] = getattr(module, one.name)
    return found


def drawn(source: str, names: dict[str, Any]) -> Iterator[str]:
    """The functions called in a cell that are declared to return a figure."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            first, *rest = ast.unparse(node.func).split(".")
            called = names.get(first)
            for part in rest:
                called = getattr(called, part, None)
            if getattr(called, "__annotations__", {}).get("return") in ("Figure", Figure):
                yield ast.unparse(node.func)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_caption_a_number_and_an_alternative_text(name: str) -> None:
    """One for each cell that draws, since all outputs of a cell would get the same."""
    cells = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    names = imported(cells)
    for cell in cells:
        figures = [*drawn("".join(cell["source"]), names)]
        shown = cell["metadata"].get("mystnb", {})
        figure, alt = shown.get("figure", {}), shown.get("image", {}).get("alt", "")
        if not figures:
            assert not figure and not alt, f"{cell['id']} draws no figure that is known as one"
            continue
        assert len(figures) == 1, f"{cell['id']} draws {figures}: a cell for each figure"
        assert figure.get("caption", "").endswith("."), f"{cell['id']}: {figures[0]}, no caption"
        assert alt.endswith(".") and alt != figure["caption"], f"{cell['id']}: how does it look?"
        assert figure.get("name", "").startswith("fig-"), f"{cell['id']}: no name, so no number"


def test_figures_have_names_of_their_own() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.ipynb")]
    shown = [
        cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for text in texts
        for cell in json.loads(text)["cells"]
    ]
    names = [name for name in shown if name]
    assert names and len(names) == len({*names})


WRONG = [
    ("profil", "smoke", ["'profil'", "did you mean 'profile'?", "profile: str"]),
    ("profile", "tiny", ["'tiny'", "smoke, small, medium, large, paper"]),
    ("source", "nowhere", ["'nowhere'", "embedded, hub"]),
    ("alpha", "abc", ["'alpha'", "float", "'abc'"]),
    ("seeds", "x", ["'seeds'", "list[int]", "'x'"]),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("parameter", "value", "says"), WRONG, ids=[case[0] for case in WRONG])
def test_wrong_parameters_are_refused(name: str, parameter: str, value: str, says) -> None:
    namespace = notebook_parameters(ROOT / f"notebooks/{name}.ipynb")
    declared = set(namespace) - {"__annotations__", "__builtins__"}
    misspelt = parameter == "profil" and "profile" in declared
    if not misspelt and parameter not in declared:
        says = [f"unknown parameter {parameter!r}", *sorted(declared)]
    with pytest.raises(SettingsError) as refused:
        check_parameters(namespace | {parameter: value})
    assert all(part in str(refused.value) for part in says)


@pytest.mark.slow
def test_papermill_refuses_before_training(workspace: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    command = [Path(sys.executable).with_name("papermill"), ROOT / "notebooks/images.ipynb"]
    command += ["out.ipynb", "-p", "profil", "smoke"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "SettingsError: unknown parameter 'profil' (did you mean 'profile'?)" in done.stderr
    assert not (workspace / ".idlib").exists()
