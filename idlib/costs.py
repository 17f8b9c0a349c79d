"""What the benchmark measured: the form of its results, one JSON file for each machine and call.

Seconds mean little outside the process that measured them. What is quoted are ratios of arms that
took turns in one process, each with the quartiles over turns. The report reads these files without
torch; ``idlib.bench`` writes them.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from idlib.files import digest_of, replacing
from idlib.records import Origin

COMMITTED_COSTS = Path("records/bench")
DIGITS = 5  # kept of each number, more than a repetition can repeat

About = dict[str, int | str]


class CostsError(ValueError):
    """A file of results that cannot be read."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Spread(_Part):
    """Median and quartiles over repetitions."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        lower, median, upper = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else [values[0]] * 3
        )
        return cls(median=_rounded(median), lower=_rounded(lower), upper=_rounded(upper))


class ArmCost(_Part):
    """One way of doing a case's work.

    Attributes:
        arm: by which it is named everywhere.
        title: the same in words.
        seconds: of one call.
        ratios: its time over that of each arm that ratios are quoted against, turn by turn.
        peak_bytes: the peak above what stood before the call; ``None`` where it is not measured.
        utilisation: model FLOPs a second, as a part of those of a large product of matrices.
        failed: why there is no measurement.
    """

    arm: str
    title: str
    seconds: Spread | None = None
    ratios: dict[str, Spread] = {}
    peak_bytes: int | None = None
    utilisation: float | None = None
    failed: str | None = None

    @model_validator(mode="after")
    def _measured_or_failed(self) -> ArmCost:
        if (self.seconds is None) == (self.failed is None):
            raise ValueError(f"arm {self.arm}: give either seconds or why it failed")
        return self


class CaseCosts(_Part):
    """One piece of work done in several ways, in turns.

    Attributes:
        suite: that the case is of.
        case: by which it is named in its suite.
        about: its sizes, by name.
        memory_kept: whether freed memory was kept for the next call, as training keeps it.
        arms: those that were measured, and those that failed.
    """

    suite: str
    case: str
    about: About
    memory_kept: bool
    arms: tuple[ArmCost, ...]

    def arm(self, name: str) -> ArmCost | None:
        """The measured arm of this name, or ``None``."""
        return next((a for a in self.arms if a.arm == name and a.seconds is not None), None)

    def memory_ratio(self, name: str, reference: str) -> float | None:
        """Peak of one arm over that of another, where both are known and the latter is not 0."""
        one, other = self.arm(name), self.arm(reference)
        if one is None or other is None or one.peak_bytes is None or not other.peak_bytes:
            return None
        return one.peak_bytes / other.peak_bytes


class Costs(_Part):
    """All that one call of ``idlib bench`` measured.

    Attributes:
        origin: versions, commit, machine and date.
        device_type: ``cpu`` or ``cuda``.
        cores: of the machine's processor that the process may use.
        threads: used by each operation on the processor.
        repeats: turns that each arm took.
        cases: in the order that they were measured.
    """

    origin: Origin
    device_type: str
    cores: int
    threads: int
    repeats: int
    cases: tuple[CaseCosts, ...] = ()

    def case(self, suite: str, name: str) -> CaseCosts | None:
        """The case of this name, or ``None``."""
        return next((c for c in self.cases if (c.suite, c.case) == (suite, name)), None)

    def write(self, path: Path) -> None:
        """Write the file whole or not at all, and first the digest by which a change is found."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        with replacing(path) as temporary:
            whole = {"digest": digest_of(content), **content}
            text = json.dumps(whole, indent=1, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


class StoredCosts(NamedTuple):
    """Results, and the file that they were read from."""

    costs: Costs
    path: Path


def read(path: Path) -> Costs:
    """Read one file.

    Raises:
        CostsError: it is truncated, no file of results, or was changed after it was written; the
            message names it and the place.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        digest = content.pop("digest", None) if isinstance(content, dict) else None
        costs = Costs.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CostsError(f"{path} is no result of idlib bench ({place}: {first['msg']})") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CostsError(f"{path} is no result of idlib bench ({error})") from error
    if digest != digest_of(content):
        raise CostsError(f"{path} was changed after it was written: restore it, or measure again")
    return costs


def read_all(folder: Path = COMMITTED_COSTS) -> list[StoredCosts]:
    """All files of a folder, by name; none where there is no such folder."""
    return [StoredCosts(read(path), path) for path in sorted(Path(folder).glob("*.json"))]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ratios_of(
    seconds: Mapping[str, Sequence[float]], references: Iterable[str]
) -> dict[str, dict[str, Spread]]:
    """For each arm its times over those of each reference, turn by turn.

    Args:
        seconds: for each arm the seconds of each turn, equally many.
        references: arms; one that is not there, or was not measured, is left out.
    """
    there = [name for name in references if name in seconds]
    return {
        arm: {
            name: Spread.of([a / b for a, b in zip(own, seconds[name], strict=True)])
            for name in there
            if name != arm
        }
        for arm, own in seconds.items()
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
