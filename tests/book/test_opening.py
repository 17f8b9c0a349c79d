"""How a task's page begins: what its parameters say is what is trained and shown."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from made_up.records import made_up_record

from idlib.book import status
from idlib.book.opening import registered, train_or_find
from idlib.experiments.grid import grid
from idlib.experiments.registered import Answers, Evidence, Refused
from idlib.metrics.names import at
from idlib.protocol import Protocol, Registered, read
from idlib.report.board import Board
from idlib.report.conditions import Condition

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
    shutil.copytree(ROOT / "records", "records", ignore=shutil.ignore_patterns("evidence"))
    _, results = train_or_find("images", namespace)
    assert len(results.evidence) == 70
    assert {record.asked.profile for record in results.judged} == {"medium"}
    assert results.is_earlier and {record.asked.revision for record in results.judged} == {1}
    shutil.copytree(ROOT / "records/evidence", "records/evidence")
    _, results = train_or_find("images", namespace)
    assert len(results.evidence) == 100 and not results.is_earlier
    assert all(record.origin.protocol for record in results.judged)


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return read()


def answered(protocol: Protocol, *seeds: int) -> dict[str, Answers]:
    """All runs of the study of images at these seeds, and nothing of the others."""
    found = {
        name: Answers({cell: {} for cell in s.cells}, [], [])
        for name, s in protocol.studies.items()
    }
    for cell in protocol.studies["images"].cells:
        for seed in seeds:
            metrics = {
                name: 1.0
                for line in protocol.lines.values()
                for name in [at(line.metric, line.selection)]
            }
            condition = Condition("id", 0, 0.1)
            found["images"].records[cell][seed] = made_up_record(condition, seed, "medium", metrics)
    return found


def test_a_page_rests_on_registered_runs_once_there_are_enough(protocol: Protocol) -> None:
    few = Board(Evidence(answered(protocol, 11, 12, 13, 14), []).records, protocol)
    assert registered(few.of_task("images")) == []
    enough = Board(Evidence(answered(protocol, 11, 12, 13, 14, 15), []).records, protocol)
    used = {
        cell for line in protocol.lines.values() if line.study == "images" for cell in line.contrast
    }
    assert len(registered(enough.of_task("images"))) == 5 * len(used)
    assert registered(enough.of_task("translation")) == []
    del enough.records["images"]["passes"][15]  # of the control of C8, which may come later
    assert len(registered(Board(enough.records, protocol).of_task("images"))) == 5 * len(used) - 1
    del enough.records["images"]["baseline"][15]
    assert registered(Board(enough.records, protocol).of_task("images")) == []


def test_the_status_page_names_what_takes_no_part(protocol: Protocol) -> None:
    answers = answered(protocol, 11, 12)
    del answers["images"].records["id"][12]
    run = Registered("images", "id", 12)
    answers["images"].refused.append(Refused(run, "0" * 16, "made under another protocol"))
    answers["images"].missing.extend(Registered("images", "passes", s) for s in (13, 14, 15))
    found = Evidence(answers, [Path("records/evidence/stray.json")])
    told = rendered(status.left_out(found))
    assert "images, id, seed 12 (0000000000000000): made under another protocol" in told
    assert "records/evidence/stray.json: no run that the protocol registers" in told
    assert "images, seed 12, unpaired: no run of ID (left out of C4 images, C5 images, C6," in told
    assert "images: 19 of 23 made. Missing seeds: passes: 13–15." in told
    assert "idlib evidence images makes them" in told
    table = status.verdicts(found).set_index("line")
    assert list(table.loc["C6"]) == ["not judged", "1 of 10"]
    whole = Evidence({"images": Answers({}, [], [])}, [])
    assert status.left_out(whole) == "Nothing is left out.\n\nAll registered runs are made."


def test_the_status_page_tells_with_what_the_registered_runs_were_made(protocol: Protocol) -> None:
    answers = answered(protocol, 11, 12)
    runs = answers["images"].records["id"]
    origin = runs[12].origin.model_copy(
        update={"device": "a GPU", "versions": {"torch": "2.9"}, "commit": "abc", "created": "2023"}
    )
    runs[12] = runs[12].model_copy(update={"origin": origin})
    table = status.made_with(Evidence(answers, []))
    cells = len(protocol.studies["images"].cells)
    assert table.to_numpy().tolist() == [
        ["images", "cpu", "–", "–", "–", "not known", 2 * cells - 1, "2022-01-01"],
        ["images", "a GPU", "–", "2.9", "–", "abc", 1, "2023"],
    ]
    nothing = status.made_with(Evidence({"images": Answers({}, [], [])}, []))
    assert nothing.empty and list(nothing) == list(table)


def test_the_status_page_lists_the_pages_of_the_book(tmp_path: Path) -> None:
    run = {"duration": 12.34, "end_time": "2026-01-02T03:04:05.678", "parameters": {}}
    for name, metadata in {
        "images": {"papermill": {**run, "parameters": {"profile": "smoke"}}},
        "method": {"papermill": run, "idlib": {"failed": "cell 1"}},
        "status": {},
    }.items():
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"metadata": metadata}))
    table = status.pages(tmp_path).drop(columns="as committed")
    assert table.iloc[0].tolist() == ["images", 12.34, "smoke", "2026-01-02 03:04"]
    assert table.iloc[1]["finished"] == "failed" and len(table) == 2
    page = status.listed(table).to_html()
    assert '<span class="nowrap">2026-01-02</span> 03:04' in page and ">12.3<" in page
    assert ">failed<" in page and ">–<" in page and "nan" not in page


@pytest.mark.slow
def test_the_status_page_lists_earlier_evidence(workspace: Path) -> None:
    shutil.copytree(ROOT / "records", "records")
    told = status.earlier_evidence()
    assert "tagging, profile large: 15 records" in told and "SacreBLEU" in told
    shutil.rmtree("records")
    assert status.earlier_evidence() == "There is none."


def rendered(text: str) -> str:
    """What a reader of the Markdown sees."""
    return re.sub(r"\\([^\w\s])", r"\1", text).replace("`", "")
