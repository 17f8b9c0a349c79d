"""What the faults come to: each test counts what it did, and the session ends with the sums.

These files are no part of the ordinary tests: ``nox -s faults`` asks for them by their names.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.commands import RUN, Room
from faults.places import Disk

from idlib.records import Record

ROOT = Path(__file__).resolve().parents[2]
FILES = "fault_*.py"
FAULT = "fault"  # name of the property that carries a count
LOST, WRONG = "lost", "wrong"

Tally = Callable[..., None]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Neither tests nor doctests are looked for here, unless these files are asked for."""
    return None if FILES in config.getini("python_files") else True


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Count what was done: ``tally("flips", "records", "error that names the file")``."""

    def count(what: str, of: str, outcome: str, times: int = 1) -> None:
        record_property(FAULT, [what, of, outcome, times])

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each kind of fault and of file, and whether anything was lost or wrong."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == FAULT:
                    what, of, outcome, times = value
                    sums[what, of, outcome] += times
    if not sums:
        return
    write = terminalreporter.write_line
    terminalreporter.section("faults")
    for kind in sorted({what for what, _, _ in sums}):
        mine = {key[1:]: number for key, number in sums.items() if key[0] == kind}
        write(f"{kind}: {sum(mine.values())}")
        for of in sorted({of for of, _ in mine}):
            ended = [f"{n} {outcome}" for (at, outcome), n in sorted(mine.items()) if at == of]
            write(f"  {of}: {', '.join(ended)}")
    bad = {end: sum(n for key, n in sums.items() if key[2] == end) for end in (LOST, WRONG)}
    write(f"lost {bad[LOST]}, wrong {bad[WRONG]}")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """An empty folder in which commands run; what one leaves behind ends with the test."""
    with Room(tmp_path / "room") as made:
        yield made


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a short run that nobody disturbs."""
    with Room(tmp_path_factory.mktemp("undisturbed") / "room") as room:
        assert room.go(*RUN).status == 0
        (record,) = room.made().values()
    return record


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of which a test says how large it is; skipped where nothing can be mounted."""
    if not Disk.possible(tmp_path / "probe"):
        pytest.skip("a small disk is a mounted tmpfs, which this user or container may not mount")
    made = Disk(tmp_path / "disk")
    yield made
    made.unmount()


@pytest.fixture(scope="session", autouse=True)
def quiet_kernels() -> None:
    """Kernels of notebooks say nothing of their own debugger."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
