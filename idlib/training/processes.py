"""The processes of a run: one, or as many as torchrun started."""

from __future__ import annotations

import os

from accelerate import PartialState
from accelerate.state import AcceleratorState

_REMEDY = (
    "unset the variables of a launcher (WORLD_SIZE, RANK, LOCAL_RANK), or start all processes with "
    "torchrun --standalone --nproc-per-node N -m idlib run ..."
)


class LaunchError(RuntimeError):
    """Not as many processes run together as were asked for."""


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
        together = PartialState(cpu=device == "cpu")
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
