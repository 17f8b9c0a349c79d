"""The command line of records: list, show, compare and archive them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from idlib.commands.options import Searched
from idlib.commands.output import AsJson, console, print_json
from idlib.records import WORKING_STORE, Record, RecordError, Store, StoredRecord
from idlib.training.settings import SettingsError

records_app = typer.Typer(help="List, show, compare and archive records.", no_args_is_help=True)


@records_app.command("list")
def list_command(
    task: Annotated[str | None, typer.Option(help="Of this task alone.")] = None,
    method: Annotated[str | None, typer.Option(help="Of this method alone.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of this profile alone.")] = None,
    as_json: AsJson = False,
    records: Searched = WORKING_STORE,
) -> None:
    """List the records of the working store and of records/.

    A damaged one is named on stderr, and the others are listed; the exit status is then 2.

    Example: idlib records list --json
    """
    stored, damaged = _stored(records)
    wanted = {"task": task, "method": method, "profile": profile}
    asked = {name: value for name, value in wanted.items() if value is not None}
    stored = [s for s in stored if asked.items() <= dict(s.record.asked).items()]
    if as_json:
        print_json([{**s.record.model_dump(mode="json"), "where": str(s.where)} for s in stored])
    else:
        _print_list(stored)
    for error in damaged.values():
        print(f"idlib: {error}", file=sys.stderr)
    if damaged:
        raise typer.Exit(2)


def _print_list(stored: list[StoredRecord]) -> None:
    """A table for each folder; what is not embedded says its source beside the task."""
    shown = console()
    for where, group in groupby(stored, attrgetter("where")):
        table = Table(title=str(where), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("signature", "task", "method", "profile"):
            table.add_column(name, no_wrap=True)
        for name in ("seed", "s", "round", "test NLL"):
            table.add_column(name, justify="right", no_wrap=True)
        for record, _ in group:
            asked, settings = record.asked, record.asked.settings
            nll = record.measured.metrics.get("test/nll")
            source = "" if asked.source == "embedded" else f" ({asked.source})"
            table.add_row(
                record.signature,
                *(f"{asked.task}{source}", asked.method, asked.profile, str(asked.seed)),
                *(f"{settings.get('smoothing', 0):g}", str(settings.get("round", 0))),
                "" if nll is None else f"{nll:.4f}",
            )
        shown.print(table)


@records_app.command("show")
def show_command(
    signature: Annotated[str, typer.Argument(help="Or its first few digits.")],
    as_json: AsJson = False,
    records: Searched = WORKING_STORE,
) -> None:
    """Show one record.

    Example: idlib records show 3f2a
    """
    record = find_record(signature, records)
    print_record(record, as_json)


@records_app.command("compare")
def compare_command(
    first: Annotated[str, typer.Argument(help="A signature, or its first few digits.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    as_json: AsJson = False,
    records: Searched = WORKING_STORE,
) -> None:
    """Show what two records were asked differently, and their metrics side by side.

    Example: idlib records compare 3f2a 91c0
    """
    a, b = find_record(first, records), find_record(second, records)
    flat_a, flat_b = _flat(a), _flat(b)
    asked = {
        name: (flat_a.get(name), flat_b.get(name))
        for name in sorted(flat_a.keys() | flat_b.keys())
        if flat_a.get(name) != flat_b.get(name)
    }
    metrics = b.measured.metrics
    measured = {n: (v, metrics[n]) for n, v in a.measured.metrics.items() if n in metrics}
    if as_json:
        print_json({"asked": asked, "measured": measured})
        return
    questions = Table("asked", a.signature, b.signature)
    for name, values in asked.items():
        questions.add_row(name, *map(str, values))
    answers = Table("measured", a.signature, b.signature, "difference")
    for name, (value, other) in measured.items():
        answers.add_row(name, f"{value:.6g}", f"{other:.6g}", f"{other - value:+.3g}")
    shown = console()
    shown.print(questions)
    shown.print(answers)


@records_app.command("archive")
def archive_command(
    file: Annotated[Path, typer.Argument(help="The archive, as records.zip.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the committed records with a table of them, their schema and a data card as a zip.

    The same records give the same bytes. It needs the extra `report`.

    Example: idlib records archive records.zip
    """
    if file.suffix != ".zip":
        raise SettingsError(f"{file}: give a name that ends in .zip")
    if file.exists() and not force:
        raise SettingsError(f"{file} is there already: give another name, or --force")
    if find_spec("matplotlib") is None:
        raise SettingsError("the report is not installed: pip install 'idlib[report]'")
    from idlib.book.archive import write

    number = write(file)
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file), "records": number, "bytes": size})
    else:
        typer.echo(f"{file}: {number} records, {size / 1e6:.1f} MB")


def _stored(folder: Path) -> tuple[list[StoredRecord], dict[Path, RecordError]]:
    """The records that can be read, and why the other files cannot."""
    if folder != WORKING_STORE and not folder.is_dir():
        raise RecordError(f"--records {folder}: there is no such folder")
    return Store(folder).readable()


def find_record(signature: str, folder: Path) -> Record:
    """The one record whose signature begins so.

    Raises:
        RecordError: there is none, or several, or it cannot be read.
    """
    stored, damaged = _stored(folder)
    for path, error in damaged.items():
        if signature and path.stem.rpartition("-")[2].startswith(signature):
            raise error
    records = [s.record for s in stored if s.record.signature.startswith(signature)]
    if len(records) == 1:
        return records[0]
    what = f"{len(records)} records have" if records else "no record has"
    raise RecordError(
        f"{what} a signature that begins with {signature!r}: `idlib records list` shows all"
    )


def _flat(record: Record) -> dict[str, Any]:
    asked = record.asked.model_dump(mode="json")
    settings, files = asked.pop("settings"), asked.pop("data")
    return {**asked, **settings, **{f"data/{name}": value for name, value in files.items()}}


def print_record(record: Record, as_json: bool = False) -> None:
    """Show what a record measured, and in a line what it was asked and what it cost."""
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    asked, cost = record.asked, record.cost
    table = Table("measured", "value", title=f"{asked.task} {asked.method} {record.signature}")
    for name, value in record.measured.metrics.items():
        table.add_row(name, f"{value:.6g}")
    shown = console()
    shown.print(table)
    shown.print(
        f"profile {asked.profile}, source {asked.source}, seed {asked.seed}; "
        f"{cost.seconds:.1f} s of training, peak {cost.peak_memory_bytes / 2**20:.0f} MiB, "
        f"{record.origin.device}, made {record.origin.created}"
    )
