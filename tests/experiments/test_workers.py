"""Runs side by side on one GPU: as many as fit, and what runs out of memory goes on alone.

The GPU is made up; the worker processes are real.
"""

import sys
from collections.abc import Callable

import pytest
import torch
from made_up.card import UPDATES, Card
from tqdm.auto import tqdm

from idlib.experiments.gpu_memory import Memory, fitting, ran_out
from idlib.experiments.specs import Spec
from idlib.experiments.workers import run_side_by_side
from idlib.experiments.workspace import Workspace

GIB = 2**30


@pytest.mark.parametrize(
    ("peak", "available", "fit"), [(5, 80, 14), (3, 24, 7), (40, 80, 1), (90, 80, 1)]
)
def test_as_many_fit_as_leave_a_tenth(peak, available, fit):
    assert fitting(Memory(peak * GIB, available * GIB)) == fit


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error, is_so):
    assert ran_out(error) == is_so


def logs_itself(spec: Spec, workspace: Workspace, progress: Callable[[int], object]) -> None:
    with (workspace.checkpoints / "log").open("a") as log:
        log.write(f"{spec.seed} {spec.method}\n")
    progress(1)


def one_fits() -> Memory:
    return Memory(60 * GIB, 80 * GIB)


@pytest.mark.slow
def test_one_of_most_passes_shows_what_runs_need_and_the_others_keep_their_order(fresh):
    """So that what was made when the command is stopped can be paired by seed."""
    fresh.checkpoints.mkdir(parents=True, exist_ok=True)
    pairs = [(seed, method) for seed in (1, 2, 3) for method in ("baseline", "id")]
    chains = [[Spec("images", method, "smoke", seed=seed)] for seed, method in pairs]
    assert run_side_by_side(chains, 8, fresh, lambda n: None, one_fits, logs_itself) == []
    begun = (fresh.checkpoints / "log").read_text().splitlines()
    assert begun == ["1 id", "1 baseline", "2 baseline", "2 id", "3 baseline", "3 id"]


@pytest.mark.slow
def test_as_many_run_as_fit_and_what_runs_out_of_memory_goes_on_alone(fresh, tmp_path):
    """The third needs more than the first has shown, the fourth more than there is."""
    card = Card(tmp_path, 100, {1: 40, 2: 40, 3: 70, 4: 200, 5: 40})
    chains = [[Spec("images", "id", "smoke", seed=seed)] for seed in card.needs]
    counted: list[int] = []
    failed = run_side_by_side(chains, 8, fresh, counted.append, card.look, card.make)
    *together, third, fourth = card.log()
    assert sorted(start.seed for start in together) == [1, 2, 3, 4, 5]
    assert [start.fitted for start in together if start.seed in (3, 4)] == [False, False]
    assert together[0].seed == 1 and together[0].beside == 0
    assert len({start.process for start in together}) == 2  # two of 40 fit into nine tenths of 100
    assert (third.seed, third.beside, third.fitted) == (3, 0, True)
    assert (fourth.seed, fourth.beside, fourth.fitted) == (4, 0, False)
    (reason,) = failed
    assert "seed 4" in reason and "OutOfMemoryError" in reason and "micro_batch" in reason
    assert sum(counted) == 4 * UPDATES  # nothing is counted twice


def shows_a_bar(spec: Spec, workspace: Workspace, progress: Callable[[int], object]) -> None:
    """What a run does that translates: a bar of its own, and a warning."""
    for _ in tqdm(range(3), desc="a bar of a worker", mininterval=0):
        progress(1)
    print("a warning of a worker", file=sys.stderr)


@pytest.mark.slow
def test_bars_of_workers_do_not_overwrite_that_of_all(fresh, capfd):
    chains = [[Spec("images", "id", "smoke", seed=seed)] for seed in (1, 2)]
    counted: list[int] = []
    assert run_side_by_side(chains, 2, fresh, counted.append, make=shows_a_bar) == []
    shown = capfd.readouterr().err
    assert sum(counted) == 6 and shown.count("a warning of a worker") == 2
    assert "a bar of a worker" not in shown
