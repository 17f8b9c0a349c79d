"""The grid on a cluster: Snakemake spreads its runs, here over a real Slurm of one node.

Smoke runs of the image task; each job is a process of its own, so all of it takes minutes.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from made_up.slurm import loopback_slurm, missing_programs, queue

from idlib.commands.runs import grid_command
from idlib.records import Record, Store
from idlib.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / "workflow"
GRID = {"task": "images", "profile": "smoke", "smoothing": [0], "rounds": 1}
RUNS = 6  # baseline and id, a student of each, passes, compute
PATIENCE_SECONDS = 400  # where other work fills the machine

needs_snakemake = pytest.mark.skipif(sys.version_info < (3, 11), reason="no Snakemake before 3.11")


def test_the_grids_are_given_by_options_of_the_command_line() -> None:
    config = yaml.safe_load((WORKFLOW / "config.yaml").read_text())
    options = {name.rstrip("_") for name in inspect.signature(grid_command).parameters}
    for grid in config["grids"]:
        assert grid["task"] in TASKS and grid.keys() <= options
    assert {grid["task"] for grid in config["grids"]} == {*TASKS}


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """The environment of a Slurm that is there for the tests of this file."""
    missing = missing_programs()
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge")
    assert not missing, f"CI installs slurm-wlm and munge; not there: {', '.join(missing)}"
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:  # a short path, for a socket
        with loopback_slurm(Path(folder)) as environment:
            path = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
            yield {**environment, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def snakemake(profile: str, folder: Path, *options: str) -> list[str]:
    """The command that makes the grid in a folder of its own."""
    grids = folder / "grids.yaml"
    grids.write_text(yaml.safe_dump({"grids": [GRID]}))
    return [
        *(sys.executable, "-m", "snakemake", "--profile", str(WORKFLOW / profile)),
        *("--snakefile", str(WORKFLOW / "Snakefile"), "--configfile", str(grids), *options),
    ]


def records(folder: Path) -> dict[str, Record]:
    """The records in a folder, by signature."""
    stored = Store(folder / ".idlib/records", also=()).all()
    return {record.signature: record for record, _ in stored}


def submitted(said: str) -> int:
    """How many jobs were given to Slurm."""
    return said.count("has been submitted with SLURM jobid")


@needs_snakemake
@pytest.mark.slow
def test_a_grid_survives_the_loss_of_a_job_and_makes_nothing_twice(slurm, tmp_path):
    often = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks")
    command = snakemake("slurm", tmp_path, *often, "2", "--latency-wait", "10")
    log = tmp_path / "first.log"
    with log.open("w") as said:
        first = subprocess.Popen(command, cwd=tmp_path, env=slurm, stdout=said, stderr=said)
    try:
        cancelled = cancel_one(slurm, first)
        status = first.wait(PATIENCE_SECONDS)
    finally:
        first.terminate()
        first.wait()
    assert status != 0 and f"SLURM-job '{cancelled}' failed" in log.read_text(), log.read_text()
    before = records(tmp_path)
    assert 0 < len(before) < RUNS, "those that did not wait for the cancelled one"

    second = subprocess.run(command, cwd=tmp_path, env=slurm, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    after = records(tmp_path)
    assert len(after) == RUNS and submitted(second.stderr) == RUNS - len(before)
    assert {name: after[name] for name in before} == before, "each was made once"

    third = subprocess.run(
        snakemake("local", tmp_path), cwd=tmp_path, env=slurm, capture_output=True, text=True
    )
    assert third.returncode == 0 and "rule run:" in second.stderr, third.stderr
    assert "rule run:" not in third.stderr, "on this machine too all are known to be there"
    assert records(tmp_path) == after and not queue(slurm)


def cancel_one(slurm: dict[str, str], running: subprocess.Popen[bytes]) -> str:
    """Cancel the first job that runs, and return its number."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and running.poll() is None:
        for job, state in queue(slurm).items():
            if state == "RUNNING":
                subprocess.run(["scancel", job], env=slurm, check=True)
                return job
        time.sleep(0.1)
    raise AssertionError("no job was seen to run")


@pytest.mark.slow
def test_a_job_array_and_a_job_of_two_processes_make_their_records(slurm, tmp_path):
    """The two scripts beside the Snakefile, as their first lines say."""
    options = ["--profile", "smoke", "--smoothing", "0", "--rounds", "0", "--list"]
    grid = [sys.executable, "-m", "idlib", "grid", "images", *options]
    listed = subprocess.run(grid, cwd=tmp_path, env=slurm, capture_output=True, check=True)
    (tmp_path / "runs.json").write_bytes(listed.stdout)
    script = str(WORKFLOW / "torchrun.sbatch")
    jobs = [
        ["--array=0-1", str(WORKFLOW / "array.sbatch"), "runs.json"],
        [script, "2", "images", "--method", "baseline", "--profile", "smoke", "--device", "cpu"],
    ]
    for job in jobs:
        done = subprocess.run(["sbatch", "--wait", *job], cwd=tmp_path, env=slurm)
        said = "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
        assert done.returncode == 0, said
    rows, made = json.loads(listed.stdout), records(tmp_path)
    assert {rows[0]["signature"], rows[1]["signature"]} < made.keys() and len(made) == 3
    assert sorted(record.asked.processes for record in made.values()) == [1, 1, 2]
