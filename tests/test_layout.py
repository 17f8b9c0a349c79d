"""The layout that CONTRIBUTING describes: imports run one way, files stay short."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from idlib import parameters, profiles

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "idlib"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "embedded" not in path.parts)
SOURCES = [*MODULES, *sorted((ROOT / "book/_ext").glob("*.py")), ROOT / "noxfile.py"]
FOLDERS = ["book", "idlib", "notebooks", "records", "requirements", "tests", "tools"]

# What each module (or folder of modules) may import of idlib. One way only: none may import
# something below itself, so the table is its own proof that there is no circle.
MATHS = ["losses", "schedules", "balance", "groups", "sensitivity"]
PASSES = ["batches", "passes", "targets", "watch"]
METHOD = [*MATHS, *PASSES, "objective", "distillation"]
LOOP = [*METHOD, "profiles", "files", "checkpoints", "costs", "randomness", "recipe", "training"]
TASKS = [*LOOP, "calibration", "data", "transformer", "encoders", "bleu", "items", "squad"]
TASKS += ["scores", "tasks"]
RUNS = [*TASKS, "records", "sources", "workspace", "runs", "grid"]
EVIDENCE = ["bleu", "items", "records", "names", "published", "statistics", "contrasts"]
EVIDENCE += ["designs", "claims"]
MAY_IMPORT = {
    **dict.fromkeys(["losses", "schedules"], []),
    **dict.fromkeys(["balance", "groups", "sensitivity"], MATHS),
    **dict.fromkeys(["files", "costs", "randomness", "transformer", "bleu"], []),
    "data": ["files"],
    **dict.fromkeys(["squad", "scores", "items", "names", "statistics"], []),
    "encoders": ["data"],
    **dict.fromkeys(["published", "findings"], ["names"]),
    "designs": ["names", "statistics"],
    **dict.fromkeys(PASSES, []),
    "objective": [*MATHS, *PASSES],
    "distillation": MATHS,
    "calibration": MATHS,
    "profiles": MATHS,
    "checkpoints": ["files"],
    **dict.fromkeys(["recipe", "training"], LOOP),
    "tasks": TASKS,
    "sources": ["profiles"],
    "records": ["files"],
    "workspace": ["profiles", "records"],
    "arguments": ["profiles"],
    "runs": RUNS,
    "grid": RUNS,
    "contrasts": EVIDENCE,
    "claims": EVIDENCE,
    "pages": EVIDENCE,
    "tables": EVIDENCE,
    "figures": [*EVIDENCE, "tables"],
    "audit": [*RUNS, "findings", "names"],
    "bench": RUNS,
    "specimens": [*RUNS, "names"],
    "parameters": ["profiles"],
    "book": ["files", "parameters", "profiles", "records"],
    "cli_records": ["records"],
    "cli": [*RUNS, "arguments", "bench", "book", "cli_records"],
    "__main__": ["cli"],
    "__init__": METHOD,
}
LONG = {  # files above 300 lines, with the reason
    "idlib/grid.py": "which runs, and the processes that make them side by side",
    "idlib/training.py": "the loop with its exact resume; the loop itself fits on a screen",
}


def name_of(path: Path) -> str:
    """First part of the module's name below idlib: ``tasks`` for idlib/tasks/images.py."""
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
    name = name_of(path)
    assert name in MAY_IMPORT, f"give {name} its place in this file's table"
    known = {name_of(module) for module in MODULES}
    imported = (inner_imports_of(path) & known) - {name}
    assert imported <= set(MAY_IMPORT[name])


def test_no_circle() -> None:
    known = {name_of(module) for module in MODULES}
    graph = {name: set() for name in known}
    for path in MODULES:
        graph[name_of(path)] |= (inner_imports_of(path) & known) - {name_of(path)}
    while graph:
        free = [name for name, imported in graph.items() if not imported & set(graph)]
        assert free, f"a circle among {sorted(graph)}"
        for name in free:
            del graph[name]


@pytest.mark.parametrize("name", MATHS)
def test_maths_imports_only_torch(name: str) -> None:
    outside = {full.split(".")[0] for full in imports_of(PACKAGE / f"{name}.py")}
    assert outside - set(sys.stdlib_module_names) <= {"torch", "idlib"}


@pytest.mark.parametrize(
    "name", ["bleu", "items", "contrasts", "claims", "pages", "tables", "figures"]
)
def test_the_report_needs_no_training(name: str) -> None:
    paths = [path for path in MODULES if name_of(path) == name]
    outside = {full.split(".")[0] for path in paths for full in imports_of(path)}
    assert paths and not outside & {"torch", "torchvision", "accelerate", "transformers"}


def test_the_transformer_knows_no_data() -> None:
    outside = {full.split(".")[0] for full in imports_of(PACKAGE / "transformer.py")}
    assert outside - set(sys.stdlib_module_names) == {"torch", "transformers"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module says what it is"
    name, lines = str(path.relative_to(ROOT)), len(text.splitlines())
    assert (lines > 300) == (name in LONG), f"{name}: {lines} lines; see LONG in this file"


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
    assert constants["PROFILES"] == profiles.PROFILES
    assert constants["SOURCES"] == parameters.SOURCES


def test_ci_runs_the_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in readme if line.startswith("python3 -m venv .venv && ")]
    assert [line.split()[-1] for line in commands] == ["build-book", "tests"]
    assert commands[1] in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
