"""What is judged, in which runs, and by how much: fixed in ``protocol.yaml`` before the runs.

A *study* is a set of runs of one task and profile: its cells, each at every seed. A *line* is one
question to a study: a weighted sum of cells in one metric, with the smallest effect of interest δ.
A verdict is one line's; nothing is averaged over lines.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

NAME = "protocol.yaml"
CHECKSUM = "protocol.sha256"  # beside it, as sha256sum writes it: δ is not changed by accident
# In an installed package beside this file, in a checkout at its top.
_PLACES = (Path(__file__).parent / NAME, Path(__file__).parent.parent / NAME)

Side = Literal["above", "below"]  # of zero
Selection = Literal["best", "loss", "last"]  # as idlib.metrics.names has them


class ProtocolError(ValueError):
    """A protocol that is missing, or that contradicts itself."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cell(_Part):
    """One way to train, at every seed of its study.

    Args:
        method: as ``idlib run`` takes it.
        settings: laid over the study's.
        seeds: where they are fewer than the study's.
    """

    method: str
    settings: dict[str, Any] = Field(default_factory=dict)
    seeds: tuple[int, ...] | None = None

    @field_validator("seeds", mode="before")
    @classmethod
    def _ranges(cls, value: Any) -> Any:
        return None if value is None else _seeds(value)


class Study(_Part):
    """Runs of one task, made alike but for what their cells vary.

    Args:
        task, profile: as ``idlib run`` takes them; the data are the embedded ones.
        device: ``cpu`` or ``cuda``: all runs of a seed are made on the same kind.
        seeds: of every cell that names none; a range as in ``11-20``.
        cells: by name.
        settings: of all cells, laid over the profile's.
        purpose: what it is for, one sentence.
    """

    task: str
    profile: str
    settings: dict[str, Any] = Field(default_factory=dict)
    device: Literal["cpu", "cuda"] = "cpu"
    seeds: tuple[int, ...]
    cells: dict[str, Cell]
    purpose: str

    @field_validator("seeds", mode="before")
    @classmethod
    def _ranges(cls, value: Any) -> Any:
        return _seeds(value)

    def seeds_of(self, cell: str) -> tuple[int, ...]:
        """The seeds of a cell."""
        return self.cells[cell].seeds or self.seeds


class Line(_Part):
    """One question, and what decides it.

    Args:
        claim: ``C1`` to ``C8``.
        study: whose runs answer it.
        metric: key in the records.
        better: the side of zero that the claim names.
        contrast: weight of each cell in the sum, taken seed by seed.
        delta: smallest effect of interest, in the metric's own unit, or of its logarithm.
        why: where δ comes from.
        selection: the checkpoint: best by the claim's own metric on validation, lowest validation
            loss, or the last update. The other two stand beside it.
        scale: ``log`` takes the metric's logarithm, so that a difference is a ratio.
        primary: whether it counts for the board and takes part in Holm's correction.
        needs: a line without which this one is not applicable, as C8 needs a gain: where that line
            has *no effect* or is *contradicted*. An undecided one rules nothing out.
        words: the contrast in words.
    """

    claim: str = Field(pattern=r"^C[1-8]$")
    study: str
    metric: str
    better: Side
    contrast: dict[str, float]
    delta: float = Field(gt=0)
    why: str
    selection: Selection = "best"
    scale: Literal["plain", "log"] = "plain"
    primary: bool = True
    needs: str | None = None
    words: str


class Rules(_Part):
    """How a line is decided.

    Args:
        level: of the interval of the mean difference over seeds (Student's t).
        equivalence: of the interval that must lie within ±δ for *no effect* (two one-sided tests
            at (1 − equivalence) / 2).
        family: error rate over the primary lines that Holm's procedure keeps, once for
            differences and once for equivalences.
        fewest_seeds: of a line that is judged.
    """

    level: float = Field(gt=0, lt=1)
    equivalence: float = Field(gt=0, lt=1)
    family: float = Field(gt=0, lt=1)
    fewest_seeds: int = Field(ge=2)


class Amendment(_Part):
    """A change after the first version: the protocol's SHA-256 before it, and what changed."""

    date: str
    before: str = Field(pattern=r"^[0-9a-f]{64}$")
    what: str


