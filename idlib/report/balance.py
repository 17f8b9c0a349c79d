"""How balanced one way to train leaves the parameters, and what pruning costs, beside another's.

What a record does not hold itself is put beside its metrics first, so that every comparison is one
of metrics and goes by the rules of the protocol's lines: seed by seed, on one kind of processor.
"""

from __future__ import annotations

import math

from idlib.metrics.names import LOSS, SELECTIONS, at
from idlib.records import Record
from idlib.report.decisions import Values, weighted
from idlib.report.kinds import NORM, by_kind, pooled
from idlib.report.paired import Cells, Studies
from idlib.report.pruning import RANKS, height, pruned
from idlib.report.statistics import Interval, t_interval

REST = "all but norms"
STD, CV = "sensitivity/std", "sensitivity/cv"


def with_figures(studies: Studies, light: float) -> dict[str, dict[str, dict[int, Record]]]:
    """The same records, their metrics joined by what follows from them.

    These are ``kinds/cv/<kind>``; ``kinds/std`` and ``kinds/cv`` of all but norms; and of each
    curve of pruning ``pruned/<rank>/added``, the mean height of what it adds, the same up to a
    share (``added_light``), and ``pruned/<rank>/level``, that of the NLL itself.

    Args:
        studies: records by study, cell and seed.
        light: the share of weights up to which pruning is called light.
    """
    return {
        study: {
            cell: {seed: _with_figures(record, light) for seed, record in by_seed.items()}
            for cell, by_seed in cells.items()
        }
        for study, cells in studies.items()
    }


def _with_figures(record: Record, light: float) -> Record:
    metrics = dict(record.measured.metrics)
    for selection in SELECTIONS:
        parts = by_kind(record, selection)
        if rest := [part for kind, part in parts.items() if kind != NORM]:
            parts[REST] = pooled(rest)
            metrics[at(f"kinds/std/{REST}", selection)] = parts[REST].std
        metrics |= {at(f"kinds/cv/{name}", selection): part.cv for name, part in parts.items()}
    for rank in RANKS:
        if curve := pruned(record, rank):
            x, added = curve.shares, curve.added
            metrics[at(f"pruned/{rank}/added", LOSS)] = height(x, added)
            metrics[at(f"pruned/{rank}/added_light", LOSS)] = height(x, added, light)
            metrics[at(f"pruned/{rank}/level", LOSS)] = height(x, curve.nll)
    measured = record.measured.model_copy(update={"metrics": metrics})
    return record.model_copy(update={"measured": measured})


def paired(
    cells: Cells,
    metric: str,
    cell: str,
    against: str,
    selection: str = LOSS,
    logarithm: bool = False,
) -> Values:
    """A cell's metric minus another's, seed by seed, by the rules of the protocol's lines.

    Args:
        cells: records of a study.
        metric: its plain name.
        cell: which is compared.
        against: with which.
        selection: the checkpoint of both.
        logarithm: of the metric, so that the difference is that of a ratio.
    """
    return weighted({cell: 1, against: -1}, at(metric, selection), cells, logarithm)


def interval_of(values: Values) -> Interval | None:
    """The t interval of the mean over seeds; ``None`` where no seed has both cells."""
    return t_interval(list(values.by_seed.values())) if values.by_seed else None


def ratio(
    cells: Cells, metric: str, cell: str, against: str, selection: str = LOSS
) -> Interval | None:
    """A cell's metric over another's: the geometric mean of the ratios, with its t interval.

    The interval is that of the mean logarithm over seeds, brought back by the exponential.
    """
    return exponential(interval_of(paired(cells, metric, cell, against, selection, logarithm=True)))


def exponential(logs: Interval | None) -> Interval | None:
    """An interval of logarithms as one of ratios."""
    if logs is None:
        return None
    return Interval(math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n)
