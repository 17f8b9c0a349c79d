"""Running notebooks for the book, on notebooks of three cells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from idlib.book import execution, notes
from idlib.book.execution import NotebookError, execute
from idlib.training.settings import SettingsError

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = 'profile: str = "small"\nalpha: float | None = None\nseeds: list[int] = [1]'
CHECK = "from idlib.book.parameters import check_parameters\n\ncheck_parameters(globals())"


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch):
    """Kernels find idlib from any folder; the warnings of papermill's libraries are not ours."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write(path: Path, *cells: str) -> Path:
    """Write a notebook of code cells; the first states the parameters."""
    python = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{number}",
                "metadata": {} if number else {"tags": ["parameters"]},
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": python, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))
    return path


# ---- one notebook


@pytest.mark.slow
def test_parameters_arrive_as_what_they_say(workspace: Path) -> None:
    path = write(workspace / "a.ipynb", PARAMETERS, CHECK, "print(profile, alpha, seeds)")
    command = [Path(sys.executable).with_name("papermill"), path, "out.ipynb"]
    command += ["-p", "profile", "smoke", "-p", "seeds", "[1, 2]", "-p", "alpha", "2"]
    subprocess.run(command, check=True, capture_output=True)
    cells = json.loads((workspace / "out.ipynb").read_text())["cells"]
    texts = [output["text"] for cell in cells for output in cell["outputs"]]
    assert texts == [["smoke 2.0 [1, 2]\n"]]


@pytest.mark.slow
def test_failure_keeps_the_previous_notebook(workspace: Path) -> None:
    out = workspace / "out/a.ipynb"
    path = write(workspace / "a.ipynb", PARAMETERS, "print(1 / (2 if alpha is None else alpha))")
    assert execute(path, out) > 0
    before = out.read_bytes()
    with pytest.raises(NotebookError, match=r"a\.ipynb: cell 3 raised ZeroDivisionError"):
        execute(path, out, {"alpha": 0.0})
    assert out.read_bytes() == before
    assert sorted(file.name for file in out.parent.iterdir()) == ["a.failed.ipynb", "a.ipynb"]
    execute(path, out)
    assert [file.name for file in out.parent.iterdir()] == ["a.ipynb"]


def test_execute_refuses_before_it_starts(workspace: Path) -> None:
    path, out = write(workspace / "a.ipynb", PARAMETERS, CHECK), workspace / "out.ipynb"
    with pytest.raises(SettingsError, match="did you mean 'alpha'"):
        execute(path, out, {"alpa": 1.0})
    with pytest.raises(NotebookError, match=r"b\.ipynb: no such notebook"):
        execute(workspace / "b.ipynb", out)
    (workspace / "c.ipynb").write_text("{")
    with pytest.raises(SettingsError, match=r"c\.ipynb: no notebook"):
        execute(workspace / "c.ipynb", out)
    assert not out.exists()


