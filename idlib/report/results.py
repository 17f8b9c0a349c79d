"""The results of a task: records of this build and the evidence, what they say, and texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from idlib.earlier import EarlierRecord
from idlib.records import Record
from idlib.report.board import Board
from idlib.report.compared import Compared, compare
from idlib.report.conditions import ByCondition, Condition, by_condition, task_of
from idlib.report.metrics import Metric
from idlib.report.tasks import report_of
from idlib.report.tasks.base import TaskReport
from idlib.report.text import counted, literal, span

BUILD, EVIDENCE, EARLIER = "this build", "recorded evidence", "earlier evidence"
EARLIER_IN_WORDS = (
    " These are earlier evidence, made at the first revision of the task and read by what each was"
    " asked: {doc}`status` lists what changed since, so that other numbers stand in this build."
)
ONE_DATASET = "the data set"  # where a folder holds one, and nobody named it


@dataclass(frozen=True)
class Results:
    """The records that a task's page rests on.

    Args:
        task: their task.
        profile: this build's.
        source: this build's.
        records: this build's, all of ``profile``.
        evidence: the committed records of a longer profile that tables and figures rest on; where
            there are none, this build's take their place.
        board: what the protocol's runs decide; it rests on its own records alone.

    Raises:
        ValueError: records of another task.
    """

    task: str
    profile: str
    source: str
    records: Sequence[Record]
    evidence: Sequence[Record] = ()
    board: Board = field(default_factory=Board)

    def __post_init__(self) -> None:
        """Refuse records of other tasks, of which tables would make rows too."""
        task = task_of((*self.records, *self.evidence))
        if task not in (None, self.task):
            raise ValueError(f"records of {task!r} are no results of {self.task!r}")

    @property
    def report(self) -> TaskReport:
        """How the task's records are shown."""
        return report_of(self.task)

    @property
    def judged(self) -> Sequence[Record]:
        """The records that tables and figures rest on."""
        return self.evidence or self.records

    @property
    def is_earlier(self) -> bool:
        """Whether the evidence is of the task's first revision, as its manifest lists it."""
        return any(isinstance(record, EarlierRecord) for record in self.evidence)

    @property
    def by_label(self) -> dict[str, Sequence[Record]]:
        """This build's records and the evidence, as far as there are any, by their label in tables.

        The label says which profile and how many seeds: ``this build (small, 1 seed)``.
        """
        name = EARLIER if self.is_earlier else EVIDENCE
        parts = ((BUILD, self.records), (name, self.evidence))
        return {f"{name} ({_described(records)})": records for name, records in parts if records}

    @cached_property
    def by_condition(self) -> ByCondition:
        """The judged records by condition and seed."""
        return by_condition(self.judged)

    @property
    def base_models(self) -> dict[str, list[Record]]:
        """The judged base models at the first smoothing, by method."""
        models: dict[str, list[Record]] = {}
        for condition, runs in self.by_condition.items():
            if (condition.round, condition.smoothing) == (0, self.report.smoothings[0]):
                models.setdefault(condition.method, []).extend(runs.values())
        return models

    @property
    def label(self) -> str:
        """Profile and number of seeds of what is judged, and whether it is earlier evidence."""
        kind = f"{EARLIER}, " if self.is_earlier else ""
        return f"{kind}profile {_described(self.judged) if self.judged else self.profile}"

    @property
    def basis(self) -> str:
        """How many records are judged, and which."""
        kind = "committed records" if self.evidence else "records of this build"
        return f"{len(self.judged)} {kind} ({self.label})"

    @property
    def banner(self) -> str:
        """A warning at profile smoke, else nothing."""
        smoke = self.profile == "smoke"
        return "Built at profile smoke: the numbers of this build mean nothing. " if smoke else ""

    @property
    def introduction(self) -> str:
        """What was built, and what the verdicts rest on, in Markdown."""
        return (
            f"{self.banner}This build: profile `{self.profile}`, source {literal(self.source)}, "
            f"seeds {_seeds(self.records)}, {len(self.records)} runs. The tables and the figures "
            f"below rest on {self.basis}.{EARLIER_IN_WORDS if self.is_earlier else ''}"
        )

    @cached_property
    def compared(self) -> dict[str, Compared]:
        """What is compared of the records that tables and figures rest on, by claim."""
        return compare(self.judged, self.task)

    @cached_property
    def compared_of_build(self) -> dict[str, Compared]:
        """The same of this build alone."""
        return compare(self.records, self.task)

    def metric(self, key: str) -> Metric:
        """How a metric of this task is written."""
        return self.report.metric(key)

    def by_dataset(self) -> Iterator[tuple[str, Results]]:
        """The results of each data set, by its name."""
        every = (*self.records, *self.evidence)
        for dataset in sorted({_dataset(record) for record in every}):
            records, evidence = (
                [record for record in part if _dataset(record) == dataset]
                for part in (self.records, self.evidence)
            )
            yield dataset, replace(self, records=records, evidence=evidence)

    def gain_of_build(self, claim: str) -> str:
        """The first main difference of a claim in this build's records, with its unit."""
        first = self.compared_of_build[claim].main[0]
        if first.interval is None:
            return "–"
        return first.metric.difference(first.interval.mean, unit=True)

    def of_build(self, key: str, form: str = ".1f") -> str:
        """A metric of this build's baselines of round 0: its range over seeds, scaled."""
        scale = self.metric(key).scale
        values = [
            scale * record.measured.metrics[key]
            for record in self.records
            if record.asked.method == "baseline"
            and not record.asked.settings.get("round")
            and key in record.measured.metrics
        ]
        return span(values, form) if values else "–"

    def past_lowest(self, methods: Sequence[str] = ("baseline",)) -> list[str]:
        """Where the validation NLL of base models is lowest, and how far above that it ends.

        A line of what is judged for each method, smoothing and data set. A model whose lowest
        value is its last was not trained past the point where it overfits.
        """
        return [
            _past_lowest(condition, [runs[seed] for seed in sorted(runs)])
            for condition, runs in self.by_condition.items()
            if condition.round == 0 and condition.method in methods
        ]

    def glued(self) -> dict[str, str]:
        """Texts for other pages by key, plain and not Markdown.

        ``TASK_banner``, ``TASK_seeds`` and ``TASK_past_lowest``.
        """
        seeds = _seeds(self.records)
        listed = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        return {
            f"{self.task}_banner": self.banner,
            f"{self.task}_seeds": f"profile {self.profile}, {listed}",
            f"{self.task}_past_lowest": "; ".join(self.past_lowest()),
        }


def _past_lowest(condition: Condition, records: Sequence[Record]) -> str:
    curves = [record.measured.curves for record in records]
    steps = curves[0]["validation/step"]
    losses = [np.array(curve["validation/nll"]) for curve in curves]
    lowest = [steps[int(loss.argmin())] for loss in losses]
    past = sum(step < steps[-1] for step in lowest)
    rises = [float(loss[-1] - loss.min()) for loss in losses]
    return (
        f"{condition.full_label}: lowest at update {span(lowest, ',.0f')} of {steps[-1]:,.0f}, "
        f"before the last with {past} of {counted(len(losses), 'seed')}; at the last "
        f"{span(rises, '.3f')} nats above it"
    )


def _dataset(record: Record) -> str:
    return record.asked.settings.get("dataset") or ONE_DATASET


def _described(records: Sequence[Record]) -> str:
    profiles = sorted({record.asked.profile for record in records})
    return f"{', '.join(profiles)}, {counted(len(_seeds(records)), 'seed')}"


def _seeds(records: Sequence[Record]) -> list[int]:
    return sorted({record.asked.seed for record in records})
