"""The command line of verification: a record is trained again, and the two are compared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from idlib.commands.options import Folder
from idlib.commands.output import AsJson, print_json
from idlib.commands.records import find_record
from idlib.experiments.workspace import Workspace
from idlib.records import WORKING_STORE, Store

if TYPE_CHECKING:
    from idlib.experiments.verification import Verification

VERIFIED = Path(".idlib/verify")


def verify_command(
    signature: Annotated[str, typer.Argument(help="Of a record, or its first few digits.")],
    source: Annotated[
        str | None, typer.Option(help="Folder of the data, where they were one's own.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the metrics that agree, too.")
    ] = False,
    as_json: AsJson = False,
    records: Folder = WORKING_STORE,
    folder: Annotated[
        Path, typer.Option(help="Folder of the second training; emptied when it has ended.")
    ] = VERIFIED,
) -> None:
    """Train a record's run again from nothing, its teachers too, and say how far they agree.

    On the same processor with the same versions they have to agree bit for bit; elsewhere each
    metric within the spread over the seeds that are recorded. The status is 1 where they do not.
    Stopped at any point, the same command goes on.

    Example: idlib verify 3f2a
    """
    from idlib.experiments.runs import run
    from idlib.experiments.verification import Verification, spec_of

    record = find_record(signature, records)
    spec = spec_of(record, source)
    place = folder / record.signature
    workspace = Workspace(Store(place / "records", also=()), place / "checkpoints")
    with tqdm(total=spec.plan.updates, desc=spec.description, unit="update") as bar:
        again = run(spec, workspace, bar.update)
    others = [stored.record for stored in Store(records).readable()[0]]
    found = Verification(record, again, others)
    shutil.rmtree(place)
    if as_json:
        print_json(_values(found))
    else:
        _show(found, everything)
    if not found.agrees:
        raise typer.Exit(1)


def _values(found: Verification) -> dict[str, object]:
    return {
        "signature": found.record.signature,
        "agrees": found.agrees,
        "same_bits": found.same_bits,
        "verdict": found.verdict,
        "otherwise": found.otherwise,
        "seeds": len(found.seeds),
        "metrics": {name: one._asdict() for name, one in found.differences.items()},
    }


def _show(found: Verification, everything: bool) -> None:
    shown = {
        name: one for name, one in found.differences.items() if everything or one.again != one[0]
    }
    console = Console()
    if shown:
        table = Table("metric", "recorded", "again", "difference", title=found.record.signature)
        table.add_column("spread over seeds", justify="right")
        for name, one in shown.items():
            spread = "" if one.spread is None else f"{one.spread:.3g}"
            difference = f"{one.again - one.recorded:+.3g}"
            table.add_row(name, f"{one.recorded:.6g}", f"{one.again:.6g}", difference, spread)
        console.print(table)
    console.print(f"{found.record.signature}: {found.verdict}", highlight=False)
