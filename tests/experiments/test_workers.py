"""Runs side by side on one GPU: as many as fit, and what runs out of memory goes on alone.

The GPU is made up; the worker processes are real.
"""

from collections import Counter

import pytest
import torch
from made_up.card import UPDATES, Card

from idlib.experiments.gpu_memory import Memory, fitting, ran_out
from idlib.experiments.specs import Spec
from idlib.experiments.workers import run_side_by_side

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


def side_by_side(card: Card, seeds, workspace) -> tuple[list[str], int]:
    """What failed, and the updates that were counted."""
    chains = [[Spec("images", "id", "smoke", seed=seed)] for seed in seeds]
    counted: list[int] = []
    failed = run_side_by_side(chains, 8, workspace, counted.append, card.look, card.make)
    return failed, sum(counted)


@pytest.mark.slow
def test_the_first_run_is_alone_and_then_as_many_as_fit(fresh, tmp_path):
    card = Card(tmp_path, 70, dict.fromkeys(range(1, 6), 30))  # two of them leave a seventh
    failed, counted = side_by_side(card, range(1, 6), fresh)
    log = card.log()
    assert not failed and counted == 5 * UPDATES
    assert sorted(seed for seed, _, _ in log) == list(range(1, 6))
    assert log[0] == (1, 0, True) and all(fits for *_, fits in log)
    assert max(beside for _, beside, _ in log) == 1


@pytest.mark.slow
def test_what_ran_out_of_memory_goes_on_alone_and_nothing_is_lost(fresh, tmp_path):
    """The third needs more than the first has shown; the fourth more than there is."""
    card = Card(tmp_path, 100, {1: 30, 2: 30, 3: 80, 4: 200, 5: 30})
    failed, counted = side_by_side(card, range(1, 6), fresh)
    log = card.log()
    (reason,) = failed
    assert "seed 4" in reason and "OutOfMemoryError" in reason and "micro_batch" in reason
    assert Counter(seed for seed, _, _ in log) == {1: 1, 2: 1, 3: 2, 4: 2, 5: 1}
    assert log[-2:] == [(3, 0, True), (4, 0, False)]
    assert counted == 4 * UPDATES
