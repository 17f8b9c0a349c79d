"""The commands that make runs: one, the grid of a task, or those that the protocol registers."""

from __future__ import annotations

from typing import Annotated

import typer
from tqdm import tqdm

from idlib.commands.arguments import numbers_of, settings_of
from idlib.commands.options import (
    Changes,
    Checkpoints,
    Device,
    Folder,
    Method,
    Profile,
    Seed,
    Source,
    TaskName,
    Workers,
)
from idlib.commands.output import AT_FIRST_UPDATE, AsJson, print_json, tell_what_is_left_out
from idlib.commands.records import print_record
from idlib.experiments.workspace import CHECKPOINTS, Workspace
from idlib.records import EVIDENCE_STORE, WORKING_STORE, Store


def run_command(
    task: TaskName,
    method: Method = "id",
    seed: Seed = 1,
    profile: Profile = "small",
    source: Source = None,
    set_: Changes = None,
    device: Device = "auto",
    as_json: AsJson = False,
    records: Folder = WORKING_STORE,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Make one run and print its record's main numbers; a finished run is found again.

    Stopped at any point, the same command goes on where it was. On several devices:
    torchrun --standalone --nproc-per-node N -m idlib run ...

    Example: idlib run images --method id --seed 1 --profile small --set alpha=2.5
    """
    from idlib.experiments.runs import run
    from idlib.experiments.specs import Spec
    from idlib.training.processes import is_main_process

    spec = Spec(task, method, profile, source, seed, settings_of(set_ or []), device)
    quiet, updates = not is_main_process(), spec.plan.updates
    if not quiet:
        tell_what_is_left_out([spec])
    with tqdm(
        total=updates, desc=spec.description, unit="update", disable=quiet, delay=AT_FIRST_UPDATE
    ) as bar:
        record = run(spec, Workspace(Store(records), checkpoints), bar.update)
    if not quiet:
        print_record(record, as_json)


def grid_command(
    task: TaskName,
    seeds: Annotated[str, typer.Option(help="Comma-separated integers.")] = "1",
    profile: Profile = "small",
    source: Source = None,
    rounds: Annotated[int, typer.Option(min=0, help="Rounds of self-distillation.")] = 1,
    smoothing: Annotated[
        str | None, typer.Option(help="Comma-separated amounts. Default: the task's own.")
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also the settings that the gain is shown against.")
    ] = False,
    workers: Workers = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Make none; print them all, as one JSON array.")
    ] = False,
    set_: Changes = None,
    device: Device = "auto",
    as_json: AsJson = False,
    records: Folder = WORKING_STORE,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Make all runs that the claims of a task are judged by, side by side.

    Runs that are finished are not run again; stopped at any point, the same command goes on. With
    --list nothing is run: for each run there are the command that makes it, its record's file,
    whether it is finished, and the run that it has to wait for.

    Example: idlib grid images --profile medium --seeds 1,2,3,4,5 --rounds 2 --records records
    """
    from idlib.commands.listing import listing
    from idlib.experiments.grid import grid
    from idlib.experiments.workers import run_all

    specs = grid(
        task,
        profile,
        numbers_of("seeds", seeds),
        rounds=rounds,
        smoothing=None if smoothing is None else numbers_of("smoothing", smoothing, float),
        sweep=sweep,
        source=source,
        overrides=settings_of(set_ or []),
        device=device,
    )
    workspace = Workspace(Store(records), checkpoints)
    if list_:
        print_json(listing(specs, workspace))
        return
    tell_what_is_left_out(specs)
    made = run_all(specs, workers=workers, workspace=workspace)
    if as_json:
        print_json(listing(specs, workspace))
        return
    typer.echo(f"{len(made)} records of {task} at profile {profile}, new ones in {records}/")


def evidence_command(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Studies of protocol.yaml. Default: all of them.")
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show what is registered and what is made; make nothing.")
    ] = False,
    workers: Workers = None,
    as_json: AsJson = False,
    records: Folder = EVIDENCE_STORE,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Make the runs that protocol.yaml registers, side by side.

    Runs that are finished are not run again; stopped at any point, the same command goes on. Each
    record names the protocol that it was made under; one of another protocol is no evidence. Of no
    named studies those are made that this machine can make: some are registered for a GPU.

    Example: idlib evidence images translation --workers 2
    """
    from idlib import protocol
    from idlib.commands import evidence

    registered = protocol.read()
    if list_:
        evidence.show(registered, studies or [], Store(records, also=()), as_json)
        return
    made, waiting = evidence.make(registered, studies or [], workers, records, checkpoints)
    if as_json:
        evidence.show(registered, studies or [], Store(records, also=()), as_json)
        return
    rest = "".join(f"; {number} of {study} wait for a GPU" for study, number in waiting.items())
    typer.echo(f"all {made} registered runs are made, records in {records}/{rest}")
