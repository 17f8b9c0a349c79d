"""The runs that the protocol registers: their specs, and the records that answer them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from idlib.experiments.specs import Spec
from idlib.protocol import Protocol, Registered
from idlib.records import Record, Store


class Refused(NamedTuple):
    """A record that answers a registered run and takes part in no verdict, and why."""

    run: Registered
    record: Record
    reason: str


class Answers(NamedTuple):
    """The records of a study.

    Attributes:
        records: by cell and seed.
        missing: registered runs without a record.
        refused: records that were not made under the protocol.
    """

    records: dict[str, dict[int, Record]]
    missing: list[Registered]
    refused: list[Refused]


def spec_of(protocol: Protocol, run: Registered) -> Spec:
    """What a registered run asks for."""
    study = protocol.studies[run.study]
    cell = study.cells[run.cell]
    return Spec(
        *(study.task, cell.method, study.profile, "embedded", run.seed),
        overrides=cell.settings,
        device=study.device,
    )


def specs_of(protocol: Protocol, studies: Iterable[str] = ()) -> list[Spec]:
    """The specs of some studies' runs, or of all, in the order in which they are made.

    Cells of several studies that ask for the same run are made once.
    """
    specs = {
        spec.signature: spec for spec in (spec_of(protocol, r) for r in protocol.runs(*studies))
    }
    return list(specs.values())


def answers(protocol: Protocol, study: str, store: Store) -> Answers:
    """The records of a study's runs; those made before the protocol are refused, not averaged.

    Raises:
        idlib.records.RecordError: a record cannot be read.
    """
    found = Answers({cell: {} for cell in protocol.studies[study].cells}, [], [])
    for run in protocol.runs(study):
        record = store.answer(spec_of(protocol, run).plan.asked)
        if record is None:
            found.missing.append(run)
        elif record.origin.protocol not in protocol.accepted:
            made = record.origin.protocol or "without one"
            reason = (
                f"made under another protocol ({made[:12]}): move it away to have it made again"
            )
            found.refused.append(Refused(run, record, reason))
        else:
            found.records[run.cell][run.seed] = record
    return found
