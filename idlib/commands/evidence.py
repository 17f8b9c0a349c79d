"""The runs that the protocol registers, as the command line shows and makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from idlib.commands.output import print_json
from idlib.experiments.registered import answers, specs_of
from idlib.experiments.workers import run_all
from idlib.experiments.workspace import Workspace
from idlib.protocol import Protocol
from idlib.records import Store


def show(protocol: Protocol, studies: list[str], store: Store, as_json: bool = False) -> None:
    """Print for each cell how many of its runs are made, and what each took.

    Raises:
        idlib.protocol.ProtocolError: a study that does not exist.
    """
    cells: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    hours = 0.0
    for study in dict.fromkeys(run.study for run in protocol.runs(*studies)):
        found = answers(protocol, study, store)
        refused |= {item.signature: item.reason for item in found.refused}
        for cell, records in found.records.items():
            seconds = sorted(record.cost.seconds for record in records.values())
            hours += sum(seconds) / 3600
            cells.append(
                {
                    "study": study,
                    "cell": cell,
                    "device": protocol.studies[study].device,
                    "registered": len(protocol.studies[study].seeds_of(cell)),
                    "made": len(records),
                    "refused": sum(item.run.cell == cell for item in found.refused),
                    "seconds": seconds[len(seconds) // 2] if seconds else None,
                }
            )
    if as_json:
        print_json({"cells": cells, "refused": refused})
        return
    table = Table("study", "cell", "device")
    for name in ("registered", "made", "refused", "seconds a run"):
        table.add_column(name, justify="right")
    for row in cells:
        *named, seconds = row.values()
        table.add_row(*map(str, named), "" if seconds is None else f"{seconds:.0f}")
    console = Console()
    console.print(table)
    made, registered = (sum(row[name] for row in cells) for name in ("made", "registered"))
    console.print(f"{made} of {registered} registered runs are made, in {hours:,.1f} hours of runs")
    for signature, reason in refused.items():
        console.print(f"left out of verdicts: {signature}: {reason}")


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
