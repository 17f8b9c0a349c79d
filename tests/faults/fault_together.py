"""The same thing twice at once, without rights, read-only, and while the clock runs backwards."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from faults.commands import RUN, Room
from faults.places import as_nobody, give_back, read_only

from idlib.training import checkpoints

ROOT = Path(__file__).resolve().parents[2]
# Whoever looks at the clock sees it go back by an hour now and then.
BACKWARDS = """
import time
_now, _looks = time.time, [0]
def back():
    _looks[0] += 1
    return _now() - 3600 * (_looks[0] // 20)
time.time = back
"""


def pages(room: Room, *names: str) -> tuple[str, ...]:
    """The command that makes a book of these notebooks alone."""
    folder = room.folder / "notebooks"
    folder.mkdir()
    for name in names:
        shutil.copy(ROOT / f"notebooks/{name}.ipynb", folder)
    return ("book", "--profile=smoke", f"--folder={folder}")


def test_the_same_run_twice_at_once(room: Room, short_run, tally) -> None:
    both = [room.start(*RUN), room.start(*RUN)]
    assert [command.wait().status for command in both] == [0, 0]
    (record,) = room.made().values()
    assert record.measured == short_run.measured and not room.halves()
    tally("two at once", "runs", "one record, that of an undisturbed run")


def test_the_same_grid_twice_at_once(room: Room, tally) -> None:
    grid = ("grid", *RUN[1:], "--rounds=0", "--smoothing=0", "--workers=2")
    both = [room.start(*grid), room.start(*grid)]
    assert [command.wait().status for command in both] == [0, 0]
    assert len(room.made()) == 4 and not room.halves()
    tally("two at once", "grids", "each record once")


def test_the_same_book_twice_at_once(room: Room, tally) -> None:
    out, book = room.folder / "executed", pages(room, "setup", "own_loop")
    both = [room.start(*book, f"--out={out}"), room.start(*book, f"--out={out}")]
    ended = [command.wait() for command in both]
    assert [one.status for one in ended] == [0, 0], [one.err for one in ended]
    for name in ("setup", "own_loop"):
        notebook = json.loads((out / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert "failed" not in notebook["metadata"]["idlib"]
    assert not room.halves() and not list(out.glob(".*.ipynb"))
    tally("two at once", "builds", "whole pages")


def test_a_clock_that_runs_backwards(room: Room, short_run, tally) -> None:
    (room.folder / "sitecustomize.py").write_text(BACKWARDS)
    ended = room.go(*RUN, PYTHONPATH=os.pathsep.join([str(room.folder), str(ROOT)]))
    assert ended.status == 0, ended.err
    (record,) = room.made().values()
    assert record.measured == short_run.measured and record.cost.seconds > 0
    tally("clocks", "runs", "the record of an undisturbed run")


def test_checkpoints_from_the_future(room: Room, short_run, tally) -> None:
    command = room.start(*RUN)
    assert command.wait_until(lambda: bool(list(room.checkpoints.glob("*/state*"))))
    command.kill()
    command.wait()
    for path in room.checkpoints.rglob("*"):
        os.utime(path, (2**32, 2**32))
    assert room.go(*RUN).status == 0
    (record,) = room.made().values()
    assert record.measured == short_run.measured
    assert (room.checkpoints / record.signature / checkpoints.FINISHED).is_file()
    tally("clocks", "checkpoints", "the record of an undisturbed run")


def test_a_checkout_that_is_read_only(room: Room, tmp_path: Path, short_run, tally) -> None:
    """The code is taken from it, and what is written goes where the command is run."""
    at = tmp_path / "checkout"
    if not read_only(ROOT, at):
        pytest.skip("this user or container may not mount a folder read-only")
    try:
        ended = room.go(*RUN, PYTHONPATH=str(at))
        assert ended.status == 0, ended.err
        (record,) = room.made().values()
        assert record.measured == short_run.measured
        tally("rights", "read-only checkout", "the record of an undisturbed run")
        inside = Room(tmp_path / "inside", cwd=at)
        fresh = (*RUN, "--seed", "77")
        ended = inside.go(*fresh, PYTHONPATH=str(at))
        assert ended.status == 2, ended.err
        assert "cannot be written to" in ended.said and "--records" in ended.said
        tally("rights", "run inside of it", "one line with the remedy")
    finally:
        give_back(at)


@pytest.mark.parametrize("name", ["--records", "--checkpoints", "book"])
def test_a_folder_without_rights(name: str, room: Room, tmp_path: Path, tally) -> None:
    before = as_nobody()
    if before is None:
        pytest.skip("another user cannot be had here, or may not read the checkout")
    closed, theirs = tmp_path / "closed", room.folder
    closed.mkdir(mode=0o755)
    for path in (*room.folder.parents,):  # pytest's folders are their owner's alone
        if str(path).startswith(str(tmp_path.parents[2])) and path != Path("/tmp"):
            path.chmod(0o755)
    theirs.chmod(0o777)
    if name == "book":
        command = (*pages(room, "setup"), f"--out={closed / 'out'}")
    else:
        command = (*RUN, name, str(closed / "there"))
    ended = room.go(*command, before=before, HOME=str(theirs))
    assert ended.status == 2, ended.err
    assert str(closed) in ended.said and "ermission" in ended.said, ended.err
    assert list(closed.iterdir()) == []
    tally("rights", name, "one line that names the folder")
