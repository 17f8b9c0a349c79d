"""Records: the signature is of what was asked, and what is damaged is named and left alone."""

import json
import multiprocessing
import random
import subprocess
from pathlib import Path

import pytest
import torch

from idlib import records
from idlib.records import (
    Asked,
    Cost,
    Measured,
    Record,
    RecordError,
    Store,
    origin,
    read,
)

ROOT = Path(__file__).resolve().parent.parent


def asked(**changes) -> Asked:
    fields = {
        "task": "images",
        "method": "id",
        "profile": "smoke",
        "source": "embedded",
        "seed": 1,
        "settings": {"alpha": 5.0, "betas": [0.9, 0.999]},
        "data": {"train": "00"},
        "precision": "fp32",
        "device_type": "cpu",
        "threads": 1,
        "revision": 1,
    }
    return Asked(**{**fields, **changes})


def record(**changes) -> Record:
    what = asked(**changes)
    return Record(
        signature=what.signature,
        asked=what,
        measured=Measured(metrics={"test/nll": 1 / 3}, curves={"a": [0.1, 0.2], "b": []}),
        cost=Cost(seconds=1.5, peak_memory_bytes=10),
        origin=origin(),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"task": "x"},
        {"method": "baseline"},
        {"profile": "small"},
        {"source": "hub"},
        {"seed": 2},
        {"settings": {"alpha": 4.0, "betas": [0.9, 0.999]}},
        {"data": {"train": "01"}},
        {"precision": "bf16"},
        {"device_type": "cuda"},
        {"threads": 2},
        {"processes": 2},
        {"revision": 2},
    ],
)
def test_every_field_that_decides_numbers_is_in_the_signature(change):
    assert asked(**change).signature != asked().signature
    assert set(change) <= set(Asked.model_fields)


def test_the_signature_does_not_depend_on_order_and_is_known():
    turned = asked(settings={"betas": [0.9, 0.999], "alpha": 5.0})
    assert turned.signature == asked().signature
    assert asked().signature == "c7eebeaeff32b2ad"  # a change here orphans all records


def test_a_saved_record_is_found_and_equal(store):
    saved = record()
    path = store.save(saved)
    assert read(path) == saved == store.find(saved.signature)
    assert store.find("0" * 16) is None
    assert list(json.loads(path.read_text())) == [
        *("signature", "digest", "asked", "measured", "cost", "origin")
    ]
    assert [p.name for p in store.root.iterdir()] == [path.name]  # no temporary file stays


def test_other_folders_are_read_and_never_written(tmp_path):
    committed = Store(tmp_path / "committed", also=())
    committed.save(record(seed=2))
    working = Store(tmp_path / "working", also=(tmp_path / "committed",))
    working.save(record(seed=1))
    assert working.find(asked(seed=2).signature).asked.seed == 2
    assert [(r.asked.seed, where.name) for r, where in working.all()] == [
        (1, "working"),
        (2, "committed"),
    ]
    assert len(list((tmp_path / "committed").iterdir())) == 1


def test_the_working_store_comes_first(tmp_path):
    for name in ("a", "b"):
        Store(tmp_path / name, also=()).save(record())
    stored = Store(tmp_path / "a", also=(tmp_path / "b",)).all()
    assert [where.name for _, where in stored] == ["a"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: text.replace('"cost"', '"costs"'),
        lambda text: text.replace("0.1", "NaN", 1),
    ],
)
def test_a_damaged_record_is_named_and_left_alone(store, damage):
    path = store.save(record())
    path.write_text(damage(path.read_text()))
    before = path.read_text()
    with pytest.raises(RecordError, match=f"{path.name} is not a readable record.*move it away"):
        store.find(record().signature)
    assert path.read_text() == before
    other = record(seed=9)
    store.save(other)
    assert store.find(other.signature) == other


def test_a_record_changed_after_it_was_made_is_refused(store):
    path = store.save(record())
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(RecordError, match="signature"):
        read(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"test/nll": 0.33', '"test/nll": 0.23'),
        ("0.2]", "0.1]"),
        ('"peak_memory_bytes": 10', '"peak_memory_bytes": 20'),
        ('"seconds": 1.5', '"seconds": 1.4'),
        ('"python": "3', '"python": "2'),
    ],
)
def test_a_number_changed_after_it_was_measured_is_refused(store, old, new):
    path = store.save(record())
    text = path.read_text()
    path.write_text(text.replace(old, new))
    assert path.read_text() != text
    with pytest.raises(RecordError, match="digest is not that of what it says was measured"):
        read(path)


def test_a_flipped_bit_is_an_error_or_changes_nothing(store):
    saved = record()
    path = store.save(saved)
    content, generator, found = path.read_bytes(), random.Random(0), 0
    for _ in range(200):
        flipped = bytearray(content)
        flipped[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(flipped)
        try:
            assert read(path) == saved, "it was read as another record"
        except RecordError as error:
            assert path.name in str(error)
            found += 1
    assert found > 150  # the rest are blanks between the numbers


def test_a_record_without_a_digest_gets_it_by_the_migration_and_nothing_else(store, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from add_digests import add_digests

    path = store.save(record())
    text = path.read_text()
    lines = [line for line in text.splitlines(keepends=True) if '"digest"' not in line]
    path.write_text("".join(lines))
    with pytest.raises(RecordError, match="no digest"):
        read(path)
    assert add_digests(store.root) == [path] and path.read_text() == text
    assert add_digests(store.root) == []


def test_numbers_survive_to_the_last_bit(store):
    values = torch.rand(100, dtype=torch.float64).tolist()
    one = record()
    exact = one.model_copy(update={"measured": Measured(metrics={}, curves={"v": values})})
    assert read(store.save(exact)).measured.curves["v"] == values


def _save(root, seed):
    Store(root, also=()).save(record(seed=seed))


def test_processes_writing_the_same_record_leave_one_whole(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_save, args=(tmp_path, 1)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(list(tmp_path.iterdir())) == 1
    assert Store(tmp_path, also=()).find(asked().signature).asked.seed == 1


def test_the_origin_names_versions_and_machine():
    made = origin()
    assert torch.__version__.startswith(made.versions["torch"]) and made.device


def test_the_commit_is_that_of_the_code_and_says_where_it_was_changed(tmp_path):
    def git(*command: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.check_output(["git", *who, *command], cwd=tmp_path, text=True).strip()

    code = tmp_path / "package" / "records.py"
    code.parent.mkdir()
    code.write_text("")
    git("init", "--quiet")
    (tmp_path / "README").write_text("somebody's, in whose folder it is installed")
    git("add", "README")
    git("commit", "--quiet", "-m", "theirs")
    assert records._commit(code) is None
    git("add", ".")
    git("commit", "--quiet", "-m", "the package")
    commit = git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "README").write_text("no code")
    assert records._commit(code) == commit
    code.write_text("changed")
    assert records._commit(code) == f"{commit}+changed"
    git("commit", "--quiet", "--all", "-m", "the change")
    code.with_name("more.py").write_text("new")
    assert records._commit(code) == git("rev-parse", "--short=12", "HEAD") + "+changed"
