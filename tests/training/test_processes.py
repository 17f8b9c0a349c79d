"""Several processes are one run: its numbers, and what happens where one of them is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
import torch
from made_up.shared_masks import UPDATES, curves, uncounted_shares
from made_up.toy import ToySettings, ToyTask

from idlib.method.choices import Mode
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target
from idlib.records import Store
from idlib.training.order import Order
from idlib.training.settings import SettingsError

TESTS = Path(__file__).parents[1]

MODES = get_args(Mode)
# Updates of 7 and 5 examples in turn: no two of four processes need have equally many.
UNEVEN = {"batch_size": 7, "epochs": UPDATES // 2, "evaluate_every": 1, "alpha": 2.0}
UNEVEN |= {"p": 1.5, "q": 4.0, "lr_peak": 0.05}


def torchrun(processes: int, module: str, *arguments: str, **environment: str):
    """Run a module in so many processes and return what came of it."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(processes), "-m", module, *arguments),
        ],
        env={
            **os.environ,
            **{"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
            **environment,
        },
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, dict[str, list[float]]]:
    """The curves of one process."""
    folder = tmp_path_factory.mktemp("alone")
    return {mode: curves(folder / mode, ToySettings(**UNEVEN, mode=mode)).curves for mode in MODES}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_several_processes_give_the_loss_curve_of_one(tmp_path, alone, processes):
    """With uneven shares, and updates of which some process has no counted position."""
    assert uncounted_shares(ToySettings(**UNEVEN), processes) > 0
    asked = {mode: {**UNEVEN, "mode": mode} for mode in MODES}
    done = torchrun(processes, "made_up.shared_masks", str(tmp_path), json.dumps(asked))
    assert done.returncode == 0, done.stderr
    for mode, one in alone.items():
        result = json.loads((tmp_path / f"{mode}.json").read_text())
        assert result["processes"] == processes
        assert result["curves"].keys() == one.keys() and len(one["train/total"]) == UPDATES
        for name, curve in one.items():
            assert result["curves"][name] == pytest.approx(curve, rel=1e-5), (mode, name)


def test_the_masks_of_the_passes_differ(alone):
    """Else the curves above would say nothing of the divergence."""
    assert all(min(curves["train/divergence"]) > 1e-4 for curves in alone.values())
    assert alone["stack"]["train/total"] != alone["loop"]["train/total"]
    assert alone["cached"]["train/total"] == pytest.approx(alone["loop"]["train/total"], rel=1e-5)


@pytest.mark.filterwarnings("ignore:the K passes are equal")  # on purpose
@pytest.mark.parametrize("fused", [True, False])
def test_a_share_in_which_nothing_counts_has_no_loss_and_no_gradient(fused):
    logits = torch.randn(2, 3, requires_grad=True)
    target = Target(torch.tensor([0, 1]), mask=torch.tensor([False, False]))
    counts = {"logits": torch.tensor(5.0, dtype=torch.float64)}  # of another process
    objective = IntraDistillation(passes=3, fused=fused)
    parts = objective(lambda x: x, lambda x: target, logits, 1, 10, counts=counts)
    parts.total.backward()
    assert parts.total == parts.task == parts.divergence == 0
    assert logits.grad is not None and not logits.grad.any()


def test_an_update_with_fewer_examples_than_processes_names_the_remedy(tmp_path):
    with pytest.raises(SettingsError, match="each of 6 processes; the smallest here has 5.*fewer"):
        Order(ToyTask(7), ToySettings(batch_size=7), 1, 0, 6)


def records(folder: Path) -> list:
    return [stored.record for stored in Store(folder / "records", also=()).all()]


@pytest.mark.slow
@pytest.mark.parametrize(("way", "answer_seconds"), [("killed", 600), ("hanging", 6)])
def test_a_lost_process_ends_the_run_with_the_remedy_and_it_goes_on(tmp_path, way, answer_seconds):
    def go(folder: Path, **environment: str):
        where = [f"--{name}={folder / name}" for name in ("records", "checkpoints")]
        environment |= {"ANSWER_SECONDS": str(answer_seconds)}
        return torchrun(2, "made_up.fragile", *where, **environment)

    started = time.monotonic()
    lost = go(tmp_path / "lost", LOSE_BY=way)
    assert lost.returncode != 0 and time.monotonic() - started < 120
    # Whichever is first: the backend's error, or the launcher's signal.
    reasons = {
        "killed": "Connection closed|.*Connection reset|it was told to end",
        "hanging": "Timed out waiting",
    }
    assert re.search(rf"process 0 of 2 cannot go on \(({reasons[way]})", lost.stderr), lost.stderr
    assert "the same command with as many processes goes on from there" in lost.stderr
    assert not records(tmp_path / "lost")
    assert go(tmp_path / "lost").returncode == 0
    assert go(tmp_path / "whole").returncode == 0
    (resumed,), (whole,) = records(tmp_path / "lost"), records(tmp_path / "whole")
    assert resumed.asked.processes == 2
    assert (resumed.asked, resumed.measured) == (whole.asked, whole.measured)
