"""Time and memory of the methods, side by side in one run.

Each method trains the same task at the same profile; they take turns, update by update, so that
a machine that slows down slows all of them. What is quoted are ratios of medians.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from idlib.experiments.runs import check_device
from idlib.experiments.specs import Plan, Spec
from idlib.training.loop import train
from idlib.training.meter import Meter
from idlib.training.randomness import seed_everything
from idlib.training.settings import METHODS


class _Enough(Exception):
    """Enough updates were timed."""


class Timing(NamedTuple):
    """Wall seconds of single updates, and the peak memory of making them, in bytes."""

    seconds: list[float]
    peak_memory_bytes: int


def time_updates(plan: Plan, updates: int) -> Timing:
    """Time the first ``updates`` updates of a run, one left out at the beginning."""
    times: list[float] = []

    def tick(_: int) -> None:
        times.append(time.perf_counter())
        if len(times) == updates + 2:  # one when the loop begins, one for the update left out
            raise _Enough

    meter = Meter(torch.device(plan.asked.device_type))
    torch.set_num_threads(plan.settings.threads)
    seed_everything(plan.spec.seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_Enough):
        train(
            plan.task.model(),
            plan.task,
            plan.settings.model_copy(update={"epochs": updates + 2}),
            seed=plan.spec.seed,
            folder=Path(folder),
            device=plan.asked.device_type,
            progress=tick,
        )
    seconds = [later - earlier for earlier, later in pairwise(times[1:])]
    return Timing(seconds, meter.cost.peak_memory_bytes)


def compare(
    task: str, profile: str, rounds: int = 5, updates: int = 4, device: str = "auto"
) -> dict[str, Timing]:
    """Each method's updates, timed in turns, and its largest peak.

    Raises:
        SettingsError: no such task, profile or device.
    """
    plans = {method: Spec(task, method, profile, device=device).plan for method in METHODS}
    for plan in plans.values():
        check_device(plan)
    timings = {method: Timing([], 0) for method in METHODS}
    for _ in tqdm(range(rounds), desc="turns"):
        for method, before in timings.items():
            seconds, peak = time_updates(plans[method], updates)
            peak = max(before.peak_memory_bytes, peak)
            timings[method] = Timing(before.seconds + seconds, peak)
    return timings


def table(timings: Mapping[str, Timing]) -> str:
    """For each method a line: median seconds, as a multiple of the baseline's, and peak memory."""
    medians = {method: statistics.median(timing.seconds) for method, timing in timings.items()}
    return "\n".join(
        f"{method:>10} {medians[method]:8.4f} s {medians[method] / medians['baseline']:6.2f} "
        f"× baseline {timing.peak_memory_bytes / 2**20:8.0f} MiB"
        for method, timing in timings.items()
    )
