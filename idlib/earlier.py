"""Earlier evidence: committed records of the tasks' first revision, and why they are kept.

``earlier.json`` beside them lists them by signature, in groups of one task and profile. They answer
no question of today, since the revision is part of what is asked: no run is ever matched with them.
They are read by what each says it was asked, and shown under a label of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from idlib.metrics.names import of_first_revision
from idlib.records import COMMITTED_STORE, MANIFEST, Record, RecordError, Store, paths


class EarlierRecord(Record):
    """A record of the manifest, its metrics by today's names."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Group(_Part):
    """Earlier records of one task and profile, by signature.

    Args:
        task, profile: theirs.
        made: how, in words.
        selected: the validation metric that chose their checkpoint.
        grid: those that the claims were judged by.
        sweep: those of other settings, which a page shows beside them.
    """

    task: str
    profile: str
    made: str
    selected: Literal["nll", "f1"]
    grid: tuple[str, ...]
    sweep: tuple[str, ...] = ()


class Manifest(_Part):
    """Which committed records are earlier evidence, why they are kept, and what changed since."""

    why: str = ""
    changed: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()

    @property
    def signatures(self) -> frozenset[str]:
        """Of the records of all groups."""
        return frozenset(name for group in self.groups for name in (*group.grid, *group.sweep))


def manifest(folder: Path = COMMITTED_STORE) -> Manifest:
    """The manifest of a folder of records; an empty one where the folder has none.

    Raises:
        RecordError: it is not what it should be, or a group has no record in the folder.
    """
    path = folder / MANIFEST
    if not path.exists():
        return Manifest()
    try:
        listed = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RecordError(f"{path} is not a readable manifest ({error})") from error
    names = [record.name for record in paths(folder)]
    for group in listed.groups:
        if not any(name.startswith(f"{group.task}-{group.profile}-") for name in names):
            raise RecordError(
                f"{path} lists records of {group.task!r}, profile {group.profile!r}, and there is "
                "none beside it"
            )
    return listed


def earlier(
    task: str, profile: str, folder: Path = COMMITTED_STORE, sweep: bool = False
) -> list[EarlierRecord]:
    """The earlier records of a task and profile, with ``sweep`` those of its sweep too.

    Raises:
        RecordError: one that the manifest lists is missing or damaged, or the manifest is.
    """
    store, found = Store(folder, also=()), []
    for group in manifest(folder).groups:
        if (group.task, group.profile) != (task, profile):
            continue
        for signature in (*group.grid, *(group.sweep if sweep else ())):
            record = store.find(signature)
            if record is None:
                raise RecordError(f"{folder / MANIFEST} lists {signature}, which is not there")
            if (record.asked.task, record.asked.profile) != (task, profile):
                raise RecordError(
                    f"{folder / MANIFEST} lists {signature} under {task}, profile {profile}, and "
                    f"it is of {record.asked.task}, profile {record.asked.profile}"
                )
            found.append(_renamed(record, group))
    return found


def _renamed(record: Record, group: Group) -> EarlierRecord:
    metrics = of_first_revision(record.measured.metrics, by_loss=group.selected == "nll")
    measured = record.measured.model_copy(update={"metrics": metrics})
    return EarlierRecord.model_construct(**{**dict(record), "measured": measured})
