"""Registered runs: made under the protocol or refused, and counted on the command line."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import torch
import yaml
from made_up.records import made_up_record
from made_up.studies import write_protocol

from idlib import protocol
from idlib.experiments import registered
from idlib.experiments.registered import SIGNATURES, answers, evidence, signatures_of, specs_of
from idlib.experiments.specs import Spec
from idlib.records import Record, Store
from idlib.report.conditions import Condition

TEXT = yaml.safe_dump(
    {
        "rules": {"level": 0.95, "equivalence": 0.9, "family": 0.05, "fewest_seeds": 2},
        "studies": {
            name: {
                "purpose": "To see.",
                "task": "images",
                "profile": "smoke",
                "seeds": "11-12",
                "settings": {"weight_decay": 0.5},
                "cells": cells,
            }
            for name, cells in {
                "one": {
                    "baseline": {"method": "baseline"},
                    "id": {"method": "id", "settings": {"alpha": 2.5, "epochs": 1}},
                },
                "two": {"plain": {"method": "baseline"}},
            }.items()
        },
        "lines": {},
    }
)


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """A protocol of our own in the place of the committed one."""
    path = tmp_path / "ours" / protocol.NAME
    path.parent.mkdir()
    write_protocol(path, TEXT)
    monkeypatch.setattr(protocol, "_PLACES", (path,))
    monkeypatch.chdir(tmp_path)
    protocol.read.cache_clear()
    yield protocol.read()
    protocol.read.cache_clear()


def record_of(ours: protocol.Protocol, run: protocol.Registered, made_under: str | None) -> Record:
    asked = specs_of(ours)[run].plan.asked
    made_up = made_up_record(Condition("id", 0, 0.0), 1, "smoke", {})
    origin = made_up.origin.model_copy(update={"protocol": made_under})
    return made_up.model_copy(
        update={"asked": asked, "signature": asked.signature, "origin": origin}
    )


def test_a_cell_asks_for_its_settings_at_every_seed(ours):
    specs = specs_of(ours, "one")
    assert [*specs] == [*ours.runs("one")]
    spec = specs[protocol.Registered("one", "id", 12)]
    assert (spec.method, spec.seed, spec.device) == ("id", 12, "cpu")
    assert spec.plan.settings.alpha == 2.5 and spec.plan.spec == spec
    asked = {"alpha": 2.5, "epochs": 1, "weight_decay": 0.5}
    checked = Spec("images", "id", "smoke", None, 12, asked, "cpu")
    assert spec.signature == checked.signature
    both = specs_of(ours)
    assert len(both) == 6 and len({spec.signature for spec in both.values()}) == 4


def test_records_of_another_protocol_are_named_and_left_out(ours, tmp_path):
    store = Store(tmp_path / "records", also=())
    runs = list(ours.runs("one"))
    under = (protocol.sha256(), None, "0" * 64)
    for run, made_under in zip(runs, under, strict=False):
        store.save(record_of(ours, run, made_under))
    found = answers(ours, "one", store)
    assert found.records == {
        "baseline": {11: store.find(specs_of(ours)[runs[0]].signature)},
        "id": {},
    }
    assert [refused.run for refused in found.refused] == runs[1:3]
    assert "without one" in found.refused[0].reason and "0000" in found.refused[1].reason
    assert found.missing == runs[3:]


def test_evidence_names_what_nobody_registered_and_what_cannot_be_read(ours, tmp_path):
    store = Store(tmp_path / "records", also=())
    runs = list(ours.runs("one"))
    whole = store.save(record_of(ours, runs[0], protocol.sha256()))
    torn = store.save(record_of(ours, runs[1], protocol.sha256()))
    torn.write_text(torn.read_text()[:-40])
    stray = store.save(made_up_record(Condition("id", 0, 0.0), 1, "smoke", {}))
    found = evidence("one", folder=tmp_path / "records")
    assert list(found.records["one"]["baseline"]) == [11] and not found.records["one"]["id"]
    assert [item.run for item in found.studies["one"].refused] == [runs[1]]
    assert str(torn) in found.studies["one"].refused[0].reason
    assert found.unknown == [stray] and whole.is_file()
    assert [*evidence(folder=tmp_path / "records").records] == ["one", "two"]


def test_signatures_are_kept_until_protocol_or_package_change(ours, monkeypatch):
    planned = {run: spec.signature for run, spec in specs_of(ours).items()}
    assert {**signatures_of(ours, "two"), **signatures_of(ours)} == planned
    kept = SIGNATURES.read_text()
    monkeypatch.setattr(registered, "specs_of", None)  # nothing is planned again
    assert signatures_of(ours) == planned
    first = next(iter(planned.values()))
    SIGNATURES.write_text(kept.replace(first, "0" * 16))
    with pytest.raises(TypeError):  # what was changed is not believed: all are planned again
        signatures_of(ours)
    monkeypatch.setattr(registered, "_made_of", lambda: "another package")
    SIGNATURES.write_text(kept)
    with pytest.raises(TypeError):
        signatures_of(ours)


def test_signatures_are_of_the_processes_and_the_maker_of_vocabularies(ours, monkeypatch):
    alone, version = signatures_of(ours, "two"), metadata.version
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not set(alone.values()) & set(signatures_of(ours, "two").values())
    monkeypatch.delenv("WORLD_SIZE")
    assert signatures_of(ours, "two") == alone
    monkeypatch.setattr(registered, "specs_of", None)  # of which one would be asked
    assert signatures_of(ours, "two") == alone
    monkeypatch.setattr(metadata, "version", lambda name: version(name) + ".1")
    with pytest.raises(TypeError):
        signatures_of(ours, "two")


def test_signatures_that_cannot_be_kept_are_made_all_the_same(ours):
    SIGNATURES.parent.write_text("a file where a folder should be")
    found = signatures_of(ours, "two")
    assert found == {run: spec.signature for run, spec in specs_of(ours, "two").items()}


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", "{}", '{"made_of": 1, "sha256": "", "signatures": []}']
)
def test_signatures_of_another_package_or_torn_are_made_anew(ours, kept):
    SIGNATURES.parent.mkdir(parents=True, exist_ok=True)
    SIGNATURES.write_text(kept)
    found = signatures_of(ours, "one")
    assert found == {run: spec.signature for run, spec in specs_of(ours, "one").items()}
    assert all(signature in SIGNATURES.read_text() for signature in found.values())


def test_a_record_made_before_an_amendment_counts(ours, tmp_path, monkeypatch):
    before = protocol.sha256()
    amended = {
        **yaml.safe_load(TEXT),
        "amendments": [{"date": "2026-01-01", "before": before, "what": "A seed more."}],
    }
    path = tmp_path / protocol.NAME
    write_protocol(path, yaml.safe_dump(amended))
    monkeypatch.setattr(protocol, "_PLACES", (path,))
    protocol.read.cache_clear()
    store = Store(tmp_path / "records", also=())
    run = next(ours.runs("one"))
    store.save(record_of(ours, run, before))
    found = answers(protocol.read(), "one", store)
    assert list(found.records["baseline"]) == [11] and not found.refused


def test_the_command_shows_and_makes_them(ours, command):
    status, _, err = command("evidence", "three")
    assert status == 2 and "unknown study 'three': choose one of one, two" in err
    status, out, _ = command("evidence", "--list")
    assert status == 0 and "0 of 6 registered runs are made, in 0.0 hours" in out


def test_the_table_tells_what_is_left_from_what_was_made(ours, command):
    """Each row: study, device, cell, made, seconds of its median run, hours of the missing."""

    def rows() -> list[list[str]]:
        return [line.split() for line in command("evidence", "--list")[1].splitlines()]

    assert ["one", "cpu", "baseline", "0/2", "?"] in rows()
    store = Store("records/evidence", also=())
    for run, seconds in zip(ours.runs("one"), (3600.0, 99.0, 7200.0), strict=False):
        made = record_of(ours, run, protocol.sha256())
        cost = made.cost.model_copy(update={"seconds": seconds})
        store.save(made.model_copy(update={"cost": cost}))
    assert ["one", "cpu", "baseline", "2/2", "7,200"] in rows()
    assert ["cpu", "id", "1/2", "99", "0.0"] in rows()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_what_waits_for_a_gpu_is_named_before_anything_is_made(
    ours, command, tmp_path, monkeypatch
):
    text = yaml.safe_load(TEXT)
    text["studies"]["two"]["device"] = "cuda"
    path = tmp_path / protocol.NAME
    write_protocol(path, yaml.safe_dump(text))
    monkeypatch.setattr(protocol, "_PLACES", (path,))
    protocol.read.cache_clear()
    status, _, err = command("evidence", "two", "one")
    assert status == 2 and "registered for a GPU" in err and "two; choose among one" in err
    assert not Path("records").exists()
    for run in ours.runs("one"):  # so that nothing is left to be made here
        Store("records/evidence", also=()).save(record_of(ours, run, protocol.sha256()))
    status, out, _ = command("evidence")
    assert status == 0 and "all 4 registered runs are made" in out
    assert "2 of two wait for a GPU" in out


@pytest.mark.slow
def test_the_command_makes_them_once(ours, command):
    given = ("evidence", "one", "--workers", "1")
    status, out, _ = command(*given)
    assert status == 0 and "all 4 registered runs are made" in out
    made = Store("records/evidence").all()
    assert {stored.record.origin.protocol for stored in made} == {protocol.sha256()}
    status, out, err = command(*given)
    assert status == 0 and "update" not in err
    assert Store("records/evidence").all() == made
    status, out, _ = command("evidence", "--list")
    assert "6 of 6 registered runs are made" in out


def test_committed_records_do_not_stand_for_those_of_another_folder(ours, command):
    """Who makes the runs again wants them made, and not found."""
    for run in ours.runs("one"):
        Store("records/evidence", also=()).save(record_of(ours, run, protocol.sha256()))
    _, out, _ = command("evidence", "one", "--list", "--records", "mine")
    assert "0 of 4 registered runs are made" in out
    _, out, _ = command("evidence", "one", "--list")
    assert "4 of 4 registered runs are made" in out
