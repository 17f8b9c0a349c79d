"""Every notebook runs at profile smoke, a value is read back, and wrong parameters are refused."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from idlib.book import execution
from idlib.book.execution import NotebookError, ParameterError, check_parameters, execute
from idlib.book.parameters import notebook_parameters

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
PARAMETERS = 'profile: str = "small"\nalpha: float | None = None\nseeds: list[int] = [1]'
MOST_LINES = 15  # of a code cell, but for the one of the parameters, which is a list
CHECK = "from idlib.book.parameters import check_parameters\n\ncheck_parameters(globals())"


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch):
    """Kernels find idlib from any folder; the warnings of papermill's libraries are not ours."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def code_cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def printed(path: Path) -> str:
    outputs = [output for cell in code_cells(path) for output in cell["outputs"]]
    return "".join("".join(output.get("text", ())) for output in outputs)


# --- the notebooks of the repository ---------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    path = ROOT / f"notebooks/{name}.ipynb"
    cells = code_cells(path)
    metadata = json.loads(path.read_text())["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"  # papermill asks for both
    assert metadata["language_info"]["name"] == "python"
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


WRONG = [
    ("profil", "smoke", ["'profil'", "did you mean 'profile'?", "profile: str"]),
    ("profile", "tiny", ["'tiny'", "smoke, small, medium, paper"]),
    ("source", "nowhere", ["'nowhere'", "embedded, hub"]),
    ("alpha", "abc", ["'alpha'", "float", "'abc'"]),
    ("seeds", "x", ["'seeds'", "list[int]", "'x'"]),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameter, value, told", WRONG, ids=[case[0] for case in WRONG])
def test_wrong_parameters_are_refused(name: str, parameter: str, value: str, told) -> None:
    namespace = notebook_parameters(ROOT / f"notebooks/{name}.ipynb")
    declared = set(namespace) - {"__annotations__", "__builtins__"}
    if parameter not in declared and parameter != "profil":
        told = [f"unknown parameter {parameter!r}", *sorted(declared)]
    elif "profile" not in declared:
        told = [f"unknown parameter {parameter!r}", *sorted(declared)]
    with pytest.raises(ParameterError) as refused:
        check_parameters(namespace | {parameter: value})
    assert all(part in str(refused.value) for part in told)


@pytest.mark.slow
def test_papermill_refuses_before_training(workspace: Path) -> None:
    command = [Path(sys.executable).with_name("papermill"), ROOT / "notebooks/images.ipynb"]
    command += ["out.ipynb", "-p", "profil", "smoke"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "ParameterError: unknown parameter 'profil' (did you mean 'profile'?)" in done.stderr
    assert not (workspace / ".idlib").exists()


# --- running, on a notebook of three cells ---------------------------------------------------


def test_parameters_arrive_as_what_they_say(workspace: Path, notebook) -> None:
    path = notebook(workspace / "a.ipynb", PARAMETERS, CHECK, "print(profile, alpha, seeds)")
    command = [Path(sys.executable).with_name("papermill"), path, "out.ipynb"]
    command += ["-p", "profile", "smoke", "-p", "seeds", "[1, 2]", "-p", "alpha", "2"]
    subprocess.run(command, check=True, capture_output=True)
    assert printed(workspace / "out.ipynb") == "smoke 2.0 [1, 2]\n"


def test_failure_keeps_the_previous_notebook(workspace: Path, notebook) -> None:
    out = workspace / "out/a.ipynb"
    path = notebook(workspace / "a.ipynb", PARAMETERS, "print(1 / (2 if alpha is None else alpha))")
    assert execute(path, out) > 0
    before = out.read_bytes()
    with pytest.raises(NotebookError, match=r"a\.ipynb: cell 3 raised ZeroDivisionError"):
        execute(path, out, {"alpha": 0.0})
    assert out.read_bytes() == before
    assert sorted(file.name for file in out.parent.iterdir()) == ["a.failed.ipynb", "a.ipynb"]
    execute(path, out)
    assert [file.name for file in out.parent.iterdir()] == ["a.ipynb"]


def test_execute_refuses_before_it_starts(workspace: Path, notebook) -> None:
    path = notebook(workspace / "a.ipynb", PARAMETERS, CHECK)
    with pytest.raises(ParameterError, match="did you mean 'alpha'"):
        execute(path, workspace / "out.ipynb", {"alpa": 1.0})
    with pytest.raises(NotebookError, match=r"b\.ipynb: no such notebook"):
        execute(workspace / "b.ipynb", workspace / "out.ipynb")
    (workspace / "c.ipynb").write_text("{")
    with pytest.raises(ParameterError, match=r"c\.ipynb: no notebook"):
        execute(workspace / "c.ipynb", workspace / "out.ipynb")
    assert not (workspace / "out.ipynb").exists()


def test_only_what_changed_is_run_in_order(workspace: Path, notebook, monkeypatch, capsys) -> None:
    def run(*arguments: str) -> list[str]:
        assert execution.main(["--profile", "smoke", *arguments]) == 0
        lines = capsys.readouterr().out.splitlines()
        ran = [line.removeprefix("running ") for line in lines if line.startswith("running ")]
        return [name for stage in ran for name in stage.split(", ")]

    monkeypatch.setattr(execution, "execute", _copying_execute)
    for name in ("audit", "images", "status"):
        text = 'profile: str = "small"' if name != "status" else "rows: int = 3"
        notebook(workspace / f"notebooks/{name}.ipynb", text)
    assert run() == ["images", "audit", "status"]
    assert run() == []
    notebook(workspace / "notebooks/audit.ipynb", 'profile: str = "small"', "1 + 1")
    assert run() == ["audit", "status"]
    assert run("--only", "images") == []
    (workspace / "records").mkdir()
    (workspace / "records/one.json").write_text("{}")
    assert run("--only", "images") == ["images", "status"]
    (workspace / "book/_executed/gone.ipynb").write_text("{}")
    assert run() == ["audit", "status"]
    assert not (workspace / "book/_executed/gone.ipynb").exists()
    (workspace / "data").mkdir()
    (workspace / "data/image.png").touch()
    assert run("--source", "data") == ["images", "audit", "status"]
    assert execution.main(["--profile", "small", "--only", "images"]) == 2
    assert "audit was run at profile smoke: use the same" in capsys.readouterr().err
    summary = json.loads((workspace / "book/_executed/build.json").read_text())
    assert (summary["profile"], summary["source"]) == ("smoke", "data")
    assert summary["notebooks"] == {"images": 1.0, "audit": 1.0, "status": 1.0}


def test_a_notebook_that_fails_leaves_its_neighbours_alone(
    workspace: Path, notebook, monkeypatch, capsys
) -> None:
    def execute(path, *arguments, progress_bar):
        if path.stem == "bad":
            raise NotebookError("bad: cell 1 raised ZeroDivisionError")
        return _copying_execute(path, *arguments, progress_bar=progress_bar)

    monkeypatch.setattr(execution, "execute", execute)
    for name in ("images", "bad", "good", "more", "status"):
        notebook(workspace / f"notebooks/{name}.ipynb", 'profile: str = "small"')
    assert execution.main(["--profile", "smoke"]) == 1
    assert "bad: cell 1 raised" in capsys.readouterr().err
    done = {path.stem for path in (workspace / "book/_executed").glob("*.ipynb")}
    assert done == {"images", "good", "more"}


def _copying_execute(notebook, out, parameters, note, progress_bar) -> float:
    content = json.loads(Path(notebook).read_text())
    content["metadata"]["idlib"] = {**note, "seconds": 1.0, "created": "2026-01-01"}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content))
    return 1.0


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--profile", "tiny"], "unknown profile 'tiny': choose one of smoke, small, medium"),
        (["--source", "nowhere"], "source 'nowhere' is not one of embedded, hub"),
        (["--source", ""], "source '' is not one of embedded, hub"),
        (["--only", "imagse"], "unknown notebook 'imagse': choose one of images, status"),
        (["--folder", "nowhere"], "folder 'nowhere' has no notebooks"),
        (
            ["--out", "notebooks/images.ipynb"],
            "notebooks/images.ipynb/build.json cannot be",
        ),
    ],
)
def test_user_mistakes_are_one_line(workspace: Path, notebook, capsys, arguments, told) -> None:
    for name in ("images", "status"):
        notebook(workspace / f"notebooks/{name}.ipynb", PARAMETERS)
    assert execution.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {told}")


