"""The runs that the protocol registers, as the command line shows and makes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from idlib.commands.output import console, print_json
from idlib.experiments.registered import answers, specs_of
from idlib.experiments.workers import run_all
from idlib.experiments.workspace import Workspace
from idlib.protocol import Protocol
from idlib.records import Store
from idlib.training.settings import SettingsError


def show(protocol: Protocol, studies: list[str], store: Store, as_json: bool = False) -> None:
    """Print for each cell how many of its runs are made, what each took, and what is left to do.

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
    shown = console()
    shown.print(_table(cells))
    made, registered = (sum(row[name] for row in cells) for name in ("made", "registered"))
    shown.print(f"{made} of {registered} registered runs are made, in {hours:,.1f} hours of runs")
    for signature, reason in refused.items():
        shown.print(f"left out of verdicts: {signature}: {reason}")


def _table(cells: Sequence[dict[str, Any]]) -> Table:
    """A row a cell; what is left is reckoned from the median of the cell's own runs."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("study", "device", "cell"):
        table.add_column(name, no_wrap=True)
    for name in ("made", "seconds", "hours left"):
        table.add_column(name, justify="right")
    for study, rows in groupby(cells, itemgetter("study")):
        table.add_section()
        for place, row in enumerate(rows):
            seconds, missing = row["seconds"], row["registered"] - row["made"]
            left = "?" if seconds is None else f"{seconds * missing / 3600:,.1f}"
            table.add_row(
                "" if place else study,
                row["device"],
                row["cell"],
                f"{row['made']}/{row['registered']}",
                "" if seconds is None else f"{seconds:,.0f}",
                left if missing else "",
            )
    return table


def make(
    protocol: Protocol, studies: list[str], workers: int | None, records: Path, checkpoints: Path
) -> tuple[int, Counter[str]]:
    """Make what is missing; of no named studies those that this machine can make.

    Returns:
        How many registered runs are made, and how many of each study wait for a GPU.

    Raises:
        idlib.protocol.ProtocolError: a study that does not exist.
        SettingsError: a named study waits for a GPU, and torch finds none.
        idlib.experiments.workers.RunsFailed: some failed; the others are recorded.
    """
    workspace = Workspace(Store(records, also=()), checkpoints)
    names = list(dict.fromkeys(run.study for run in protocol.runs(*studies)))
    waiting = _waiting(protocol, names, workspace.store)
    if waiting and studies:
        others = [name for name, study in protocol.studies.items() if study.device == "cpu"]
        raise SettingsError(
            f"studies registered for a GPU, and torch finds none: {', '.join(waiting)}; choose "
            f"among {', '.join(others)}"
        )
    made = 0
    for device in ("cuda", "cpu"):
        of_device = [name for name in names if protocol.studies[name].device == device]
        if chosen := [name for name in of_device if name not in waiting]:
            specs = specs_of(protocol, *chosen)
            once = {spec.signature: spec for spec in specs.values()}  # cells may ask for one run
            run_all([*once.values()], workers=workers, workspace=workspace, description="evidence")
            made += len(specs)
    return made, waiting


def _waiting(protocol: Protocol, names: list[str], store: Store) -> Counter[str]:
    """The missing runs of each study that is registered for a GPU, where there is none."""
    if torch.cuda.is_available():
        return Counter()
    for_gpu = (name for name in names if protocol.studies[name].device == "cuda")
    return +Counter({name: len(answers(protocol, name, store).missing) for name in for_gpu})
