"""Fixtures for all tests: one thread, folders of their own, and the book built once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import pytest
import torch
from hypothesis import HealthCheck, settings
from made_up import network

from idlib import cli
from idlib.experiments.workspace import Workspace
from idlib.records import Store

ROOT = Path(__file__).resolve().parent.parent

# Of the tests in tests/properties. Always the same few cases; the session fuzz draws many others,
# and prints how to draw those that failed again.
_EACH = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("few", max_examples=20, derandomize=True, **_EACH)
settings.register_profile("thorough", max_examples=1000, print_blob=True, **_EACH)
settings.load_profile("few")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: that of the book, and that of the cluster's queue."""
    longest = ("executed", "slurm")
    items.sort(key=lambda item: [name not in item.fixturenames for name in longest])


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Two processes side by side do not wait for each other, and sums have one order."""
    torch.set_num_threads(1)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that .idlib/ and records/ of the checkout are not touched."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(workspace, monkeypatch, capsys):
    """Run ``idlib`` with arguments in an empty folder: exit status, output, errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def go(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["idlib", *arguments])
        try:
            cli.main()
            status = 0
        except SystemExit as stopped:
            status = stopped.code or 0
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return go


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Records and checkpoints that the tests of a file share, so that each run is made once."""
    root = tmp_path_factory.mktemp("runs")
    return Workspace(Store(root / "records", also=()), root / "checkpoints")


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    """Records and checkpoints of one test."""
    return Workspace(Store(tmp_path / "records", also=()), tmp_path / "checkpoints")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with made-up data of every task, and encoders for them."""
    from made_up.tasks import write_all  # which takes seconds to import

    return write_all(tmp_path_factory.mktemp("small"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store of records."""
    return Store(root=tmp_path / "store", also=())


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a real browser; without one the tests skip, except where CI is set."""
    program = shutil.which(os.environ.get("CHROMIUM") or "chromium")
    missing = "no chromium: install Debian's package chromium, or name a browser in CHROMIUM"
    if program is None and os.environ.get("CI"):
        pytest.fail(missing)
    if program is None:
        pytest.skip(missing)
    return program


@pytest.fixture(scope="session")
def no_network(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that block the network of what makes the book."""
    return network.blocked(tmp_path_factory.mktemp("no_network"))


@pytest.fixture(scope="session")
def executed(
    tmp_path_factory: pytest.TempPathFactory, no_network: dict[str, str]
) -> Iterator[Path]:
    """A copy of the book whose notebooks have all been run at profile smoke, from nothing."""
    from idlib.book import execution

    folder = tmp_path_factory.mktemp("smoke")
    ignore = shutil.ignore_patterns("_build", "_executed")
    for name in ("book", "notebooks", "records"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of papermill and its kernels
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        patch.setenv("PYTHONPATH", no_network["PYTHONPATH"], prepend=os.pathsep)
        patch.setenv(network.NOTED, no_network[network.NOTED])
        execution.execute_all("smoke")
        yield folder


@pytest.fixture(scope="session")
def built(executed: Path) -> Path:
    """The html pages of that book; any warning of Sphinx is an error."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "book"]
    command += ["-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=executed, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return executed / "book/_build/html"
