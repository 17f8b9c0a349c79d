"""A run: from its spec to its record, found again by its signature.

``run`` makes one, ``load_model`` gives its trained model. A student's run trains its teacher first.
Versions, commit, machine and protocol in a record are those with which its training was begun.

Both leave the caller's random generators and number of threads as they were. What stays with the
process: on a CPU it keeps the memory that it frees (:mod:`idlib.training.memory`), and accelerate's
state is that of this run, until the next.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

import torch
from accelerate.utils import gather_object, wait_for_everyone
from filelock import FileLock, Timeout
from torch import nn

from idlib import protocol
from idlib.experiments.gpu_memory import release_gpu_memory
from idlib.experiments.measurement import measure
from idlib.experiments.specs import Plan, Spec
from idlib.experiments.workspace import Workspace
from idlib.method.distillation import frozen_teacher
from idlib.method.random_state import RandomState
from idlib.metrics.names import BEST, LOSS, SELECTIONS
from idlib.records import Cost, Origin, Record, origin
from idlib.training import checkpoints
from idlib.training.loop import Progress, Trained, train
from idlib.training.processes import (
    from_main,
    is_main_process,
    launched,
    processes,
    together,
)
from idlib.training.randomness import derive_seed, seed_everything
from idlib.training.settings import SettingsError, check_choice

_log = logging.getLogger(__name__)

LOCK = ".lock"  # in the folder of a run's checkpoints, held while it is worked on


def run(spec: Spec, workspace: Workspace | None = None, progress: Progress | None = None) -> Record:
    """The record of ``spec``: found in the store, or made by training and measuring.

    Args:
        spec: what is asked for.
        workspace: where records and checkpoints lie.
        progress: called with numbers of updates that have been made (or were found made).

    Raises:
        SettingsError, idlib.data.DataError: see :attr:`idlib.experiments.specs.Spec.plan`.
        idlib.protocol.ProtocolError: the protocol is not what its checksum says.
        idlib.training.loop.NonFiniteLoss: the loss became NaN or infinite.
        idlib.records.RecordError, idlib.training.checkpoints.CheckpointError: a damaged file.
    """
    workspace, plan = workspace or Workspace(), spec.plan
    finished = workspace.store.answer(plan.asked)
    if finished is not None:
        if progress:
            progress(plan.updates)
        return finished
    if is_main_process():
        workspace.check()
        protocol.sha256()  # of which a record tells; refused now, and not when training has ended
    with _as_asked(plan.settings.threads), together():
        trained = _trained(plan, workspace, progress)
        return from_main(_recorded(plan, workspace, trained) if is_main_process() else None)


def load_model(
    spec: Spec,
    checkpoint: str = BEST,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """A run's model in evaluation mode, trained now if its weights are not there.

    Args:
        spec: the run.
        checkpoint: ``best`` (by the task's validation metric), ``loss`` (lowest validation loss)
            or ``last`` (after the last update).
        workspace: where checkpoints lie.
        progress: called with numbers of updates, where it is trained.
    """
    check_choice("checkpoint", checkpoint, SELECTIONS)
    with _as_asked(spec.plan.settings.threads):
        trained = _trained(spec.plan, workspace or Workspace(), progress)
        return _load(spec.plan, trained.weights(checkpoint))


def check_device(plan: Plan) -> None:
    """Refuse a run on a GPU where there is none.

    Raises:
        SettingsError: naming the devices that there are.
    """
    if plan.asked.device_type == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device cuda was asked for, and torch finds no GPU: use cpu or auto")


def _trained(plan: Plan, workspace: Workspace, progress: Progress | None) -> Trained:
    """Train, or read back what was trained, this run and before it its teachers."""
    check_device(plan)
    processes(plan.asked.device_type)
    with _lock(workspace, plan):
        teacher = None
        folder = workspace.folder(plan.asked.signature)
        if launched() > 1:
            _check_shared(folder)
        if plan.settings.round and checkpoints.read_finished(folder) is None:
            before = plan.spec.round(plan.settings.round - 1).plan
            weights = _trained(before, workspace, None).weights(LOSS)
            teacher = frozen_teacher(_load(before, weights), before.task.forward)
        if is_main_process() and checkpoints.read_finished(folder) is None:
            _begin(plan, folder)
        seed_everything(derive_seed(plan.spec.seed, "round", plan.settings.round, "weights"))
        return train(
            plan.task.model(),
            plan.task,
            plan.settings,
            seed=plan.spec.seed,
            folder=folder,
            device=plan.asked.device_type,
            teacher=teacher,
            progress=progress,
        )


def _recorded(plan: Plan, workspace: Workspace, trained: Trained) -> Record:
    """Measure and save, unless another process was faster."""
    with _lock(workspace, plan):
        record = workspace.store.find(plan.asked.signature)
        if record is None:
            release_gpu_memory()  # a process that measures needs less of it than one that trains
            record = _record(plan, trained)
            workspace.store.save(record)
        return record


def _load(plan: Plan, weights: Path) -> nn.Module:
    model = checkpoints.load_weights(plan.task.model(), weights)
    return model.to(plan.asked.device_type).eval()


def _begin(plan: Plan, folder: Path) -> None:
    """Keep by whom a training is begun, or say where somebody else goes on with it."""
    if checkpoints.state_path(folder) is None:
        checkpoints.save_origin(folder, _origin(plan).model_dump(mode="json"))
    else:
        _begun(plan, folder, "goes on")


def _begun(plan: Plan, folder: Path, now: str) -> Origin:
    """Where and with what a training was begun; of this process, where that was not kept."""
    here = _origin(plan)
    with suppress(ValueError):  # of another version of idlib
        begun = Origin.model_validate(checkpoints.read_origin(folder))
        if differing := _differing(begun, here):
            _log.warning(
                "the run %s %s otherwise than it was begun, of which its record tells: %s",
                plan.asked.signature,
                now,
                "; ".join(differing),
            )
        return begun.model_copy(update={"created": here.created})
    return here


def _differing(then: Origin, now: Origin) -> list[str]:
    """What is not the same of two processes, in words."""
    before, after = (
        {**one.versions, **one.model_dump(include={"commit", "device", "protocol"})}
        for one in (then, now)
    )
    return [
        f"{name} was {before.get(name)} and is {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _origin(plan: Plan) -> Origin:
    device = torch.device(plan.asked.device_type)
    return origin(torch.cuda.get_device_name(device) if device.type == "cuda" else None)


def _record(plan: Plan, trained: Trained) -> Record:
    return Record(
        signature=plan.asked.signature,
        asked=plan.asked,
        measured=measure(plan, trained, lambda name: _load(plan, trained.weights(name))),
        cost=Cost(
            seconds=trained.seconds,
            peak_memory_bytes=trained.peak_memory_bytes,
            energy_joules=trained.energy_joules,
        ),
        origin=_begun(plan, trained.folder, "is measured"),
    )


def _lock(workspace: Workspace, plan: Plan) -> AbstractContextManager[object]:
    """One process (or one group of them) at a time works on a run's folder."""
    if not is_main_process():
        return nullcontext()
    workspace.check_checkpoints()
    folder = workspace.folder(plan.asked.signature)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"another process works on this run; waiting for it ({folder})", file=sys.stderr)
        return lock


def _check_shared(folder: Path) -> None:
    """Refuse a folder of checkpoints that not all processes of the run see.

    Raises:
        SettingsError: naming the option that gives another.
    """
    wait_for_everyone()  # the main process has made the folder, and nobody writes to it yet
    listed = folder / checkpoints.CHECKSUMS
    here = (folder / LOCK).exists(), listed.read_text() if listed.exists() else ""
    seen = gather_object([here])
    if len(set(seen)) > 1:
        raise SettingsError(
            f"the folder of checkpoints {folder.parent} is not the same for the {len(seen)} "
            "processes of the run: give one that all machines share, by --checkpoints"
        )


@contextmanager
def _as_asked(threads: int) -> Iterator[None]:
    """So many threads inside; afterwards these and the random generators are as before."""
    before, draws = torch.get_num_threads(), RandomState.now()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        draws.restore()
        torch.set_num_threads(before)
