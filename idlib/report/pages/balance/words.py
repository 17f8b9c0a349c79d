"""Words and numbers that the parts of the page share."""

from __future__ import annotations

import math

import pandas as pd

from idlib.report.association import Association
from idlib.report.conditions import cell_name
from idlib.report.metrics import NLL
from idlib.report.paired import NO_BREAK
from idlib.report.statistics import Interval
from idlib.report.text import NOTHING, signed

CONTRASTS = (  # cells whose pruning is compared
    ("id", "baseline"),
    ("passes", "baseline"),
    ("compute", "baseline"),
    ("id", "passes"),
    ("id smoothed", "baseline smoothed"),
    ("id student", "baseline student"),
    ("id smoothed student", "baseline smoothed student"),
)
NOT_YET = "there are no runs to compare yet"  # head of an empty table
Rows = dict[tuple[str, ...], dict[str, str]]  # cells of a table by label and column


LABELS = {pair: f"{cell_name(pair[0])} − {cell_name(pair[1])}" for pair in CONTRASTS}


def table(rows: Rows, *names: str) -> pd.DataFrame:
    """Rows by their labels, which have these names; without any an empty one that says so."""
    if not rows:
        return pd.DataFrame({NOT_YET: []})
    index = pd.MultiIndex.from_tuples(list(rows), names=names)
    return pd.DataFrame(list(rows.values()), index=index)


def times(found: Interval) -> str:
    """A ratio in a sentence; the caller says of what."""
    return _with_seeds(f"{found.mean:.2f}", f"{found.low:.2f} to {found.high:.2f}", found)


def ratio_cell(found: Interval | None) -> str:
    """A ratio with its interval for a table."""
    if found is None:
        return NOTHING
    if not found.bounded:
        return f"{found.mean:.2f}"
    return f"{found.mean:.2f} ({f'{found.low:.2f} to {found.high:.2f}'.replace(' ', NO_BREAK)})"


def difference(found: Interval) -> str:
    """A difference in NLL with its interval, in a sentence."""
    mean, bounds = NLL.difference(found.mean, unit=True), NLL.bounds(found.low, found.high)
    return _with_seeds(mean, bounds, found)


def _with_seeds(mean: str, bounds: str, found: Interval) -> str:
    return f"{mean} ({bounds}, n = {found.n})" if found.bounded else f"{mean} (n = 1)"


def signed_bounds(found: Interval | None) -> str:
    """The same for a table, whose head has the unit."""
    if found is None:
        return NOTHING
    mean = NLL.difference(found.mean)
    bounds = NLL.bounds(found.low, found.high).replace(" ", NO_BREAK)
    return f"{mean} ({bounds})" if found.bounded else mean


def signed_number(value: float) -> str:
    """A correlation."""
    return NOTHING if math.isnan(value) else signed(value, "+.2f")


def rho(found: Association | None) -> str:
    """A rank correlation with its interval, where it has one."""
    if found is None or math.isnan(found.rho):
        return NOTHING
    if math.isnan(found.low):
        return signed_number(found.rho)
    return f"{signed_number(found.rho)} ({signed_number(found.low)} to {signed_number(found.high)})"


def with_seeds(runs: pd.DataFrame, fewest: int) -> pd.DataFrame:
    """The runs of groups that have enough seeds."""
    return runs[runs.groupby("group")["seed"].transform("count") >= fewest]
