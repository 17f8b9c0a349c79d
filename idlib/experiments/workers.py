"""Many runs, side by side in worker processes.

Rounds of self-distillation depend on each other and make one chain, in one process; chains are
independent and go to as many processes as there are cores, and as fit into the memory of a GPU.
Order and number of processes never change a record.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from threading import RLock, Thread
from typing import NamedTuple

from tqdm import tqdm

from idlib import protocol
from idlib.experiments.gpu_memory import (
    REMEDY,
    Look,
    Memory,
    fitting,
    gpu_memory,
    ran_out,
    release_gpu_memory,
)
from idlib.experiments.runs import check_device, run
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.records import Record
from idlib.training.loop import Progress
from idlib.training.settings import SettingsError

UPDATES_MEASURED = 200  # of a first run, at most, before others run beside it on a GPU
UPDATES_WORTH_A_PROCESS = 100  # a process takes seconds to start
POLL_SECONDS = 0.2  # between looks at the progress of the worker processes

Chain = list[Spec]
"""Runs that differ only in their round of self-distillation, in order."""

Make = Callable[[Spec, Workspace, Progress], object]


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
        workers: processes; by default as many as the cores hold, and one for so little work that
            starting more would take longer. One is this process itself. On a GPU no more run side
            by side than fit into its memory (:func:`run_side_by_side`).
        workspace: where records and checkpoints lie.
        description: label of the progress bar.

    Raises:
        SettingsError: ``workers`` below 1, or a GPU is asked for where there is none.
        idlib.protocol.ProtocolError: the protocol is not what its checksum says.
        RunsFailed: some failed; the message names each and its reason. The others are recorded.
    """
    workspace = workspace or Workspace()
    if workers is not None and workers < 1:
        raise SettingsError(f"workers = {workers}: give at least 1, or None for as many as fit")
    missing = [spec for spec in specs if workspace.store.answer(spec.plan.asked) is None]
    if missing:
        for spec in missing:
            check_device(spec.plan)
        workspace.check()
        protocol.sha256()
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


class Outcome(NamedTuple):
    """What became of a chain.

    Attributes:
        failures: for each failed run a line with the reason.
        updates: that were counted.
        ran_out: whether the GPU's memory did not suffice; another try is worth while.
        memory: of the GPU at the end, where it was to be looked at.
    """

    failures: list[str]
    updates: int
    ran_out: bool
    memory: Memory | None = None


def _run_chains(
    chains: list[Chain], workers: int | None, workspace: Workspace, description: str
) -> None:
    updates = sum(spec.plan.updates for chain in chains for spec in chain)
    runs = sum(map(len, chains))
    workers = min(workers or _default_workers(chains[0][0], updates), len(chains))
    look = gpu_memory if chains[0][0].plan.asked.device_type == "cuda" else None
    with tqdm(total=updates, desc=f"{description} ({runs} runs)", unit="update") as bar:
        if workers > 1:
            failures = run_side_by_side(chains, workers, workspace, bar.update, look)
        else:
            failures = [
                reason
                for chain in chains
                for reason in _run_chain(chain, workspace, bar.update, run).failures
            ]
    if failures:
        raise RunsFailed(
            f"{len(failures)} of {runs} runs failed, the others are recorded:\n"
            + "\n".join(failures)
        )


def _default_workers(spec: Spec, updates: int) -> int:
    """As many as the cores hold: on a GPU, too, where small models wait for their launches."""
    if updates < UPDATES_WORTH_A_PROCESS:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // spec.plan.settings.threads)


def run_side_by_side(
    chains: list[Chain],
    workers: int,
    workspace: Workspace,
    progress: Progress,
    look: Look | None = None,
    make: Make = run,
) -> list[str]:
    """Run chains in worker processes, and return a line for each run that failed.

    On a GPU a chain of most passes runs alone at first, until it has shown what it needs; then
    as many run side by side as fit, in the order given. A chain that ran out of memory all the
    same goes on when the others have finished, alone.

    Args:
        chains: to be run.
        workers: the most processes.
        workspace: where records and checkpoints lie.
        progress: called with numbers of updates.
        look: what tells the memory of the GPU in a worker process, on a GPU.
        make: makes one run.

    Raises:
        RunsFailed: a process was ended from outside.
    """
    if look is not None:
        largest = max(chains, key=lambda chain: max(s.plan.settings.passes for s in chain))
        chains = [largest, *(chain for chain in chains if chain is not largest)]
    failures, again = _in_pool(chains, workers, workspace, progress, look, make)
    for chain in again:  # each in a new process, so that no other one holds memory
        failures += _in_pool([chain], 1, workspace, progress, None, make)[0]
    return failures


