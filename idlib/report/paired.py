"""Gains of one way to train over another, seed by seed, in the runs that the protocol registers.

A gain is above zero where the first is better, whichever side of the metric that is, so that
gains in a score and in a loss read alike. A seed that one of the two lacks, or whose two runs were
made on different kinds of processors, takes no part.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from idlib.metrics.names import BEST, at
from idlib.protocol import Protocol, Side
from idlib.records import Record
from idlib.report.decisions import weighted
from idlib.report.metrics import Metric
from idlib.report.statistics import Interval, t_interval
from idlib.report.tasks import report_of
from idlib.report.text import counted

Cells = Mapping[str, Mapping[int, Record]]
"""The records of a study, by cell and seed."""

Studies = Mapping[str, Cells]
"""Those of several, by study."""

Sign = Literal["better", "worse", "either", "unknown"]  # either: the interval holds zero
NO_BREAK = "\N{NO-BREAK SPACE}"  # within an interval in a table
NO_SEED = "no seed that both have, made on one kind of processor"
FEWEST = 3  # seeds that an interval takes to tell a side: as many as the smallest studies have


@dataclass(frozen=True)
class Measure:
    """What a gain is measured in.

    Args:
        metric: of the records.
        better: its better side.
        delta: the smallest effect of interest, in the metric's own unit; ``None`` where the
            protocol has none.
    """

    metric: Metric
    better: Side
    delta: float | None = None

    @property
    def sign(self) -> float:
        """By which a difference is multiplied to be a gain."""
        return 1.0 if self.better == "above" else -1.0

    @property
    def title(self) -> str:
        """Label of an axis of gains: a loss that is lower has fallen."""
        return f"{'gain' if self.better == 'above' else 'fall'} in {self.metric.title}"


@dataclass(frozen=True)
class Gain:
    """How much better one cell is than another.

    Args:
        measure: what it is measured in.
        values: for each seed that both have, in the metric's own unit.
        lacking: what is missing, in words, where no seed has both.
    """

    measure: Measure
    values: Mapping[int, float]
    lacking: str = ""

    @cached_property
    def interval(self) -> Interval | None:
        """Student's 95 % interval of the mean over seeds; ``None`` without any."""
        return t_interval(list(self.values.values())) if self.values else None

    @property
    def sign(self) -> Sign:
        """On which side of zero the interval lies; unknown with fewer than three seeds."""
        if self.interval is None or self.interval.n < FEWEST:
            return "unknown"
        if self.interval.low > 0:
            return "better"
        return "worse" if self.interval.high < 0 else "either"

    @property
    def mean(self) -> str:
        """The mean with its sign and unit."""
        if self.interval is None:
            return self.lacking
        return self.measure.metric.difference(self.interval.mean, unit=True)

    @property
    def words(self) -> str:
        """Mean, 95 % interval and seeds, for a sentence: ``+1.20 points (+0.40 to +2.00, n = 5)``.

        What is missing, where there is none.
        """
        if self.interval is None:
            return self.lacking
        if not self.interval.bounded:
            return f"{self.mean} (one seed, no interval)"
        bounds = self.measure.metric.bounds(self.interval.low, self.interval.high)
        return f"{self.mean} ({bounds}, n = {self.interval.n})"

    @property
    def cell(self) -> str:
        """The same for a table, whose head has the unit: the interval below the mean if narrow."""
        if self.interval is None:
            return "–"
        mean = self.measure.metric.difference(self.interval.mean)
        if not self.interval.bounded:
            return f"{mean} (n = 1)"
        bounds = self.measure.metric.bounds(self.interval.low, self.interval.high)
        return f"{mean} ({bounds.replace(' ', NO_BREAK)})"

    def minus(self, other: Gain) -> Gain:
        """By how much this gain is the larger one, over the seeds that both have."""
        seeds = [seed for seed in self.values if seed in other.values]
        values = {seed: self.values[seed] - other.values[seed] for seed in seeds}
        return Gain(self.measure, values, self.lacking or other.lacking or NO_SEED)


def gain(
    cells: Cells, measure: Measure, cell: str, against: str = "baseline", selection: str = BEST
) -> Gain:
    """The gain of ``cell`` over ``against`` at the checkpoints that a rule of selection chose."""
    key = at(measure.metric.key, selection)
    if cell == against:
        own = weighted({cell: 1.0}, key, cells)
        return Gain(measure, dict.fromkeys(own.by_seed, 0.0), own.lacking)
    found = weighted({cell: measure.sign, against: -measure.sign}, key, cells)
    return Gain(measure, found.by_seed, found.lacking or NO_SEED)


@dataclass(frozen=True)
class StudyRecords:
    """The records of the protocol's studies, and what its lines measure them by.

    Args:
        protocol: the studies and lines.
        by_study: records by study, cell and seed; those that may count.
    """

    protocol: Protocol
    by_study: Studies

    def cells(self, *studies: str) -> Cells:
        """The records of one study, or of several of one task whose cells have different names."""
        return {
            cell: by_seed
            for name in studies
            for cell, by_seed in self.by_study.get(name, {}).items()
        }

    def measure(self, line: str) -> Measure:
        """What a line of the protocol is measured in."""
        asked = self.protocol.lines[line]
        metric = report_of(self.protocol.studies[asked.study].task).metric(asked.metric)
        return Measure(metric, asked.better, asked.delta)

    def missing(self, studies: Sequence[str], cells: Collection[str] | None = None) -> str:
        """Which runs of some studies are not made, and how to make them, as a list in Markdown.

        Args:
            studies: by name.
            cells: of them, those that matter; by default all.

        Returns:
            Empty where all are made.
        """
        lines = []
        for name in studies:
            study = self.protocol.studies[name]
            matter = [cell for cell in study.cells if cells is None or cell in cells]
            made = self.by_study.get(name, {})
            lacks = {cell: len(study.seeds_of(cell)) - len(made.get(cell, {})) for cell in matter}
            lacks = {cell: number for cell, number in lacks.items() if number > 0}
            total = sum(len(study.seeds_of(cell)) for cell in matter)
            if lacks:
                each = ", ".join(f"`{cell}`: {number}" for cell, number in lacks.items())
                lacking = sum(lacks.values())
                of_cells = "" if lacking == total else f" ({each})"
                lines.append(
                    f"- {name}: {lacking} of {counted(total, 'run')} not made yet{of_cells}; "
                    f"`idlib evidence {name}` makes them."
                )
        return "\n".join(lines)
