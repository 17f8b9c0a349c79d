"""What a run costs: wall seconds, peak memory, and energy where the driver tells it."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import torch


class Meter:
    """Seconds, peak bytes and joules since it was made, plus what :meth:`add` brings along.

    On a GPU the peak is that of the allocator; on a CPU it is the process's resident peak since
    the meter was made (Linux; elsewhere since the process began).
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._earlier_seconds, self._earlier_peak = 0.0, 0
        self._earlier_joules: float | None = 0.0
        self._start, self._start_joules = time.perf_counter(), _joules(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _reset_resident_peak()

    def add(self, seconds: float, joules: float | None, peak_bytes: int) -> None:
        """Count an earlier session of the same run."""
        self._earlier_seconds += seconds
        known = joules is not None and self._earlier_joules is not None
        self._earlier_joules = self._earlier_joules + joules if known else None
        self._earlier_peak = max(self._earlier_peak, peak_bytes)

    @property
    def seconds(self) -> float:
        """Wall seconds over all sessions."""
        return self._earlier_seconds + time.perf_counter() - self._start

    @property
    def energy_joules(self) -> float | None:
        """Joules that the GPU drew over all sessions; ``None`` where nothing told it in one."""
        now = _joules(self.device)
        if now is None or self._start_joules is None or self._earlier_joules is None:
            return None
        return self._earlier_joules + now - self._start_joules

    @property
    def peak_memory_bytes(self) -> int:
        """The largest peak of all sessions."""
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device)
        else:
            peak = _resident_peak()
        return max(self._earlier_peak, peak)


def _joules(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    try:
        import pynvml  # comes with nvidia-ml-py, where a user has installed it

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    except Exception:  # no such package, or a driver or card that does not tell
        return None


def _reset_resident_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or not allowed: the peak then counts from the process's beginning


def _resident_peak() -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
