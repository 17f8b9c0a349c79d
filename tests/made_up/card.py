"""A GPU that is made up: a folder, with a file of its bytes for each process that holds some."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock

from idlib.experiments.gpu_memory import Memory
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.training.loop import Progress

UPDATES = 3  # of a run
POLL_SECONDS, PATIENCE_SECONDS = 0.1, 120


class Start(NamedTuple):
    """A run that began: in which process, how many held memory then, and whether it fitted."""

    seed: int
    process: int
    beside: int
    fitted: bool


@dataclass(frozen=True)
class Card:
    """Runs that do nothing but hold memory of a card.

    All but the first hold it until another one holds some too, or all have begun.

    Attributes:
        folder: of the files.
        total: bytes of the card.
        needs: by seed the bytes that a run takes.
    """

    folder: Path
    total: int
    needs: dict[int, int]

    def look(self) -> Memory:
        """The memory as a worker process sees it."""
        with FileLock(self.folder / ".lock"):
            peak = self.folder / f"peak-{os.getpid()}"
            mine = self.folder / f"held-{os.getpid()}"
            others = sum(self._held()) - (int(mine.read_text()) if mine.exists() else 0)
            return Memory(int(peak.read_text()), self.total - others)

    def make(self, spec: Spec, workspace: Workspace, progress: Progress) -> None:
        """Take the memory of a run, or run out of it, and log what ran beside it."""
        need, own = self.needs[spec.seed], self.folder / f"held-{os.getpid()}"
        progress(0)
        with FileLock(self.folder / ".lock"):
            held = self._held()
            fits = sum(held) + need <= self.total
            with (self.folder / "log").open("a") as log:
                log.write(f"{spec.seed} {os.getpid()} {len(held)} {fits}\n")
            if not fits:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a little")
            own.write_text(str(need))
            (self.folder / f"peak-{os.getpid()}").write_text(str(need))
        for _ in range(UPDATES):
            progress(1)
        since = time.monotonic()
        while not self._may_end() and time.monotonic() < since + PATIENCE_SECONDS:
            time.sleep(POLL_SECONDS)
        with FileLock(self.folder / ".lock"):
            own.unlink()

    def log(self) -> list[Start]:
        """The runs in the order in which they began."""
        lines = [line.split() for line in (self.folder / "log").read_text().splitlines()]
        return [Start(*map(int, line[:3]), line[3] == "True") for line in lines]

    def _may_end(self) -> bool:
        with FileLock(self.folder / ".lock"):
            begun = {start.seed for start in self.log()}
            return len(begun) in (1, len(self.needs)) or len(self._held()) > 1

    def _held(self) -> list[int]:
        return [int(path.read_text()) for path in self.folder.glob("held-*")]
