"""What commands print for programs: one JSON value on stdout, and nothing else there."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_json(value: Any) -> None:
    """``value`` as JSON, whatever letters it has."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
