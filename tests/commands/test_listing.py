"""The list of a grid's runs says for each how it is made, and whether it has been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idlib.experiments.grid import grid
from idlib.records import Store

GRID = ("grid", "images", "--profile", "smoke", "--smoothing", "0", "--list")


def listed(command, *options: str) -> list[dict]:
    status, out, _ = command(*GRID, *options)
    assert status == 0
    return json.loads(out)


def test_a_row_for_each_run_of_the_grid_and_nothing_is_run(command, workspace: Path):
    rows, specs = listed(command), grid("images", "smoke", [1], smoothing=[0.0])
    assert [row["signature"] for row in rows] == [spec.signature for spec in specs]
    assert not any(row["finished"] for row in rows) and not (workspace / ".idlib/records").exists()
    teachers = [
        spec.round(number - 1).signature if (number := spec.plan.settings.round) else None
        for spec in specs
    ]
    assert [row["after"] for row in rows] == teachers and len({*teachers}) == 3
    assert {row["updates"] for row in rows} == {8, 24} and {row["threads"] for row in rows} == {1}


@pytest.mark.slow
def test_a_rows_arguments_make_its_record_and_it_is_then_finished(command):
    changes = ("--set", "alpha=2.5", "--set", "examples={train: 60, validation: 40, test: 40}")
    rows = listed(command, *changes, "--records", "elsewhere", "--checkpoints", "weights")
    row = rows[0]
    status, out, _ = command(*row["arguments"])
    assert status == 0 and row["signature"] in out
    (stored,) = Store("elsewhere", also=()).all()
    assert (Path(row["record"]).is_file(), stored.record.signature) == (True, row["signature"])
    again = listed(command, *changes, "--records", "elsewhere", "--checkpoints", "weights")
    assert [each["finished"] for each in again] == [True, *[False] * 5]
    assert again[0]["record"] == row["record"]


def test_a_damaged_record_is_named_and_not_taken_for_a_finished_one(command, workspace: Path):
    record = Path(listed(command)[0]["record"])
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    status, _, err = command(*GRID)
    assert status == 2 and str(record) in err
