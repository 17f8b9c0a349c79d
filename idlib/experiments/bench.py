"""Time and memory of the methods, side by side in one run.

Each method trains the same task at the same profile; they take turns, update by update, so that
a machine that slows down slows all of them. What is quoted are ratios of medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from idlib.data import DataError
from idlib.experiments.specs import Spec
from idlib.models.encoders import EncoderError
from idlib.training.loop import train
from idlib.training.meter import Meter
from idlib.training.randomness import seed_everything
from idlib.training.settings import METHODS, PROFILES, SettingsError, default_source


class _Enough(Exception):
    """Enough updates were timed."""


class Timed(NamedTuple):
    """Wall seconds of single updates, and the peak memory of making them, in bytes."""

    seconds: list[float]
    peak_memory_bytes: int


def time_updates(spec: Spec, updates: int) -> Timed:
    """Time the first ``updates`` updates of a run, one left out at the beginning."""
    times: list[float] = []

    def tick(_: int) -> None:
        times.append(time.perf_counter())
        if len(times) == updates + 2:  # one when the loop begins, one for the update left out
            raise _Enough

    plan = spec.plan
    meter = Meter(torch.device(plan.asked.device_type))
    torch.set_num_threads(plan.settings.threads)
    seed_everything(spec.seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            train(
                plan.task.model(),
                plan.task,
                plan.settings.model_copy(update={"epochs": updates + 2}),
                seed=spec.seed,
                folder=Path(folder),
                device=plan.asked.device_type,
                progress=tick,
            )
        except _Enough:
            pass
    seconds = [later - earlier for earlier, later in zip(times[1:], times[2:], strict=False)]
    return Timed(seconds, meter.cost.peak_memory_bytes)


def compare(task: str, profile: str, rounds: int = 5, updates: int = 4) -> dict[str, Timed]:
    """Each method's updates, timed in turns, and its largest peak."""
    source = default_source(profile)
    timed = {method: Timed([], 0) for method in METHODS}
    for _ in tqdm(range(rounds), desc="turns"):
        for method, before in timed.items():
            seconds, peak = time_updates(Spec(task, method, profile, source), updates)
            timed[method] = Timed(before.seconds + seconds, max(before.peak_memory_bytes, peak))
    return timed


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison as a table; return the exit code (2: a wrong argument)."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="images")
    parser.add_argument("--profile", default="small", choices=PROFILES)
    parser.add_argument("--rounds", type=int, default=5, help="turns that each method takes")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error(f"argument --rounds: {given.rounds} turns time nothing: give at least 1")
    try:
        timed = compare(given.task, given.profile, given.rounds)
    except (SettingsError, DataError, EncoderError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    base = statistics.median(timed["baseline"].seconds)
    print(f"{given.task}, profile {given.profile}: one update, median over turns, and peak memory")
    for method, (times, peak) in timed.items():
        seconds = statistics.median(times)
        ratio, megabytes = seconds / base, peak / 2**20
        print(f"{method:>10} {seconds:8.4f} s {ratio:6.2f} × baseline {megabytes:8.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