# --- the check itself ------------------------------------------------------------------------


def checked(value, annotation, **choices):
    namespace = {"x": value, "__annotations__": {"x": annotation}}
    check_parameters(namespace, **choices)
    return namespace["x"]


@pytest.mark.parametrize(
    "value, annotation, expected",
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
    "value, annotation",
    [(True, int), (True, float), (1.0, int), ("abc", int), (1, str), ("[1.5]", list[int])]
    + [(float("nan"), float), (1, bool), ([1], int), ("null", int)],
)
def test_other_types_are_refused(value, annotation) -> None:
    with pytest.raises(ParameterError, match="parameter 'x' must be"):
        checked(value, annotation)


def test_choices_are_named() -> None:
    assert checked("js", str, x=("x", "js")) == "js"
    with pytest.raises(ParameterError, match="unknown x 'kk': choose one of x, js"):
        checked("kk", str, x=("x", "js"))
    with pytest.raises(ParameterError, match="unknown x 3: choose one of 1, 2"):
        checked([1, 3], list[int], x=(1, 2))


def test_imports_and_later_cells_are_no_parameters() -> None:
    cell = "a: int = 1"
    namespace = {"In": ["", cell, "from string import digits", "%magic"], "a": 1, "digits": "0"}
    namespace |= {"json": json, "open": open, "_hidden": 1}
    check_parameters(namespace)  # annotations read from the cells, as on Python 3.14
    namespace["later"] = 1
    check_parameters(namespace)
    with pytest.raises(ParameterError, match="unknown parameter 'b'; there are: a: int"):
        check_parameters({"In": [cell], "a": 1, "b": 2})
    with pytest.raises(ParameterError, match="there are: a: int"):
        check_parameters({"__annotate__": lambda form: {"a": int}, "b": 2})
    with pytest.raises(ParameterError, match="there are: none"):
        check_parameters({"b": 2})


@pytest.mark.parametrize(
    "value, annotation, told",
    [(-1, int, "-1.*at least 0"), (-0.5, float | None, "-0.5.*at least 0")]
    + [([], list[int], "empty"), ([1, 2, 1], list[int], "1 2 times"), ("[]", list[str], "empty")],
)
def test_sizes_are_checked(value, annotation, told: str) -> None:
    with pytest.raises(ParameterError, match=f"parameter 'x'.*{told}"):
        checked(value, annotation, minimum={"x": 0})


def test_least_values_and_tables_of_settings_pass() -> None:
    assert checked(0, int, minimum={"x": 0}) == 0
    assert checked(None, int | None, minimum={"x": 0}) is None
    assert checked(-1, int, minimum={"y": 0}) == -1
    assert checked('{"train": 4}', dict[str, int] | None, x=("train",)) == {"train": 4}
    with pytest.raises(ParameterError, match="unknown x 'trian': choose one of train"):
        checked({"trian": 4}, dict[str, int], x=("train",))
