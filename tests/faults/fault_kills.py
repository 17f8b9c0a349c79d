"""Killed at any moment: nothing that was finished is lost, and the same command goes on.

A run and a grid of each task are killed again and again before they may end: at moments drawn over
the whole of an undisturbed one, while a checkpoint is being written, between the end of training
and the record, and while the record is being written.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from faults.commands import Command, Room

from idlib.experiments.specs import Spec
from idlib.records import Record
from idlib.tasks import TASKS
from idlib.training import checkpoints

CLOCK, CHECKPOINT, MEASURING, RECORD = "any time", "checkpoint", "measuring", "record"
OF_A_RUN = (CLOCK, CLOCK, CLOCK, CHECKPOINT, CHECKPOINT, MEASURING, RECORD)  # for each task
OF_A_GRID = (CLOCK, CHECKPOINT, RECORD)
VICTIMS = ("the command", "a worker", "all of it")
TRIES = 6  # of a moment, before the test says that it cannot be met


class Undisturbed(NamedTuple):
    """What nobody killed: its records by signature, and the seconds that a run and a grid took."""

    records: dict[str, Record]
    seconds_of_a_run: float
    seconds_of_a_grid: float


def single(task: str) -> tuple[str, ...]:
    """The command of one run."""
    return ("run", task, "--profile", "smoke")


def grid(task: str) -> tuple[str, ...]:
    """The command of a few runs, among them that of :func:`single`, in two worker processes."""
    settings = Spec(task, profile="smoke").plan.settings
    chosen = [f"--set=dataset={settings.dataset}"] if hasattr(settings, "dataset") else []
    smoothing = f"--smoothing={settings.smoothing}"
    rounds = "1" if task == "images" else "0"  # one has students, which need their teachers
    return ("grid", task, "--profile=smoke", smoothing, "--rounds", rounds, "--workers=2", *chosen)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Iterator[Callable[[str], Undisturbed]]:
    """The records of a task that nobody disturbed, made once."""
    known: dict[str, Undisturbed] = {}
    rooms: list[Room] = []

    def of(task: str) -> Undisturbed:
        if task not in known:
            seconds, made = [], {}
            for command in (single(task), grid(task)):
                rooms.append(Room(tmp_path_factory.mktemp(task) / "room"))
                begun = time.monotonic()
                ended = rooms[-1].go(*command)
                assert ended.status == 0, ended.err
                seconds.append(time.monotonic() - begun)
                made |= rooms[-1].made()
            known[task] = Undisturbed(made, *seconds)
        return known[task]

    yield of
    for room in rooms:
        room.__exit__()


def met(moment: str, share: float, command: Command, room: Room, seconds: float) -> bool:
    """Wait for a moment; whether it came before the command ended.

    Args:
        moment: its kind.
        share: in [0, 1): where in it.
        command: that is to be killed.
        room: its folder.
        seconds: that an undisturbed one takes.
    """
    trained = {path.parent for path in room.checkpoints.glob(f"*/{checkpoints.FINISHED}")}
    conditions: dict[str, Callable[[], bool]] = {
        CLOCK: lambda: time.monotonic() - command.begun >= share * seconds,
        CHECKPOINT: lambda: any(
            name.endswith(".tmp") for folder in folders(room) for name in names(folder)
        ),
        MEASURING: lambda: any(
            folder not in trained and checkpoints.FINISHED in names(folder)
            for folder in folders(room)
        ),
        RECORD: lambda: any(name.endswith(".tmp") for name in names(room.records)),
    }
    if not command.wait_until(conditions[moment]):
        return False
    time.sleep({CLOCK: 0.0, CHECKPOINT: 0.01, MEASURING: 1.0, RECORD: 0.001}[moment] * share)
    return command.running()


def folders(room: Room) -> list[Path]:
    """Those of checkpoints."""
    return [room.checkpoints / name for name in names(room.checkpoints)]


def names(folder: Path) -> list[str]:
    """What is in a folder; nothing where there is none (yet, or any more)."""
    with suppress(OSError):
        return os.listdir(folder)
    return []


def kill(command: Command, victim: str) -> None:
    """SIGKILL to the command, to one of its workers, or to all of its processes."""
    workers = command.workers() if victim == "a worker" else []
    if victim == "all of it":
        os.killpg(command.process.pid, signal.SIGKILL)
    elif workers:
        with suppress(ProcessLookupError):
            os.kill(workers[0], signal.SIGKILL)
    else:
        command.kill()


def went_on(
    line: tuple[str, ...],
    plan: list[tuple[str, float, str]],
    seconds: float,
    folder: Path,
    whole: dict[str, Record],
    tally: Callable[..., None],
) -> None:
    """Give one command again and again and kill it at each moment of the plan, then let it end.

    A command that ends before its moment comes is begun afresh in another folder.
    """
    what, task = ("kills of grids" if line[0] == "grid" else "kills of runs"), line[1]
    room, tries = Room(folder / "0"), 0
    plan = [*plan, ("", 0.0, "")]  # at last nobody kills it
    while plan:
        moment, share, victim = plan[0]
        before = room.finished()
        command = room.start(*line)
        at_most = seconds * 0.7**tries  # the machine may have been busier when it was measured
        killed = bool(moment) and met(moment, share, command, room, at_most)
        if killed:
            kill(command, victim)
        ended = command.wait()
        assert not (left := command.orphans()), f"{task}, {moment}, {victim}: {left}"
        after = room.finished()
        made = room.made()  # each can be read
        if {path: after.get(path) for path in before} != before:
            tally(what, task, "lost")
            pytest.fail(f"a finished record is not what it was, {task}, {moment}")
        for signature, record in made.items():
            if (
                record.measured != whole[signature].measured
                or record.asked != whole[signature].asked
            ):
                tally(what, task, "wrong")
                pytest.fail(f"{signature} is not that of an undisturbed run, {task}, {moment}")
        if killed:
            assert ended.status in (-signal.SIGKILL, 1), ended.err
            if ended.status == 1:  # a worker was killed
                assert "the same command goes on from there" in ended.said, ended.err
            tally(what, task, f"at {moment}")
            plan.pop(0)
            tries = 0
            continue
        assert ended.status == 0, ended.err
        assert not room.halves()
        if not moment:
            plan.pop(0)
        tries += 1
        assert tries < TRIES, f"{task}: the moment {moment!r} does not come"
        room = Room(folder / str(int(room.folder.name) + 1))


@pytest.mark.parametrize("task", TASKS)
def test_a_killed_run_goes_on_to_the_same_record(task, undisturbed, tmp_path, tally):
    whole, draw = undisturbed(task), random.Random(f"run {task}")
    strata = [(i + draw.random()) / 3 for i in range(3)]  # of the moments at any time
    shares = [strata.pop(0) if moment == CLOCK else draw.random() for moment in OF_A_RUN]
    plan = [(moment, share, "the command") for moment, share in zip(OF_A_RUN, shares, strict=True)]
    draw.shuffle(plan)
    went_on(single(task), plan, whole.seconds_of_a_run, tmp_path, whole.records, tally)


@pytest.mark.parametrize("number", range(len(TASKS)), ids=list(TASKS))
def test_a_killed_grid_goes_on_to_the_same_records(number, undisturbed, tmp_path, tally):
    """Whoever is killed, the command, one of its workers or all, no process of it stays."""
    task = list(TASKS)[number]
    whole, draw = undisturbed(task), random.Random(f"grid {task}")
    victims = [VICTIMS[(number + i) % 3] for i in range(3)]
    plan = [
        (moment, draw.random(), victim) for moment, victim in zip(OF_A_GRID, victims, strict=True)
    ]
    draw.shuffle(plan)
    went_on(grid(task), plan, whole.seconds_of_a_grid, tmp_path, whole.records, tally)
