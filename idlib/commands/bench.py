"""The command line of the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idlib.commands.output import AsJson, console, print_json
from idlib.tasks import TASKS
from idlib.training.settings import PROFILES, SettingsError

# Of idlib.bench, which needs torch.
SUITES = (
    *("loss", "kernel", "sizes", "malloc", "projection", "step", "compiled", "tasks"),
    "sensitivity",
)


def bench_command(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SUITE]...", help=f"{', '.join(SUITES)}. Default: all."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    repeats: Annotated[int, typer.Option(min=1, help="Turns that each arm takes.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes, only to see that everything runs.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON, written again after each case.")
    ] = None,
    limit: Annotated[
        float, typer.Option(min=1, help="Seconds after which an arm that does not end is given up.")
    ] = 300.0,
    task: Annotated[
        str | None, typer.Option(help=f"Updates of this task instead: {', '.join(TASKS)}.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help=f"Of these updates: {', '.join(PROFILES)}.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of them that each method takes.")] = 5,
    as_json: AsJson = False,
) -> None:
    """What intra-distillation costs beside the published procedure, R-Drop and the baseline.

    Each figure is a ratio of arms that take turns in one process, with its quartiles; memory is
    what is held above what stood before. An arm that fails is told of, and the others are
    measured. On a processor all suites take about ten minutes, and nothing else should run. With
    --task or --profile: time and memory of real updates of the four methods.

    Example: idlib bench loss step --out costs.json

    Example: idlib bench --task translation --profile smoke
    """
    if task is not None or profile is not None:
        if suites or quick or out is not None:
            raise SettingsError(
                "--task and --profile time a run's own updates: leave the suites, --quick and "
                "--out away, or these two"
            )
        _time_updates(task or "images", profile or "small", rounds, device, as_json)
        return
    from idlib.bench.running import Asked, run
    from idlib.bench.tables import tables

    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    asked = Asked(tuple(suites or ()), device, repeats, quick, limit)
    costs = run(asked, out)
    if as_json:
        typer.echo(costs.model_dump_json(indent=1))
        return
    shown = console()
    for table in tables(costs):
        shown.print(table)
    if out is not None:
        typer.echo(f"results: {out}")


def _time_updates(task: str, profile: str, rounds: int, device: str, as_json: bool) -> None:
    from idlib.bench.updates import compare, table

    timings = compare(task, profile, rounds, device=device)
    if as_json:
        print_json({method: timing._asdict() for method, timing in timings.items()})
        return
    typer.echo(f"{task}, profile {profile}: one update, median over turns, and peak memory")
    typer.echo(table(timings))
