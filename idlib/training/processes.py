"""The processes of a run: one, or as many as torchrun started."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import NoReturn, TypeVar

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState

ANSWER_WITHIN = timedelta(minutes=10)  # of the others, in an update or where weights are written
MEASURED_WITHIN = timedelta(days=1)  # by the main process, when training has ended

# What the backends say where another process is gone or does not answer.
_LOST = ("closed by peer", "reset by peer", "timed out", "timeout", "broken pipe", "nccl", "gloo")

_REMEDY = (
    "unset the variables of a launcher (WORLD_SIZE, RANK, LOCAL_RANK), or start all processes with "
    "torchrun --standalone --nproc-per-node N -m idlib run ..."
)


class LaunchError(RuntimeError):
    """Not as many processes run together as were asked for."""


class LostProcess(RuntimeError):
    """Another process of the run ended or does not answer, so that this one cannot go on."""


Made = TypeVar("Made")


def launched() -> int:
    """The number of processes that a launcher says it started, 1 without one.

    Raises:
        LaunchError: what it says names no process of a group.
    """
    size, rank = os.environ.get("WORLD_SIZE", "1"), os.environ.get("RANK", "0")
    if not (size.isdecimal() and rank.isdecimal() and int(rank) < int(size)):
        raise LaunchError(
            f"the variables WORLD_SIZE = {size!r} and RANK = {rank!r} name no process of a group: "
            f"{_REMEDY}"
        )
    return int(size)


def is_main_process() -> bool:
    """Whether this process is the only one, or the first that ``torchrun`` started."""
    return os.environ.get("RANK", "0") == "0"


def processes(device: str) -> PartialState:
    """The processes of this run, one or as many as ``torchrun`` started, on ``device``.

    Raises:
        LaunchError: fewer run than were asked for, as some launchers do without a word.
    """
    asked = launched()
    # An earlier run of this process may have had another precision, or another device.
    AcceleratorState._reset_state(reset_partial_state=asked == 1)
    try:
        together = PartialState(cpu=device == "cpu", timeout=ANSWER_WITHIN)
    except (ValueError, RuntimeError) as error:  # a variable that is missing, or no answer
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LaunchError(
            f"{asked} processes were asked for and do not come together ({reason}): {_REMEDY}"
        ) from error
    if together.num_processes != asked:
        raise LaunchError(
            f"{asked} processes were asked for and {together.num_processes} run together: {_REMEDY}"
        )
    return together


@contextmanager
def together() -> Iterator[None]:
    """Say what to do where another process of the run is lost inside the block.

    A launcher that finds one ended sends the others SIGTERM, and a process that waits for one that
    is gone gets an error of the backend: whichever comes first. One that hangs is waited for
    ``ANSWER_WITHIN``.

    Raises:
        LostProcess: naming the remedy.
    """
    if launched() == 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        yield
    except RuntimeError as error:
        said = str(error)
        if isinstance(error, LostProcess) or not any(part in said.lower() for part in _LOST):
            raise
        reason = re.sub(r"^\[\S+\] ", "", said).partition(". ")[0]  # without file and line
        raise _lost(reason) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def from_main(value: Made | None) -> Made:
    """What the main process made, in every process, however long the others wait for it.

    Raises:
        RuntimeError: the main process is gone.
    """
    if launched() > 1:
        patient = torch.distributed.new_group(backend="gloo", timeout=MEASURED_WITHIN)
        assert isinstance(patient, torch.distributed.ProcessGroup), "every process is in it"
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0, group=patient)
        torch.distributed.destroy_process_group(patient)
        value = box[0]
    assert value is not None, "the main process has made it"
    return value


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    raise _lost("it was told to end")


def _lost(reason: str) -> LostProcess:
    return LostProcess(
        f"process {os.environ.get('RANK', '0')} of {launched()} cannot go on ({reason}): another "
        "one has ended or does not answer, as where memory ran out or a machine was lost, or the "
        "run was stopped. What was trained is kept up to the last evaluation: the same command "
        "with as many processes goes on from there. Where memory ran out, set micro_batch"
    )
