"""Where records and checkpoints lie, and whether they can be written there."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from idlib.records import Store
from idlib.training.settings import SettingsError

CHECKPOINTS = Path(".idlib/checkpoints")
BLOCK = 4096  # bytes; a full disk still takes an empty file


@dataclass(frozen=True)
class Workspace:
    """Where records and checkpoints lie."""

    store: Store = field(default_factory=Store)
    checkpoints: Path = CHECKPOINTS

    def folder(self, signature: str) -> Path:
        """The folder of a run's checkpoints."""
        return self.checkpoints / signature

    def check(self) -> None:
        """Whether both folders can be written to, which training would find out at its end.

        Raises:
            SettingsError: one cannot; the message names it and what to give instead.
        """
        check_writable(self.store.root, "the folder of new records", "by --records")
        self.check_checkpoints()

    def check_checkpoints(self) -> None:
        """The same for the folder of checkpoints, which is all that a model needs."""
        check_writable(self.checkpoints, "the folder of checkpoints", "by --checkpoints")


def check_writable(folder: Path, what: str, how: str) -> None:
    """Write and remove a block in ``folder``, or where it would be made.

    Args:
        folder: it need not be there.
        what: it is, for the message.
        how: another is given.

    Raises:
        SettingsError: that fails; nothing is left behind.
    """
    there = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(BLOCK))
            probe.flush()
    except OSError as error:
        raise SettingsError(
            f"{what} {folder} cannot be written to ({there}: {error.strerror}): give another "
            f"{how}, or mend this one"
        ) from error


def _existing(path: Path | str) -> Path:
    """The path itself, or the nearest of its parents that is there."""
    there = Path(path).absolute()
    while not os.path.lexists(there):
        there = there.parent
    return there
