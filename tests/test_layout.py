"""The layout that CONTRIBUTING describes: each folder answers one question, imports run one way."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import idlib
from idlib.data.sources import SOURCE_KINDS
from idlib.training import settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "idlib"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "embedded" not in path.parts)
SOURCES = [*MODULES, *sorted((ROOT / "book/_ext").glob("*.py")), ROOT / "noxfile.py"]
FOLDERS = ["book", "idlib", "notebooks", "records", "requirements", "tests", "tools", "workflow"]

# What each folder (or module beside them) may import of idlib: only what stands above it here, so
# that the table is its own proof that there is no circle.
MAY_IMPORT = {
    "files": [],
    "method": [],
    "sensitivity": [],
    "integrations": ["method"],
    "metrics": ["method"],
    "protocol": [],
    "records": ["files", "protocol"],
    "costs": ["files", "records"],
    "earlier": ["metrics", "records"],
    "data": ["files", "metrics"],
    "models": ["data"],
    "training": ["files", "method", "metrics"],
    "tasks": ["data", "method", "metrics", "models", "training"],
    "experiments": [
        *("data", "earlier", "files", "method", "metrics", "models", "protocol", "records"),
        *("sensitivity", "tasks", "training"),
    ],
    "bench": [
        *("costs", "data", "experiments", "files", "method", "models", "records", "sensitivity"),
        *("tasks", "training"),
    ],
    "report": ["costs", "earlier", "metrics", "protocol", "records"],
    "audit": ["method", "records", "report", "sensitivity"],
    "explain": [
        *("audit", "costs", "data", "earlier", "experiments", "method", "metrics", "models"),
        *("protocol", "records", "report", "sensitivity", "tasks", "training"),
    ],
    "book": [
        *("data", "earlier", "experiments", "files", "method", "metrics", "records", "report"),
        *("tasks", "training"),
    ],
    "doctor": ["data", "experiments", "models", "protocol", "records", "training"],
    "commands": [
        "bench",
        "book",
        "data",
        "doctor",
        "experiments",
        "files",
        "models",
        "protocol",
        "records",
        "tasks",
        "training",
    ],
    "cli": ["commands"],
    "__main__": ["cli"],
    "__init__": ["method", "sensitivity"],
}


def name_of(path: Path) -> str:
    """Folder or module below idlib: ``tasks`` for idlib/tasks/images.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Full names of the modules that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: line {node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def inner_imports_of(path: Path) -> set[str]:
    parts = [name.split(".") for name in imports_of(path)]
    return {part[1] if len(part) > 1 else "__init__" for part in parts if part[0] == "idlib"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    name, above = name_of(path), list(MAY_IMPORT)
    assert name in above, f"give {name} its place in this file's table"
    imported = (inner_imports_of(path) & set(above)) - {name}
    assert imported <= set(MAY_IMPORT[name]) <= set(above[: above.index(name)])


@pytest.mark.parametrize("name", ["method", "sensitivity"])
def test_the_maths_needs_torch_alone(name: str) -> None:
    paths = [path for path in MODULES if name_of(path) == name]
    outside = {full.split(".")[0] for path in paths for full in imports_of(path)}
    # triton comes with torch where there are kernels, and no other module imports that of kernels
    assert outside - set(sys.stdlib_module_names) <= {"torch", "numpy", "idlib", "triton"}


NO_TORCH = [
    *("records", "costs", "earlier", "report.tables", "report.figures", "report.results", "cli"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NO_TORCH)
def test_records_report_and_help_need_no_torch(name: str) -> None:
    script = f"import sys, idlib.{name}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "torchvision", "accelerate", "transformers", "datasets"}
    assert not heavy & set(done.stdout.split())


def test_the_package_gives_what_it_names() -> None:
    assert set(idlib.__all__) == {name for name in dir(idlib) if name in idlib.__all__}
    assert all(getattr(idlib, name).__name__ == name for name in idlib.__all__)
    with pytest.raises(AttributeError, match="no attribute 'x_convergence'"):
        _ = idlib.x_convergence


def test_the_transformer_knows_no_data() -> None:
    imported = imports_of(PACKAGE / "models/transformer.py")
    own = {full for full in imported if full.startswith("idlib.")}
    assert {full.rpartition(".")[0] for full in own} == {"idlib.models.masks"}
    outside = {full.split(".")[0] for full in imported - own}
    assert outside - set(sys.stdlib_module_names) == {"torch", "transformers"}
    masks = {full.split(".")[0] for full in imports_of(PACKAGE / "models/masks.py")}
    assert masks <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_folders() -> None:
    missing = [name for name in FOLDERS if not (ROOT / name).is_dir()]
    assert not missing


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing
    assert not re.search(r"!\[\s*\]", text), "every picture has a text"


def test_sessions_and_package_agree_on_the_choices() -> None:
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
    }
    assert constants["PROFILES"] == settings.PROFILES
    assert constants["SOURCES"] == settings.SOURCES
    assert SOURCE_KINDS == (*settings.SOURCES, "path")


def test_ci_runs_the_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in readme if line.startswith("python3 -m venv .venv && ")]
    assert [line.split()[-1] for line in commands] == ["build-book", "tests"]
    assert commands[1] in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
