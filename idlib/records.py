"""One JSON file per run, found again by the signature of what was asked.

A record has six keys: ``signature``, ``digest``, ``asked`` (all that decides the numbers),
``measured`` (the numbers), ``cost`` and ``origin``. The signature is a hash of ``asked`` alone, so
that the same question finds the same answer whoever asked it, and whenever. The digest is a hash
of ``measured``, ``cost`` and ``origin``, so that a number which was changed afterwards is found.
"""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timezone
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from idlib import protocol
from idlib.files import digest_of, replacing

WORKING_STORE = Path(".idlib/records")
COMMITTED_STORE = Path("records")
EVIDENCE_STORE = COMMITTED_STORE / "evidence"  # of the runs that the protocol registers
CHANGED = "+changed"  # after a commit: files of the code were not as they are in it
MANIFEST = "earlier.json"  # in a folder of records, no record itself: see idlib.earlier

# Whose versions stand in a record.
PACKAGES = (
    "idlib torch torchvision transformers sentencepiece sacrebleu accelerate numpy scipy"
).split()


class RecordError(ValueError):
    """A record that cannot be read, or that does not hold what it says."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Asked(_Part):
    """All that decides a run's numbers."""

    task: str = Field(description="translation, tagging, answering, classification or images.")
    method: str = Field(
        description="baseline, id, passes (K passes with α = 0) or compute (K × the updates)."
    )
    profile: str = Field(description="How large: smoke, small, medium, large or paper.")
    source: str = Field(description="Which data: embedded, hub, or a folder.")
    seed: int = Field(description="Of the first weights, the order of the data, and dropout.")
    settings: dict[str, Any] = Field(
        description="Every setting of the task, method and training, by name."
    )
    data: dict[str, str] = Field(description="SHA-256 of each data file, by its name.")
    precision: str = Field(description="Of the numbers in forward and backward: fp32 or bf16.")
    device_type: str = Field(description="cpu or cuda.")
    threads: int = Field(description="Of the CPU, in each operation: sums depend on it.")
    processes: int = Field(
        default=1, description="That trained together: dropout masks depend on it."
    )
    revision: int = Field(description="Of the task, raised whenever its numbers change.")

    @field_validator("settings")
    @classmethod
    def _as_json_has_them(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not _can_be_written(value):  # of NaN null would be written, with the signature of that
            raise ValueError("a setting is a number that is not finite, or a text that is no UTF-8")
        return value

    @property
    def signature(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the canonical JSON of these fields."""
        return digest_of(self.model_dump(mode="json"))[:16]


class Measured(_Part):
    """What came out: single numbers by ``split/name[/part]``, and lists of numbers by name."""

    metrics: dict[str, float] = Field(
        description="Numbers by split/name[/part]; @loss and @last: at other checkpoints."
    )
    curves: dict[str, list[float]] = Field(
        description="Lists of numbers by name: over updates, over test items, and histograms."
    )


class Cost(_Part):
    """What a run took."""

    seconds: float = Field(description="Wall seconds over all sessions of the run.")
    peak_memory_bytes: int = Field(
        description="Most that the process, or on a GPU the allocator, held at once."
    )
    energy_joules: float | None = Field(
        default=None, description="Of the GPU, where it reports them."
    )


class Origin(_Part):
    """Where and with what the run was made; decides nothing about its numbers on one machine."""

    versions: dict[str, str] = Field(
        description="Of the packages that numbers may depend on, and of Python."
    )
    commit: str | None = Field(
        description="Of the code, with +changed where it was not as committed; none outside a "
        "checkout."
    )
    device: str = Field(description="Name of the processor or GPU.")
    created: str = Field(description="When the run ended, UTC.")
    protocol: str | None = Field(
        default=None,
        description="SHA-256 of the protocol that stood then, if there was one.",
    )

    @model_serializer(mode="wrap")
    def _earlier_ones_as_they_were(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if self.protocol is None:
            fields.pop("protocol", None)  # their digests are over the other fields
        return fields


class Record(_Part):
    """One finished run."""

    signature: str = Field(description="16 hexadecimal digits of the SHA-256 of what was asked.")
    asked: Asked = Field(description="All that decides the numbers.")
    measured: Measured = Field(description="The numbers.")
    cost: Cost = Field(description="What the run took.")
    origin: Origin = Field(description="Where and with what it was made.")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of what was measured, its cost and its origin."""
        return digest_of(self.model_dump(mode="json", include={"measured", "cost", "origin"}))


class StoredRecord(NamedTuple):
    """A record and the folder that it was read from."""

    record: Record
    where: Path


class Store:
    """Records in a folder that is written to, and in further folders that are only read.

    Args:
        root: folder that new records go to.
        also: folders that are searched after it; by default those of committed records.
    """

    def __init__(
        self,
        root: Path | str = WORKING_STORE,
        also: Iterable[Path | str] = (COMMITTED_STORE, EVIDENCE_STORE),
    ) -> None:
        self.root = Path(root)
        self.also = tuple(Path(folder) for folder in also)

    def find(self, signature: str) -> Record | None:
        """Return the record of this signature, or ``None``; unreadable ones raise."""
        path = self._file(signature)
        return None if path is None else read(path)

    def answer(self, asked: Asked) -> Record | None:
        """Return the record that answers what is asked, or ``None``; unreadable ones raise."""
        return self.find(asked.signature)

    def path(self, asked: Asked) -> Path:
        """The file of the record that answers what is asked, or that :meth:`save` will write."""
        return self._file(asked.signature) or self._new_file(asked)

    def save(self, record: Record) -> Path:
        """Write ``record`` whole or not at all, and return its path."""
        path = self._new_file(record.asked)
        with replacing(path) as temporary:
            temporary.write_text(_to_json(record))
        return path

    def _file(self, signature: str) -> Path | None:
        files = (folder.glob(f"*{signature}.json") for folder in (self.root, *self.also))
        return next(chain.from_iterable(files), None)

    def _new_file(self, asked: Asked) -> Path:
        return self.root / _file_name(asked)

    def all(self) -> list[StoredRecord]:
        """All records, working store first, each signature once, sorted by file name."""
        stored, damaged = self.readable()
        for error in damaged.values():
            raise error
        return stored

    def readable(self) -> tuple[list[StoredRecord], dict[Path, RecordError]]:
        """As :meth:`all`, and beside it why each file that cannot be read cannot."""
        stored: dict[str, StoredRecord] = {}
        damaged: dict[Path, RecordError] = {}
        for folder in (self.root, *self.also):
            for path in paths(folder):
                try:
                    record = read(path)
                except RecordError as error:
                    damaged[path] = error
                else:
                    stored.setdefault(record.signature, StoredRecord(record, folder))
        return list(stored.values()), damaged


def path_of(record: Record, folder: Path) -> Path:
    """The file of a record in the folder that it was read from."""
    return folder / _file_name(record.asked)


def _file_name(asked: Asked) -> str:
    return f"{asked.task}-{asked.profile}-{asked.method}-{asked.signature}.json"


def paths(folder: Path) -> list[Path]:
    """The files of a folder's records, by name."""
    return sorted(path for path in folder.glob("*.json") if path.name != MANIFEST)


def read(path: Path) -> Record:
    """Read one record.

    Raises:
        RecordError: the file is truncated, is no record, or was changed after it was written.
    """
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
        digest = payload.pop("digest", None)
        record = Record.model_validate(payload)
    except ValidationError as error:
        raise _unreadable(path, error.errors()[0]["msg"]) from error
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise _unreadable(path, error) from error
    if record.signature != record.asked.signature:
        raise _unreadable(path, "its signature is not that of what it says was asked")
    if digest is None:
        raise _unreadable(path, "it has no digest; tools/add_digests.py adds it to earlier ones")
    if digest != record.digest:
        raise _unreadable(path, "its digest is not that of what it says was measured")
    return record


def origin(device: str | None = None) -> Origin:
    """Versions, commit and machine of this process.

    Args:
        device: name of the accelerator; without one the processor's stands.
    """
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return Origin(
        versions=versions,
        commit=_commit(),
        device=device or _processor_name(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        protocol=protocol.sha256(),
    )


def _unreadable(path: Path, reason: object) -> RecordError:
    return RecordError(
        f"{path} is not a readable record ({reason}). Restore it, or move it away to have its run "
        "made again; no other run is affected."
    )


def _can_be_written(value: object) -> bool:
    """Whether all numbers in it, however deep, are finite and all texts have only characters."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(map(_can_be_written, [*value, *value.values()]))
    return not isinstance(value, (list, tuple)) or all(map(_can_be_written, value))


def _to_json(record: Record) -> str:
    # One curve a line: diffs stay readable and files small.
    payload = record.model_dump(mode="json")
    payload = {"signature": payload.pop("signature"), "digest": record.digest, **payload}
    curves = payload["measured"].pop("curves")
    text = json.dumps(payload, indent=1)
    lines = ",\n".join(f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in curves.items())
    marker = '\n "measured": {'  # of the record's own: settings of that name stand further in
    return text.replace(marker, f'{marker}\n  "curves": {{\n{lines}\n  }},', 1) + "\n"


def _commit(file: Path = Path(__file__).resolve()) -> str | None:
    """The commit of the package that a file of it is in, if that is what the repository holds."""

    def git(*command: str) -> str:
        return subprocess.check_output(
            ["git", "--no-optional-locks", *command],
            cwd=file.parent,
            text=True,
            stderr=subprocess.DEVNULL,
        )

    with suppress(OSError, subprocess.CalledProcessError):
        git("ls-files", "--error-unmatch", file.name)  # or it is installed in somebody's folder
        commit = git("rev-parse", "--short=12", "HEAD").strip()
        return commit + CHANGED if git("status", "--porcelain", "--", ".") else commit
    return None


def _processor_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
