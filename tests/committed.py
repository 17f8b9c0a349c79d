"""The committed records, each read once, and what a test must know of the two kinds of them.

*Earlier* records are those of the manifest, of the tasks' first revision. *Evidence* are those of
the runs that the protocol registers: of today's revision, and as many as have been made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

from idlib import protocol
from idlib.earlier import earlier, manifest
from idlib.metrics.names import BEST, LAST, LOSS, at
from idlib.records import Record, Store
from idlib.tasks import task_class
from idlib.training.settings import Settings
from idlib.training.trainable import Selection

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "records"
EVIDENCE = FOLDER / "evidence"

GROUPS = manifest(FOLDER).groups
GROUP_OF = {name: group for group in GROUPS for name in (*group.grid, *group.sweep)}
K = Settings.model_fields["passes"].default


class Kind(NamedTuple):
    """What differs between the kinds of committed records.

    Args:
        records: all of them.
        rules: of a record, the validation metric by which each selection but the last chose.
        passes: the numbers of passes K that were asked for.
        whole: whether all are there that were asked for.
        rounding: of F1 at one checkpoint under two names.
        least: how many there are at least, of whatever a test counts.
    """

    records: Callable[[], list[Record]]
    rules: Callable[[Record], Mapping[str, Selection]]
    passes: frozenset[int]
    whole: bool
    rounding: float
    least: Mapping[str, int]

    def enough(self, what: str, count: int) -> None:
        """No fewer were checked than there are at least; where there are none, the test says so."""
        assert count >= self.least.get(what, 0), f"only {count} {what}"
        if not count:
            pytest.skip(f"among the committed records are no {what}")


@lru_cache(maxsize=1)
def _earlier() -> list[Record]:
    each = {(group.task, group.profile): group for group in GROUPS}
    return [record for key in each for record in earlier(*key, FOLDER, sweep=True)]


@lru_cache(maxsize=1)
def _evidence() -> list[Record]:
    return [record for record, _ in Store(EVIDENCE, also=()).all()]


def _of_the_manifest(record: Record) -> dict[str, Selection]:
    metric = GROUP_OF[record.signature].selected
    rule = Selection(metric, higher_is_better=metric != "nll")
    return {BEST: rule, LOSS: rule} if metric == "nll" else {BEST: rule}


def _of_the_task(record: Record) -> dict[str, Selection]:
    return {BEST: task_class(record.asked.task).selection, LOSS: Selection("nll")}


def _registered_passes() -> frozenset[int]:
    studies = protocol.read().studies.values()
    cells = [
        {**study.settings, **cell.settings} for study in studies for cell in study.cells.values()
    ]
    return frozenset(cell.get("passes", K) for cell in cells)


KINDS = {
    "earlier": Kind(
        records=_earlier,
        rules=_of_the_manifest,
        passes=frozenset({K}),
        whole=True,
        rounding=1e-4,  # F1 of single answers was that of rounded items
        least={
            "records": 201,
            "figures of single precision": 251,
            "students beside their teachers": 81,
            "temperatures": 70,
            "architectures": 11,
            "seeds of a condition": 3,
        },
    ),
    "evidence": Kind(
        records=_evidence,
        rules=_of_the_task,
        passes=_registered_passes(),
        whole=False,
        rounding=0.0,
        least={},
    ),
}


def selections(kind: Kind, record: Record) -> tuple[str, ...]:
    """The checkpoints that a record has figures of."""
    return (*kind.rules(record), LAST)


def step_of(record: Record, selection: str) -> float:
    """The update that a selection chose."""
    if selection == LAST:
        return record.measured.curves["validation/step"][-1]
    return record.measured.metrics[at("selected/step", selection)]


def named(record: Record) -> str:
    """A record in a few words."""
    asked = record.asked
    settings = {name: asked.settings.get(name) for name in ("dataset", "smoothing", "round")}
    told = ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)
    return f"{record.signature} ({asked.task} {asked.method}, seed {asked.seed}, {told})"


def check(wrong: list[tuple[Record, str]]) -> None:
    """No record disagrees; otherwise the first ten that do."""
    shown = [f"{named(record)}: {what}" for record, what in wrong[:10]]
    assert not wrong, f"{len(wrong)} disagreements, the first of them:\n" + "\n".join(shown)