def _in_pool(
    chains: list[Chain],
    workers: int,
    workspace: Workspace,
    progress: Progress,
    look: Look | None,
    make: Make,
) -> tuple[list[str], list[Chain]]:
    """Lines of what failed, and the chains that ran out of memory while others ran."""
    context, others = multiprocessing.get_context("spawn"), multiprocessing.active_children()
    receiver, sender = context.Pipe(duplex=False)
    waiting, pending = deque(chains), dict[Future[Outcome], Chain]()
    failures: list[str] = []
    again: list[Chain] = []
    together = workers if look is None else 1
    needed: Memory | None = None
    with (
        receiver,
        sender,
        ProcessPoolExecutor(workers, context, _start_worker, (sender,)) as pool,
    ):
        try:
            while waiting or pending:
                with _uninterrupted():
                    while waiting and len(pending) < together:
                        chain = waiting.popleft()
                        # Plans hold data: a worker makes its own from a spec without one.
                        bare = [replace(spec) for spec in chain]
                        after = _measured_after(chain[0])
                        job = pool.submit(_run_in_worker, bare, workspace, look, after, make)
                        pending[job] = chain
                done, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                seen: list[Memory] = []
                while receiver.poll():
                    message = receiver.recv()
                    if isinstance(message, Memory):
                        seen.append(message)
                    else:
                        progress(message)
                for job in done:
                    chain, outcome = pending.pop(job), job.result()
                    if outcome.ran_out and len(chains) > 1:
                        again.append(chain)
                        progress(-outcome.updates)  # they are counted again
                    else:
                        failures += outcome.failures
                    seen += [outcome.memory] if outcome.memory else []
                for memory in seen:  # the first comes from a process that is alone
                    needed = memory if needed is None else needed.with_peak(memory.peak)
                    together = min(workers, fitting(needed))
            return failures, again
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
    # Bars of several processes would overwrite each other, and that of all runs.
    setattr(tqdm, "status_printer", staticmethod(_silent))  # noqa: B010  (mypy refuses the other)
    Thread(target=_end_with_parent, daemon=True).start()


def _silent(_file: object) -> Callable[[str], None]:
    return lambda text: None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a worker process"
    parent.join()
    os._exit(1)


def _run_in_worker(
    chain: Chain, workspace: Workspace, look: Look | None, after: int, make: Make
) -> Outcome:
    assert _sender is not None, "the pool has started this process by _start_worker"
    sender, made, told = _sender, 0, False

    def report(updates: int) -> None:
        nonlocal made, told
        sender.send(updates)
        made += updates
        if look is not None and not told and made >= after:
            sender.send(look())
            told = True

    outcome = _run_chain(chain, workspace, report, make)
    if look is None or outcome.ran_out:  # then the peak is what there was, and not what it needs
        memory = None
    else:
        memory = look()
    release_gpu_memory()
    return outcome._replace(memory=memory)


def _measured_after(spec: Spec) -> int:
    """The update after which a run has shown what it needs: with its first evaluation, if soon."""
    plan = spec.plan
    settings = plan.settings
    epoch = plan.updates // (settings.epochs * settings.stretch)
    return min((settings.evaluate_every or epoch) * settings.stretch, UPDATES_MEASURED)


def _run_chain(chain: Chain, workspace: Workspace, progress: Progress, make: Make) -> Outcome:
    """Run one after the other; a failure ends the chain and is returned as text."""
    made = 0

    def count(updates: int) -> None:
        nonlocal made
        made += updates
        progress(updates)

    for position, spec in enumerate(chain):
        try:
            make(spec, workspace, count)
        except Exception as error:
            later = len(chain) - position - 1
            skipped = f" ({later} later rounds were not run)" if later else ""
            remedy = f" ({REMEDY})" if ran_out(error) else ""
            line = f"- {spec.description}: {type(error).__name__}: {error}{remedy}{skipped}"
            return Outcome([line], made, ran_out(error))
    return Outcome([], made, False)
