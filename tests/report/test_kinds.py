"""Sensitivity by kind: the moments of a union, and what of a variance each kind holds."""

from __future__ import annotations

import numpy as np
import pytest
from made_up.balance import KINDS, MEAN, STD, run

from idlib.metrics.names import SELECTIONS, at
from idlib.records import EVIDENCE_STORE, Store
from idlib.report.kinds import Moments, by_kind, pooled, shares


def test_pooled_moments_are_those_of_all_values() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.gamma(2.0, scale, size) for scale, size in ((1.0, 30), (5.0, 4), (0.1, 70))]
    found = pooled(Moments(len(part), part.mean(), part.std()) for part in parts)
    every = np.concatenate(parts)
    assert found == pytest.approx((len(every), every.mean(), every.std()), rel=1e-12)
    assert found.cv == pytest.approx(every.std() / every.mean())


def test_pooled_needs_a_parameter() -> None:
    with pytest.raises(ValueError, match="no parameters"):
        pooled([Moments(0, 0.0, 0.0)])
    assert Moments(3, 0.0, 0.0).cv == 0.0


def test_shares_are_within_and_between_kinds_and_add_up_to_one() -> None:
    found = shares(KINDS)
    norm, weight = found["norm"], found["weight"]
    assert norm == pytest.approx((0.1, 0.9 / 7.56, 5.184 / 7.56))
    assert weight == pytest.approx((0.9, 0.9 / 7.56, 0.576 / 7.56))
    assert norm.variance + weight.variance == pytest.approx(1.0)
    assert norm.variance == pytest.approx(6.084 / 7.56)


def test_equal_sensitivities_have_no_variance_to_share() -> None:
    found = shares({"norm": Moments(1, 2.0, 0.0), "weight": Moments(3, 2.0, 0.0)})
    assert [one.variance for one in found.values()] == [0.0, 0.0]
    assert [one.parameters for one in found.values()] == [0.25, 0.75]


def test_kinds_of_a_record() -> None:
    assert by_kind(run("baseline")) == KINDS
    assert by_kind(run("baseline"), "last")["norm"].mean == pytest.approx(4.5)
    assert set(by_kind(run("baseline", drop=("kinds/mean/norm",)))) == {"weight"}


def test_kinds_of_every_committed_run_make_up_the_whole() -> None:
    records = [one.record for one in Store(EVIDENCE_STORE, also=()).all()]
    checked = 0
    for record in records:
        metrics = record.measured.metrics
        for selection in SELECTIONS:
            if not (parts := by_kind(record, selection)):
                continue
            names = (f"sensitivity/{name}" for name in ("parameters", "mean", "std"))
            whole = [metrics[at(name, selection)] for name in names]
            assert pooled(parts.values()) == pytest.approx(whole, rel=1e-9), record.signature
            checked += 1
    assert checked or not records
    assert by_kind(run("baseline")) and pooled(KINDS.values()) == pytest.approx((100, MEAN, STD))
