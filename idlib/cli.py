"""The command line: runs, alone or many, their records, translations, the book and the bench.

What takes seconds to import, torch above all, is imported by the command that needs it.
"""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from idlib.commands.bench import bench_command
from idlib.commands.book import book_command
from idlib.commands.doctor import doctor_command
from idlib.commands.errors import Commands
from idlib.commands.records import records_app
from idlib.commands.runs import evidence_command, grid_command, run_command
from idlib.commands.translate import translate_command
from idlib.commands.verify import verify_command

app = typer.Typer(
    cls=Commands,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def show_version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Intra-distillation, reproduced: make runs, look at their records, build the book."""
    if version:
        typer.echo(f"idlib {metadata.version('idlib')}")
        raise typer.Exit


app.add_typer(records_app, name="records")
app.command("run")(run_command)
app.command("grid")(grid_command)
app.command("evidence")(evidence_command)
app.command("translate")(translate_command)
app.command("book")(book_command)
app.command("bench")(bench_command)
app.command("verify")(verify_command)
app.command("doctor")(doctor_command)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
