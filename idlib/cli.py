"""The command line: runs, alone or many, their records, translations, the book and the bench.

What takes seconds to import, torch above all, is imported by the command that needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm
from typer.core import TyperGroup

from idlib.commands.arguments import names_of, numbers_of, settings_of
from idlib.commands.bench import bench_command
from idlib.commands.doctor import doctor_command
from idlib.commands.output import AsJson, print_json
from idlib.commands.records import Folder, print_record, records_app
from idlib.commands.verify import verify_command
from idlib.experiments.workspace import CHECKPOINTS, Workspace, check_writable
from idlib.protocol import ProtocolError
from idlib.records import EVIDENCE_STORE, WORKING_STORE, RecordError, Store
from idlib.tasks import TASKS
from idlib.training.settings import METHODS, PROFILES, SOURCES, SettingsError, check_choice

if TYPE_CHECKING:
    from idlib.experiments.specs import Spec

INTERRUPTED = 130  # as shells say of a command that Ctrl-C ended
RESUMABLE = ("run", "grid", "evidence", "translate", "book", "verify")
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "size calculation overflowed")  # torch's
AT_FIRST_UPDATE = 1e-3  # seconds; a bar then comes after all that can be wrong before training


class Commands(TyperGroup):
    """Ends every command: status 2 for wrong input, 1 for what failed, 130 for Ctrl-C.

    A book of which some pages failed ends with 3. The error itself is one line on stderr.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            status, message = INTERRUPTED, "stopped"
            if ctx.invoked_subcommand in RESUMABLE:
                message += "; the same command goes on where it was"
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own, as a missing argument
                raise
            if (explained := _explained(error)) is None:
                raise
            status, message = explained
        print(f"idlib: {message}", file=sys.stderr)
        raise typer.Exit(status)


def _explained(error: Exception) -> tuple[int, str] | None:
    """Exit status and message of an error that needs no traceback."""
    if isinstance(error, (SettingsError, RecordError, ProtocolError, OSError)):
        return 2, str(error)
    from idlib.book.execution import NotebookError, PagesFailed
    from idlib.data.errors import DataError
    from idlib.experiments.workers import RunsFailed
    from idlib.models.encoders import EncoderError
    from idlib.training.checkpoints import CheckpointError
    from idlib.training.compiled import CompileError
    from idlib.training.loop import NonFiniteLoss
    from idlib.training.processes import LaunchError, LostProcess

    if isinstance(error, PagesFailed):
        return 3, str(error)
    if isinstance(error, (CompileError, DataError, EncoderError, LaunchError)):
        return 2, str(error)
    if isinstance(error, (CheckpointError, LostProcess, NonFiniteLoss, NotebookError, RunsFailed)):
        return 1, str(error)
    reason = (str(error).splitlines() or ["no more can be had"])[0]
    of_torch = isinstance(error, RuntimeError) and any(part in reason for part in OUT_OF_MEMORY)
    if of_torch or isinstance(error, MemoryError):
        return 1, (
            f"memory does not suffice ({reason}): set micro_batch, which makes an update in "
            "slices, or the sizes of the model to less"
        )
    return None


