"""A disk that is full: an error that says so and names the file, and nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from faults.commands import RUN, Ended, Room
from faults.places import Disk

ROOT = Path(__file__).resolve().parents[2]
FULL = ("No space left on device", "MiB left, or its quota is used up")  # the system's, and ours
LARGE = 256 * 1024  # KiB


def is_full(ended: Ended) -> bool:
    """Whether the command said that a disk is full."""
    return any(words in ended.err for words in FULL)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


@pytest.mark.parametrize("kibibytes", [64, 500, 1000, 1600, 2200, 3000])
def test_checkpoints(kibibytes: int, room: Room, disk: Disk, short_run, tally) -> None:
    """At whatever write it is full; then the same command goes on and ends as it would have."""
    assert disk.resize(kibibytes)
    command = (*RUN, "--checkpoints", str(disk.folder / "checkpoints"))
    ended = room.go(*command)
    if ended.status == 0:  # it had room
        tally("full disks", "checkpoints", "it had room")
    else:
        assert ended.status in (1, 2) and is_full(ended), ended.err
        assert str(disk.folder) in ended.said, ended.said
        assert not room.finished()
        tally("full disks", "checkpoints", "an error that names the file")
    assert disk.resize(LARGE)
    ended = room.go(*command)
    assert ended.status == 0, ended.err
    (record,) = room.made().values()
    assert record.measured == short_run.measured


@pytest.mark.parametrize("kibibytes", [4, 8])
def test_a_record(kibibytes: int, room: Room, disk: Disk, short_run, tally) -> None:
    assert disk.resize(kibibytes)
    command = (*RUN, "--records", str(disk.folder / "records"))
    ended = room.go(*command)
    assert ended.status in (1, 2) and is_full(ended), ended.err
    assert str(disk.folder / "records") in ended.said, ended.said
    assert files(disk.folder) == []
    tally("full disks", "records", "an error that names the file")
    assert disk.resize(LARGE)
    assert room.go(*command).status == 0
    (path,) = files(disk.folder)
    assert json.loads(path.read_text())["measured"] == short_run.measured.model_dump(mode="json")


@pytest.mark.parametrize("kibibytes", [8, 24])
def test_a_notebook(kibibytes: int, room: Room, disk: Disk, tally) -> None:
    assert disk.resize(kibibytes)
    out, notebooks = disk.folder / "executed", room.folder / "notebooks"
    notebooks.mkdir()
    shutil.copy(ROOT / "notebooks/setup.ipynb", notebooks)
    command = ("book", "--profile=smoke", f"--folder={notebooks}")
    ended = room.go(*command, f"--out={out}")
    assert ended.status != 0 and is_full(ended), ended.err
    assert [path for path in files(disk.folder) if path.name == "setup.ipynb"] == []
    tally("full disks", "notebooks", "an error that says so")
    assert disk.resize(LARGE)
    ended = room.go(*command, f"--out={out}")
    assert ended.status == 0, ended.err
    assert json.loads((out / "setup.ipynb").read_text())["metadata"]["idlib"]["seconds"] > 0
