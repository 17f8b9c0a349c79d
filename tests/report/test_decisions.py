"""Decisions: known answers, outside references, and the error rates that are promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up.lines import LINE, RULES
from made_up.records import made_up_record
from scipy import stats

from idlib.protocol import Line, read
from idlib.report.conditions import Condition
from idlib.report.decisions import (
    Decision,
    board,
    by_selection,
    decide,
    holm,
    measured,
    p_equivalence,
    p_larger,
    seeds_for,
    seeds_to_decide,
    values_of,
    weighted,
)

STEPS = np.linspace(-1, 1, 10)


def decided(mean: float, spread: float = 0.5, line: Line = LINE, n: int = 10) -> Decision:
    """The decision on a line alone, of values around a mean."""
    values = dict(enumerate((mean + spread * STEPS[:n]).tolist()))
    return board({"only": measured(line, values, RULES)}, RULES)["only"]


def test_equivalence_is_two_one_sided_t_tests() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 12)
    sides = [
        stats.ttest_1samp(values, bound, alternative=side).pvalue
        for bound, side in ((-0.8, "greater"), (0.8, "less"))
    ]
    assert p_equivalence(values, 0.8) == pytest.approx(max(sides), rel=1e-12)


def test_equivalence_at_five_percent_is_the_ninety_percent_interval_within_delta() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        values = dict(enumerate(rng.normal(0.0, 1.0, 8).tolist()))
        decision = measured(LINE, values, RULES)
        assert decision.equivalence is not None
        within = -1.5 < decision.equivalence.low and decision.equivalence.high < 1.5
        assert within == (decision.p_equivalence < 0.05)


def test_larger_than_delta_is_a_one_sided_t_test() -> None:
    values = np.random.default_rng(3).normal(1.3, 1.0, 12)
    by_scipy = stats.ttest_1samp(values, 0.8, alternative="greater").pvalue
    assert p_larger(values, 0.8) == pytest.approx(by_scipy, rel=1e-12)
    assert p_larger(-values, 0.8) == pytest.approx(by_scipy, rel=1e-12)
    assert (p_larger([2.0, 2.0], 1.0), p_larger([1.0, 1.0], 1.0)) == (0.0, 1.0)
    assert np.isnan(p_larger([2.0], 1.0))


def test_a_line_without_seeds_takes_part_in_the_correction() -> None:
    close = dict(enumerate((0.55 + STEPS).tolist()))
    judged, missing = measured(LINE, close, RULES), measured(LINE, {}, RULES, "no record of id")
    alone = board({"a": judged}, RULES)["a"]
    among = board({"a": judged, "b": missing, "c": missing}, RULES)
    assert among["a"].p_difference == pytest.approx(3 * alone.p_difference)
    assert among["a"].threshold == pytest.approx(alone.threshold / 3)
    assert among["b"].outcome == "not judged" and np.isnan(among["b"].p_difference)


def test_an_outcome_waits_for_the_line_that_it_needs() -> None:
    cause = LINE.model_copy(update={"claim": "C8", "needs": "C1"})
    values = dict(enumerate((2.0 + 0.5 * STEPS).tolist()))
    whole, part = measured(LINE, values, RULES), replace(measured(LINE, values, RULES), to_come=3)
    for needed, waits in ((whole, False), (part, True), (measured(LINE, {}, RULES), True)):
        found = board({"C1": needed, "C8": measured(cause, values, RULES)}, RULES)["C8"]
        assert (found.outcome, found.interim) == ("supported", waits)
    gone = replace(measured(LINE, {s: -v for s, v in values.items()}, RULES), to_come=1)
    found = board({"C1": gone, "C8": measured(cause, values, RULES)}, RULES)["C8"]
    assert (found.outcome, found.interim) == ("not applicable", True)


def test_holm_is_scipys_bonferroni_at_its_smallest_and_the_largest_itself() -> None:
    p = [0.02, 0.5, 0.001, 0.04]
    assert holm(p) == pytest.approx([0.06, 0.5, 0.004, 0.08])
    assert not len(holm([]))
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([p, p[::-1]]) == pytest.approx(np.array([holm(p), holm(p)[::-1]]))


@pytest.mark.parametrize(
    ("mean", "spread", "outcome", "size"),
    [
        (3.0, 0.5, "supported", "larger than δ"),
        (0.5, 0.2, "supported", "smaller than δ"),
        (1.5, 0.5, "supported", ""),
        (-3.0, 0.5, "contradicted", "larger than δ"),
        (0.0, 0.5, "no effect", ""),
        (0.5, 4.0, "undecided", ""),
    ],
)
def test_outcomes(mean: float, spread: float, outcome: str, size: str) -> None:
    decision = decided(mean, spread)
    assert (decision.outcome, decision.size) == (outcome, size)


def test_the_better_side_decides_between_supported_and_contradicted() -> None:
    below = LINE.model_copy(update={"better": "below"})
    assert decided(-3.0, line=below).outcome == "supported"
    assert decided(3.0, line=below).outcome == "contradicted"
    in_deltas = decided(-3.0, line=below).in_deltas
    assert in_deltas is not None and in_deltas.low < in_deltas.mean == 2.0 < in_deltas.high


def test_too_few_seeds_are_not_judged_and_say_what_is_missing() -> None:
    assert decided(3.0, n=2).outcome == "not judged"
    assert "2 seeds, where 3 are needed" in decided(3.0, n=2).reason
    assert measured(LINE, {}, RULES, "no record of id").reason == "no record of id"


def test_more_primary_lines_ask_for_more() -> None:
    close = dict(enumerate((0.55 + STEPS).tolist()))
    one = {"C1": measured(LINE, close, RULES)}
    assert board(one, RULES)["C1"].outcome == "supported"
    wide = LINE.model_copy(update={"delta": 0.1})
    spread = dict(enumerate((4 * STEPS).tolist()))
    many = {f"line {name}": measured(wide, spread, RULES) for name in "abc"}
    assert board({**one, **many}, RULES)["C1"].outcome == "no effect"
    apart = wide.model_copy(update={"primary": False})
    beside = {name: replace(decision, line=apart) for name, decision in many.items()}
    assert board({**one, **beside}, RULES)["C1"].outcome == "supported"


@pytest.mark.parametrize(
    ("gain", "outcome"),
    [(3.0, "supported"), (0.0, "not applicable"), (-3.0, "not applicable"), (0.5, "supported")],
)
def test_where_there_is_no_gain_there_is_nothing_to_explain(gain: float, outcome: str) -> None:
    cause = LINE.model_copy(update={"claim": "C8", "needs": "C1"})
    spread = 4.0 if gain == 0.5 else 0.5  # which is undecided, and rules nothing out
    lines = {
        "C1": measured(LINE, dict(enumerate((gain + spread * STEPS).tolist())), RULES),
        "C8": measured(cause, dict(enumerate((2.0 + 0.5 * STEPS).tolist())), RULES),
    }
    decision = board(lines, RULES)["C8"]
    assert decision.outcome == outcome
    assert ("C1" in decision.reason) == (outcome == "not applicable")


def test_seeds_that_it_would_take() -> None:
    n = seeds_for(2.0, 1.0)
    assert n is not None
    halves = [stats.t.ppf(0.975, k - 1) * 2.0 / np.sqrt(k) for k in (n - 1, n)]
    assert halves[0] > 1.0 >= halves[1]
    assert seeds_for(1e9, 1e-9) is None
    wide = decided(0.5, 4.0)
    spread = float(np.std(4.0 * STEPS, ddof=1))
    assert wide.seeds_needed == seeds_to_decide(0.5, spread, 1.5, 0.05)


@pytest.mark.parametrize(("mean", "spread"), [(0.5, 2.7), (1.0, 2.0), (-0.2, 3.0)])
def test_so_many_seeds_decide_and_one_fewer_does_not(mean: float, spread: float) -> None:
    n = seeds_to_decide(mean, spread, 1.5, 0.05)
    assert n is not None
    found = []
    for size in (n - 1, n):
        steps = np.linspace(-1, 1, size)
        values = mean + spread * steps / np.std(steps, ddof=1)
        line = {"only": measured(LINE, dict(enumerate(values.tolist())), RULES)}
        found.append(board(line, RULES)["only"].outcome)
    assert found[0] == "undecided" != found[1]


def test_of_many_lines_each_takes_more_seeds() -> None:
    open_ = measured(LINE, dict(enumerate((0.5 + 4 * STEPS).tolist())), RULES)
    alone = board({"a": open_}, RULES)["a"].seeds_needed
    among = board({"a": open_, "b": open_, "c": open_}, RULES)["a"].seeds_needed
    assert alone is not None and among is not None and alone < among


def test_a_lines_value_is_taken_seed_by_seed_at_its_checkpoint() -> None:
    def records(bleu: dict[int, float]):
        return {
            seed: made_up_record(
                Condition("id", 0, 0.1), seed, "medium", {"test/bleu": b, "test/bleu@last": 2 * b}
            )
            for seed, b in bleu.items()
        }

    by_cell = {"id": records({1: 8.0, 2: 4.0}), "baseline": records({2: 1.0, 3: 5.0})}
    assert values_of(LINE, by_cell).by_seed == {2: 3.0}
    assert values_of(LINE, by_cell).left_out == {
        1: "unpaired: no run of baseline",
        3: "unpaired: no run of ID",
    }
    assert values_of(LINE, by_cell, "last").by_seed == {2: 6.0}
    assert values_of(LINE, by_cell, "loss")[:2] == (
        {},
        "no test/bleu@loss of ID, no test/bleu@loss of baseline",
    )
    ratio = LINE.model_copy(update={"scale": "log"})
    assert values_of(ratio, by_cell)[0] == {2: pytest.approx(np.log(4.0))}
    assert values_of(LINE, {"id": by_cell["id"]})[:2] == ({}, "no record of baseline")


def test_both_arms_of_a_seed_are_made_on_one_kind_of_processor() -> None:
    runs = {
        cell: made_up_record(Condition("id", 0, 0.1), 11, "medium", {"test/bleu": 1.0})
        for cell in LINE.contrast
    }
    other = runs["id"].origin.model_copy(update={"device": "another"})
    runs["id"] = runs["id"].model_copy(update={"origin": other})
    found = values_of(LINE, {cell: {11: record} for cell, record in runs.items()})
    assert not found.by_seed
    assert found.left_out == {11: "unpaired: ID made on another, baseline made on cpu"}
    assert found.lost == {11}, "no run to come brings it back"


def test_the_board_answers_every_line_of_the_protocol() -> None:
    protocol = read()
    empty = decide(protocol, {})
    assert empty.keys() == protocol.lines.keys()
    assert {decision.outcome for decision in empty.values()} == {"not judged"}
    assert empty["C1"].reason == "no record of ID, no record of baseline"

    def records(level: float):
        return {
            seed: made_up_record(
                Condition("id", 0, 0.1), seed, "medium", {"test/bleu": level + step}
            )
            for seed, step in zip(range(11, 21), STEPS.tolist(), strict=True)
        }

    cells = {"id": records(33.0), "baseline": records(30.0), "passes": records(32.9)}
    decisions = decide(protocol, {"translation": cells})
    assert (decisions["C1"].outcome, decisions["C1"].size) == ("supported", "larger than δ")
    assert decisions["C8 translation, K passes"].size == "smaller than δ"
    assert decisions["C1"].registered == 10 and not decisions["C1"].left_out
    assert not decisions["C1"].interim
    del cells["id"][12]
    part = decide(protocol, {"translation": cells})["C1"]
    assert part.left_out == {12: "unpaired: no run of ID"} and part.to_come == 1 and part.interim
    other = cells["id"][13].origin.model_copy(update={"device": "another"})
    cells["id"][13] = cells["id"][13].model_copy(update={"origin": other})
    part = decide(protocol, {"translation": cells})["C1"]
    assert [*part.left_out] == [12, 13] and part.to_come == 1, "13 is lost, and not to come"
    cells["id"][13] = records(33.0)[13]
    rules = by_selection(protocol, {"translation": cells})["C1"]
    assert [(rule, found.outcome) for rule, found in rules.items()] == [
        ("best", "supported"),
        ("loss", "not judged"),
        ("last", "not judged"),
    ]
    assert decisions["C8 translation, compute"].outcome == "not judged"


def test_a_weighted_sum_is_taken_over_the_seeds_of_all_cells() -> None:
    cells = {
        cell: {
            seed: made_up_record(Condition("", 0, 0.0), seed, "medium", {"test/nll": value})
            for seed, value in by_seed.items()
        }
        for cell, by_seed in {"a": {1: 8.0, 2: 4.0}, "b": {1: 2.0, 3: 1.0}}.items()
    }
    contrast = {"a": 1.0, "b": -0.5}
    plain = weighted(contrast, "test/nll", cells)
    assert plain.by_seed == {1: 7.0} and set(plain.left_out) == {2, 3} and not plain.lacking
    logarithms = weighted(contrast, "test/nll", cells, logarithm=True).by_seed
    assert logarithms == {1: pytest.approx(np.log(8.0) - 0.5 * np.log(2.0))}
    cells["a"][1].measured.metrics["test/nll"] = 0.0  # as of a model that is certain and right
    found = weighted(contrast, "test/nll", cells, logarithm=True)
    assert found.by_seed == {} and "test/nll of a is not above 0" in found.left_out[1]
    assert weighted({"a": 1.0, "c": 1.0}, "test/nll", cells).lacking == "no record of c"
