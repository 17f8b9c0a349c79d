"""Whole files or none, and what a kill leaves is removed."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from idlib.files import WriteError, replacing, sha256


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old" and names(tmp_path) == ["kept"]


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "file.txt"
    script = (
        "import os, signal, sys; from pathlib import Path; from idlib.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)])
    assert killed.returncode == -signal.SIGKILL
    (left,) = names(tmp_path)
    assert left.startswith(".file.txt.")
    with replacing(tmp_path / "other.txt") as temporary:
        temporary.write_text("of another file")
    assert left in names(tmp_path), "it may be that of a process that writes another file"
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["file.txt", "other.txt"] and path.read_text() == "whole"


def test_what_another_process_is_writing_stays(tmp_path):
    path = tmp_path / "file.txt"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second" and first.exists()
    assert path.read_text() == "first" and names(tmp_path) == ["file.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    path = tmp_path / "taken/file.txt"
    with pytest.raises(WriteError, match=rf"{path} cannot be written \(.*choose a folder"):
        with replacing(path):
            pytest.fail("it was let in")


def test_a_full_disk_is_named(tmp_path):
    """The limit of a file's size stands for the disk: the system refuses the write itself."""
    path, (soft, hard) = tmp_path / "file", resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WriteError, match=rf"{path} cannot be written: its disk has .* MiB"):
            with replacing(path) as temporary:
                temporary.write_bytes(os.urandom(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert names(tmp_path) == []


def test_the_checksum_is_sha256(tmp_path):
    (tmp_path / "abc").write_text("abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")  # FIPS 180-4, appendix B.1
