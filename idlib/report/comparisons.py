"""Comparisons of models, seed by seed, from the records of one task and profile.

Every comparison is a weighted sum of conditions taken seed by seed, so that an average, or a
difference of differences, is compared as directly as two models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idlib.metrics.items import items_of
from idlib.metrics.names import BEST, LAST, one_checkpoint, parted
from idlib.protocol import Side
from idlib.records import Record
from idlib.report.bootstrap import bootstrap
from idlib.report.conditions import BySeed, Condition, by_condition, method_name, role
from idlib.report.metrics import Metric
from idlib.report.statistics import Interval, t_interval
from idlib.report.tasks import report_of


@dataclass(frozen=True)
class Contrast:
    """A named weighted sum of conditions, taken seed by seed."""

    label: str
    terms: tuple[tuple[float, Condition], ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions it needs."""
        return tuple(condition for _, condition in self.terms)

    def of(self, values: Mapping[Condition, float]) -> float:
        """The sum, from a value for each condition."""
        return math.fsum(weight * values[condition] for weight, condition in self.terms)


@dataclass(frozen=True)
class Comparison:
    """One contrast in one metric, with its intervals. It judges nothing.

    Values are as in records, unscaled; ``None`` where there is none.

    Args:
        label: the contrast's.
        metric: what is compared.
        better: the better side of zero, ``None`` where there is none.
        interval: of the mean over seeds (Student's t).
        reason: why there is none, if so.
        main: whether it is in the metric that its claim speaks of.
        items: the same by the bootstrap crossed over seeds and test items, where items are kept.
        earlier_report: the same sum over the earlier report's table.
        seeds: those that all conditions have.
        signatures: of the records behind it.
        conditions: that it compares.
    """

    label: str
    metric: Metric
    better: Side | None
    interval: Interval | None
    reason: str = ""
    main: bool = False
    items: Interval | None = None
    earlier_report: float | None = None
    seeds: tuple[int, ...] = ()
    signatures: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def in_words(self) -> str:
        """The difference with its unit and interval, or why there is none."""
        interval = self.interval
        if interval is None:
            return self.reason
        number = self.metric.difference(interval.mean, unit=True)
        if not interval.bounded:
            return number
        return f"{number} (95 % interval {self.metric.bounds(interval.low, interval.high)})"


def difference(label: str, a: Condition, b: Condition) -> Contrast:
    """``a`` minus ``b``."""
    return Contrast(label, ((1.0, a), (-1.0, b)))


def student_minus_base(method: str, round_: int, smoothing: float) -> Contrast:
    """A model of a round of self-distillation minus the base model of round 0."""
    label = f"{method_name(method)}, {role(round_)} − {role(0)}, s = {smoothing:g}"
    student = Condition(method, round_, smoothing)
    return difference(label, student, student._replace(round=0))


class Runs:
    """The records of one task and profile, and the one way in which a comparison is made of them.

    Args:
        records: of one task and profile, at most one for each condition and seed.
        task: their task, also where there are none.

    Raises:
        ValueError: records of several profiles or tasks, two for one condition and seed, or a
            task without a report.
    """

    def __init__(self, records: Sequence[Record], task: str) -> None:
        profiles = sorted({record.asked.profile for record in records})
        if len(profiles) > 1:
            raise ValueError(f"records of one profile are compared at a time, not of {profiles}")
        self.report = report_of(task)
        self.profile = profiles[0] if profiles else "none"
        self.by_condition = by_condition(records)

    def compare(
        self, contrast: Contrast, key: str, better: Side | None = None, main: bool = False
    ) -> Comparison:
        """Compare in the metric of this key, over the seeds that all conditions have."""
        metric = self.report.metric(key)
        having = {
            condition: {
                seed: record
                for seed, record in self.by_condition.get(condition, {}).items()
                if key in record.measured.metrics
            }
            for condition in contrast.conditions
        }
        seeds = tuple(sorted(set.intersection(*map(set, having.values()))))
        plain, selection = parted(key)
        # The report has figures of one checkpoint a run, which was not the last.
        figures = {} if selection == LAST else self.report.earlier_report.get(plain, {})
        earlier = contrast.of(figures) if set(contrast.conditions) <= figures.keys() else None
        if not seeds:
            return Comparison(
                contrast.label,
                metric,
                better,
                None,
                reason=self._what_lacks(contrast, having, key),
                main=main,
                earlier_report=earlier,
                conditions=contrast.conditions,
            )
        values = [
            contrast.of({c: runs[seed].measured.metrics[key] for c, runs in having.items()})
            for seed in seeds
        ]
        return Comparison(
            contrast.label,
            metric,
            better,
            t_interval(values),
            main=main,
            items=_over_items(contrast, metric, having, seeds),
            earlier_report=earlier,
            seeds=seeds,
            signatures=tuple(sorted({r[s].signature for r in having.values() for s in seeds})),
            conditions=contrast.conditions,
        )

    def _what_lacks(self, contrast: Contrast, having: Mapping[Condition, BySeed], key: str) -> str:
        """Name what a contrast that no seed has would need."""
        if not self.by_condition:
            return f"no records of {self.report.task}"
        absent = [c for c in contrast.conditions if c not in self.by_condition]
        if absent:
            return "no record of " + ", nor of ".join(c.full_label for c in absent)
        without = [c for c in contrast.conditions if not having[c]]
        if without:
            return f"no {key} of " + ", nor of ".join(c.full_label for c in without)
        return f"no seed that all records of {contrast.label} have"


def _over_items(
    contrast: Contrast, metric: Metric, having: Mapping[Condition, BySeed], seeds: Sequence[int]
) -> Interval | None:
    """Crossed bootstrap of the mean over seeds, with the same draws for every contrast."""
    systems = [
        [
            items_of(record.measured.curves, _kept_as(record, metric.key), metric.items)
            for record in map(having[c].__getitem__, seeds)
        ]
        for c in contrast.conditions
    ]
    weights = [weight for weight, _ in contrast.terms]
    datasets = [condition.dataset for condition in contrast.conditions]
    return bootstrap(weights, systems, metric.items, datasets)


def _kept_as(record: Record, key: str) -> str:
    """The name of a metric whose items a record keeps: of the best validation score alone."""
    plain, selection = parted(key)
    return plain if one_checkpoint(record.measured.metrics, selection, BEST) else key
