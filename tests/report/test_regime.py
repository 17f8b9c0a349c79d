"""Turns, doses, prices, tuning and slopes, from curves that can be worked out by hand."""

from __future__ import annotations

import pytest
from made_up.studies import found, pictured, run, translated

from idlib.protocol import read
from idlib.report import regime
from idlib.report.regime import (
    DOSES,
    DROPOUTS,
    ENCODER,
    GRID,
    LINES,
    PAIRS,
    RIVALS,
    SMOOTHINGS,
    coincide,
    dose,
    mean_dose,
    overfit,
    price,
    relative_price,
    rivals,
    slopes,
    tuned,
    turn,
)
from idlib.tasks import task_class

PROTOCOL = read()


def test_a_run_turns_where_its_loss_is_lowest() -> None:
    assert turn(run("images", 1, {}, rise=0.4)) == pytest.approx((20.0, 0.5, 0.4))


def test_a_run_that_does_not_turn_has_no_rise() -> None:
    falling = {"validation/nll": [3.0, 2.0], "validation/nll/step": [5.0, 8.0]}
    assert turn(run("images", 1, {}, curves=falling)) == (8.0, 1.0, 0.0), "its own updates"


def test_dose_is_the_weighted_divergence_over_the_task() -> None:
    # α X / CE: 5 · 0.02 / 0.5 = 0.2 and 5 · 0.04 / 0.5 = 0.4 over the last two
    curves = {
        "train/alpha": [5.0, 5.0, 5.0],
        "train/divergence": [7.0, 0.02, 0.04],
        "train/task": [0.5] * 3,
    }
    assert dose(run("images", 1, {}, curves=curves), last=2) == pytest.approx(0.3)


def test_dose_leaves_out_where_alpha_still_grows() -> None:
    assert dose(run("images", 1, {}, dose=0.3)) == pytest.approx(0.3), "9 nats at α = 1 before"


def test_mean_dose() -> None:
    runs = {seed: run("images", seed, {}, dose=value) for seed, value in ((1, 0.1), (2, 0.3))}
    assert mean_dose(runs) == pytest.approx(0.2) and mean_dose({}) == 0.0


def test_price_is_updates_times_passes() -> None:
    long, thrice = run("images", 1, {}, updates=120.0), run("images", 1, {}, passes=3)
    assert price(long) == price(thrice) == 120.0
    cells = {"baseline": {1: run("images", 1, {})}, "id": {1: thrice}, "compute": {2: long}}
    assert relative_price(cells, ["id"]) == 3.0
    assert relative_price(cells, ["id", "compute"]) == 6.0
    assert relative_price(cells, ["js"]) is None
    assert relative_price({"id": {1: thrice}}, ["id"]) is None, "no baseline to compare with"


def scored(validation: float, test: float, seed: int) -> dict:
    return {seed: run("translation", seed, {"validation/bleu": validation, "test/bleu": test})}


def test_validation_chooses_over_the_seeds_of_all() -> None:
    measure = found({}).measure("C1")
    cells = {
        "a": scored(20.0, 99.0, 1) | scored(99.0, 99.0, 2),  # best on test, and at another seed
        "b": scored(21.0, 0.0, 1),
    }
    best = tuned(cells, ["a", "b"], measure)
    assert best == ("b", {"a": 20.0, "b": 21.0}, (1,))
    assert tuned(cells, ["a", "b", "c"], measure) is None


def test_the_lowest_loss_is_chosen() -> None:
    measure = found({}).measure("C6")
    cells = {
        name: {1: run("images", 1, {"validation/nll": loss})}
        for name, loss in (("a", 0.5), ("b", 0.4))
    }
    best = tuned(cells, ["a", "b"], measure)
    assert best is not None and best.cell == "b"


def test_rivals_of_translation() -> None:
    gains = {"id": 1.0, "r-drop": 2.0, "dropout 0.1": -1.0, "dropout 0.5": 0.5}
    ways = {one.name: one for one in rivals(found({"translation": translated(gains)}), "C1")}
    own, r_drop = ways["intra-distillation (K = 3)"], ways["R-Drop (K = 2)"]
    assert own.behind is None and own.gain.interval is not None
    assert own.gain.interval.mean == pytest.approx(1.0)
    assert r_drop.behind is not None and r_drop.behind.interval is not None
    assert r_drop.behind.interval.mean == pytest.approx(-1.0), "the step of the seed falls out"
    best = ways["tuned dropout (0.5)"]
    assert best.gain.interval is not None and best.gain.interval.mean == pytest.approx(0.5)
    assert best.behind is not None and best.behind.interval is not None
    assert best.behind.interval.mean == pytest.approx(0.5)
    assert best.price == 3.0, "all three settings were trained"
    assert best.cell == "dropout 0.5" and best.known and not best.kept
    assert ways["3 × the updates"].gain.interval is None


