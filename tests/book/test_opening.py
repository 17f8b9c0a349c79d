"""How a task's page begins: what its parameters say is what is trained and shown."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from idlib.book import status
from idlib.book.opening import train_or_find
from idlib.experiments.grid import grid
from idlib.records import Store

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {
    "profile": str,
    "source": str,
    "seeds": list[int],
    "rounds": int,
    "smoothing": list[float],
    "alpha": float | None,
    "epochs": int | None,
    "samples": int,
    "workers": int | None,
}
GIVEN = {
    "profile": "smoke",
    "source": "embedded",
    "seeds": [2],
    "rounds": 0,
    "smoothing": [0.1],
    "alpha": 2.5,
    "epochs": None,
    "samples": 3,
    "workers": 1,
}


@pytest.fixture
def namespace(workspace: Path) -> dict:
    return {"__annotations__": PARAMETERS, **GIVEN, "another": 5}


@pytest.mark.slow
def test_parameters_become_the_grid_and_its_settings(namespace: dict) -> None:
    specs, results = train_or_find("images", namespace)
    asked = {"rounds": 0, "smoothing": [0.1], "source": "embedded"}
    assert specs == grid("images", "smoke", [2], overrides={"alpha": 2.5}, **asked)
    assert {spec.plan.settings.alpha for spec in specs if spec.method == "id"} == {2.5}
    assert [record.signature for record in results.records] == [
        spec.plan.asked.signature for spec in specs
    ]
    assert (results.task, results.profile, results.source) == ("images", "smoke", "embedded")
    assert list(results.evidence) == []  # there is no folder of committed records here


@pytest.mark.slow
def test_committed_records_are_the_evidence_below_their_profile(namespace: dict) -> None:
    shutil.copytree(ROOT / "records", "records")
    _, results = train_or_find("images", namespace)
    assert len(results.evidence) == 70
    assert {record.asked.profile for record in results.judged} == {"medium"}
    assert results.is_earlier and {record.asked.revision for record in results.judged} == {1}


@pytest.mark.slow
def test_the_status_page_judges_the_same_records(workspace: Path) -> None:
    shutil.copytree(ROOT / "records", "records")
    table = status.verdicts("small", "embedded")
    assert len(table) == 16 and list(table.columns) == ["claim", "task", "verdict"]
    found = table.set_index(["claim", "task"])["verdict"]
    assert found["C1", "translation"] == "undecided" and found["C8", "images"] == "supported"
    listed = status.records(Store())
    assert len(listed) == 235 and set(listed["from"]) == {"records"}
    told = status.earlier_evidence()
    assert "tagging, profile large: 15 records" in told and "SacreBLEU" in told
    shutil.rmtree("records")
    assert status.earlier_evidence() == "There is none."
    nothing = status.verdicts("small", "embedded")
    assert set(nothing["verdict"]) == {"not judged"}
