"""The records that the audit reads effects from, and differences between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from idlib.earlier import earlier
from idlib.metrics.names import LAST, LOSS, SELECTIONS, at
from idlib.protocol import Protocol
from idlib.records import Record
from idlib.report.cells import REGISTERED, whole_or_earlier
from idlib.report.decisions import weighted
from idlib.report.metrics import Metric
from idlib.report.paired import Cells
from idlib.report.statistics import Interval, t_interval
from idlib.report.text import NOTHING


@dataclass(frozen=True)
class Sources:
    """The records that effects are read from, by cell and seed.

    Args:
        images, translation, tagging: of these tasks' studies.
        second_rounds: image records of a second round of self-distillation, and of the first.
        encoders: a record of each task on the pretrained encoder, by task.
        rules: of selection, which the records of translation tell apart.
    """

    images: Cells = field(default_factory=dict)
    translation: Cells = field(default_factory=dict)
    tagging: Cells = field(default_factory=dict)
    second_rounds: Sequence[Record] = ()
    encoders: Mapping[str, Record] = field(default_factory=dict)
    rules: Sequence[str] = SELECTIONS


def read_sources(
    protocol: Protocol, records: Mapping[str, Cells]
) -> tuple[Sources, dict[str, str]]:
    """The registered records of the studies, or earlier ones where these are too few.

    Args:
        protocol: whose studies they are.
        records: registered ones, by study.

    Returns:
        The sources, and for each study what its records are.
    """
    found, kinds = {}, {}
    for name in ("images", "translation", "tagging"):
        study = protocol.studies[name]
        before = earlier(study.task, study.profile)
        found[name], kinds[name] = whole_or_earlier(protocol, name, records.get(name, {}), before)
    # Earlier runs of translation were chosen by their loss, and that checkpoint alone translated.
    rules = SELECTIONS if kinds["translation"] == REGISTERED else (LOSS,)
    rounds = earlier("images", "medium")
    encoders = {
        task: next(iter(earlier(task, profile)))
        for task, profile in (
            ("tagging", "large"),
            ("answering", "medium"),
            ("classification", "medium"),
        )
    }
    return Sources(**found, second_rounds=rounds, encoders=encoders, rules=rules), kinds


def difference(cells: Cells, contrast: Mapping[str, float], key: str) -> Interval | None:
    """A weighted sum of cells in one metric, seed by seed; ``None`` where no seed has all.

    Args:
        cells: records by cell and seed.
        contrast: weight of each cell.
        key: of the metric.
    """
    values = weighted(contrast, key, cells).by_seed
    return t_interval([*values.values()]) if values else None


def since_lowest_loss(cells: Cells, cell: str, key: str) -> dict[int, float]:
    """By how much a metric of the last update exceeds that of the lowest validation loss, by seed.

    Args:
        cells: records by cell and seed.
        cell: whose runs.
        key: of the metric.
    """
    metrics = {seed: record.measured.metrics for seed, record in cells.get(cell, {}).items()}
    last, loss = at(key, LAST), at(key, LOSS)
    return {s: one[last] - one[loss] for s, one in metrics.items() if {last, loss} <= one.keys()}


def written(metric: Metric, interval: Interval | None) -> str:
    """A difference with its interval and number of seeds; a dash without records."""
    if interval is None:
        return NOTHING
    number = metric.difference(interval.mean, unit=True)
    if not interval.bounded:
        return f"{number} (1 seed)"
    bounds = metric.bounds(interval.low, interval.high)
    return f"{number} ({bounds}, {interval.n} seeds)"