app = typer.Typer(
    cls=Commands,
    help="Intra-distillation, reproduced: make runs, look at their records, build the book.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(records_app, name="records")

TaskName = Annotated[str, typer.Argument(help=f"The task: {', '.join(TASKS)}.")]
Method = Annotated[str, typer.Option(help=f"{', '.join(METHODS)}.")]
Seed = Annotated[int, typer.Option(help="Decides weights, order and dropout.")]
Profile = Annotated[str, typer.Option(help=f"How large: {', '.join(PROFILES)}.")]
Source = Annotated[
    str | None,
    typer.Option(help=f"Which data: {', '.join(SOURCES)}, or a folder. Default: hub at paper."),
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
        _tell_what_is_left_out([spec])
    with tqdm(
        total=updates, desc=spec.description, unit="update", disable=quiet, delay=AT_FIRST_UPDATE
    ) as bar:
        record = run(spec, Workspace(Store(records), checkpoints), bar.update)
    if not quiet:
        print_record(record, as_json)


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
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; on a GPU as many as fit.")
    ] = None,
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
    _tell_what_is_left_out(specs)
    made = run_all(specs, workers=workers, workspace=workspace)
    if as_json:
        print_json(listing(specs, workspace))
        return
    typer.echo(f"{len(made)} records of {task} at profile {profile}, new ones in {records}/")


@app.command("evidence")
def evidence_command(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Studies of protocol.yaml. Default: all of them.")
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show what is registered and what is made; make nothing.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; on a GPU as many as fit.")
    ] = None,
    as_json: AsJson = False,
    records: Folder = EVIDENCE_STORE,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Make the runs that protocol.yaml registers, side by side.

    Runs that are finished are not run again; stopped at any point, the same command goes on. Each
    record names the protocol that it was made under; one of another protocol is no evidence.

    Example: idlib evidence tagging-large --workers 12
    """
    from idlib import protocol
    from idlib.commands import evidence

    registered = protocol.read()
    if list_:
        evidence.show(registered, studies or [], Store(records), as_json)
        return
    made = evidence.make(registered, studies or [], workers, records, checkpoints)
    if as_json:
        evidence.show(registered, studies or [], Store(records), as_json)
    else:
        typer.echo(f"all {made} registered runs are made, records in {records}/")


@app.command("translate")
def translate_command(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    method: Method = "id",
    seed: Seed = 1,
    profile: Profile = "small",
    source: Source = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    scored_only: Annotated[
        bool, typer.Option("--scored-only", help="Only the lines that the run's scores are over.")
    ] = False,
    set_: Changes = None,
    device: Device = "auto",
    as_json: AsJson = False,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Write the translations of a run's selected model, one line for each line of the data.

    Beside hypotheses.txt stand references.txt and sources.txt: sacrebleu scores the files as they
    are. With --scored-only they hold the pairs that test/bleu of the record is over. A run that
    is not there is trained first.

    Example: idlib translate out --method id --seed 1 --profile small
    """
    from idlib.commands.translations import every_line, scored_lines
    from idlib.experiments.specs import Spec

    check_choice("split", split, ("train", "validation", "test"))
    check_writable(out, "the folder of translations", "as OUT")
    spec = Spec("translation", method, profile, source, seed, settings_of(set_ or []), device)
    _tell_what_is_left_out([spec])
    translate = scored_lines if scored_only else every_line
    lines = translate(spec, Workspace(checkpoints=checkpoints), split)
    lines.write(out)
    for line in lines.report:
        typer.echo(f"data: {line}", err=True)
    if as_json:
        print_json({"folder": str(out), "lines": len(lines.hypotheses)})
    else:
        typer.echo(f"sacrebleu {out}/references.txt -i {out}/hypotheses.txt -m bleu chrf")


@app.command("book")
def book_command(
    profile: Profile = "small",
    source: Source = None,
    only: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Run these notebooks, leave the others.")
    ] = "",
    folder: Annotated[Path, typer.Option(help="Folder of the notebooks.")] = Path("notebooks"),
    out: Annotated[Path, typer.Option(help="Folder of the executed ones.")] = Path(
        "book/_executed"
    ),
    as_json: AsJson = False,
) -> None:
    """Run the notebooks of the book; one whose inputs have not changed is not run again.

    Pages of tasks train what has no record yet. `nox -s build-book` runs this command and builds
    the pages. It needs the extra `report`.

    A notebook that stops does not keep the others from running: its page says why, and the command
    ends with status 3.

    Example: idlib book --profile smoke --only images,claims
    """
    from idlib.book.execution import SUMMARY, execute_all

    if find_spec("papermill") is None:
        raise SettingsError("papermill is not installed: pip install 'idlib[report]'")
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        execute_all(profile, source, names_of(only), folder, out)
    if as_json:
        typer.echo((out / SUMMARY).read_text(encoding="utf-8"), nl=False)


app.command("bench")(bench_command)
app.command("verify")(verify_command)
app.command("doctor")(doctor_command)


def main() -> None:
    """Run the command line."""
    app()


def _tell_what_is_left_out(specs: Iterable[Spec]) -> None:
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
