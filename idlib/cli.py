"""The command line: ``idlib run``, ``idlib grid``, ``idlib translate``, ``idlib records``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from idlib import data, records, tasks
from idlib.commands.arguments import numbers_of, settings_of
from idlib.commands.records import Folder, print_record, records_app
from idlib.commands.translations import every_line, scored_lines
from idlib.experiments import runs
from idlib.experiments.grid import grid
from idlib.experiments.specs import Spec
from idlib.experiments.workers import RunsFailed, run_all
from idlib.experiments.workspace import CHECKPOINTS, Workspace, check_writable
from idlib.files import replacing
from idlib.models import encoders
from idlib.records import Store
from idlib.training import checkpoints, loop, processes, settings

app = typer.Typer(
    help="Intra-distillation, reproduced: make runs, and look at their records.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(records_app, name="records")

USER_ERRORS = (
    settings.SettingsError,
    data.DataError,
    encoders.EncoderError,
    records.RecordError,
    checkpoints.CheckpointError,
    processes.LaunchError,
    loop.NonFiniteLoss,
    RunsFailed,
    OSError,  # of the disk, most of all
)

NO_MEMORY = ("out of memory", "can't allocate memory", "size calculation overflowed")  # torch's
AT_FIRST_UPDATE = 1e-3  # seconds; a bar then comes after all that can be wrong before training

TaskName = Annotated[str, typer.Argument(help=f"The task: {', '.join(tasks.TASKS)}.")]
Profile = Annotated[str, typer.Option(help=f"How large: {', '.join(settings.PROFILES)}.")]
Source = Annotated[
    str | None,
    typer.Option(help="Which data: embedded, hub, or a folder. Default: hub at paper."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Lay a setting over the profile's (YAML)."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Checkpoints = Annotated[Path, typer.Option(help="Folder of checkpoints.")]


@app.command("run")
def run_command(
    task: TaskName,
    method: Annotated[str, typer.Option(help=f"{', '.join(settings.METHODS)}.")] = "id",
    seed: Annotated[int, typer.Option(help="Decides weights, order and dropout.")] = 1,
    profile: Profile = "small",
    source: Source = None,
    set_: Changes = None,
    device: Device = "auto",
    records: Folder = records.WORKING_STORE,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Make one run and print its record's main numbers; a finished run is found again.

    Stopped at any point, the same command goes on where it was. On several devices:
    torchrun --standalone --nproc-per-node N -m idlib run ...

    Example: idlib run images --method id --seed 1 --profile small --set alpha=2.5
    """
    spec = Spec(task, method, profile, source, seed, settings_of(set_ or []), device)
    workspace = Workspace(Store(records), checkpoints)
    quiet = not processes.is_main_process()
    if not quiet:
        _tell([spec])
    shown = {"desc": spec.description, "unit": "update", "disable": quiet, "delay": AT_FIRST_UPDATE}
    with _resumable(), tqdm(total=spec.plan.updates, **shown) as bar:
        record = runs.run(spec, workspace, bar.update)
    if not quiet:
        print_record(record)


@app.command("grid")
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
    workers: Annotated[int | None, typer.Option(min=1, help="Processes side by side.")] = None,
    set_: Changes = None,
    device: Device = "auto",
    records: Folder = records.WORKING_STORE,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Make all runs that the claims of a task are judged by, side by side.

    Runs that are finished are not run again; stopped at any point, the same command goes on.

    Example: idlib grid images --profile medium --seeds 1,2,3,4,5 --rounds 2 --records records
    """
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
    _tell(specs)
    workspace = Workspace(Store(records), checkpoints)
    with _resumable():
        made = run_all(specs, workers=workers, workspace=workspace)
    typer.echo(f"{len(made)} records of {task} at profile {profile}, new ones in {records}/")


@app.command("translate")
def translate_command(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    method: Annotated[str, typer.Option(help=f"{', '.join(settings.METHODS)}.")] = "id",
    seed: Annotated[int, typer.Option(help="Of the run.")] = 1,
    profile: Profile = "small",
    source: Source = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    scored_only: Annotated[
        bool, typer.Option("--scored-only", help="Only the lines that the run's scores are over.")
    ] = False,
    set_: Changes = None,
    device: Device = "auto",
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Write the translations of a run's selected model, one line for each line of the data.

    Beside hypotheses.txt stand references.txt and sources.txt: sacrebleu scores the files as they
    are. With --scored-only they hold the pairs that test/bleu of the record is over. A run that
    is not there is trained first.

    Example: idlib translate out --method id --seed 1 --profile small
    """
    settings.check_choice("split", split, ("train", "validation", "test"))
    check_writable(out, "the folder of translations", "as OUT")
    spec = Spec("translation", method, profile, source, seed, settings_of(set_ or []), device)
    _tell([spec])
    with _resumable():
        model = runs.load_model(spec, workspace=Workspace(checkpoints=checkpoints))
        lines = (scored_lines if scored_only else every_line)(spec.plan.task, model, split)
    for name in ("sources", "references", "hypotheses"):
        with replacing(out / f"{name}.txt") as path:
            text = "".join(f"{line}\n" for line in getattr(lines, name))
            path.write_text(text, encoding="utf-8")
    for line in lines.report:
        typer.echo(f"data: {line}", err=True)
    typer.echo(f"sacrebleu {out}/references.txt -i {out}/hypotheses.txt -m bleu chrf")


def main() -> None:
    """Run the command line; what a user got wrong is one clear line and exit status 2."""
    try:
        app()
    except USER_ERRORS as error:
        print(f"idlib: {error}", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        reason = (str(error).splitlines() or ["no more can be had"])[0]
        if isinstance(error, RuntimeError) and not any(said in reason for said in NO_MEMORY):
            raise
        print(
            f"idlib: memory does not suffice ({reason}): set micro_batch, which makes an update in "
            "slices, or the sizes of the model to less",
            file=sys.stderr,
        )
        sys.exit(2)


@contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C ends the command with the status that shells know, and says what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        print("\nidlib: stopped; the same command goes on where it was", file=sys.stderr)
        raise typer.Exit(130) from None


def _tell(specs: Iterable[Spec]) -> None:
    """Say on stderr, each line once, what is left out of the data.

    What is left out of the embedded data stands in the book, unless the limits are the user's.
    """
    lines: dict[str, None] = {}
    for spec in specs:
        task = spec.plan.task
        named = any(spec.overrides.get(name) is not None for name in task.limits)
        if task.source != "embedded" or named:
            lines |= dict.fromkeys(task.report)
    for line in lines:
        typer.echo(f"data: {line}", err=True)


if __name__ == "__main__":
    main()
