"""The tables of the page of claims: what was published, how each is judged, and what came out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from idlib.report.claims import CLAIMS
from idlib.report.designs import DESIGNS, tasks_of


def published(claims: Sequence[str]) -> pd.DataFrame:
    """What the paper and the earlier report say of each claim, in Markdown."""
    return pd.DataFrame(
        {
            "": f"**{name}**",
            "claim": CLAIMS[name].statement,
            "the paper": CLAIMS[name].paper,
            "the earlier report": CLAIMS[name].report,
            "tested on": ", ".join(_page(task) for task in tasks_of(name)),
        }
        for name in claims
    )


def rules(claims: Sequence[str]) -> pd.DataFrame:
    """The rule of each claim and task in words, and its outcome as the task's page has it."""
    return pd.DataFrame(
        {
            "": f"**{name}**",
            "task": _page(task),
            "rule": DESIGNS[task].rules[name],
            "verdict": f"{{glue:text}}`{task}.ipynb::outcome_{name.lower()}:s`",
        }
        for name in claims
        for task in tasks_of(name)
    )


def _page(task: str) -> str:
    return f"{{doc}}`{task}`"
