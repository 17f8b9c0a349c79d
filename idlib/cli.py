"""The command line: ``idlib run``, ``idlib grid``, ``idlib translate``, ``idlib records``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from idlib import checkpoints, data, profiles, records, runs, tasks, training
from idlib.files import replacing
from idlib.grid import RunsFailed, describe, grid, run_all
from idlib.runs import Spec, Workspace
from idlib.tasks.translating import every_line, scored_lines

app = typer.Typer(
    help="Intra-distillation, reproduced: make runs, and look at their records.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
records_app = typer.Typer(help="List, show and compare records.", no_args_is_help=True)
app.add_typer(records_app, name="records")

USER_ERRORS = (
    profiles.SettingsError,
    data.DataError,
    records.RecordError,
    checkpoints.CheckpointError,
    training.NonFiniteLoss,
    RunsFailed,
)

TaskName = Annotated[str, typer.Argument(help=f"The task: {', '.join(tasks.TASKS)}.")]
Profile = Annotated[str, typer.Option(help=f"How large: {', '.join(profiles.PROFILES)}.")]
Source = Annotated[
    str | None,
    typer.Option(help="Which data: embedded, hub, or a folder. Default: hub at paper."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Lay a setting over the profile's."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Folder = Annotated[Path, typer.Option(help="Folder that new records go to.")]
Checkpoints = Annotated[Path, typer.Option(help="Folder of checkpoints.")]


@app.command("run")
def run_command(
    task: TaskName,
    method: Annotated[str, typer.Option(help=f"{', '.join(profiles.METHODS)}.")] = "id",
    seed: Annotated[int, typer.Option(help="Decides weights, order and dropout.")] = 1,
    profile: Profile = "small",
    source: Source = None,
    set_: Changes = None,
    device: Device = "auto",
    records: Folder = records.WORKING_STORE,
    checkpoints: Checkpoints = runs.CHECKPOINTS,
) -> None:
    """Make one run and print its record's main numbers; a finished run is found again.

    Stopped at any point, the same command goes on where it was. On several devices:
    torchrun --standalone --nproc-per-node N -m idlib run ...

    Example: idlib run images --method id --seed 1 --profile small --set alpha=2.5
    """
    spec = Spec(task, method, profile, source, seed, _settings(set_), device)
    workspace = Workspace(runs.Store(records), checkpoints)
    quiet = not runs.is_main_process()
    if not quiet:
        _tell([spec])
    bar = tqdm(total=spec.plan.updates, desc=describe(spec), unit="update", disable=quiet)
    with _resumable(), bar:
        record = runs.run(spec, workspace, bar.update)
    if not quiet:
        _print_record(record)


@app.command("grid")
def grid_command(
    task: TaskName,
    seeds: Annotated[str, typer.Option(help="Comma-separated integers.")] = "1",
    profile: Profile = "small",
    source: Source = None,
    rounds: Annotated[int, typer.Option(min=0, help="Rounds of self-distillation.")] = 1,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also the settings that the gain is shown against.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes side by side.")] = None,
    set_: Changes = None,
    device: Device = "auto",
    records: Folder = records.WORKING_STORE,
    checkpoints: Checkpoints = runs.CHECKPOINTS,
) -> None:
    """Make all runs that the claims of a task are judged by, side by side.

    Runs that are finished are not run again; stopped at any point, the same command goes on.

    Example: idlib grid images --profile medium --seeds 1,2,3,4,5 --rounds 2 --records records
    """
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise profiles.SettingsError(
            f"seeds {seeds!r}: give integers with commas between them, as in 1,2,3"
        ) from None
    specs = grid(
        task,
        profile,
        numbers,
        rounds=rounds,
        sweep=sweep,
        source=source,
        overrides=_settings(set_),
        device=device,
    )
    _tell(specs)
    workspace = Workspace(runs.Store(records), checkpoints)
    with _resumable():
        made = run_all(specs, workers=workers, workspace=workspace)
    typer.echo(f"{len(made)} records of {task} at profile {profile}, new ones in {records}/")


@app.command("translate")
def translate_command(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    method: Annotated[str, typer.Option(help=f"{', '.join(profiles.METHODS)}.")] = "id",
    seed: Annotated[int, typer.Option(help="Of the run.")] = 1,
    profile: Profile = "small",
    source: Source = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    scored_only: Annotated[
        bool, typer.Option("--scored-only", help="Only the lines that the run's scores are over.")
    ] = False,
    set_: Changes = None,
    device: Device = "auto",
    checkpoints: Checkpoints = runs.CHECKPOINTS,
) -> None:
    """Write the translations of a run's selected model, one line for each line of the data.

    Beside hypotheses.txt stand references.txt and sources.txt: sacrebleu scores the files as they
    are. With --scored-only they hold the pairs that test/bleu of the record is over. A run that
    is not there is trained first.

    Example: idlib translate out --method id --seed 1 --profile small
    """
    profiles.check_choice("split", split, ("train", "validation", "test"))
    spec = Spec("translation", method, profile, source, seed, _settings(set_), device)
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


@records_app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="All of them, as one array.")] = False,
    records: Folder = records.WORKING_STORE,
) -> None:
    """List the records of the working store and of records/."""
    stored = runs.Store(records).all()
    if as_json:
        found = [{**s.record.model_dump(mode="json"), "where": str(s.where)} for s in stored]
        typer.echo(json.dumps(found))
        return
    table = Table("signature", "task", "method", "profile", "source", "seed", "s", "round")
    table.add_column("test NLL", justify="right")
    table.add_column("where")
    for record, where in stored:
        asked, settings = record.asked, record.asked.settings
        nll = record.measured.metrics.get("test/nll")
        table.add_row(
            record.signature,
            *(asked.task, asked.method, asked.profile, asked.source, str(asked.seed)),
            *(f"{settings.get('smoothing', 0):g}", str(settings.get("round", 0))),
            "" if nll is None else f"{nll:.4f}",
            str(where),
        )
    Console().print(table)


@records_app.command("show")
def show_command(
    signature: Annotated[str, typer.Argument(help="Or its first few digits.")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole record.")] = False,
    records: Folder = records.WORKING_STORE,
) -> None:
    """Show one record."""
    record = _find(signature, records)
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
    else:
        _print_record(record)


@records_app.command("compare")
def compare_command(
    first: Annotated[str, typer.Argument(help="A signature, or its first few digits.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    records: Folder = records.WORKING_STORE,
) -> None:
    """Show what two records were asked differently, and their metrics side by side."""
    a, b = _find(first, records), _find(second, records)
    asked = Table("asked", a.signature, b.signature)
    flat_a, flat_b = _flat(a), _flat(b)
    for name in sorted(flat_a.keys() | flat_b.keys()):
        if flat_a.get(name) != flat_b.get(name):
            asked.add_row(name, str(flat_a.get(name)), str(flat_b.get(name)))
    measured = Table("measured", a.signature, b.signature, "difference")
    for name, value in a.measured.metrics.items():
        if name in b.measured.metrics:
            other = b.measured.metrics[name]
            measured.add_row(name, f"{value:.6g}", f"{other:.6g}", f"{other - value:+.3g}")
    console = Console()
    console.print(asked)
    console.print(measured)


def main() -> None:
    """Run the command line; what a user got wrong is one clear line and exit status 2."""
    try:
        app()
    except USER_ERRORS as error:
        print(f"idlib: {error}", file=sys.stderr)
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


def _settings(changes: list[str] | None) -> dict[str, Any]:
    settings = {}
    for change in changes or []:
        name, equals, value = change.partition("=")
        if not equals:
            raise profiles.SettingsError(f"--set {change!r}: give NAME=VALUE, as in alpha=2.5")
        settings[name] = yaml.safe_load(value)
    return settings


def _find(signature: str, folder: Path) -> records.Record:
    stored = runs.Store(folder).all()
    found = [s.record for s in stored if s.record.signature.startswith(signature)]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} records have" if found else "no record has"
    raise records.RecordError(
        f"{what} a signature that begins with {signature!r}: `idlib records list` shows all"
    )


def _flat(record: records.Record) -> dict[str, Any]:
    asked = record.asked.model_dump(mode="json")
    settings, files = asked.pop("settings"), asked.pop("data")
    return {**asked, **settings, **{f"data/{name}": value for name, value in files.items()}}


def _print_record(record: records.Record) -> None:
    asked, cost = record.asked, record.cost
    table = Table("measured", "value", title=f"{asked.task} {asked.method} {record.signature}")
    for name, value in record.measured.metrics.items():
        table.add_row(name, f"{value:.6g}")
    console = Console()
    console.print(table)
    console.print(
        f"profile {asked.profile}, source {asked.source}, seed {asked.seed}; "
        f"{cost.seconds:.1f} s of training, peak {cost.peak_memory_bytes / 2**20:.0f} MiB, "
        f"{record.origin.device}, made {record.origin.created}"
    )


if __name__ == "__main__":
    main()
