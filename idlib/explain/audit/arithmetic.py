"""The report's derived figures, computed again (A21)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from idlib.audit.findings import Derived


def arithmetic_table(printed: Sequence[Derived]) -> str:
    """The report's derived figures as printed and computed again, as a table in Markdown."""
    table = pd.DataFrame(
        {
            "printed": [figure.printed for figure in printed],
            "computed again": [figure.rounded for figure in printed],
            "agrees": ["yes" if figure.agrees else "**no**" for figure in printed],
        },
        index=pd.Index([figure.what for figure in printed], name="figure"),
    )
    return str(table.to_markdown(disable_numparse=True))


def arithmetic_sentence(printed: Sequence[Derived]) -> str:
    """How many of the derived figures agree."""
    agreeing = sum(figure.agrees for figure in printed)
    return f"{agreeing} of {len(printed)} agree; none of the others changes a conclusion."
