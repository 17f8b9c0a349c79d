"""The command line of the doctor."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from idlib.commands.output import AsJson, print_json

COLOURS = {"ok": "green", "note": "yellow", "fault": "red"}


def doctor_command(as_json: AsJson = False) -> None:
    """Say whether all is there: versions, device, data and encoder, records, room.

    A note is of what some uses do without. The status is 1 where there is a fault. Nothing is
    fetched and nothing is trained.

    Example: idlib doctor
    """
    from idlib.doctor import findings

    found = list(findings())
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        table = Table("", "what", "found", box=None)
        for one in found:
            state = f"[{COLOURS[one.state]}]{one.state}[/]"
            remedy = f"\n[bold]{escape(one.remedy)}[/]" if one.remedy else ""
            table.add_row(state, one.what, f"{escape(one.found)}{remedy}")
        console = Console()
        console.print(table, highlight=False)
        faults = [one for one in found if one.state == "fault"]
        console.print(f"{len(faults)} faults" if faults else "nothing is wrong")
    if any(one.state == "fault" for one in found):
        raise typer.Exit(1)
