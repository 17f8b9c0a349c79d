"""The command that translates: the lines of the user's text, as a run's model has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idlib.commands.arguments import settings_of
from idlib.commands.options import Changes, Checkpoints, Device, Method, Profile, Seed, Source
from idlib.commands.output import AsJson, print_json, tell_what_is_left_out
from idlib.experiments.workspace import CHECKPOINTS, Workspace, check_writable
from idlib.training.settings import check_choice


def translate_command(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    method: Method = "id",
    seed: Seed = 1,
    profile: Profile = "small",
    source: Source = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    scored_only: Annotated[
        bool, typer.Option("--scored-only", help="Only the lines that the run's scores are over.")
    ] = False,
    set_: Changes = None,
    device: Device = "auto",
    as_json: AsJson = False,
    checkpoints: Checkpoints = CHECKPOINTS,
) -> None:
    """Write the translations of a run's selected model, one line for each line of the data.

    Beside hypotheses.txt stand references.txt and sources.txt: sacrebleu scores the files as they
    are. With --scored-only they hold the pairs that test/bleu of the record is over. A run that
    is not there is trained first.

    Example: idlib translate out --method id --seed 1 --profile small
    """
    from idlib.commands.translations import every_line, scored_lines
    from idlib.experiments.specs import Spec

    check_choice("split", split, ("train", "validation", "test"))
    check_writable(out, "the folder of translations", "as OUT")
    spec = Spec("translation", method, profile, source, seed, settings_of(set_ or []), device)
    tell_what_is_left_out([spec])
    translate = scored_lines if scored_only else every_line
    lines = translate(spec, Workspace(checkpoints=checkpoints), split)
    lines.write(out)
    for line in lines.report:
        typer.echo(f"data: {line}", err=True)
    if as_json:
        print_json({"folder": str(out), "lines": len(lines.hypotheses)})
    else:
        typer.echo(f"sacrebleu {out}/references.txt -i {out}/hypotheses.txt -m bleu chrf")
