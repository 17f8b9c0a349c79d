"""How a case is measured: its arms in turns in one process, memory in a process for each of them.

Arms take turns (ABCABC), so that a machine that slows down slows all of them. On a GPU the time is
that between two events on the device, of calls that are sent ahead as training sends them; waiting
for the processor shows as it does there. On a processor memory is measured in a forked process for
each arm, since malloc keeps what an earlier arm has freed; on a GPU it is what the allocator gave.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import torch

from idlib.bench.arms import Arm, Call, Case
from idlib.costs import ArmCost, CaseCosts, Spread, ratios_of
from idlib.training.meter import Meter

CALLS_OF_MEMORY = 2  # an optimizer's state stands from the end of the first update on
CALLS_OF_A_TURN = 3  # on a GPU, sent ahead; the first is not counted
OUT_OF_MEMORY = "out of memory"


class ArmFailed(RuntimeError):
    """An arm failed in another process; the message is its reason."""


Tell = Callable[[str], object]
"""Told the name of each arm before anything is done for it."""


def measure(
    case: Case,
    device: torch.device,
    repeats: int,
    skip: Mapping[str, str] | None = None,
    tell: Tell = lambda arm: None,
) -> CaseCosts:
    """Time and memory of each arm of a case.

    Args:
        case: to measure.
        device: to measure on.
        repeats: turns that each arm takes.
        skip: arms that failed before in a way that a process does not survive, and how.
        tell: told of each arm before it runs.
    """
    setup = case.set_up(device)
    arms = case.arms(setup)
    failed, peaks, calls = dict(skip or {}), {}, {}
    if device.type != "cpu":
        _warm(arms, setup, device)
    for arm in (arm for arm in arms if arm.name not in failed):
        tell(arm.name)
        try:
            if device.type == "cpu":
                peaks[arm.name] = _in_a_process_of_its_own(arm, setup, device)
                calls[arm.name] = arm.prepare(setup)
                _seconds(calls[arm.name], device)
            else:
                calls[arm.name] = arm.prepare(setup)
                peaks[arm.name] = _peak_above(calls[arm.name], device)
        except Exception as error:
            failed[arm.name] = explained(error)
            calls.pop(arm.name, None)
            _forget(device)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for arm in (arm for arm in arms if arm.name in seconds):
            tell(arm.name)
            try:
                seconds[arm.name].append(arm.factor * _seconds(calls[arm.name], device))
            except Exception as error:
                failed[arm.name] = explained(error)
                del seconds[arm.name], calls[arm.name]
                _forget(device)
    return _costs(case, arms, seconds, peaks, failed)


def explained(error: BaseException) -> str:
    """The first line of an error, and its type where that says more."""
    lines = str(error).splitlines() or [type(error).__name__]
    if isinstance(error, ArmFailed):
        return lines[0]
    if OUT_OF_MEMORY in lines[0]:
        return OUT_OF_MEMORY
    return f"{type(error).__name__}: {lines[0]}"[:200]


def _costs(
    case: Case,
    arms: list[Arm],
    seconds: dict[str, list[float]],
    peaks: Mapping[str, int | None],
    failed: Mapping[str, str],
) -> CaseCosts:
    ratios = ratios_of(seconds, case.references)
    rates = {
        arm.name: arm.flops / statistics.median(seconds[arm.name])
        for arm in arms
        if arm.flops and arm.name in seconds
    }
    most = rates.pop(case.ceiling, None)
    return CaseCosts(
        suite=case.suite,
        case=case.name,
        about=case.about,
        memory_kept=case.memory_kept,
        arms=tuple(
            ArmCost(
                arm=arm.name,
                title=arm.title,
                seconds=Spread.of(seconds[arm.name]) if arm.name in seconds else None,
                ratios=ratios.get(arm.name, {}),
                peak_bytes=peaks.get(arm.name) if arm.name in seconds else None,
                utilisation=rates[arm.name] / most if most and arm.name in rates else None,
                failed=failed.get(arm.name),
            )
            for arm in arms
        ),
    )


def _seconds(call: Call, device: torch.device) -> float:
    """Of one call; on a GPU the median of a few."""
    if device.type == "cpu":
        made = call.make()
        began = time.perf_counter()
        call.run(made)
        return time.perf_counter() - began
    events = []
    for _ in range(CALLS_OF_A_TURN):
        made = call.make()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call.run(made)
        end.record()
        events.append((start, end))
        del made
    torch.cuda.synchronize(device)
    return statistics.median(float(start.elapsed_time(end)) for start, end in events[1:]) / 1000


def _warm(arms: list[Arm], setup: Any, device: torch.device) -> None:
    """Let the libraries take the workspaces that they keep, which are no arm's memory."""
    with suppress(Exception):  # what fails here fails again where it is told of
        call = arms[0].prepare(setup)
        call.run(call.make())
    _forget(device)


def _peak_above(call: Call, device: torch.device) -> int:
    """Bytes at the peak of a few calls, above what stood before the first."""
    made = [call.make() for _ in range(CALLS_OF_MEMORY)]
    meter = Meter(device)
    before = meter.cost.peak_memory_bytes
    for one in made:
        call.run(one)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return meter.cost.peak_memory_bytes - before


def _in_a_process_of_its_own(arm: Arm, setup: Any, device: torch.device) -> int | None:
    """The same in a forked process; ``None`` where there are none.

    Raises:
        ArmFailed: it failed there, or the system ended the process.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_memory, args=(arm, setup, device, sender))
    process.start()
    sender.close()
    try:
        answer: int | str = receiver.recv()
    except EOFError:
        answer = OUT_OF_MEMORY  # the system ends a process without a word where there is none left
    process.join()
    if isinstance(answer, str):
        raise ArmFailed(answer)
    return answer


def _measure_memory(arm: Arm, setup: Any, device: torch.device, sender: Connection) -> None:
    try:
        call = arm.prepare(setup)
        call.run(call.make())  # code and the libraries' buffers come into memory
        del call  # what it held is given back to the system when the meter starts
        gc.collect()
        call = arm.prepare(setup)
        sender.send(_peak_above(call, device))
    except Exception as error:
        sender.send(explained(error))


def _forget(device: torch.device) -> None:
    """Free what a failed arm held."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
