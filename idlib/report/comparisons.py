"""Comparisons of models, seed by seed, from the records of one task and profile.

Every comparison is a weighted sum of cells (method, round, smoothing) taken seed by seed, so that
an average, or a difference of differences, is compared as directly as two models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from idlib.metrics import bleu, items
from idlib.records import Record
from idlib.report.names import BLEU, METHOD_NAMES, NLL, ROLES, Cell, written
from idlib.report.published import REPORTED
from idlib.report.statistics import (
    Claimed,
    Interval,
    Outcome,
    bootstrap_items,
    judge,
    p_value,
    t_interval,
    why_not_judged,
)


@dataclass(frozen=True)
class Contrast:
    """A named weighted sum of cells, taken seed by seed."""

    label: str
    terms: tuple[tuple[float, Cell], ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells it needs."""
        return tuple(cell for _, cell in self.terms)

    @property
    def weights(self) -> tuple[float, ...]:
        """What each cell counts."""
        return tuple(weight for weight, _ in self.terms)


@dataclass(frozen=True)
class Line:
    """One comparison: its interval over seeds, and what it says.

    ``claimed`` is the side of zero that the claim names, ``None`` where the line is context only.
    ``items`` is the bootstrap over test items of the mean over seeds, and ``items_p`` its p where
    it has one (SacreBLEU's paired test), which speaks of these trained models, not of another
    seed's; ``report`` is the same sum over the earlier report's table; each ``None`` where there is
    none. A ``primary`` line takes part in the claim's verdict. Values are in the metric's own
    unit, unscaled.
    """

    label: str
    metric: str
    claimed: Claimed | None
    interval: Interval | None
    p_value: float | None
    verdict: Outcome | Literal["context"]
    reason: str = ""
    primary: bool = False
    items: Interval | None = None
    items_p: float | None = None
    report: float | None = None
    seeds: tuple[int, ...] = ()
    signatures: tuple[str, ...] = ()


def task_of(records: Iterable[Record]) -> str | None:
    """The one task of these records; ``None`` without records.

    Raises:
        ValueError: records of several tasks.
    """
    tasks = sorted({record.asked.task for record in records})
    if len(tasks) > 1:
        raise ValueError(f"records of one task are compared at a time, not of {tasks}")
    return tasks[0] if tasks else None


def cell_of(record: Record) -> Cell:
    """The cell of a record, from its method and settings."""
    settings = record.asked.settings
    return Cell(
        record.asked.method,
        int(settings.get("round", 0)),
        float(settings.get("smoothing", 0.0)),
        settings.get("dataset") or "",
    )


def by_cell(records: Iterable[Record]) -> dict[Cell, dict[int, Record]]:
    """Sort one task's records into cells and seeds, in an order that the input's leaves alone.

    A data set is part of the cell only where the records are of several.

    Raises:
        ValueError: records of several tasks, or two different ones for the same cell and seed.
    """
    cells: dict[Cell, dict[int, Record]] = {}
    ordered = sorted(records, key=lambda r: (cell_of(r), r.asked.seed, r.signature))
    task_of(ordered)
    several = len({cell_of(record).dataset for record in ordered}) > 1
    for record in ordered:
        cell = cell_of(record) if several else cell_of(record)._replace(dataset="")
        known = cells.setdefault(cell, {}).setdefault(record.asked.seed, record)
        if known.signature != record.signature:
            raise ValueError(
                f"two records for {cell.full_label}, seed {record.asked.seed}: "
                f"{known.signature} and {record.signature}; pass records of one grid"
            )
    return cells


def difference(label: str, a: Cell, b: Cell) -> Contrast:
    """``a`` minus ``b``."""
    return Contrast(label, ((1.0, a), (-1.0, b)))


def student_minus_teacher(method: str, round_: int, smoothing: float) -> Contrast:
    """A model of a round of self-distillation minus the teacher of round 0."""
    label = f"{METHOD_NAMES[method]}, {ROLES[round_]} − teacher, s = {smoothing:g}"
    return difference(label, Cell(method, round_, smoothing), Cell(method, 0, smoothing))


