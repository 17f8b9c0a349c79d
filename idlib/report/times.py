"""How long runs took beside the baseline's: the same seed, on the same kind of processor.

Runs are made beside other work, which lengthens one and not its pair, so that seconds of a record
are compared in pairs alone and the quartiles over the pairs stand beside the median. What a method
costs is the benchmark's to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from idlib.costs import Spread
from idlib.records import Record
from idlib.report.text import NOTHING

FEWEST = 3  # pairs that have quartiles
TIME, QUARTILES = "time ÷ baseline", "quartiles"


def ratios(made: Mapping[int, Record], baseline: Mapping[int, Record]) -> list[float]:
    """Seconds of each run by those of the baseline with its seed, made on its kind of processor.

    Args:
        made: records by seed.
        baseline: those of the baseline.
    """
    return [
        record.cost.seconds / baseline[seed].cost.seconds
        for seed, record in made.items()
        if seed in baseline and baseline[seed].origin.device == record.origin.device
    ]


def columns(found: Sequence[float]) -> dict[str, str]:
    """Median of :func:`ratios` and their quartiles, as two cells of a table's row.

    >>> columns([2.0, 3.0, 5.0])
    {'time ÷ baseline': '3.00', 'quartiles': '2.50–4.00'}
    >>> columns([])
    {'time ÷ baseline': '–', 'quartiles': '–'}
    """
    if not found:
        return {TIME: NOTHING, QUARTILES: NOTHING}
    spread = Spread.of(found)
    quartiles = f"{spread.lower:.2f}–{spread.upper:.2f}" if len(found) >= FEWEST else NOTHING
    return {TIME: f"{spread.median:.2f}", QUARTILES: quartiles}
