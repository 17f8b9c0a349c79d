"""A benchmark from its suites to its file: one worker process, whose loss costs one arm.

A worker keeps the memory that it frees, as training does, or does not. The file is written
again after every case, so that what was measured before an end from outside stays.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

import torch
from tqdm import tqdm

from idlib.bench.arms import Case
from idlib.bench.measure import explained, measure
from idlib.bench.suites import cases_of
from idlib.costs import ArmCost, CaseCosts, Costs, cores
from idlib.records import origin
from idlib.training.memory import keep_freed_memory
from idlib.training.settings import SettingsError, check_choice

DEVICES = ("cpu", "cuda")
LIMIT_SECONDS = 300.0  # that an arm may take to prepare itself, or to take a turn
THREADS = 1  # of each operation, as in a run
BROKEN_DEVICE = "CUDA error"  # after which a process can do nothing on its device
SILENT = "it did not end within {limit:g} seconds"
ENDED = "its process was ended from outside, as the system does where memory runs out"


@dataclass(frozen=True)
class Asked:
    """A benchmark; its cases are found again by it in another process.

    Attributes:
        suites: of ``suites.SUITES``; none for all.
        device: ``cpu`` or ``cuda``.
        repeats: turns that each arm takes.
        quick: whether tiny cases are measured instead.
        limit_seconds: after which an arm that does not end is given up.
    """

    suites: tuple[str, ...] = ()
    device: str = "cpu"
    repeats: int = 5
    quick: bool = False
    limit_seconds: float = LIMIT_SECONDS

    @property
    def cases(self) -> list[Case]:
        """In the order that they are measured in."""
        return cases_of(self.suites, self.device, self.quick)

    def check(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            SettingsError: an unknown suite or device, or no such device.
        """
        check_choice("device", self.device, DEVICES)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError("device cuda: torch finds no GPU here; take --device cpu")
        if self.repeats < 1:
            raise SettingsError(f"repeats = {self.repeats}: give at least 1")
        _ = self.cases


@dataclass
class Progress:
    """What the worker has told: the case at hand, and the arms of it that ended a process."""

    bar: tqdm[NoReturn]
    arm: str | None = None
    failed: dict[str, str] = field(default_factory=dict)


def run(asked: Asked, out: Path | None = None) -> Costs:
    """Measure all cases; the file, if there is one, is written after each.

    Raises:
        SettingsError: as :meth:`Asked.check`.
    """
    asked.check()
    cases = asked.cases
    costs = Costs(
        origin=origin(torch.cuda.get_device_name() if asked.device == "cuda" else None),
        device_type=asked.device,
        cores=cores(),
        threads=THREADS,
        repeats=asked.repeats,
    )
    with tqdm(total=len(cases), desc="bench", unit="case") as bar:
        for measured in _measured(asked, cases, bar):
            costs = costs.model_copy(update={"cases": (*costs.cases, measured)})
            if out is not None:
                costs.write(out)
            bar.update()
    return costs


def _measured(asked: Asked, cases: list[Case], bar: tqdm[NoReturn]) -> Iterator[CaseCosts]:
    """Each case's costs; a worker that is lost is started again without the arm that it was at."""
    place, progress = 0, Progress(bar)
    while place < len(cases):
        kept = cases[place].memory_kept
        stop = next(
            (n for n in range(place, len(cases)) if cases[n].memory_kept != kept), len(cases)
        )
        for measured in _from_worker(asked, range(place, stop), kept, progress):
            place += 1
            progress.failed = {}
            yield measured
        if place < stop:  # the worker is gone
            if progress.arm is None:
                yield _all_failed(cases[place])
                place, progress.failed = place + 1, {}
            else:
                progress.failed.setdefault(progress.arm, ENDED)


def _from_worker(
    asked: Asked, places: range, kept: bool, progress: Progress
) -> Iterator[CaseCosts]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = asked, places, kept, dict(progress.failed), sender
    process = context.Process(target=_work, args=arguments)
    progress.arm = None
    process.start()
    sender.close()
    try:
        while True:
            if not receiver.poll(asked.limit_seconds) and progress.arm is not None:
                progress.failed[progress.arm] = SILENT.format(limit=asked.limit_seconds)
                return
            kind, told = receiver.recv()
            if kind == "case":
                progress.arm = None
                yield told
            elif kind == "arm":
                progress.arm = told
                progress.bar.set_postfix_str(told, refresh=sys.stderr.isatty())
            else:
                arm, reason = told
                progress.arm, progress.failed[arm] = arm, reason
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()


def _work(
    asked: Asked, places: range, kept: bool, failed: Mapping[str, str], sender: Connection
) -> None:
    torch.set_num_threads(THREADS)
    if kept:  # for all of the process's life
        keep_freed_memory()
    cases, device = asked.cases, torch.device(asked.device)
    for place in places:
        at: list[str] = []

        def tell(arm: str, at: list[str] = at) -> None:
            at.append(arm)
            sender.send(("arm", arm))

        try:
            measured = measure(cases[place], device, asked.repeats, failed, tell)
        except Exception as error:  # not an arm's, but of what all of them share
            measured = _all_failed(cases[place], explained(error))
        broken = [arm for arm in measured.arms if BROKEN_DEVICE in (arm.failed or "")]
        if broken and broken[0].arm not in failed:
            sender.send(("failed", (broken[0].arm, broken[0].failed)))
            return
        sender.send(("case", measured))
        failed = {}


def _all_failed(case: Case, reason: str = ENDED) -> CaseCosts:
    return CaseCosts(
        suite=case.suite,
        case=case.name,
        about={},
        memory_kept=case.memory_kept,
        arms=(ArmCost(arm="all", title="all arms", failed=reason),),
    )