class Runs:
    """The records of one task and profile by cell, and the one way a line is made from them.

    Args:
        records: of one task and profile, at most one for each cell and seed.
        task: their task, also where there are none.

    Raises:
        ValueError: records of several profiles or tasks, or two for one cell and seed.
    """

    def __init__(self, records: Sequence[Record], task: str) -> None:
        profiles = sorted({record.asked.profile for record in records})
        if len(profiles) > 1:
            raise ValueError(f"records of one profile are judged at a time, not of {profiles}")
        self.task = task
        self.profile = profiles[0] if profiles else "none"
        self.cells = by_cell(records)

    def line(
        self,
        contrast: Contrast,
        metric: str,
        claimed: Claimed | None,
        primary: bool = False,
    ) -> Line:
        """Compare in ``metric``, over the seeds that all cells have."""
        found = [
            {s: r for s, r in self.cells.get(cell, {}).items() if metric in r.measured.metrics}
            for cell in contrast.cells
        ]
        seeds = tuple(sorted(set.intersection(*(set(having) for having in found))))
        report = _reported(REPORTED.get(self.task, {}).get(metric, {}), contrast)
        if not seeds:
            return Line(
                contrast.label,
                metric,
                claimed,
                None,
                None,
                "not judged",
                reason=self._lack(contrast, metric),
                primary=primary,
                report=report,
            )
        values = [
            math.fsum(
                weight * having[seed].measured.metrics[metric]
                for weight, having in zip(contrast.weights, found, strict=True)
            )
            for seed in seeds
        ]
        interval = t_interval(values)
        reason = why_not_judged(self.task, self.profile, len(seeds)) if claimed else ""
        outcome = judge(interval, claimed) if claimed else "context"
        over_items, items_p = _over_items(contrast, metric, found, seeds)
        return Line(
            contrast.label,
            metric,
            claimed,
            interval,
            p_value(values),
            "not judged" if reason else outcome,
            reason=reason,
            primary=primary,
            items=over_items,
            items_p=items_p,
            report=report,
            seeds=seeds,
            signatures=tuple(sorted({having[s].signature for having in found for s in seeds})),
        )

    def _lack(self, contrast: Contrast, metric: str) -> str:
        """Name what a contrast that no seed has would need."""
        if not self.cells:
            return f"no {self.task.removesuffix('s')} records"  # images: "no image records"
        cells = [cell for cell in contrast.cells if cell not in self.cells]
        if cells:
            return "no record of " + ", nor of ".join(cell.full_label for cell in cells)
        cells = [
            cell
            for cell in contrast.cells
            if not any(metric in r.measured.metrics for r in self.cells[cell].values())
        ]
        if cells:
            return f"no {metric} of " + ", nor of ".join(cell.full_label for cell in cells)
        return f"no seed that all records of {contrast.label} have"


def signed(value: float, metric: str, unit: bool = False) -> str:
    """Write a difference in a metric with its sign, scaled as the metric is written.

    >>> signed(-0.0451, "test/nll", unit=True)
    '−0.045 nats'
    """
    how = written(metric)
    text = f"{value * how.scale:+{how.form}}".replace("-", "−")
    return f"{text} {how.unit}".strip() if unit else text


def in_words(line: Line, outcome: str = "") -> str:
    """The difference of a line that was measured, with its interval and, if given, its outcome."""
    interval = line.interval
    number = signed(interval.mean, line.metric, unit=True)
    if not interval.bounded:
        return number
    low, high = signed(interval.low, line.metric), signed(interval.high, line.metric)
    return f"{number} (95 % interval {low} to {high}{outcome and f'; {outcome}'})"


def _over_items(
    contrast: Contrast, metric: str, found: list[dict[int, Record]], seeds: tuple[int, ...]
) -> tuple[Interval | None, float | None]:
    """Bootstrap over test items of the mean over seeds, and its p; one draw for every line."""
    curves = [[having[seed].measured.curves for seed in seeds] for having in found]
    datasets = [cell.dataset for cell in contrast.cells]
    if metric == NLL and len(set(datasets)) == 1:
        return _nll_items(contrast.weights, curves), None
    if metric == BLEU and contrast.weights == (1.0, -1.0):
        return _bleu_items(curves)
    systems = [[items.items_of(one, metric) for one in row] for row in curves]
    score = items.bootstrap(contrast.weights, systems, datasets)
    return (score and Interval(*score)), None


def _nll_items(weights: Sequence[float], curves: list[list[dict]]) -> Interval | None:
    losses = [[one.get("test/nll/items", []) for one in row] for row in curves]
    lengths = {len(curve) for row in losses for curve in row}
    if len(lengths) > 1 or 0 in lengths:
        return None
    means = np.array(losses).mean(axis=1)  # [cells, items]
    return bootstrap_items(np.array(weights) @ means, np.random.default_rng(0))


def _bleu_items(curves: list[list[dict]]) -> tuple[Interval | None, float | None]:
    first, second = ([bleu.items_of(one) for one in row] for row in curves)
    references = {tuple(system[:, 1]) for system in (*first, *second)}
    if len(references) > 1 or () in references:
        return None, None
    found = bleu.paired_bootstrap(first, second)
    size = len(references.pop())
    return Interval(found.difference, found.low, found.high, size), found.p_value


def _reported(table: dict[Cell, float], contrast: Contrast) -> float | None:
    if not all(cell in table for cell in contrast.cells):
        return None
    return math.fsum(weight * table[cell] for weight, cell in contrast.terms)
