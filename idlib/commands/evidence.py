"""The runs that the protocol registers, as the command line shows and makes them."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from idlib.experiments.registered import answers, specs_of
from idlib.experiments.workers import run_all
from idlib.experiments.workspace import Workspace
from idlib.protocol import Protocol
from idlib.records import Store


def show(protocol: Protocol, studies: list[str], store: Store) -> None:
    """Print for each cell how many of its runs are made, and what each took.

    Raises:
        idlib.protocol.ProtocolError: a study that does not exist.
    """
    table = Table("study", "cell", "device")
    for name in ("registered", "made", "refused", "seconds a run"):
        table.add_column(name, justify="right")
    registered = made = 0
    hours = 0.0
    refused: list[str] = []
    for study in dict.fromkeys(run.study for run in protocol.runs(*studies)):
        found = answers(protocol, study, store)
        for cell, records in found.records.items():
            seeds = protocol.studies[study].seeds_of(cell)
            seconds = sorted(record.cost.seconds for record in records.values())
            others = [item for item in found.refused if item.run.cell == cell]
            table.add_row(
                *(study, cell, protocol.studies[study].device),
                *(str(len(seeds)), str(len(records)), str(len(others))),
                f"{seconds[len(seconds) // 2]:.0f}" if seconds else "",
            )
            registered, made = registered + len(seeds), made + len(records)
            hours += sum(seconds) / 3600
            refused += [f"{item.signature}: {item.reason}" for item in others]
    console = Console()
    console.print(table)
    console.print(f"{made} of {registered} registered runs are made, in {hours:,.1f} hours of runs")
    for line in refused:
        console.print(f"left out of verdicts: {line}")


def make(
    protocol: Protocol, studies: list[str], workers: int | None, records: Path, checkpoints: Path
) -> int:
    """Make what is missing, and return the number of registered runs.

    Raises:
        idlib.protocol.ProtocolError: a study that does not exist.
        idlib.experiments.workers.RunsFailed: some failed; the others are recorded.
    """
    workspace = Workspace(Store(records), checkpoints)
    specs = specs_of(protocol, *studies)
    once = {spec.signature: spec for spec in specs.values()}  # cells may ask for the same run
    run_all([*once.values()], workers=workers, workspace=workspace, description="evidence")
    return len(specs)
