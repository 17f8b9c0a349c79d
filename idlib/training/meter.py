"""What a run costs: wall seconds, peak memory, and energy where the driver reports it."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from idlib.training.memory import release_freed_memory


class Cost(NamedTuple):
    """Wall seconds, the largest peak of memory, and joules (None where nothing reported them)."""

    seconds: float
    peak_memory_bytes: int
    energy_joules: float | None


class Meter:
    """The cost since it was made, and ``before``: that of earlier sessions of the same run.

    On a GPU the peak is that of the allocator, and the energy the whole card's; on a CPU the peak
    is the process's resident one since the meter was made (elsewhere than on Linux: since the
    process began), to which memory that was freed before does not count.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.before = device, Cost(0.0, 0, 0.0)
        self._start, self._start_joules = time.perf_counter(), _joules(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            release_freed_memory()
            with suppress(OSError):  # not Linux, or not allowed
                Path("/proc/self/clear_refs").write_text("5")  # the resident peak begins again

    @property
    def cost(self) -> Cost:
        """The cost of all sessions until now."""
        seconds, peak, joules = self.before
        start, now = self._start_joules, _joules(self.device)
        return Cost(
            seconds + time.perf_counter() - self._start,
            max(peak, _peak_bytes(self.device)),
            None if joules is None or start is None or now is None else joules + now - start,
        )


def _joules(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    try:
        import pynvml  # comes with nvidia-ml-py, where a user has installed it

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)
    except Exception:  # no such package, or a driver or card that does not report it
        return None


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
