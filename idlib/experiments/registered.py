"""The runs that the protocol registers: their specs, and the records that answer them."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from idlib import protocol as protocols
from idlib.experiments.specs import Spec
from idlib.files import digest_of, replacing
from idlib.protocol import Protocol, Registered
from idlib.records import EVIDENCE_STORE, Record, RecordError, Store, paths
from idlib.training.processes import launched

SIGNATURES = Path(".idlib/registered.json")  # a cache: it may be deleted at any time


class Refused(NamedTuple):
    """A record that answers a registered run and takes part in no verdict, and why."""

    run: Registered
    signature: str
    reason: str


class Answers(NamedTuple):
    """The records of a study.

    Attributes:
        records: by cell and seed.
        missing: registered runs without a record.
        refused: records that were not made under the protocol, or cannot be read.
    """

    records: dict[str, dict[int, Record]]
    missing: list[Registered]
    refused: list[Refused]


class Evidence(NamedTuple):
    """The records of several studies, and the files beside them that nobody asked for.

    Attributes:
        studies: by name.
        unknown: files of a folder of records that answer no registered run of these studies.
    """

    studies: dict[str, Answers]
    unknown: list[Path]

    @property
    def records(self) -> dict[str, dict[str, dict[int, Record]]]:
        """The records that may count, by study, cell and seed."""
        return {name: found.records for name, found in self.studies.items()}


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


def signatures_of(protocol: Protocol, *studies: str) -> dict[Registered, str]:
    """The signatures of the records that some studies ask for, or all.

    To plan all runs takes a quarter of a minute, for their data are read and checked. The
    signatures follow from the package, the protocol, the number of processes and the version of
    sentencepiece, which makes a vocabulary, so that they are kept for as long as none of them
    changes. A cache that is torn or changed is made anew.

    Raises:
        idlib.protocol.ProtocolError: a study that does not exist.
    """
    runs = list(protocol.runs(*studies))
    made_of = _made_of()
    try:
        kept = json.loads(SIGNATURES.read_text(encoding="utf-8"))
        whole = kept["sha256"] == digest_of(kept["signatures"]) and kept["made_of"] == made_of
        known = {Registered(*run): name for *run, name in kept["signatures"]} if whole else {}
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    if not known.keys() >= {*runs}:
        known |= {run: spec.signature for run, spec in specs_of(protocol, *studies).items()}
        with suppress(OSError), replacing(SIGNATURES) as partial:  # a cache, and no more
            rows = [(*run, signature) for run, signature in known.items()]
            content = {"made_of": made_of, "sha256": digest_of(rows), "signatures": rows}
            partial.write_text(json.dumps(content), encoding="utf-8")
    return {run: known[run] for run in runs}


def _made_of() -> str:
    """SHA-256 over protocol, code, checksums of data, processes, and the maker of vocabularies."""
    package = Path(__file__).parents[1]
    files = sorted([*package.rglob("*.py"), *package.rglob("CHECKSUMS")])
    around = f"{protocols.sha256()}:{launched()}:{metadata.version('sentencepiece')}"
    digest = hashlib.sha256(around.encode())
    for path in files:
        digest.update(f"{path.relative_to(package)}:{path.stat().st_size}:".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def answers(protocol: Protocol, study: str, store: Store) -> Answers:
    """The records of a study's runs; those that may not count are refused, never averaged."""
    found = Answers({cell: {} for cell in protocol.studies[study].cells}, [], [])
    for run, signature in signatures_of(protocol, study).items():
        try:
            record = store.find(signature)
        except RecordError as error:
            found.refused.append(Refused(run, signature, str(error)))
            continue
        if record is None:
            found.missing.append(run)
        elif record.origin.protocol not in protocol.accepted:
            made = record.origin.protocol or "without one"
            reason = (
                f"made under another protocol ({made[:12]}): move it away to have it made again"
            )
            found.refused.append(Refused(run, signature, reason))
        else:
            found.records[run.cell][run.seed] = record
    return found


def evidence(*studies: str, folder: Path | str = EVIDENCE_STORE) -> Evidence:
    """The records of some studies of the protocol, or of all.

    Args:
        studies: by name; none for all.
        folder: of the records.

    Raises:
        idlib.protocol.ProtocolError: a study that does not exist.
    """
    protocol = protocols.read()
    store = Store(folder, also=())
    known = {*signatures_of(protocol, *studies).values()}
    names = dict.fromkeys(run.study for run in protocol.runs(*studies))
    found = {study: answers(protocol, study, store) for study in names}
    unknown = [path for path in paths(store.root) if path.stem.rpartition("-")[2] not in known]
    return Evidence(found, unknown)
