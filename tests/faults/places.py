"""Places that refuse: a disk that is full, a folder that is read-only, another user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]


def _done(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


class Disk:
    """A tmpfs, made as large as a test wants it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mounted = folder, False
        folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def possible(folder: Path) -> bool:
        """Whether one can be mounted here."""
        probe = Disk(folder)
        if not probe.resize(64):
            return False
        probe.unmount()
        return True

    def resize(self, kibibytes: int) -> bool:
        """Mount it, or make it as large as this; whether that worked."""
        size = f"size={kibibytes}k"
        if self.mounted:
            return _done("mount", "-o", f"remount,{size}", str(self.folder))
        self.mounted = _done("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.folder))
        return self.mounted

    def unmount(self) -> None:
        """Give it back."""
        if self.mounted:
            self.mounted = not _done("umount", "-l", str(self.folder))


def read_only(folder: Path, at: Path) -> bool:
    """Show ``folder`` at another place, where it cannot be written to; whether that worked."""
    at.mkdir(parents=True, exist_ok=True)
    if not _done("mount", "--bind", str(folder), str(at)):
        return False
    if _done("mount", "-o", "remount,ro,bind", str(at)):
        return True
    _done("umount", "-l", str(at))
    return False


def give_back(at: Path) -> None:
    """End what :func:`read_only` began."""
    _done("umount", "-l", str(at))


def as_nobody() -> tuple[str, ...] | None:
    """A program that starts another one as a user without rights; None where there is none.

    Nothing is needed where the tests themselves run as a user whom permissions hold.
    """
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        return None
    before = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return (
        before
        if _done(*before, sys.executable, "-c", f"open({str(ROOT / 'noxfile.py')!r})")
        else None
    )
