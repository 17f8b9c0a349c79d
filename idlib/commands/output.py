"""What commands print for programs, one JSON value on stdout, and what they say of the data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from idlib.experiments.specs import Spec

AT_FIRST_UPDATE = 1e-3  # seconds; a bar then comes after all that can be wrong before training
WIDE = 160  # characters of a table in a file or a pipe
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_json(value: Any) -> None:
    """``value`` as JSON, whatever letters it has."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def console() -> Console:
    """Where tables are printed; what goes to a file or a pipe takes lines of any length."""
    made = Console()
    if not made.is_terminal:
        made.width = max(made.width, WIDE)
    return made


def tell_what_is_left_out(specs: Iterable[Spec]) -> None:
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
