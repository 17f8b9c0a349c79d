"""Two ways to train side by side, and what training loss makes of the difference."""

from __future__ import annotations

import math

import pytest
from made_up.balance import AREA, ELASTICITY, LIGHT, study
from made_up.records import HALF

from idlib.metrics.names import LAST
from idlib.report.balance import REST, STD, interval_of, paired, ratio, with_figures
from idlib.report.equal_loss import checkpoints, elasticity, equal_loss

CELLS = with_figures({"images": study()}, light=0.6)["images"]


def test_a_record_is_joined_by_what_follows_from_it() -> None:
    plain = study("baseline")["baseline"][11].measured.metrics
    metrics = CELLS["baseline"][11].measured.metrics
    assert plain.items() <= metrics.items()
    assert metrics[f"kinds/std/{REST}@loss"] == pytest.approx(1.0)
    assert metrics[f"kinds/std/{REST}@last"] == pytest.approx(0.5)
    assert metrics["kinds/cv/norm@loss"] == pytest.approx(1 / 3)
    for rank, area in AREA.items():
        assert metrics[f"pruned/{rank}/added@loss"] == pytest.approx(area)
        assert metrics[f"pruned/{rank}/added_light@loss"] == pytest.approx(LIGHT[rank])
        assert metrics[f"pruned/{rank}/level@loss"] == pytest.approx(1.01 + area)


def test_differences_are_taken_seed_by_seed() -> None:
    cells = {**CELLS, "id": {seed: CELLS["id"][seed] for seed in (11, 12)}}
    found = paired(cells, "pruned/sensitivity/added", "id", "baseline")
    expected = {11: (-0.5 - 0.001) * AREA["sensitivity"], 12: -0.5 * AREA["sensitivity"]}
    assert found.by_seed == pytest.approx(expected)
    assert set(found.left_out) == {13, 14, 15}
    assert interval_of(paired(cells, "test/nll", "id", "nobody")) is None


@pytest.mark.parametrize("metric", [STD, "kinds/std/norm", f"kinds/std/{REST}"])
@pytest.mark.parametrize("selection", ["loss", LAST])
def test_a_ratio_is_the_geometric_mean_of_those_of_the_seeds(metric: str, selection: str) -> None:
    found = ratio(CELLS, metric, "id", "baseline", selection)
    assert found is not None and found.n == 5
    assert found.mean == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5 * math.exp(-HALF[5]), rel=1e-6)
    assert found.high == pytest.approx(0.5 * math.exp(HALF[5]), rel=1e-6)
    assert ratio({}, metric, "id", "baseline") is None


def test_checkpoints_that_are_one_stand_once() -> None:
    points = checkpoints(CELLS, ["baseline", "nobody"])
    assert list(points["selection"]) == ["loss", "last"] * 5
    assert set(points["train"]) == {0.4, 0.1}
    record = CELLS["baseline"][11]
    metrics = {**record.measured.metrics, "selected/step@last": 10.0}
    once = record.model_copy(
        update={"measured": record.measured.model_copy(update={"metrics": metrics})}
    )
    assert len(checkpoints({"baseline": {11: once}}, ["baseline"])) == 1


def test_elasticity_is_the_slope_along_runs_not_between_them() -> None:
    points = checkpoints(CELLS, ["baseline"])
    assert elasticity(points) == pytest.approx(ELASTICITY)
    apart = points.assign(std=points["std"] * points["seed"].map(lambda seed: 2.0**seed))
    assert elasticity(apart) == pytest.approx(ELASTICITY)
    assert elasticity(points[points["selection"] == "loss"]) is None
    assert elasticity(points[:0]) is None


def test_at_equal_loss_a_ratio_moves_by_the_elasticity() -> None:
    found = equal_loss(CELLS)
    assert found is not None and not found.overlap
    assert (found.ratio.mean, found.train.mean) == pytest.approx((0.5, 5.0))
    assert found.elasticities == pytest.approx(
        dict.fromkeys(("baseline", "passes", "compute"), ELASTICITY)
    )
    assert found.adjusted == pytest.approx((0.5 / math.sqrt(5),) * 2)
    same = equal_loss(CELLS, "passes")
    assert same is not None and same.overlap and same.train.mean == pytest.approx(1.0)
    lone = equal_loss(CELLS, along=())
    assert lone is not None and lone.adjusted is None
    assert equal_loss({"id": CELLS["id"]}) is None
