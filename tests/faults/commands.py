"""Commands in processes of their own, in a folder of their own: started, killed, looked after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from idlib.files import sha256
from idlib.records import Record, read

ROOT = Path(__file__).resolve().parents[2]
RUN = ("run", "images", "--profile", "smoke", "--set", "epochs=1")  # a short one
SOON = 20  # seconds within which what is left of a killed command has to end
STEP = 5e-4  # seconds between looks


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The last line on stderr."""
        return (self.err.strip().splitlines() or [""])[-1]


class Command:
    """One started command and all processes of its session."""

    def __init__(self, room: Room, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.begun = time.monotonic()
        self.out, self.err = room.log(), room.log()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                arguments,
                cwd=room.cwd,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def members(self) -> dict[int, psutil.Process]:
        """The processes of the command's session that live."""
        found = {}
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if os.getsid(process.pid) != self.process.pid:
                    continue
                if process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = process
        return found

    def workers(self) -> list[int]:
        """The worker processes that it has started."""
        found = []
        for pid, process in self.members().items():
            with suppress(psutil.Error):
                if "spawn_main" in " ".join(process.cmdline()):
                    found.append(pid)
        return sorted(found)

    def running(self) -> bool:
        """Whether its main process has not ended."""
        return self.process.poll() is None

    def wait_until(self, condition: Callable[[], bool], every: float = STEP) -> bool:
        """Whether the condition came true before the command ended."""
        while self.running():
            if condition():
                return True
            time.sleep(every)
        return False

    def kill(self) -> None:
        """SIGKILL to the main process alone."""
        self.process.send_signal(signal.SIGKILL)

    def wait(self, seconds: float = 900) -> Ended:
        """How it ends."""
        status = self.process.wait(timeout=seconds)
        out, err = (path.read_text("utf-8", errors="replace") for path in (self.out, self.err))
        return Ended(status, out, err)

    def orphans(self) -> dict[int, str]:
        """What of it still lives some seconds after its main process has ended."""
        deadline = time.monotonic() + SOON
        while (left := self.members()) and time.monotonic() < deadline:
            time.sleep(0.05)
        commands = {}
        for pid, process in left.items():
            with suppress(psutil.Error):
                commands[pid] = " ".join(process.cmdline())
        return commands

    def end(self) -> None:
        """End whatever is left of it."""
        for process in self.members().values():
            with suppress(psutil.Error):
                process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=SOON)


class Room:
    """A folder in which commands run."""

    def __init__(self, folder: Path, cwd: Path | None = None) -> None:
        self.folder, self.cwd = folder, cwd or folder
        self.started: list[Command] = []
        self._logs = 0
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *error: object) -> None:
        for command in self.started:
            command.end()

    @property
    def records(self) -> Path:
        """The folder of new records."""
        return self.folder / ".idlib/records"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / ".idlib/checkpoints"

    def log(self) -> Path:
        """A new file beside the folder."""
        self._logs += 1
        return self.folder.with_name(f"{self.folder.name}.{self._logs}.log")

    def start(self, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> Command:
        """Start ``idlib`` with these arguments, ``before`` it another program that starts it."""
        command = (*before, sys.executable, "-m", "idlib", *arguments)
        self.started.append(Command(self, command, environment))
        return self.started[-1]

    def go(self, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> Ended:
        """Run ``idlib`` with these arguments to its end."""
        return self.start(*arguments, before=before, **environment).wait()

    def finished(self) -> dict[Path, str]:
        """The sha256 of each finished record."""
        return {path: sha256(path) for path in sorted(self.records.glob("*.json"))}

    def made(self) -> dict[str, Record]:
        """The records by signature; one that cannot be read raises."""
        found = [read(path) for path in sorted(self.records.glob("*.json"))]
        return {record.signature: record for record in found}

    def halves(self) -> list[Path]:
        """Temporary files: of a write that never ended."""
        return list(self.folder.rglob(".*.tmp"))
