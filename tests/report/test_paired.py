"""Gains are paired by seed, point upwards where they are better, and say what is missing."""

from __future__ import annotations

import pytest
from made_up.studies import HALF, STEP, found, run, translated

from idlib.metrics.names import LAST, LOSS
from idlib.protocol import read
from idlib.report.metrics import NLL, Metric
from idlib.report.paired import NO_BREAK, NO_SEED, Gain, Measure, Sign, gain

SCORE = Measure(Metric("test/bleu", "test SacreBLEU", "points", form=".2f"), "above", 1.5)
LOSS_OF = Measure(NLL, "below")


def records(key: str, values: dict[int, float]) -> dict:
    return {seed: run("translation", seed, {key: value}) for seed, value in values.items()}


def test_only_seeds_of_both_count_and_a_lower_loss_is_a_gain() -> None:
    cells = {
        "baseline": records("test/nll", {1: 3.0, 2: 2.5, 4: 9.0}),
        "id": records("test/nll", {1: 2.5, 2: 2.75, 3: 0.0}),
    }
    assert gain(cells, LOSS_OF, "id").values == {1: 0.5, 2: -0.25}
    assert gain(cells, LOSS_OF, "baseline", "id").values == {1: -0.5, 2: 0.25}


def test_a_seed_of_two_kinds_of_processors_takes_no_part() -> None:
    cells = translated({"id": 1.0})
    elsewhere = cells["id"][12].origin.model_copy(update={"device": "another"})
    other = {**cells["id"], 12: cells["id"][12].model_copy(update={"origin": elsewhere})}
    assert set(gain({**cells, "id": other}, SCORE, "id").values) == {11, 13}


def test_a_higher_score_is_a_gain_at_the_checkpoint_of_the_rule() -> None:
    cells = translated({"id": {"best": 1.0, LOSS: 4.0, LAST: -2.0}})
    for rule, mean in (("best", 1.0), (LOSS, 4.0), (LAST, -2.0)):
        interval = gain(cells, SCORE, "id", selection=rule).interval
        assert interval is not None
        expected = (mean, mean - HALF, mean + HALF, 3)
        assert interval == pytest.approx(expected, abs=1e-6)


def test_a_cell_gains_nothing_over_itself() -> None:
    one = gain(translated({"id": 1.0}), SCORE, "id", "id")
    assert one.values == dict.fromkeys(STEP, 0.0) and one.sign == "either"


@pytest.mark.parametrize(
    ("values", "sign"),
    [
        ((1.0, 1.1, 1.2), "better"),
        ((-1.0, -1.1, -1.2), "worse"),
        ((1.0, -1.1, 0.2), "either"),
        ((1.0, 1.001), "unknown"),  # two seeds would have an interval above zero by chance
        ((1.0,), "unknown"),
        ((), "unknown"),
    ],
)
def test_sign_of_an_interval(values: tuple[float, ...], sign: Sign) -> None:
    assert Gain(SCORE, dict(enumerate(values))).sign == sign


def test_a_gain_in_words() -> None:
    three = Gain(SCORE, {1: 1.0, 2: 2.0, 3: 3.0})  # half of its interval: 4.302653 / 3 ** 0.5
    assert three.words == "+2.00 points (−0.48 to +4.48, n = 3)"
    assert (
        three.cell.replace(NO_BREAK, " ") == "+2.00 (−0.48 to +4.48)"
        and three.mean == "+2.00 points"
    )
    one = Gain(SCORE, {1: -1.0})
    assert one.words == "−1.00 points (one seed, no interval)" and one.cell == "−1.00 (n = 1)"
    none = Gain(SCORE, {}, "no record of id")
    assert (none.words, none.mean, none.cell) == ("no record of id", "no record of id", "–")


def test_what_lacks_is_named() -> None:
    cells = {"baseline": records("test/bleu", {1: 3.0}), "id": records("test/bleu", {2: 3.0})}
    assert gain(cells, SCORE, "id").lacking == NO_SEED
    assert gain(cells, SCORE, "other").lacking == "no record of other"
    assert gain(cells, LOSS_OF, "id").lacking == "no test/nll of ID, no test/nll of baseline"


def test_gains_are_compared_over_seeds_of_both() -> None:
    apart = Gain(SCORE, {1: 3.0, 2: 2.0, 3: 1.0}).minus(Gain(SCORE, {2: 0.5, 3: 1.5, 4: 9.0}))
    assert apart.values == {2: 1.5, 3: -0.5}


def test_titles() -> None:
    assert SCORE.title == "gain in test SacreBLEU (points)"
    assert LOSS_OF.title == "fall in test NLL (nats)"


def test_measures_are_those_of_the_protocol() -> None:
    asked = read().lines["C1"]
    measure = found({}).measure("C1")
    assert measure.metric.key == asked.metric
    assert (measure.better, measure.delta) == (asked.better, asked.delta)
    assert measure.metric.unit == "points", "as the report of the line's task writes it"


def test_cells_of_several_studies_are_taken_together() -> None:
    given = found({"images": {"id": {}}, "image-dose": {"js": {}}})
    assert set(given.cells("images", "image-dose", "tagging")) == {"id", "js"}


def test_missing_runs_are_counted_with_their_command() -> None:
    given = found({"pairs-1000": translated({"id": 1.0}, seeds=(11, 12))})
    assert given.missing(["pairs-1000"]) == (
        "- pairs-1000: 2 of 6 runs not made yet (`baseline`: 1, `id`: 1); "
        "`idlib evidence pairs-1000` makes them."
    )
    assert given.missing(["pairs-1000"], ["id"]).startswith("- pairs-1000: 1 of 3 runs")
    assert given.missing(["pairs-4000"]) == (
        "- pairs-4000: 6 of 6 runs not made yet; `idlib evidence pairs-4000` makes them."
    )
    assert found({"pairs-1000": translated({"id": 1.0})}).missing(["pairs-1000"]) == ""
