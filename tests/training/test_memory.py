"""Memory that was freed: kept by a process that trains, given back when it is asked for."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from idlib.training import memory

TESTS = Path(__file__).resolve().parent.parent
on_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc gives large tensors back at once"
)
RESIDENT = """
from pathlib import Path
from idlib.training.memory import keep_freed_memory, release_freed_memory

def resident_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:"))

def kept_mib():
    before = resident_mib()
    block = b"1" * (128 * 2**20)
    del block
    return resident_mib() - before
"""
TRAIN = """
import tempfile
import torch
from made_up.toy import ToySettings, ToyTask
from idlib.training.loop import train
from idlib.training.meter import Meter

def next_runs_peak_mib():
    return Meter(torch.device("cpu")).cost.peak_memory_bytes // 2**20

with tempfile.TemporaryDirectory() as folder:
    train(ToyTask().model(), ToyTask(), ToySettings(), seed=1, folder=Path(folder))
"""


def printed(script: str, **environment: str) -> str:
    """What a process of its own prints, in which nobody has tuned the allocator."""
    inherited = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT + script],
        env={**inherited, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@on_glibc
def test_freed_memory_is_kept_and_released():
    text = printed(
        "print(kept_mib() < 8, keep_freed_memory(), kept_mib() > 120);"
        "release_freed_memory(); print(resident_mib() < 100)"
    )
    assert text.split() == ["True"] * 4


@on_glibc
def test_the_users_own_tuning_is_left_alone():
    tunables = "glibc.malloc.mmap_threshold=131072"
    text = printed("print(keep_freed_memory(), kept_mib() < 8)", GLIBC_TUNABLES=tunables)
    assert text == "False True"


@on_glibc
@pytest.mark.slow
def test_a_process_that_trains_keeps_it_and_the_next_run_does_not_count_it():
    text = printed(TRAIN + "print(kept_mib() > 120, resident_mib() - next_runs_peak_mib() > 100)")
    assert text == "True True"


def test_nothing_happens_elsewhere(monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not memory.keep_freed_memory()
    memory.release_freed_memory()
