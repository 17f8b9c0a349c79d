"""The page of dose, selection and regime says what made-up studies show, and what to do then."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from made_up.shown import rows_of
from made_up.studies import HALF, STEP, found, pictured, run, translated

from idlib.report.metrics import NLL
from idlib.report.pages.regime import dose, opening, overfitting, rivals, room, selection
from idlib.report.paired import NO_BREAK, Gain, Measure, StudyRecords
from idlib.report.regime import PAIRS
from idlib.report.text import NOTHING

NONE = (0.0, 0.0, 0.0)
TURNED = {"best": 0.001, "loss": 3.0, "last": -1.5}  # not clear of zero, above it, below it
EMPTY = found({})


def text(gain: object = TURNED, rise: float = 0.5, study: str = "translation") -> StudyRecords:
    return found({study: translated({"id": gain}, rise)})  # type: ignore[dict-item]


def pictures(**cells: tuple[float, float, float]) -> StudyRecords:
    named = {name.replace("_", " "): gains for name, gains in cells.items()}
    far = {"s = 0, α = 15": named.pop("far")} if "far" in named else {}
    return found(
        {
            "images": pictured({"baseline": NONE, "baseline smoothed": NONE, **named}),
            "image-dose": pictured(far),
        }
    )


def sized(gains: list[object], rises: list[float]) -> StudyRecords:
    return found(
        {
            study: translated({"id": gain}, rise)  # type: ignore[dict-item]
            for study, gain, rise in zip(PAIRS, gains, rises, strict=False)
        }
    )


# ---- without records


@pytest.mark.parametrize(
    "practice",
    [
        *(selection.practice, dose.practice, overfitting.practice),
        *(rivals.practice, room.practice),
    ],
)
def test_nothing_is_recommended_without_records(practice) -> None:
    said = practice(EMPTY)
    assert said.startswith("**For practice:** nothing can be said before there are 3 seeds of")


def test_without_records_every_part_says_so() -> None:
    assert opening.answers(EMPTY).count("There are no records") == 3
    assert opening.standing(EMPTY).startswith("0 of the ")
    assert selection.words(EMPTY) == "There are no records of both arms yet."
    assert overfitting.words(EMPTY) == "There are not two numbers of pairs with records yet."
    assert dose.encoder_words(EMPTY).count("no records yet") == 4
    assert rivals.tuned_words(EMPTY).count("not tuned yet") == 2
    assert rivals.words(EMPTY).count("nothing has 3 seeds yet") == 3
    tables = [selection.table(EMPTY), dose.table(EMPTY), dose.encoder_table(EMPTY)]
    tables += [dose.grid_table(EMPTY, "C6"), overfitting.table(EMPTY), room.table(EMPTY)]
    for table in [*tables, rivals.table(EMPTY, "C1")]:
        assert len(table) and not any("nan" in row for row in rows_of(table))
    assert "`idlib evidence tagging`" in opening.missing(EMPTY, "tagging")


def test_standing_counts_base_models_alone() -> None:
    # 6 of a study of 3 seeds and 2 cells; the students of translation are of other pages
    given = text({"best": 1.0, "loss": 1.0, "last": 1.0}, study="pairs-1000")
    protocol = given.protocol
    base = [run for run in protocol.runs(*opening.STUDIES) if not run.cell.endswith("student")]
    assert opening.standing(given) == (
        f"6 of the {len(base)} runs behind this page are made. What is missing may change it."
    )
    assert opening.missing(given, "pairs-1000") == "All of these runs are made."
    assert "student" not in opening.missing(EMPTY, "translation")


# ---- selection


def test_the_outcome_depends_on_the_rule() -> None:
    given = text()
    gains = selection.by_rule(given)["2,000 pairs, test SacreBLEU"]
    assert selection.depends(gains) is True
    assert selection.outcomes_by_rule(gains) == (
        "not clear of zero by best validation score, above zero by lowest validation loss, "
        "below zero by last update"
    )
    first, second = selection.words(given).splitlines()
    assert first == (
        f"- 2,000 pairs, test SacreBLEU: {selection.outcomes_by_rule(gains)}. Chosen by the loss "
        "the gain itself is larger than chosen by the score, by 3.00 points (+3.00 to +3.00, "
        "n = 3)."
    )
    assert second.startswith("- 2,000 pairs, test NLL: above zero by all three rules. The gain")
    assert selection.practice(given) == (
        "**For practice:** choose the checkpoint of both arms by the metric that you report, and "
        "name the rule, since the gain depends on it on 2,000 pairs: chosen by that metric the "
        "gain is not clear of zero there."
    )
    assert (
        "It depends on the rule: the difference is +3.00 points (+3.00 to +3.00, n = 3); the "
        "gain is not clear of zero by best validation score, above zero"
    ) in opening.answers(given)


def test_a_smaller_gain_by_the_loss_is_told_by_its_size() -> None:
    said = selection.words(text({"best": 3.0, "loss": 1.0, "last": 1.0})).splitlines()[0]
    assert "itself is smaller than chosen by the score, by 2.00 points (+2.00 to +2.00" in said


def test_a_gain_that_is_as_large_by_both_rules_says_nothing_of_them() -> None:
    given = text(2.0)
    assert selection.depends(selection.by_rule(given)["2,000 pairs, test SacreBLEU"]) is False
    assert selection.practice(given) == (
        "**For practice:** name the rule that chose the checkpoints. Whether the gain depends on "
        "it cannot be said: by the loss minus by the score it is +0.00 points (+0.00 to +0.00, "
        "n = 3) on 2,000 pairs, not clear of zero."
    )
    assert "Whether it depends on the rule cannot be said: the difference" in opening.answers(given)


def test_that_one_interval_holds_zero_and_another_does_not_is_no_difference() -> None:
    """By the loss the gain is above zero, by the score not clear; so is what lies between."""
    cells = translated({"id": 0.0})
    steps = {11: (-0.5, 0.6), 12: (0.3, 0.8), 13: (1.2, 1.0)}  # the second is the loss's
    for seed, (by_score, by_loss) in steps.items():
        metrics = cells["id"][seed].measured.metrics
        metrics["test/bleu"] += by_score
        metrics["test/bleu@loss"] += by_loss
    given = found({"translation": cells})
    gains = selection.by_rule(given)["2,000 pairs, test SacreBLEU"]
    assert (gains["best"].sign, gains["loss"].sign) == ("either", "better")
    assert selection.depends(gains) is False
    assert "minus that by the score" in selection.words(given).splitlines()[0]
    assert "cannot be said" in selection.practice(given)


def test_one_checkpoint_by_two_rules_counts_once() -> None:
    given = pictures(id=(0.02, 0.01, 0.01))
    assert selection.coinciding(given) == {
        "images, s = 0, test NLL",
        "images, s = 0.1, test NLL",
    }
    assert selection.words(given).splitlines()[0] == (
        "- images, s = 0, test NLL: above zero by best validation score and lowest validation "
        "loss, which choose the same checkpoint here; above zero by last update."
    )
    assert "nothing can be said" in selection.practice(given)


def test_two_seeds_leave_it_open() -> None:
    given = found({"translation": translated({"id": TURNED}, seeds=(11, 12))})
    assert selection.depends(selection.by_rule(given)["2,000 pairs, test SacreBLEU"]) is None
    assert "nothing can be said" in selection.practice(given)
    assert "outcome" not in opening.answers(given).splitlines()[0]


def test_selection_table_has_every_rule() -> None:
    table = selection.table(text({"best": 1.0, "loss": 2.0, "last": 3.0}))
    row = table.loc["2,000 pairs, test SacreBLEU (points)"]
    assert flat(row) == [*map(narrow, (1.0, 2.0, 3.0)), "1.50", "3"]
    assert table.loc["2,000 pairs, test NLL (nats)", "δ"] == NOTHING
    assert list(table.loc["1,000 pairs, test SacreBLEU (points)"])[-1] == "0"


def narrow(mean: float) -> str:
    """A gain whose only spread is that of the steps."""
    return f"+{mean:.2f} (+{mean - HALF:.2f} to +{mean + HALF:.2f})"


def flat(row: Iterable[str]) -> list[str]:
    """Cells of a table with ordinary spaces."""
    return [cell.replace(NO_BREAK, " ") for cell in row]


# ---- dose


def test_a_gain_in_likelihood_that_costs_accuracy() -> None:
    given = pictures(id=(0.02, 0.01, -0.005), far=(0.03, 0.01, -0.02))
    assert dose.practice(given) == (
        "**For practice:** without label smoothing α = 15, which validation chose of 5 and 15, "
        "gains +0.030 nats (+0.028 to +0.032, n = 3) in test NLL, where δ is 0.049 nats, but "
        "expect to lose accuracy, −2.00 points (−2.25 to −1.75, n = 3)."
    )
    assert "At α = 15 the gain in accuracy is −2.00 points" in opening.answers(given)


def test_validation_chooses_the_dose_and_test_tells_its_gain() -> None:
    given = pictures(id=(0.02, 0.01, 0.01), far=(0.03, 0.01, 0.01))
    for record in given.by_study["images"]["id"].values():
        record.measured.metrics["validation/nll"] -= 0.1
    said = dose.practice(given)
    assert "α = 5, which validation chose of 5 and 15, gains +0.020 nats" in said


def test_of_one_dose_nothing_is_the_best() -> None:
    said = dose.practice(pictures(id=(0.02, 0.01, 0.01)))
    assert "α = 5, the only one with 3 seeds, gains" in said and "chose" not in said


def test_a_gain_that_a_temperature_takes() -> None:
    given = pictures(id=(0.02, 0.001, 0.01))
    assert dose.practice(given).endswith(
        "but fit a temperature first, after which what is left, +0.001 nats (−0.001 to +0.003, "
        "n = 3), is not clear of zero."
    )


def test_a_gain_that_turns_after_a_temperature() -> None:
    said = dose.practice(pictures(id=(0.02, -0.01, -0.01)))
    assert said.startswith("**For practice:** fit a temperature on validation instead: ")
    assert said.endswith("but after a temperature −0.010 nats (−0.012 to −0.008, n = 3).")


def test_a_gain_that_costs_nothing() -> None:
    said = dose.practice(pictures(id=(0.02, 0.01, 0.01)))
    assert said.endswith("where accuracy, +1.00 points (+0.75 to +1.25, n = 3), is above zero.")


@pytest.mark.parametrize(
    ("nll", "start", "end"),
    [
        (0.0005, "nothing can be said of images without label smoothing", "not clear of zero."),
        (-0.02, "do not expect a lower loss", "where δ is 0.049 nats."),
    ],
)
def test_no_gain_in_likelihood(nll: float, start: str, end: str) -> None:
    said = dose.practice(pictures(id=(nll, 0.01, 0.01)))
    assert said.startswith(f"**For practice:** {start}") and said.endswith(end)


def test_answers_tell_of_smoothing_where_it_is() -> None:
    smoothed = pictures(id=(0.02, 0.0, 0.0), id_smoothed=(-0.02, 0.0, 0.0))
    assert "Beside label smoothing of 0.1 the gain in NLL is −0.020 nats" in opening.answers(
        smoothed
    )
    assert "Beside" not in opening.answers(pictures(id=(0.02, 0.0, 0.0)))


def test_dose_tables() -> None:
    images = pictured({"baseline": NONE, "id": (0.02, 0.01, -0.005)}, {"id": 0.2})
    given = found({"images": images})
    row = dose.table(given).loc["s = 0, α = 5"]
    assert row["dose"] == "0.20" and row["seeds"] == "3"
    assert flat(row)[3] == "−0.50 (−0.75 to −0.25)"
    assert dose.table(given).loc["s = 0, α = 15", "dose"] == NOTHING
    grid = dose.grid_table(given, "C6")  # 0.5 and the mean of 0.11, 0.12 and 0.13
    assert grid.loc["s = 0", "α = 0"] == "0.620 (n = 3)"
    assert grid.loc["s = 0", "α = 5"] == "0.600 (n = 3)"
    assert grid.loc["s = 0.05", "α = 5"] == NOTHING


# ---- regime


def test_a_gain_where_the_baseline_overfits() -> None:
    given = sized([2.0, 0.5, 0.0005, -1.0], [0.7, 0.4, 0.1, 0.0])
    assert overfitting.practice(given) == (
        "**For practice:** use intra-distillation where the baseline's validation loss rises after "
        "its lowest by 0.40 nats or more, and not where it rises by 0.00 nats or less: with the "
        "checkpoint of best validation SacreBLEU the gain is above zero with 1,000 pairs and 2,000 "
        "pairs, not clear of zero with 4,000 pairs, below zero with 8,000 pairs."
    )
    (_, _, regime) = opening.answers(given).splitlines()
    assert "With 1,000 pairs that is 0.70 nats, and the gain +2.00 points" in regime
    assert "With 8,000 pairs that is 0.00 nats, and the gain −1.00 points" in regime


@pytest.mark.parametrize(
    ("gains", "rule"),
    [
        ([-2.0, -1.0], "that a model overfits is no reason to use intra-distillation"),
        ([1.0, 2.0], "how far the model overfits did not decide whether intra-distillation"),
        ([-1.0, 2.0], "do not go by how far the model overfits"),
        ([0.0005, -1.0], "whether it matters how far the model overfits cannot be said"),
        ([0.0005, 1.0], "whether it matters how far the model overfits cannot be said"),
        ([0.0005, 0.0], "whether it matters how far the model overfits cannot be said"),
    ],
)
def test_other_orders(gains: list[object], rule: str) -> None:
    assert f"**For practice:** {rule}" in overfitting.practice(sized(gains, [0.7, 0.4]))


def test_slope_is_told_for_a_tenth_of_a_nat() -> None:
    # 2 points over 0.4 nats: half a point for each tenth
    given = sized([3.0, 1.0], [0.6, 0.2])
    fitted = overfitting.slope(given, "best")
    assert fitted is not None and fitted.mean == pytest.approx(0.5) and fitted.n == 3
    assert overfitting.words(given).splitlines()[0] == (
        "- best validation score: +0.50 points (+0.50 to +0.50) of gain for each 0.1 nats more of "
        "rise, over 2 numbers of pairs and 3 seeds that have them all."
    )


def test_a_slope_that_holds_zero_says_so() -> None:
    given = sized([1.0, 1.0], [0.6, 0.2])
    for seed, step in ((11, -3.0), (12, 0.0), (13, 3.1)):
        given.by_study["pairs-1000"]["id"][seed].measured.metrics["test/bleu"] += step
    first = overfitting.words(given).splitlines()[0]
    assert ", not clear of zero, of gain for each 0.1 nats" in first


def test_points_are_those_of_studies_with_records() -> None:
    assert list(overfitting.points_of(sized([1.0, 2.0], [0.1, 0.2]), "best")) == list(PAIRS)[:2]


def test_regime_table() -> None:
    row = overfitting.table(sized([TURNED], [0.25])).loc["1,000 pairs"]
    assert row["rise (nats)"] == "0.25" and row["turns at"] == "50%"
    assert flat(row)[3] == narrow(3.0)


# ---- rivals


def tuned(ours: float, dropout: float) -> StudyRecords:
    """Intra-distillation of three passes, and three settings of dropout."""
    cells = translated({"id": ours, "passes": 0.1}, passes=3, alpha=5.0)
    cells |= {**translated({"dropout 0.1": -1.0, "dropout 0.5": dropout}), **cells}
    return found({"translation": cells})


def test_tuned_dropout_that_costs_as_much() -> None:
    said = rivals.practice(tuned(1.0, 0.5))
    assert said == (
        "**For practice:** what costs as much did not replace intra-distillation. On translation, "
        "in test SacreBLEU: intra-distillation gained more than 3 passes with α = 0 (by 0.90 "
        "points) and tuned dropout (0.5) (by 0.50 points). On images, in test NLL: dropout is not "
        "tuned yet."
    )
    other = rivals.practice(tuned(0.25, 0.5))
    assert "before paying for K passes, try what gained more for the same price" in other
    assert "tuned dropout (0.5) (by 0.25 points) gained more than intra-distillation" in other
    assert "intra-distillation gained more than 3 passes with α = 0 (by 0.15 points)" in other


def test_a_difference_that_is_not_clear_is_no_advice() -> None:
    given = tuned(0.5, 0.4)
    for seed, step in ((11, -0.5), (12, 0.0), (13, 0.6)):
        given.by_study["translation"]["dropout 0.5"][seed].measured.metrics["test/bleu"] += step
        given.by_study["translation"]["passes"][seed].measured.metrics["test/bleu"] += 9 * step
    said = rivals.practice(given)
    assert said.startswith("**For practice:** compare intra-distillation with what costs as much.")
    assert "the difference from 3 passes with α = 0 (" in said and "is not clear of zero" in said


def test_dropout_that_stays_is_no_rival() -> None:
    given = tuned(-0.5, -0.5)  # the baseline's own dropout is best
    assert rivals.tuned_words(given).splitlines()[0] == (
        "- translation: of 0.1, 0.3 and 0.5 validation kept the baseline's own, 0.3, so that "
        "tuning bought nothing (3 seeds)."
    )
    (first, *_) = rivals.words(given).splitlines()
    assert "tuned dropout" not in first and "not clear" not in first
    assert first.endswith("Better than intra-distillation: 3 passes with α = 0 at 3 ×.")
    said = rivals.practice(given)
    assert "3 passes with α = 0 (by 0.60 points) gained more than intra-distillation" in said
    assert "validation kept the baseline's own dropout, so that tuning bought nothing" in said
    row = rivals.table(given, "C1").loc["tuned dropout (0.3, the baseline's own)"]
    assert row["over the baseline"] == "the same runs" and row["price"] == "3 ×"


def test_dropout_on_one_seed_is_not_tuned_yet() -> None:
    cells = tuned(1.0, -0.5).by_study["translation"]
    few = {name: {11: runs[11]} if "dropout" in name else runs for name, runs in cells.items()}
    given = found({"translation": few})
    assert rivals.tuned_words(given).splitlines()[0] == (
        "- translation: dropout is not tuned yet: 1 seed of every rate."
    )
    assert "tuning bought nothing" not in rivals.practice(given)
    assert rivals.practice(given).count("dropout is not tuned yet") == 2


def test_what_is_cheaper_does_not_cost_as_much() -> None:
    cells = translated({"r-drop": 2.0}, passes=2) | translated({"id": 1.0, "passes": 0.5}, passes=3)
    given = found({"translation": cells})
    assert "R-Drop" not in rivals.practice(given)
    assert "Better than intra-distillation: R-Drop (K = 2) at 2 ×." in rivals.words(given)


def test_what_beats_intra_distillation_is_named() -> None:
    given = found({"translation": translated({"id": 0.5, "r-drop": 1.0, "passes": -1.0})})
    assert rivals.words(given).splitlines()[0] == (
        "- translation, test SacreBLEU: the gain over the baseline is above zero with "
        "intra-distillation (K = 3) and R-Drop (K = 2), below zero with 3 passes with α = 0."
        " Better than intra-distillation: R-Drop (K = 2) at 1 ×."
    )


def test_the_alpha_of_r_drop_was_not_tuned() -> None:
    lengths = {"test/length_ratio": 0.9}
    cells = translated({"id": 1.0, "r-drop": -1.0}, passes=2, alpha=5.0)
    for record in cells["r-drop"].values():
        record.measured.metrics.update(lengths)
    images = pictured({"baseline": NONE, "id": (0.1, 0.1, 0.1)})
    pair = {seed: run("images", seed, {}, passes=2, alpha=5.0) for seed in STEP}
    far = {seed: run("images", seed, {}, passes=3, alpha=15.0) for seed in STEP}
    dosed = {"r-drop": pair, "s = 0, α = 15": far}
    given = found({"translation": cells, "images": images, "image-dose": dosed})
    assert rivals.alpha_words(given).splitlines() == [
        "- translation: R-Drop has α = 5, which was not tuned for it; no other α was tried.",
        "- images: R-Drop has α = 5, which was not tuned for it; α = 15 was tried with "
        "intra-distillation alone.",
    ]
    assert rivals.alpha_words(EMPTY).count("no record of R-Drop yet") == 2
    row = rivals.table(given, "C1").loc["R-Drop (K = 2)"]
    assert list(row)[:4] == ["2 ×", "5", "0.30", "0.900"]
    assert "hypotheses / references" not in rivals.table(given, "C6")


def test_rivals_table() -> None:
    row = rivals.table(tuned(1.0, 0.5), "C1").loc["tuned dropout (0.5)"]
    assert flat(row) == ["3 ×", "–", "–", "–", narrow(0.5), narrow(0.5), "3"]


# ---- whether there is something to regularise

MEASURE = Measure(NLL, "below", 0.05)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.01, 0.011, 0.012), "less than δ"),
        ((-0.2, -0.201, -0.199), "less than δ"),
        ((0.2, 0.201, 0.202), "more than δ: underfits"),
        ((0.01, 0.04, 0.07), "not clear of δ"),
        ((0.01, 0.01), "not known"),
    ],
)
def test_reading(values: tuple[float, ...], said: str) -> None:
    assert room.reading(Gain(MEASURE, dict(enumerate(values)))) == said


def test_a_gain_without_delta_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="test/nll has no δ"):
        room.reading(Gain(Measure(NLL, "below"), {1: 0.1}))


def test_more_updates() -> None:
    images = pictured({"baseline": NONE, "compute": (0.2, 0.0, 0.0)})
    given = found({"translation": translated({"compute": 0.1}), "images": images})
    assert room.more_updates(given)["images"].values == pytest.approx(
        {11: 0.199, 12: 0.2, 13: 0.201}
    )
    assert room.practice(given) == (
        "**For practice:** judge a regulariser only where K times the updates alone gain less than "
        "δ, the smallest effect of interest: it holds on translation, and the baseline underfits "
        "on images."
    )
    table = room.table(given)
    assert flat(table.loc["translation"])[:2] == [narrow(0.1), "1.50"]
    assert table.loc["images", "it gains"] == "more than δ: underfits"
    assert table.loc["tagging", "it gains"] == "not known"


def test_the_doses_of_the_encoder() -> None:
    f1 = {"baseline": (0.50, 0.0), "passes": (0.50, 0.0), "id": (0.52, 2.0)}
    cells = {
        cell: {
            seed: run(
                "tagging", seed, {"test/f1/others": value + (cell != "baseline") * step}, 0.1, dose
            )
            for seed, step in STEP.items()
        }
        for cell, (value, dose) in f1.items()
    }
    given = found({"tagging": cells})
    assert dose.encoder_words(given).splitlines()[0] == (
        "- tagging: the gain is not clear of zero with no divergence, above zero with the scripts' "
        "sum."
    )
    row = dose.encoder_table(given).loc[("tagging", "the scripts' sum")]
    assert flat(row)[:3] == ["2", "+2.00 (+1.75 to +2.25)", "0.45"] and row["seeds"] == "3"