# ---- all of them


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of being run a notebook is copied; one that divides by 0 fails. Their names."""
    names = []

    def execute(notebook, out, parameters, note, progress_bar) -> float:
        names.append(notebook.stem)
        if "1 / 0" in notebook.read_text():
            raise NotebookError(f"{notebook.stem}: cell 1 raised ZeroDivisionError")
        out.parent.mkdir(parents=True, exist_ok=True)
        made = {**note, "seconds": 1.0, "created": "2026-01-01"}
        notes.write(out, json.loads(notebook.read_text()), made)
        return 1.0

    monkeypatch.setattr(execution, "execute", execute)
    return names


def test_only_what_changed_is_run_in_order(workspace: Path, command, copied) -> None:
    def run(*arguments: str) -> list[str]:
        del copied[:]
        assert command("book", "--profile", "smoke", *arguments)[0] == 0
        return list(copied)

    for name in ("audit", "images", "status"):
        text = 'profile: str = "small"' if name != "status" else "rows: int = 3"
        write(workspace / f"notebooks/{name}.ipynb", text)
    assert run() == ["images", "audit", "status"]
    assert run() == []
    write(workspace / "notebooks/audit.ipynb", 'profile: str = "small"', "1 + 1")
    assert run() == ["audit", "status"]
    assert run("--only", "images") == []
    (workspace / "records").mkdir()
    (workspace / "records/one.json").write_text("{}")
    assert run("--only", "images,status") == ["images", "status"]
    (workspace / "book/_executed/gone.ipynb").write_text("{}")
    assert run() == ["audit", "status"]
    assert not (workspace / "book/_executed/gone.ipynb").exists()
    (workspace / "data").mkdir()
    (workspace / "data/image.png").touch()
    assert run("--source", "data") == ["images", "audit", "status"]
    status, _, err = command("book", "--profile", "small", "--only", "images")
    assert status == 2 and "audit was run at profile smoke: use the same" in err
    summary = json.loads((workspace / "book/_executed/build.json").read_text())
    assert (summary["profile"], summary["source"]) == ("smoke", "data")
    assert summary["notebooks"] == {"images": 1.0, "audit": 1.0, "status": 1.0}


def test_an_executed_notebook_that_was_changed_is_made_again(workspace, command, copied) -> None:
    """A number in its output would go into the book as it stands."""
    write(workspace / "notebooks/images.ipynb", 'profile: str = "small"', "1 + 41")
    assert command("book", "--profile", "smoke")[0] == 0
    executed = workspace / "book/_executed/images.ipynb"
    whole = executed.read_text()
    assert notes.read(executed)["seconds"] == 1.0
    for changed in (whole.replace("1 + 41", "1 + 42"), whole.replace("1.0", "7.0"), whole[:-90]):
        assert changed != whole
        executed.write_text(changed)
        assert notes.read(executed) == {}
        status, out, _ = command("book", "--profile", "smoke")
        assert status == 0 and "images.ipynb is not what was written, and is made again" in out
        assert executed.read_text() == whole
    assert copied == ["images"] * 4


def test_a_notebook_that_is_not_as_committed_is_named(
    workspace, command, copied, monkeypatch
) -> None:
    """It is run as it stands: it may be meant so."""
    # where temporary files lie in a repository, that one is not looked for
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(workspace.parent))
    assert notes.uncommitted(workspace) is None
    for name in ("audit", "images"):
        write(workspace / f"notebooks/{name}.ipynb", 'profile: str = "small"', "1 + 1")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (["init", "-q"], ["add", "notebooks"], ["commit", "-qm", "notebooks"]):
        subprocess.run([*git, *arguments], cwd=workspace, check=True)
    assert "committed" not in command("book", "--profile", "smoke")[1]
    write(workspace / "notebooks/audit.ipynb", 'profile: str = "small"', "1 + 2")
    assert notes.uncommitted(workspace / "notebooks") == {"audit"}
    out = command("book", "--profile", "smoke")[1]
    assert "notebooks/audit.ipynb is not as committed" in out and "images.ipynb is" not in out
    assert copied == ["audit", "images", "audit"] or sorted(copied[:2]) == ["audit", "images"]


def test_a_notebook_that_fails_has_a_page_that_says_why(workspace, command, copied) -> None:
    for name in ("bad", "good", "images", "more", "status"):
        text = 'profile: str = "small"'
        write(workspace / f"notebooks/{name}.ipynb", text, *["1 / 0"][: name == "bad"])
    status, _, err = command("book", "--profile", "smoke")
    assert status == 3 and err.splitlines()[-1].startswith("idlib: bad: cell 1 raised")
    executed = workspace / "book/_executed"
    done = {path.stem for path in executed.glob("*.ipynb")}
    assert done == {"images", "bad", "good", "more", "status"}
    page = json.loads((executed / "bad.ipynb").read_text())
    remark = "".join(page["cells"][1]["source"])
    assert "This page is not finished" in remark and "cell 1 raised ZeroDivisionError" in remark
    assert "build-book -- --only bad" in remark and "1 / 0" in page["cells"][2]["source"]
    summary = json.loads((executed / "build.json").read_text())
    assert summary["failed"] == ["bad"] and "bad" not in summary["notebooks"]
    assert command("book", "--profile", "smoke", "--only", "good")[0] == 0
    assert command("book", "--profile", "smoke")[0] == 3
    assert copied[-2:] == ["bad", "status"]  # what failed is run again, and nothing else
    write(workspace / "notebooks/bad.ipynb", "profile: str = 'small'")
    assert command("book", "--profile", "smoke")[0] == 0
    assert json.loads((executed / "build.json").read_text())["failed"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--profile", "tiny"], "unknown profile 'tiny': choose one of smoke, small, medium"),
        (["--source", "nowhere"], "unknown source 'nowhere': choose one of embedded, hub"),
        (["--source", ""], "unknown source ''"),
        (["--only", "imagse"], "unknown notebook 'imagse': choose one of images, status"),
        (["--folder", "nowhere"], "folder 'nowhere' has no notebooks"),
        (["--out", "notebooks/images.ipynb"], "notebooks/images.ipynb/build.json cannot be"),
    ],
)
def test_user_mistakes_are_one_line(workspace: Path, command, arguments, says) -> None:
    for name in ("images", "status"):
        write(workspace / f"notebooks/{name}.ipynb", PARAMETERS)
    status, _, err = command("book", *arguments)
    assert status == 2 and says in err and len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_ctrl_c_ends_the_notebooks_that_run(workspace: Path) -> None:
    """Their kernels do not see it: they have a session of their own."""
    begun = "from pathlib import Path\nfrom time import sleep\n\nPath('begun').touch()\nsleep(600)"
    write(workspace / "notebooks/long.ipynb", 'profile: str = "small"', begun)
    process = subprocess.Popen(
        [sys.executable, "-m", "idlib", "book", "--profile", "smoke"],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (Path("begun").exists() or Path("notebooks/begun").exists()):
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in err.splitlines()[-1]
    assert not list((workspace / "book/_executed").glob("*.ipynb"))
