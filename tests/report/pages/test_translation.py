"""What the page of translation says is what its records hold."""

from __future__ import annotations

import re

import pytest
from made_up.records import Level, record, results
from made_up.studies import translated

from idlib.report.board import Board
from idlib.report.conditions import Condition
from idlib.report.pages import translation as page

BASELINE, ID = Condition("baseline", 0, 0.1), Condition("id", 0, 0.1)


def records(seeds=(1, 2, 3), gain=0.03, **settings):
    """The baseline's SacreBLEU is 24 and more by a tenth for each seed, its NLL 2.5 nats."""
    return [
        record("translation", c, s, Level(2.5, 0.24 + gain * (c == ID) + s / 1000), **settings)
        for c in (BASELINE, ID)
        for s in seeds
    ]


@pytest.fixture
def shown():
    return results("translation", records())


def test_each_metric_says_whether_it_is_better(shown):
    lines = page.gain_in_each_metric(shown).splitlines()
    assert "(profile medium, 3 seeds)" in lines[0]
    assert lines[2] == (
        "- test SacreBLEU: +3.00 points (95 % interval +3.00 to +3.00), for the better"
    )
    assert lines[4].startswith("- test NLL: +0.000 nats") and lines[4].endswith(
        "not for the better"
    )


def distilled(rule_apart: bool):
    """Students take 0.4 nats off the baseline and 0.1 off intra-distillation, and add points."""
    levels = {
        Condition("baseline", 0, 0.1): (3.0, 20.0, 0.004),
        Condition("baseline", 1, 0.1): (2.6, 20.0, 0.003),
        Condition("id", 0, 0.1): (2.5, 19.0, 0.005),
        Condition("id", 1, 0.1): (2.4, 20.0, 0.004),
    }
    step = {"selected/step": 30.0} if rule_apart else {}
    made = [
        record(
            "translation",
            condition,
            seed,
            Level(nll + 1 if rule_apart else nll, bleu / 100),
            metrics={
                **{"test/nll@loss": nll, "sensitivity/std@loss": std, "sensitivity/std": 2 * std},
                **{"sensitivity/std@last": std**2, **step},
            },
        )
        for condition, (nll, bleu, std) in levels.items()
        for seed in (1, 2, 3)
    ]
    return results("translation", made)


def test_what_is_left_to_distillation_is_told_beside_c5():
    head, _, nll, bleu = page.left_to_distillation(distilled(True)).splitlines()
    assert "less than half of what a round" in head and "(profile medium, 3 seeds):" in head
    assert nll == (
        "- test NLL, lowest validation loss: −0.100 nats (95 % interval −0.100 to −0.100) after "
        "intra-distillation, −0.400 nats (95 % interval −0.400 to −0.400) after the baseline"
    )
    assert bleu.startswith(
        "- test SacreBLEU, best validation score: +1.00 points (95 % interval +1.00 to +1.00) after"
    )
    assert "- test SacreBLEU, lowest validation loss: " in page.left_to_distillation(
        distilled(False)
    ), "as in earlier evidence, where the loss chose every checkpoint"


def test_without_students_nothing_is_left_to_tell(shown):
    assert page.left_to_distillation(shown).startswith("There are no students")


def test_the_std_of_sensitivity_stands_at_each_checkpoint():
    text = page.std_at_each_checkpoint(distilled(True))
    assert text.startswith("The distribution is that at the best validation score, which alone")
    assert (
        "× 1.25 at the best validation score; × 1.25 at the lowest validation loss, where C4 is "
        "judged; × 1.56 at the last update (profile medium, 3 seeds)."
    ) in text
    one = page.std_at_each_checkpoint(distilled(False))
    assert one.startswith("The distribution is that at the lowest validation loss")
    assert "best validation score" not in one
    nothing = page.std_at_each_checkpoint(results("translation", records()[:3]))
    assert nothing.endswith("which alone the records keep.")


def test_the_brevity_penalty_is_taken_off(shown):
    table = page.brevity(shown)
    assert list(table.index) == ["baseline", "intra-distillation"]
    # the ratio of lengths is 0.98: exp(1 − 1/0.98) = 0.9798
    assert list(table.loc["baseline"]) == ["0.980", "0.980", "24.20", "24.70"]


def test_where_the_baseline_overfits(shown):
    text = page.where_the_baseline_overfits(shown)  # 3.6 to 3.8, then 2.5, then 2.6 nats
    assert "lowest at update 20 of 30, within 0.03 nats of that from update 20 on" in text
    assert "at the last update 0.100 nats above it" in text and "not turned" not in text
    near = page.where_the_baseline_overfits(shown, near=2.0)
    assert "within 2 nats of that from update 10 on" in near
    without = page.where_the_baseline_overfits(results("translation", records()[3:]))
    assert without == "There is no record of a baseline."


