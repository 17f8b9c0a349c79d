"""What the status page shows of a build: its pages, the verdicts, and the records at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from idlib.book.opening import EVIDENCE
from idlib.earlier import manifest
from idlib.experiments.grid import recorded
from idlib.records import WORKING_STORE, Store
from idlib.report.designs import DESIGNS
from idlib.report.frame import frame
from idlib.report.results import Results
from idlib.report.text import bullets, counted


def pages(executed: str | Path) -> pd.DataFrame:
    """The executed notebooks: seconds of the run that made each, its profile, and when it ended."""
    rows = []
    for path in sorted(Path(executed).glob("*.ipynb")):
        if path.stem.startswith((".", "status")) or path.stem.endswith(".failed"):
            continue
        run = json.loads(path.read_text(encoding="utf-8"))["metadata"]["papermill"]
        rows.append(
            {
                "notebook": path.stem,
                "seconds": run["duration"],
                "profile": run["parameters"].get("profile", "any"),
                "finished": run["end_time"][:19].replace("T", " "),
            }
        )
    return pd.DataFrame(rows, columns=["notebook", "seconds", "profile", "finished"])


def verdicts(profile: str, source: str) -> pd.DataFrame:
    """The outcome of each claim and task, from the records that the task's page rests on.

    Those are the committed ones of a longer profile, or where there are none this build's, of its
    ``profile`` and ``source``.
    """
    rows = []
    for task in DESIGNS:
        evidence = recorded(task, EVIDENCE) if profile != EVIDENCE else []
        judged = evidence or recorded(task, profile, WORKING_STORE, source=source)
        results = Results(task, profile, source, judged)
        rows += [(claim, task, verdict.outcome) for claim, verdict in results.verdicts.items()]
    return pd.DataFrame(sorted(rows), columns=["claim", "task", "verdict"])


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


def records(store: Store) -> pd.DataFrame:
    """All records of a store and the folder that each was found in."""
    stored = store.all()
    where = {one.record.signature: str(one.where) for one in stored}
    columns = ["signature", "task", "method", "round", "smoothing", "seed", "profile", "source"]
    table = frame(one.record for one in stored).reindex(columns=[*columns, "seconds"])
    return table.assign(**{"from": table["signature"].map(where)})
