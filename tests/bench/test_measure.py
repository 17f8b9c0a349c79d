"""Arms take turns, memory is an arm's own, and an arm that fails leaves the others measured."""

from __future__ import annotations

import pytest
import torch
from made_up.bench_cases import HELD, MIB, NOTE, AskedMadeUp, MadeUp, NoData

from idlib.bench.measure import measure
from idlib.bench.running import ENDED, run
from idlib.costs import read

CPU = torch.device("cpu")


def test_arms_take_turns() -> None:
    told: list[str] = []
    case = measure(MadeUp(("nothing", "after")), CPU, repeats=3, tell=told.append)
    assert told == ["nothing", "after"] * 4, "once for memory, then a turn for each repeat"
    assert all(arm.seconds is not None for arm in case.arms)
    first, second = case.arms
    assert not first.ratios and set(second.ratios) == {"nothing"}


def test_memory_is_that_of_the_arm_alone() -> None:
    case = measure(MadeUp(("nothing", "hold", "after")), CPU, repeats=1)
    nothing, hold, after = (arm.peak_bytes / MIB for arm in case.arms if arm.peak_bytes is not None)
    assert HELD - 1 < hold < HELD + 8
    assert nothing < 2 and after < 2


def test_an_arm_that_fails_is_told_of_and_the_others_are_measured() -> None:
    case = measure(MadeUp(("nothing", "raise", "die", "after")), CPU, repeats=2)
    nothing, raised, died, after = case.arms
    assert nothing.seconds and after.seconds
    assert raised.failed == "ValueError: it cannot be had" and raised.seconds is None
    assert died.failed == "out of memory"
    assert set(after.ratios) == {"nothing"}


def test_what_was_found_to_fail_is_not_tried_again() -> None:
    case = measure(MadeUp(("nothing", "die")), CPU, repeats=1, skip={"die": "it ended a process"})
    assert case.arm("die") is None and case.arms[1].failed == "it ended a process"


@pytest.mark.slow
def test_a_lost_worker_costs_one_arm_or_the_case_that_cannot_be_set_up(tmp_path) -> None:
    cases = MadeUp(("nothing", "die-in-turns", "after")), NoData(("nothing",)), MadeUp(("after",))
    out = tmp_path / "costs.json"
    costs = run(AskedMadeUp(repeats=1, made_up=cases), out)
    first, second, third = costs.cases
    assert [arm.failed for arm in first.arms] == [None, ENDED, None]
    assert [arm.failed for arm in second.arms] == ["FileNotFoundError: there are no data"]
    assert third.arm("after") is not None
    assert read(out) == costs


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_freed_memory_is_kept_where_the_case_says_so(tmp_path, monkeypatch, kept) -> None:
    note = tmp_path / "freed"
    monkeypatch.setenv(NOTE, str(note))
    run(AskedMadeUp(repeats=1, made_up=(MadeUp(("freed",), memory_kept=kept),)))
    assert (max(map(int, note.read_text().split())) > HELD / 2 * MIB) == kept


@pytest.mark.slow
def test_an_arm_that_does_not_end_is_given_up() -> None:
    cases = (MadeUp(("nothing", "sleep", "after")),)
    (case,) = run(AskedMadeUp(repeats=1, made_up=cases, limit_seconds=10)).cases
    assert case.arms[1].failed == "it did not end within 10 seconds"
    assert case.arm("after") is not None
