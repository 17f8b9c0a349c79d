"""Earlier evidence: found through its manifest alone, by today's names, and answering nothing."""

import json

import pytest
from made_up.records import BASELINE, record
from made_up.toy_run import ToyRunTask

from idlib.earlier import EarlierRecord, earlier, manifest
from idlib.experiments.grid import recorded
from idlib.experiments.runs import run
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.records import MANIFEST, RecordError, Store
from idlib.report.conditions import Condition
from idlib.report.results import Results
from idlib.tasks import TASKS

OLD = {
    "test/f1/last": 0.4,
    "test/f1/en": 0.5,
    "sensitivity/std/last": 0.25,
    "dropped/train/long": 3,
}


@pytest.fixture
def committed(tmp_path):
    """A folder of two records of tagging, seeds 1 and 2; the second is of the sweep."""
    store = Store(tmp_path / "records", also=())
    signatures = []
    for seed in (1, 2):
        made = record("tagging", Condition("id", 0, 0.0), seed, BASELINE, metrics=OLD)
        # no name of that revision told a rule of selection
        old = {name: value for name, value in made.measured.metrics.items() if "@" not in name}
        measured = made.measured.model_copy(update={"metrics": old})
        made = made.model_copy(update={"measured": measured})
        store.save(made)
        signatures.append(made.signature)
    write(store.root, grid=signatures[:1], sweep=signatures[1:])
    return store.root


def write(folder, **changes) -> None:
    group = {"task": "tagging", "profile": "medium", "made": "by hand", "selected": "f1"}
    (folder / MANIFEST).write_text(json.dumps({"groups": [{**group, **changes}]}))


def test_records_come_from_the_manifest_by_todays_names(committed):
    (one,) = earlier("tagging", "medium", committed)
    assert isinstance(one, EarlierRecord) and one.asked.seed == 1
    metrics = one.measured.metrics
    assert metrics["test/f1/en@last"] == 0.4 and metrics["sensitivity/std@last"] == 0.25
    assert not any(name.endswith("/last") or "@loss" in name for name in metrics)
    both = earlier("tagging", "medium", committed, sweep=True)
    assert [each.asked.seed for each in both] == [1, 2]
    assert earlier("tagging", "large", committed) == earlier("images", "medium", committed) == []


def test_what_the_loss_chose_has_that_name_too(committed):
    (one,) = earlier("tagging", "medium", committed)
    write(committed, grid=[one.signature], selected="nll")
    metrics = earlier("tagging", "medium", committed)[0].measured.metrics
    assert metrics["test/nll@loss"] == metrics["test/nll"]
    assert "dropped/train/long@loss" not in metrics and "sensitivity/std@last@loss" not in metrics


def test_a_manifest_is_no_record_and_a_folder_need_have_none(committed, tmp_path):
    stored, damaged = Store(committed, also=()).readable()
    assert len(stored) == 2 and not damaged
    assert manifest(tmp_path / "nowhere").groups == ()
    assert earlier("tagging", "medium", tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"grid": ["0" * 16]}, f"lists {'0' * 16}, which is not there"),
        ({"grid": None}, "is not a readable manifest"),
        ({"grid": [], "other": 1}, "is not a readable manifest"),
        ({"grid": [], "task": "taggine"}, "lists records of 'taggine', profile 'medium'"),
        ({"grid": [], "profile": "mediul"}, "of 'tagging', profile 'mediul', and there is none"),
        ({"grid": [], "selected": "f2"}, "is not a readable manifest"),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_an_error(committed, changes, says):
    write(committed, **changes)
    with pytest.raises(RecordError, match=says):
        earlier("tagging", "medium", committed)


def test_a_record_listed_under_another_task_is_an_error(committed):
    """The folder has records of that task, and this one is not of them."""
    other = record("images", Condition("id", 0, 0.0), 1, BASELINE)
    Store(committed, also=()).save(other)
    write(committed, grid=[other.signature])
    with pytest.raises(RecordError, match="under tagging, profile medium, and it is of images"):
        earlier("tagging", "medium", committed)


def test_pages_and_tables_say_that_evidence_is_earlier(committed):
    evidence = earlier("tagging", "medium", committed)
    page = Results("tagging", "small", "embedded", [], evidence)
    assert page.basis == "1 committed records (earlier evidence, profile medium, 1 seed)"
    assert list(page.by_label) == ["earlier evidence (medium, 1 seed)"]
    assert "These are earlier evidence" in page.introduction
    again = Results("tagging", "small", "embedded", evidence)  # as a build's own
    assert "earlier" not in again.basis + again.introduction


def test_what_is_made_today_comes_before_what_is_earlier(tmp_path, monkeypatch):
    """A run never takes the earlier record of the same settings for its own."""
    monkeypatch.setitem(TASKS, "toy", "made_up.toy_run:ToyRunTask")
    monkeypatch.setattr(ToyRunTask, "load", None, raising=False)
    workspace = Workspace(Store(tmp_path / "records", also=()), tmp_path / "checkpoints")
    first, folder = run(Spec("toy", "id", "smoke"), workspace), workspace.store.root
    assert recorded("toy", "smoke", folder) == [first]
    write(folder, task="toy", profile="smoke", grid=[first.signature])
    monkeypatch.setattr(ToyRunTask, "revision", 2)
    assert workspace.store.answer(Spec("toy", "id", "smoke").plan.asked) is None
    (before,) = recorded("toy", "smoke", folder)
    assert isinstance(before, EarlierRecord) and before.signature == first.signature
    assert recorded("toy", "smoke", folder, source="path") == []
    second = run(Spec("toy", "id", "smoke"), workspace)
    assert second.signature != first.signature and recorded("toy", "smoke", folder) == [second]
