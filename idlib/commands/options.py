"""Options that several commands have, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idlib.tasks import TASKS
from idlib.training.settings import METHODS, PROFILES, SOURCES

TaskName = Annotated[str, typer.Argument(help=f"The task: {', '.join(TASKS)}.")]
Method = Annotated[str, typer.Option(help=f"{', '.join(METHODS)}.")]
Seed = Annotated[int, typer.Option(help="Decides weights, order and dropout.")]
Profile = Annotated[str, typer.Option(help=f"How large: {', '.join(PROFILES)}.")]
Source = Annotated[
    str | None,
    typer.Option(help=f"Which data: {', '.join(SOURCES)}, or a folder. Default: hub at paper."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Lay a setting over the profile's (YAML)."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Checkpoints = Annotated[Path, typer.Option(help="Folder of checkpoints.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes side by side; on a GPU as many as fit.")
]
Folder = Annotated[Path, typer.Option(help="Folder that new records go to.")]
Searched = Annotated[
    Path, typer.Option("--records", help="Folder that is searched before the committed records.")
]