class Pilot(_Part):
    """Runs that sizes were chosen by: baselines alone, looked at on validation data alone."""

    study: str
    seeds: tuple[int, ...]
    what: str

    @field_validator("seeds", mode="before")
    @classmethod
    def _ranges(cls, value: Any) -> Any:
        return _seeds(value)


class Registered(NamedTuple):
    """One run that the protocol registers."""

    study: str
    cell: str
    seed: int


class Protocol(_Part):
    """The whole of ``protocol.yaml``."""

    rules: Rules
    studies: dict[str, Study]
    lines: dict[str, Line]
    pilots: tuple[Pilot, ...] = ()
    amendments: tuple[Amendment, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Protocol:
        for name, line in self.lines.items():
            study = self.studies.get(line.study)
            if study is None:
                raise ValueError(
                    f"line {name}: unknown study {line.study!r}; choose one of "
                    f"{', '.join(self.studies)}"
                )
            if unknown := [cell for cell in line.contrast if cell not in study.cells]:
                raise ValueError(
                    f"line {name}: unknown cell {unknown[0]!r} of study {line.study}; choose one "
                    f"of {', '.join(study.cells)}"
                )
            if line.needs is not None and line.needs not in self.lines:
                raise ValueError(f"line {name}: it needs {line.needs!r}, which is no line")
            fewest = min(len(study.seeds_of(cell)) for cell in line.contrast)
            if fewest < self.rules.fewest_seeds:
                raise ValueError(
                    f"line {name}: {fewest} seeds, where {self.rules.fewest_seeds} are needed"
                )
        return self

    def runs(self, *studies: str) -> Iterator[Registered]:
        """The registered runs of some studies, or of all, in the order in which they are made.

        Raises:
            ProtocolError: a study that does not exist.
        """
        for name in studies or self.studies:
            if name not in self.studies:
                raise ProtocolError(
                    f"unknown study {name!r}: choose one of {', '.join(self.studies)}"
                )
            study = self.studies[name]
            seeds = sorted({seed for cell in study.cells for seed in study.seeds_of(cell)})
            for seed in seeds:
                for cell in study.cells:
                    if seed in study.seeds_of(cell):
                        yield Registered(name, cell, seed)

    @property
    def accepted(self) -> tuple[str, ...]:
        """The SHA-256 of this version and of those before it: what a record may have been made by.

        Raises:
            ProtocolError: there is no file of it.
        """
        return (sha256(), *(amendment.before for amendment in self.amendments))


@lru_cache(maxsize=1)
def read() -> Protocol:
    """The protocol of this version.

    Raises:
        ProtocolError: it is missing, was changed by accident, or contradicts itself; the message
            says where.
    """
    return parse(_content().decode("utf-8"))


def parse(text: str) -> Protocol:
    """A protocol from its YAML.

    Raises:
        ProtocolError: as :func:`read`.
    """
    try:
        return Protocol.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ProtocolError(f"{NAME} is not YAML: {str(error).splitlines()[0]}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise ProtocolError(f"{NAME}: {where + ': ' if where else ''}{message}") from None


def sha256() -> str:
    """SHA-256 of the file, by which a record says what it was made under.

    Raises:
        ProtocolError: it is missing, or was changed by accident.
    """
    return hashlib.sha256(_content()).hexdigest()


def _content() -> bytes:
    """The bytes of the file, whose SHA-256 stands beside it."""
    path = _path()
    listed = path.with_name(CHECKSUM)
    try:
        content = path.read_bytes()
        expected = listed.read_text(encoding="ascii").partition(" ")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{path} and {CHECKSUM} beside it cannot be read ({error})") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise ProtocolError(
            f"{path} is not what {listed} lists: restore both from the repository. For an "
            f"amendment: `sha256sum {NAME} > {CHECKSUM}`"
        )
    return content


def _path() -> Path:
    for path in _PLACES:
        if path.is_file():
            return path
    raise ProtocolError(f"{NAME} is neither in the package nor at the top of its checkout")


def _seeds(value: Any) -> tuple[int, ...]:
    """Seeds from a list of integers, or from ranges as in ``1-5, 11-20``."""
    if isinstance(value, (list, tuple)):
        seeds = tuple(value)
    else:
        seeds = ()
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
            if match is None:
                raise ValueError(f"seeds {value!r}: give integers or ranges, as in 11-20")
            first, last = int(match[1]), int(match[2] or match[1])
            seeds += tuple(range(first, last + 1))
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {value!r}: none, or one twice")
    return seeds
