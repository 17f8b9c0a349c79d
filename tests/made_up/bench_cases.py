"""Cases of the benchmark whose arms do what a test wants."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from idlib.bench.arms import Arm, Call, Case
from idlib.bench.running import Asked

MIB = 2**20
HELD = 64  # MiB
NOTE = "MADE_UP_NOTE"  # the variable that names a file


def _nothing(_: Any) -> Call:
    return Call(lambda _: None)


def _hold(_: Any) -> Call:
    return Call(lambda _: torch.ones(HELD * MIB // 4).sum())


def _raise(_: Any) -> Call:
    raise ValueError("it cannot be had\nand more of it")


def _die(_: Any) -> Call:
    return Call(lambda _: os.kill(os.getpid(), signal.SIGKILL))


def _die_in_turns(setup: int) -> Call:
    """Harmless in a process forked from the one that set the case up."""
    return Call(lambda _: os.kill(os.getpid(), signal.SIGKILL) if os.getpid() == setup else None)


def _freed(_: Any) -> Call:
    """Adds to a file what of memory that it frees stays with the process."""

    def run(_: Any) -> None:
        before = _resident()
        torch.ones(HELD * MIB // 4)
        with Path(os.environ[NOTE]).open("a") as note:
            note.write(f"{_resident() - before}\n")

    return Call(run)


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _sleep(_: Any) -> Call:
    return Call(lambda _: time.sleep(30))


ARMS = {
    "sleep": Arm("sleep", "sleeps", _sleep),
    "freed": Arm("freed", "frees memory", _freed),
    "nothing": Arm("nothing", "nothing", _nothing),
    "hold": Arm("hold", "holds memory", _hold),
    "after": Arm("after", "nothing", _nothing),
    "raise": Arm("raise", "raises", _raise),
    "die": Arm("die", "dies", _die),
    "die-in-turns": Arm("die-in-turns", "dies when it is timed", _die_in_turns),
}


@dataclass(frozen=True)
class MadeUp(Case):
    """Arms by name; the set-up is the number of the process."""

    suite: ClassVar[str] = "made-up"
    references: ClassVar[tuple[str, ...]] = ("nothing", "die", "absent")

    wanted: tuple[str, ...]
    memory_kept: bool = True

    @property
    def name(self) -> str:
        return "-".join(self.wanted)

    @property
    def about(self) -> dict[str, int | str]:
        return {"arms": len(self.wanted)}

    def set_up(self, device: torch.device) -> int:
        return os.getpid()

    def arms(self, setup: int) -> list[Arm]:
        return [ARMS[name] for name in self.wanted]


class NoData(MadeUp):
    """A case that cannot be set up."""

    def set_up(self, device: torch.device) -> int:
        raise FileNotFoundError("there are no data")


@dataclass(frozen=True)
class AskedMadeUp(Asked):
    """A benchmark of such cases, which a worker process can read."""

    made_up: tuple[MadeUp, ...] = ()

    @property
    def cases(self) -> list[Case]:
        return list(self.made_up)