def test_dropout_that_stays_gains_nothing_over_the_seeds_of_all() -> None:
    cells = translated({"id": 1.0, "dropout 0.1": -1.0, "dropout 0.5": -0.5})
    few = {**cells, "dropout 0.5": {11: cells["dropout 0.5"][11]}}
    *_, best = rivals(found({"translation": few}), "C1")
    assert best.name == "tuned dropout (0.3, the baseline's own)" and best.kept
    assert best.gain.values == {11: 0.0} and not best.known
    assert best.behind is not None and set(best.behind.values) == {11}


def test_one_checkpoint_by_two_rules() -> None:
    apart, same = translated({"id": 1.0}), pictured({"baseline": (0, 0, 0), "id": (0.1, 0, 0)})
    assert not coincide(apart, ["baseline", "id"]), "the loss turns before the score"
    assert coincide(same, ["baseline", "id"]) and coincide(same, ["id", "js"])
    assert not coincide(same, ["js"]) and not coincide({"js": {}}, ["js"]), "no record tells"
    same["id"][12].measured.metrics["selected/step@loss"] = 10.0
    assert not coincide(same, ["baseline", "id"])


def test_dropout_that_is_not_tuned() -> None:
    *_, best = rivals(found({"images": pictured({"baseline": (0, 0, 0)})}), "C6")
    assert best.name == "tuned dropout" and best.price is None and best.gain.interval is None


def test_dropout_of_images_is_tuned_by_the_loss_in_every_measure() -> None:
    studies = {
        "images": pictured({"baseline": (0, 0, 0), "id": (0.1, 0.1, 0.1)}),
        "image-dose": pictured({"dropout 0.3": (0.02, -0.1, 0), "dropout 0.5": (0.01, 0.1, 0)}),
    }
    for line, mean in (("C6", 0.02), ("C6 at the best temperature", -0.1)):
        *_, best = rivals(found(studies), line)
        assert best.name == "tuned dropout (0.3)" and best.gain.interval is not None
        assert best.gain.interval.mean == pytest.approx(mean)


def test_overfit_pairs_the_baselines_turn_with_the_gain() -> None:
    cells = translated({"id": {"best": 1.0, "loss": 2.0, "last": 3.0}}, rise=0.25)
    del cells["baseline"][13]
    points = overfit(cells, found({}).measure("C1"), "loss")
    assert set(points) == {11, 12}
    assert points[11] == pytest.approx((0.25, 0.5, 1.999))
    assert points[12] == pytest.approx((0.25, 0.5, 2.0))


def test_slopes_are_fitted_seed_by_seed() -> None:
    # y = 2 x + 1 at the first seed, y = 4 x at the second; a third lacks a setting
    points = [
        {1: (0.0, 1.0), 2: (0.0, 0.0), 3: (0.0, 5.0)},
        {1: (1.0, 3.0), 2: (1.0, 4.0), 3: (1.0, -9.0)},
        {1: (2.0, 5.0), 2: (3.0, 12.0)},
    ]
    fitted = slopes(points)
    assert fitted is not None and fitted.n == 2 and fitted.mean == pytest.approx(3.0)


def test_no_slope_without_two_places() -> None:
    assert slopes([]) is None
    assert slopes([{1: (0.0, 1.0)}]) is None
    assert slopes([{1: (2.0, 1.0)}, {1: (2.0, 3.0)}]) is None


# ---- what is named here is what the protocol registers


def settings(study: str, cell: str) -> dict:
    asked = PROTOCOL.studies[study]
    profile = task_class(asked.task).profiles[asked.profile]
    return {**profile, **asked.settings, **asked.cells[cell].settings}


def test_pairs_are_those_of_the_studies() -> None:
    for study, pairs in PAIRS.items():
        assert settings(study, "baseline")["examples"] == {"train": pairs}
    assert list(PAIRS.values()) == sorted(PAIRS.values())


def test_the_grid_is_that_of_the_studies() -> None:
    for (smoothing, alpha), (study, cell) in GRID.items():
        asked = PROTOCOL.studies[study].cells[cell]
        assert asked.method == ("id" if alpha else "baseline")
        assert asked.settings["smoothing"] == smoothing
        assert not alpha or asked.settings.get("alpha", 5.0) == alpha
    for base, ours in SMOOTHINGS.items():
        cells = PROTOCOL.studies["images"].cells
        assert cells[base].settings["smoothing"] == cells[ours].settings["smoothing"]


def test_dropouts_and_rivals_are_those_of_the_studies() -> None:
    for task, cells in DROPOUTS.items():
        schema = task_class(task).schema.model_fields
        for cell, dropout in cells.items():
            study = next(s for s in (task, "image-dose") if cell in PROTOCOL.studies[s].cells)
            own = settings(study, cell).get("dropout", schema["dropout"].default)
            assert own == dropout
    for task, named in RIVALS.items():
        registered = {*PROTOCOL.studies[task].cells, *PROTOCOL.studies["image-dose"].cells}
        assert set(named) <= registered


def test_lines_are_of_their_studies() -> None:
    for study, line in {**LINES, **ENCODER}.items():
        assert PROTOCOL.lines[line].study == study
    for study in ENCODER:
        assert set(DOSES) <= set(PROTOCOL.studies[study].cells)
    assert all(line in PROTOCOL.lines for line in (*regime.RIVAL_LINES, *regime.IMAGE_LINES))
