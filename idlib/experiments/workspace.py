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
        """Refuse a folder that cannot be written to now, and not when training has ended.

        Raises:
            SettingsError: naming the folder and the option that gives another.
        """
        check_writable(self.store.root, "the folder of new records", "by --records")
        self.check_checkpoints()

    def check_checkpoints(self) -> None:
        """The same for the folder of checkpoints alone, where no record is made."""
        check_writable(self.checkpoints, "the folder of checkpoints", "by --checkpoints")


def check_writable(folder: Path, what: str, how: str) -> None:
    """Write and remove a block in ``folder``, or in its nearest parent that exists.

    Args:
        folder: it need not exist.
        what: the folder in words, for the error: ``the folder of new records``.
        how: the way to give another one: ``by --records``.

    Raises:
        SettingsError: it cannot be written to; nothing is left behind.
    """
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(BLOCK))
            probe.flush()
    except OSError as error:
        raise SettingsError(
            f"{what} {folder} cannot be written to ({there}: {error.strerror}): give another "
            f"{how}, or make this one writable"
        ) from error
