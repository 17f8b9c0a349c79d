"""The command that runs the notebooks of the book."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from idlib.commands.arguments import names_of
from idlib.commands.options import Profile, Source
from idlib.commands.output import AsJson
from idlib.training.settings import SettingsError


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
