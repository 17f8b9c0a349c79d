"""The protocol: what it holds together, and what it refuses."""

from __future__ import annotations

import copy
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from idlib import protocol
from idlib.protocol import ProtocolError, Registered

PLAIN: dict[str, Any] = {
    "rules": {"level": 0.95, "equivalence": 0.9, "family": 0.05, "fewest_seeds": 2},
    "studies": {
        "small": {
            "purpose": "To see.",
            "task": "images",
            "profile": "smoke",
            "seeds": "11-13",
            "cells": {"a": {"method": "baseline"}, "b": {"method": "id", "seeds": "12, 13"}},
        }
    },
    "lines": {
        "C6": {
            "claim": "C6",
            "study": "small",
            "words": "b minus a",
            "metric": "test/nll",
            "better": "below",
            "contrast": {"a": -1, "b": 1},
            "delta": 0.05,
            "why": "a guess",
        }
    },
}


def changed(path: str, value: object) -> str:
    """The plain protocol with one value changed, as YAML."""
    content = copy.deepcopy(PLAIN)
    *folders, last = path.split(".")
    place = content
    for name in folders:
        place = place[name]
    place[last] = value
    return yaml.safe_dump(content)


def test_runs_go_seed_by_seed() -> None:
    read = protocol.parse(yaml.safe_dump(PLAIN))
    assert list(read.runs("small")) == [
        Registered("small", cell, seed)
        for cell, seed in [("a", 11), ("a", 12), ("b", 12), ("a", 13), ("b", 13)]
    ]
    assert list(read.runs()) == list(read.runs("small"))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("lines.C6.study", "smal", "unknown study 'smal'; choose one of small"),
        ("lines.C6.contrast", {"c": 1}, "unknown cell 'c' of study small; choose one of a, b"),
        ("lines.C6.needs", "C1", "it needs 'C1', which is no line"),
        ("lines.C6.claim", "C9", "lines.C6.claim"),
        ("lines.C6.delta", 0, "lines.C6.delta"),
        ("lines.C6.better", "up", "lines.C6.better"),
        ("lines.C6.typo", 1, "lines.C6.typo"),
        ("studies.small.seeds", "13-11", "none, or one twice"),
        ("studies.small.seeds", "ten", "give integers or ranges"),
        ("studies.small.seeds", [1, 1], "none, or one twice"),
        ("rules.fewest_seeds", 3, "line C6: 2 seeds, where 3 are needed"),
    ],
)
def test_what_contradicts_itself_is_refused(path: str, value: object, said: str) -> None:
    with pytest.raises(ProtocolError, match="protocol.yaml") as refused:
        protocol.parse(changed(path, value))
    assert said in str(refused.value)


def test_what_is_no_yaml_and_what_is_no_study() -> None:
    with pytest.raises(ProtocolError, match="is not YAML"):
        protocol.parse("a: [")
    with pytest.raises(ProtocolError, match="unknown study 'x': choose one of small"):
        list(protocol.parse(yaml.safe_dump(PLAIN)).runs("x"))


@pytest.fixture
def a_copy(tmp_path, monkeypatch):
    """The committed protocol at another place, where it is read from."""
    path = tmp_path / protocol.NAME
    for name in (protocol.NAME, protocol.CHECKSUM):
        shutil.copy(Path(__file__).parent.parent / name, tmp_path)
    monkeypatch.setattr(protocol, "_PLACES", (path,))
    protocol.read.cache_clear()
    yield path
    protocol.read.cache_clear()


def test_a_digit_is_not_changed_unseen(a_copy) -> None:
    """Neither δ nor the protocols that an amendment follows on: records would be judged by it."""
    whole = a_copy.read_text()
    delta = protocol.read().lines["C1"].delta
    assert f"delta: {delta}" in whole
    a_copy.write_text(whole.replace(f"delta: {delta}", f"delta: {delta + 1}", 1))
    protocol.read.cache_clear()
    for asked in (protocol.read, protocol.sha256):
        with pytest.raises(ProtocolError, match=r"protocol\.yaml is not what .*protocol\.sha256"):
            asked()
    a_copy.write_text(whole)
    assert protocol.read().lines["C1"].delta == delta


def test_its_checksum_is_needed(a_copy) -> None:
    a_copy.with_name(protocol.CHECKSUM).unlink()
    with pytest.raises(ProtocolError, match=r"protocol\.sha256 beside it cannot be read"):
        protocol.read()


def test_the_committed_one_is_read_and_named_by_its_bytes() -> None:
    path = Path(__file__).parent.parent / "protocol.yaml"
    assert protocol.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    read = protocol.read()
    assert read.accepted[0] == protocol.sha256()
    assert len(set(read.runs())) == len(list(read.runs())) > 0
