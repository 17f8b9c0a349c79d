"""Many runs, side by side in worker processes.

Rounds of self-distillation depend on each other and make one chain, in one process; chains are
independent and go to as many processes as there are cores. Order and number of processes never
change a record.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from threading import RLock, Thread

from tqdm import tqdm

from idlib.experiments.runs import run
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.records import Record
from idlib.training.loop import Progress
from idlib.training.settings import SettingsError

UPDATES_WORTH_A_PROCESS = 100  # a process takes seconds to start
POLL_SECONDS = 0.2  # between looks at the progress of the worker processes

Chain = list[Spec]
"""Runs that differ only in their round of self-distillation, in order."""


class RunsFailed(RuntimeError):
    """Some runs failed; the others were finished and recorded."""


def run_all(
    specs: Sequence[Spec],
    *,
    workers: int | None = None,
    workspace: Workspace | None = None,
    description: str = "training",
) -> list[Record]:
    """Records of ``specs``, in their order; what is in the store already is not run again.

    Every spec is checked before anything is trained. One progress bar counts updates.

    Args:
        specs: any runs; rounds of self-distillation of one model are run one after the other.
        workers: processes; by default as many as the cores hold, and one on a GPU or for so
            little work that starting more would take longer. One is this process itself.
        workspace: where records and checkpoints lie.
        description: label of the progress bar.

    Raises:
        SettingsError: ``workers`` below 1.
        RunsFailed: some failed; the message names each and its reason. The others are recorded.
    """
    workspace = workspace or Workspace()
    if workers is not None and workers < 1:
        raise SettingsError(f"workers = {workers}: give at least 1, or None for as many as fit")
    missing = [spec for spec in specs if workspace.store.answer(spec.plan.asked) is None]
    if missing:
        workspace.check()
        _run_chains(_chains(missing), workers, workspace, description)
    return [run(spec, workspace) for spec in specs]


def _chains(specs: Sequence[Spec]) -> list[Chain]:
    """Seed by seed, and of one seed those with most work first."""
    chains: dict[str, Chain] = defaultdict(list)
    for spec in specs:
        asked = spec.plan.asked
        settings = {name: value for name, value in asked.settings.items() if name != "round"}
        key = asked.model_copy(update={"settings": settings}).signature
        chains[key].append(spec)
    for chain in chains.values():
        chain.sort(key=lambda spec: spec.plan.settings.round)
    return sorted(chains.values(), key=lambda chain: (chain[0].seed, -_work(chain)))


def _work(chain: Chain) -> int:
    return sum(spec.plan.updates * spec.plan.settings.passes for spec in chain)


def _run_chains(
    chains: list[Chain], workers: int | None, workspace: Workspace, description: str
) -> None:
    updates = sum(spec.plan.updates for chain in chains for spec in chain)
    runs = sum(map(len, chains))
    workers = min(workers or _default_workers(chains[0][0], updates), len(chains))
    failures: list[str] = []
    with tqdm(total=updates, desc=f"{description} ({runs} runs)", unit="update") as bar:
        if workers > 1:
            failures = _run_side_by_side(chains, workers, workspace, bar.update)
        else:
            for chain in chains:
                failures += _run_chain(chain, workspace, bar.update)
    if failures:
        raise RunsFailed(
            f"{len(failures)} of {runs} runs failed, the others are recorded:\n"
            + "\n".join(failures)
        )


def _default_workers(spec: Spec, updates: int) -> int:
    plan = spec.plan
    if plan.asked.device_type == "cuda" or updates < UPDATES_WORTH_A_PROCESS:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // plan.settings.threads)


def _run_side_by_side(
    chains: list[Chain], workers: int, workspace: Workspace, progress: Progress
) -> list[str]:
    context, others = multiprocessing.get_context("spawn"), multiprocessing.active_children()
    receiver, sender = context.Pipe(duplex=False)
    failures: list[str] = []
    with (
        receiver,
        sender,
        ProcessPoolExecutor(workers, context, _start_worker, (sender,)) as pool,
    ):
        try:
            with _uninterrupted():
                # Plans hold data: a worker makes its own from a copy of the spec without one.
                bare = [[replace(spec) for spec in chain] for chain in chains]
                pending = {pool.submit(_run_in_worker, chain, workspace) for chain in bare}
            while pending:
                done, pending = wait(pending, timeout=POLL_SECONDS)
                while receiver.poll():
                    progress(receiver.recv())
                failures += [reason for future in done for reason in future.result()]
            return failures
        except BrokenProcessPool:
            raise RunsFailed(
                "a training process was ended from outside, as the system does where memory runs "
                f"out, and with it the others ({workers} ran side by side; fewer need less). "
                "What was trained is kept: the same command goes on from there"
            ) from None
        except BaseException:  # Ctrl-C too: else the pool would wait for what is being trained
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
            raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes started inside never see Ctrl-C; here it comes when the block has ended.

    A terminal sends it to all of them, and a worker would give its run up and take the next one.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In a worker process: where it sends the numbers of updates that it has made. All workers share it
# without a lock, which a killed one would leave locked: a number is so short that it is written
# whole.
_sender: Connection | None = None


def _start_worker(sender: Connection) -> None:
    global _sender
    _sender = sender
    tqdm.set_lock(RLock())  # its own has a semaphore, which an ended process would leave behind
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a worker process"
    parent.join()
    os._exit(1)


def _run_in_worker(chain: Chain, workspace: Workspace) -> list[str]:
    assert _sender is not None, "the pool has started this process by _start_worker"
    return _run_chain(chain, workspace, _sender.send)


def _run_chain(chain: Chain, workspace: Workspace, progress: Progress) -> list[str]:
    """Run one after the other; a failure ends the chain and is returned as text."""
    for position, spec in enumerate(chain):
        try:
            run(spec, workspace, progress)
        except Exception as error:
            later = len(chain) - position - 1
            skipped = f" ({later} later rounds were not run)" if later else ""
            return [f"- {spec.description}: {type(error).__name__}: {error}{skipped}"]
    return []
