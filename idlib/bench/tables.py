"""The results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from idlib.costs import ArmCost, CaseCosts, Costs

NOTHING = "–"


def tables(costs: Costs) -> Iterator[Table | str]:
    """For each case a table of seconds, ratios and peak memory, and a line for what failed."""
    for case in costs.cases:
        measured = [arm for arm in case.arms if arm.seconds is not None]
        if measured:
            yield _table(case, measured)
        for arm in case.arms:
            if arm.failed is not None:
                yield f"{case.suite} {case.case}: {arm.arm} failed: {arm.failed}"


def _table(case: CaseCosts, arms: list[ArmCost]) -> Table:
    references = [arm.arm for arm in arms if any(arm.arm in other.ratios for other in arms)]
    given_back = "" if case.memory_kept else ", freed memory given back"
    table = Table(title=f"{case.suite}: {case.case}{given_back}", title_justify="left")
    table.add_column("arm", no_wrap=True)
    columns = ["seconds", *(f"× {name}" for name in references), "quartiles", "peak MiB"]
    used = any(arm.utilisation for arm in arms)
    for column in [*columns, *(["utilisation"] if used else [])]:
        table.add_column(column, justify="right", no_wrap=True)
    for arm in arms:
        ratios = [arm.ratios.get(name) for name in references]
        first = ratios[0] if ratios else None
        table.add_row(
            arm.arm,
            f"{arm.seconds.median:.3g}" if arm.seconds else NOTHING,
            *(NOTHING if ratio is None else f"{ratio.median:.3g}" for ratio in ratios),
            NOTHING if first is None else f"{first.lower:.3g}–{first.upper:.3g}",
            NOTHING if arm.peak_bytes is None else f"{arm.peak_bytes / 2**20:,.0f}",
            *([f"{arm.utilisation:.1%}" if arm.utilisation else NOTHING] if used else []),
        )
    return table
