"""The tutorials do what they say: their code runs as it stands, their commands are commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

from idlib.cli import app
from idlib.records import EVIDENCE_STORE

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "book" / page).read_text(encoding="utf-8")
    return [code for kind, code in BLOCK.findall(text) if kind == language]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def ran(folder: Path, *arguments: str) -> str:
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("number", [0, 1], ids=["trainer", "lightning"])
def test_each_trainer_runs_as_its_page_has_it(number: int, tmp_path: Path) -> None:
    code = blocks("trainers.md", "python")[number]
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    out = ran(tmp_path, "script.py")
    assert "divergence" in out and ("'alpha': " in out) == (number == 0)


@pytest.mark.slow
def test_the_task_of_the_tutorial_makes_its_runs(tmp_path: Path) -> None:
    *task, registry, runs = blocks("tutorial_task.md", "python")
    assert "TASKS[" in registry and "class DigitTask" in "".join(task)
    (tmp_path / "digits_task.py").write_text("\n\n".join(task), encoding="utf-8")
    (tmp_path / "script.py").write_text(registry + runs, encoding="utf-8")
    lines = ran(tmp_path, "script.py").splitlines()
    assert [line.split()[0] for line in lines] == ["baseline", "id", "passes", "compute"]
    assert len({line.split()[1] for line in lines}) == 4  # each trained otherwise
    assert len(list((tmp_path / ".idlib/records").glob("digits-smoke-*.json"))) == 4


def commands_of(text: str) -> list[list[str]]:
    """What is typed after ``idlib`` on the lines of a text's shell blocks."""
    shell = "".join(code for kind, code in BLOCK.findall(text) if kind == "sh")
    lines = [re.sub(r"\s#.*", "", line) for line in shell.split("\n")]
    return [line.split()[1:] for line in lines if line.startswith("idlib ")]


TYPED = {
    f"{path.name}: {' '.join(words)}": words
    for path in PAGES
    for words in commands_of(path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("words", TYPED.values(), ids=TYPED)
def test_every_command_that_is_typed_on_a_page_is_one(words: list[str]) -> None:
    """Its arguments are read as the command line would read them, and nothing is run."""
    command: click.Command = typer.main.get_command(app)
    name, *words = ["idlib", *words]
    while isinstance(command, click.Group):
        assert words and words[0] in command.commands, f"{name} has {', '.join(command.commands)}"
        command = command.commands[words[0]]
        name, *words = words
    command.make_context(name, words)


def test_commands_are_found() -> None:
    pages = {name.partition(":")[0] for name in TYPED}
    assert {"README.md", "tutorial_claim.md"} <= pages and len(TYPED) > 15


def test_signatures_in_the_tutorial_are_those_of_records() -> None:
    text = (ROOT / "book/tutorial_claim.md").read_text(encoding="utf-8")
    named = re.findall(r"\b[0-9a-f]{4}\b", " ".join(sum(commands_of(text), [])))
    stored = [path.stem.rpartition("-")[2] for path in (ROOT / EVIDENCE_STORE).glob("images-*")]
    assert named
    for word in named:
        assert sum(signature.startswith(word) for signature in stored) == 1, word