def test_the_curve_tells_where_the_loss_is_lowest_and_not_the_best_score():
    losses = ([4.0, 3.0, 3.02, 3.5], [3.0, 4.0, 5.0, 5.0], [4.0, 3.5, 3.0, 2.9])
    made = [
        record(
            "translation",
            BASELINE,
            seed,
            metrics={"selected/step": 40.0},  # where SacreBLEU is best
            curves={
                "validation/nll": loss,
                "validation/nll/step": [10.0, 20.0, 30.0, 40.0],
            },
        )
        for seed, loss in enumerate(losses, start=1)
    ]
    text = page.where_the_baseline_overfits(results("translation", made[:2]))
    assert "lowest at update 10 to 20 of 40, within 0.03 nats of that from update 10 to 20" in text
    assert text.endswith("0.500 to 2.000 nats above it (over seeds, the least and the most).")
    every = page.where_the_baseline_overfits(results("translation", made))
    assert "lowest at update 10 to 40 of 40" in every and "0.000 to 2.000 nats above" in every
    assert every.endswith("With 1 of 3 seeds the lowest is the last: the curve has not turned.")


@pytest.mark.parametrize(
    ("longer", "said"),
    [
        (3.0, "from K times the updates alone, more than δ: by this score it underfits"),
        (0.1, "from K times the updates alone: less than δ, the smallest effect of interest."),
        (1.5, "from K times the updates alone: not clear of δ, the smallest effect of interest."),
    ],
)
def test_longer_training_tells_whether_the_baseline_underfits(longer, said):
    board = Board({"translation": translated({"compute": longer})})
    text = page.more_updates_in_sacrebleu(board)
    assert said in text and f"gains +{longer:.2f} points (" in text
    assert page.more_updates_in_sacrebleu(Board()).endswith(
        "underfits by SacreBLEU is not known yet."
    )


def test_a_gain_by_one_rule_has_those_by_the_others_beside_it():
    by_rule = {"best": -1.0, "loss": 3.0, "last": -1.5}
    text = page.gain_by_rule(Board({"translation": translated({"id": by_rule})}))
    assert "SacreBLEU is −1.00 points (95 % interval −1.00 to −1.00) at the best" in text
    assert "best validation score, by which C1 is judged; +3.00 points" in text
    assert text.count("C1 is judged") == 1 and "−1.50 points" in text
    assert (
        page.gain_by_rule(Board()) == "No registered run shows yet what the rule makes of a gain."
    )


def test_ours_stands_beside_the_reports_bits_at_the_lowest_loss():
    made = [
        record(
            "translation",
            BASELINE,
            seed,
            metrics={"validation/bits": 9.0, "validation/bits@loss": bits},
        )
        for seed, bits in ((1, 3.0), (2, 4.0))
    ]
    text = page.likelihood_in_bits(results("translation", made))
    assert "2.352 and 2.209 bits a token" in text
    assert "it is 3.500 and – bits (profile medium, 2 seeds)" in text


def test_parameters_are_counted(shown):
    assert "each model: 1,000; counted apart: 0." in page.parameters_measured(shown)
    shown.records[0].measured.metrics["sensitivity/excluded"] = 12.0
    assert "counted apart: 0 or 12." in page.parameters_measured(shown)


def swept():
    longer = records((1,), epochs=20, examples={"train": 2000})
    return [*longer, *records((1,), -0.02, epochs=10, examples={"train": 2000})]


def test_where_the_gain_is():
    lines = page.where_the_gain_is(swept()).splitlines()
    assert lines[0] == "ID against its baseline, means over 1 seed:"
    assert lines[2:] == [
        "- validation SacreBLEU (points): ahead on average at 1 of 2 settings; not ahead at 10 "
        "epochs of 2,000 pairs",
        "- validation NLL (nats): ahead on average at 0 of 2 settings; not ahead at 10 epochs of "
        "2,000 pairs, 20 epochs of 2,000 pairs",
    ]
    assert page.where_the_gain_is([]) == "Nothing was measured."
    table = page.gains_by_seed(swept())
    assert list(table[1])[2:] == ["−2.00", "+3.00"]
    assert page.gains_by_seed(records((1,), epochs=5, examples={})).index[0][2] == "all"


def test_the_shorter_grid_has_half_the_epochs_of_what_is_judged():
    longer = records(epochs=20, examples={"train": 2000})
    shown = results("translation", records((1,), profile="small"), longer)
    text = page.shorter_grid(shown, swept())
    assert text.startswith("10 epochs, 2 records:")
    assert re.search(r"against the baseline, s = 0.1 +\| −2.00 points", text)
    assert "lowest at update" in text
    assert page.shorter_grid(shown, []) == "10 epochs, 0 records:\n\nNo records."


def test_others_figures_are_theirs():
    assert "50,000 updates (46 epochs) on one V100" in page.published_cost()
    assert "at most 7.8 and 2.4 GB (A15)" in page.published_cost()
    assert "tok:13a" in page.signature() and "not stated" in page.signature()
