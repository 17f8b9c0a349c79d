"""Conditions: which of a task's models a record is of, and records sorted by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from idlib.records import Record

METHOD_NAMES = {
    "baseline": "baseline",
    "id": "intra-distillation",
    "passes": "K passes, α = 0",
    "compute": "K × the updates",
}
ROLES = {0: "base model", 1: "student", 2: "second student"}


class Condition(NamedTuple):
    """How a model was trained: round 0 is the base model, 1 its student, 2 the student's student.

    The data set is named only where several of a task are compared at once.
    """

    method: str
    round: int
    smoothing: float
    dataset: str = ""

    @property
    def label(self) -> str:
        """Role and smoothing, without the method: ``base model, s = 0``."""
        dataset = f", {self.dataset}" if self.dataset else ""
        return f"{role(self.round)}, s = {self.smoothing:g}{dataset}"

    @property
    def full_label(self) -> str:
        """Method, role and smoothing: ``baseline base model, s = 0``."""
        return f"{method_name(self.method)}, {self.label}"


BySeed = Mapping[int, Record]
ByCondition = Mapping[Condition, BySeed]


def role(round_: int) -> str:
    """What a model of this round of self-distillation is called."""
    return ROLES.get(round_, f"student of round {round_}")


def method_name(method: str) -> str:
    """A method's name as pages show it."""
    return METHOD_NAMES.get(method, method)


def cell_name(cell: str) -> str:
    """The name of a study's cell as pages show it.

    >>> cell_name("passes"), cell_name("id student"), cell_name("K = 2")
    ('K passes, α = 0', 'ID student', 'K = 2')
    """
    if cell == "id" or cell.startswith("id "):
        return f"ID{cell[2:]}"
    return METHOD_NAMES.get(cell, cell)


def task_of(records: Iterable[Record]) -> str | None:
    """The one task of these records; ``None`` without records.

    Raises:
        ValueError: records of several tasks.
    """
    tasks = sorted({record.asked.task for record in records})
    if len(tasks) > 1:
        raise ValueError(f"records of one task are compared at a time, not of {tasks}")
    return tasks[0] if tasks else None


def condition_of(record: Record) -> Condition:
    """The condition of a record, from its method and settings."""
    settings = record.asked.settings
    return Condition(
        record.asked.method,
        int(settings.get("round", 0)),
        float(settings.get("smoothing", 0.0)),
        settings.get("dataset") or "",
    )


def by_condition(records: Iterable[Record]) -> dict[Condition, dict[int, Record]]:
    """One task's records by condition and seed, in an order that the input's leaves alone.

    A data set is part of the condition only where the records are of several.

    Raises:
        ValueError: records of several tasks, or two different ones for a condition and seed.
    """
    runs: dict[Condition, dict[int, Record]] = {}
    ordered = sorted(records, key=lambda r: (condition_of(r), r.asked.seed, r.signature))
    task_of(ordered)
    several = len({condition_of(record).dataset for record in ordered}) > 1
    for record in ordered:
        condition = condition_of(record)
        if not several:
            condition = condition._replace(dataset="")
        known = runs.setdefault(condition, {}).setdefault(record.asked.seed, record)
        if known.signature != record.signature:
            raise ValueError(
                f"two records for {condition.full_label}, seed {record.asked.seed}: "
                f"{known.signature} and {record.signature}; pass records of one grid"
            )
    return runs
