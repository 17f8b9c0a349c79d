"""The runs that the protocol registers: their specs, and the records that answer them."""

from __future__ import annotations

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


def specs_of(protocol: Protocol, *studies: str) -> dict[Registered, Spec]:
    """What the runs of some studies, or of all, ask for, in the order in which they are made.

    Raises:
        idlib.protocol.ProtocolError: a study that does not exist.
        SettingsError, idlib.data.DataError: a cell that cannot be meant; see
            :attr:`idlib.experiments.specs.Spec.plan`.
    """
    specs: dict[Registered, Spec] = {}
    first: dict[tuple[str, str], Spec] = {}  # of each cell, checked once for all seeds
    for run in protocol.runs(*studies):
        checked = first.setdefault((run.study, run.cell), _spec_of(protocol, run))
        specs[run] = checked.with_seed(run.seed)
    return specs


def _spec_of(protocol: Protocol, run: Registered) -> Spec:
    study = protocol.studies[run.study]
    cell = study.cells[run.cell]
    return Spec(
        *(study.task, cell.method, study.profile, "embedded", run.seed),
        overrides={**study.settings, **cell.settings},
        device=study.device,
    )


def answers(protocol: Protocol, study: str, store: Store) -> Answers:
    """The records of a study's runs; those made before the protocol are refused, not averaged.

    Raises:
        idlib.records.RecordError: a record cannot be read.
    """
    found = Answers({cell: {} for cell in protocol.studies[study].cells}, [], [])
    for run, spec in specs_of(protocol, study).items():
        record = store.answer(spec.plan.asked)
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
