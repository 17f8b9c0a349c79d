"""What the status page shows of a build: its pages, the verdicts, and what takes no part."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler

from idlib.book.execution import LAST, NOTEBOOKS
from idlib.book.notes import uncommitted
from idlib.earlier import manifest
from idlib.experiments.registered import Evidence
from idlib.records import Origin
from idlib.report.board import Board
from idlib.report.text import bullets, counted, literal, ranges

COLUMNS = ["notebook", "seconds", "profile", "finished", "as committed"]
DECIDING = ("python", "torch", "transformers")
YES_NO, UNKNOWN = {True: "yes", False: "no"}, "–"


def pages(executed: str | Path, notebooks: Path = NOTEBOOKS) -> pd.DataFrame:
    """The executed notebooks: seconds of the run that made each, its profile, day and minute.

    And whether the notebook that was run is as committed, where there is a repository.
    """
    rows, changed = [], uncommitted(notebooks)
    for path in sorted(Path(executed).glob("*.ipynb")):
        if path.stem in LAST or path.stem.startswith(".") or path.stem.endswith(".failed"):
            continue
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        run, failed = metadata.get("papermill", {}), "failed" in metadata.get("idlib", {})
        rows.append(
            {
                "notebook": path.stem,
                "seconds": math.nan if failed else run["duration"],
                "profile": run.get("parameters", {}).get("profile", "any"),
                "finished": "failed" if failed else run["end_time"][:16].replace("T", " "),
                "as committed": UNKNOWN if changed is None else YES_NO[path.stem not in changed],
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def listed(table: pd.DataFrame) -> Styler:
    """What :func:`pages` gives as a table, in which a day is never broken into lines."""
    days = table["finished"].str.replace(
        r"^(\S+-\S+)", r'<span class="nowrap">\1</span>', regex=True
    )
    shown = table.assign(finished=days).style.hide(axis="index")
    return shown.format({"seconds": "{:.1f}"}, na_rep=UNKNOWN)


def verdicts(found: Evidence) -> pd.DataFrame:
    """The outcome of each line of the protocol, and how many of its seeds there are."""
    return Board(found.records).table()[["line", "outcome", "seeds"]]


def made_with(found: Evidence) -> pd.DataFrame:
    """Where and with what the registered runs were made: a row for each that differs.

    The versions are those of a record's origin that change the bits of a training.
    """
    rows: dict[tuple[str, ...], list[Origin]] = {}
    for study, cells in found.records.items():
        for record in (record for runs in cells.values() for record in runs.values()):
            made = record.origin
            versions = (made.versions.get(name, UNKNOWN) for name in DECIDING)
            at = made.commit or "not known"
            rows.setdefault((study, made.device, *versions, at), []).append(made)
    names = ["study", "on", *DECIDING, "commit"]
    return pd.DataFrame(
        [
            {
                **dict(zip(names, key, strict=True)),
                "runs": len(made),
                "until": max(one.created for one in made)[:10],
            }
            for key, made in rows.items()
        ],
        columns=[*names, "runs", "until"],
    )


def left_out(found: Evidence) -> str:
    """What takes no part in any verdict, and what is missing, each by name, in Markdown."""
    board = Board(found.records)
    lines = [
        f"{run.study}, {run.cell}, seed {run.seed} ({signature}): {reason}"
        for answers in found.studies.values()
        for run, signature, reason in answers.refused
    ]
    lines += [f"{path}: no run that the protocol registers" for path in found.unknown]
    unpaired: dict[str, list[str]] = {}
    for name, decision in board.decisions.items():
        for seed, reason in decision.left_out.items():
            unpaired.setdefault(f"{decision.line.study}, seed {seed}, {reason}", []).append(name)
    lines += [f"{what} (left out of {', '.join(names)})" for what, names in unpaired.items()]
    named = bullets(lines) or "Nothing is left out."
    return f"{named}\n\n{_missing(found)}"


def _missing(found: Evidence) -> str:
    """How many registered runs of each study are not made yet, and the command that makes them."""
    lines = []
    for study, answers in found.studies.items():
        made = sum(map(len, answers.records.values()))
        registered = made + len(answers.missing) + len(answers.refused)
        if answers.missing:
            by_cell: dict[str, list[int]] = {}
            for run in answers.missing:
                by_cell.setdefault(run.cell, []).append(run.seed)
            seeds = "; ".join(f"{cell}: {ranges(each)}" for cell, each in by_cell.items())
            lines.append(
                f"- {study}: {made} of {registered} made. Missing seeds: {literal(seeds)}. "
                f"`idlib evidence {study}` makes them."
            )
    return "\n".join(["Not made yet:", "", *lines]) if lines else "All registered runs are made."


def earlier_evidence() -> str:
    """Which committed records are earlier evidence, why, and what changed since, in Markdown."""
    listed = manifest()
    if not listed.groups:
        return "There is none."
    groups = [
        f"{group.task}, profile {group.profile}: "
        f"{counted(len(group.grid) + len(group.sweep), 'record')}, the checkpoint chosen by "
        f"validation {group.selected}: {group.made}"
        for group in listed.groups
    ]
    return f"{listed.why}\n\n{bullets(groups)}\n\nWhat changed since:\n\n{bullets(listed.changed)}"
