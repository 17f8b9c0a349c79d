"""Whole files or none: written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NEARLY_NOTHING = 2**20  # bytes free, below which a failed write is the full disk's


class WriteError(OSError):
    """A file that cannot be written; the message names it and, where that is why, the full disk."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes its place, on failure it goes.

    A reader (or a process killed in between) sees the old file or the new one, never a half. What
    a killed process left of an earlier try is removed.

    Raises:
        WriteError: the folder cannot be made or written to, or the disk is full.

    Example:
        >>> import tempfile, pathlib
        >>> target = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        handle, temporary = _temporary(path)
    except OSError as error:
        raise _explained(path, error) from error
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files; these are ordinary ones
        temporary.replace(path)
    except Exception as error:  # a library may tell of a full disk in an exception of its own
        if getattr(error, "errno", None) in NO_SPACE or _free(path.parent) < NEARLY_NOTHING:
            raise _explained(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def digest_of(content: Any) -> str:
    """The sha256 of what can be written as JSON, in hexadecimal, whatever the order of its keys.

    >>> digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside ``path``, locked for as long as it is being written."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else another process took it for abandoned
            return handle, Path(name)
        os.close(handle)


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files of ``path`` that no process has locked: their writers are dead."""
    for old in path.parent.iterdir():
        if not (old.name.startswith(f".{path.name}.") and old.name.endswith(".tmp")):
            continue
        with suppress(OSError), old.open("rb") as file:  # locked, or gone meanwhile
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            old.unlink()


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _explained(path: Path, error: Exception) -> WriteError:
    if isinstance(error, OSError) and error.errno not in NO_SPACE:
        return WriteError(
            f"{path} cannot be written ({error.strerror}); choose a folder that can be written to"
        )
    return WriteError(
        f"{path} cannot be written: its disk has {_free(path.parent) / 2**20:.1f} MiB left, or its "
        "quota is used up; make room and give the same command again"
    )
