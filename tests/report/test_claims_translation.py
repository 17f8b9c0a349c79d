"""Verdicts on translation from made-up records with known differences."""

from __future__ import annotations

import numpy as np
import pytest
from made_up.records import made_up_statistics, made_up_translation

from idlib.metrics import bleu
from idlib.report import outcomes
from idlib.report.comparisons import by_cell
from idlib.report.names import BLEU, NLL, STD, Cell
from idlib.report.outcomes import EXCESS
from idlib.report.published import CLAIMS
from idlib.report.statistics import t_interval

SEEDS = (1, 2, 3)
WOBBLE = {1: 0.3, 2: -0.2, 3: 0.1}

# SacreBLEU and test NLL by cell: ID better, baseline students too, ID students hardly.
WORLD = {
    Cell("baseline", 0, 0.1): (24.0, 2.50),
    Cell("baseline", 1, 0.1): (25.0, 2.40),
    Cell("id", 0, 0.1): (27.0, 2.30),
    Cell("id", 1, 0.1): (27.1, 2.295),
    Cell("passes", 0, 0.1): (24.5, 2.45),
    Cell("compute", 0, 0.1): (23.5, 2.60),
}


def grid(world=WORLD, seeds=SEEDS, **more):
    return [
        made_up_translation(
            cell,
            seed,
            score + WOBBLE[seed] + 0.05 * np.sin(7 * seed + place),
            nll + WOBBLE[seed] / 100 + 0.0005 * np.sin(5 * seed + place),
            std=nll / 1000,
            **more,
        )
        for place, (cell, (score, nll)) in enumerate(world.items())
        for seed in seeds
    ]


def judged(records):
    return outcomes.verdicts(records, "translation")


def line_of(verdict, label, metric):
    return next(line for line in verdict.lines if (line.label, line.metric) == (label, metric))


def test_all_supported_in_a_world_made_so():
    verdicts = judged(grid())
    assert {name: v.verdict for name, v in verdicts.items()} == dict.fromkeys(
        ("C1", "C4", "C5", "C8"), "supported"
    )
    for name, verdict in verdicts.items():
        assert verdict.claim is CLAIMS[name] and verdict.task == "translation"
        assert verdict.sentence.startswith("Supported: ")
        assert "3 seeds, profile medium" in verdict.sentence


def test_c1_is_the_paired_difference_in_sacrebleu():
    records = grid()
    c1 = judged(records)["C1"]
    (line,) = c1.primary
    scores = {
        cell: {seed: r.measured.metrics[BLEU] for seed, r in runs.items()}
        for cell, runs in by_cell(records).items()
    }
    ours, base = scores[Cell("id", 0, 0.1)], scores[Cell("baseline", 0, 0.1)]
    assert line.interval == pytest.approx(t_interval([ours[s] - base[s] for s in SEEDS]))
    assert (line.metric, line.claimed, line.verdict) == (BLEU, "above", "supported")
    assert line.report == pytest.approx(35.11 - 32.90)
    assert "changes the test SacreBLEU by +2.95 points" in c1.sentence
    assert "against the baseline, s = 0.1 (3 seeds" in c1.sentence
    beside = {line.metric: line for line in c1.lines if not line.primary}
    assert {m: line.claimed for m, line in beside.items()} == {"test/chrf": "above", NLL: "below"}
    assert all(line.verdict == "supported" for line in beside.values())


@pytest.mark.parametrize(
    ("score", "outcome"), [(20.0, "contradicted"), (24.0, "undecided"), (25.0, "supported")]
)
def test_c1_says_what_the_interval_says(score, outcome):
    world = {**WORLD, Cell("id", 0, 0.1): (score, 2.3)}
    assert judged(grid(world))["C1"].verdict == outcome


def test_c1_carries_the_paired_bootstrap_over_sentences():
    (line,) = judged(grid(sentences=40))["C1"].primary
    # statistics as the records hold them; the same seeds stand on both sides
    systems = {
        cell.method: [bleu.items_of(runs[seed].measured.curves) for seed in SEEDS]
        for cell, runs in by_cell(grid(sentences=40)).items()
        if cell.round == 0
    }
    expected = bleu.paired_bootstrap(systems["id"], systems["baseline"])
    assert line.items[:3] == pytest.approx(expected[:3]) and line.items.n == 40
    assert line.items_p == expected.p_value and line.items_p < 0.05
    assert line.items.low > 0


def test_nll_keeps_its_bootstrap_over_items():
    line = line_of(judged(grid(sentences=40))["C1"], "against the baseline, s = 0.1", NLL)
    assert line.items.n == 2 and line.items_p is None
    assert line.items.mean == pytest.approx(line.interval.mean)


def test_other_test_sentences_have_no_bootstrap():
    records = grid(sentences=40)
    other = bleu.as_curves(made_up_statistics(24.0, 39))
    records[0].measured.curves.update(other)
    (line,) = judged(records)["C1"].primary
    assert line.items is None and line.items_p is None and line.verdict == "supported"
    assert judged(grid())["C1"].primary[0].items is None  # no statistics at all


def test_c4_is_judged_on_both_kinds_of_distillation():
    c4 = judged(grid())["C4"]
    assert [line.label for line in c4.primary] == [
        "intra-distillation − baseline, teacher, s = 0.1",
        "baseline, student − teacher, s = 0.1",
    ]
    assert all(line.metric == STD for line in c4.primary)
    world = {**WORLD, Cell("baseline", 1, 0.1): (25.0, 2.60)}  # its std rises with its NLL here
    assert judged(grid(world))["C4"].verdict == "contradicted"
    context = {line.verdict for line in c4.lines if line.metric == "train/nll"}
    assert context == {"context"}


def test_c5_is_judged_on_nll_with_sacrebleu_beside_it():
    c5 = judged(grid())["C5"]
    (line,) = c5.primary
    assert (line.label, line.metric) == (f"{EXCESS}student, s = 0.1", NLL)
    assert line.interval.mean == pytest.approx(0.005 - 0.05, abs=2e-3)
    beside = [line for line in c5.lines if line.metric == BLEU]
    assert [line.label for line in beside] == [
        "baseline, student − teacher, s = 0.1",
        "intra-distillation, student − teacher, s = 0.1",
    ]
    assert {line.verdict for line in beside} == {"context"}
    assert beside[0].interval.mean == pytest.approx(1.0, abs=0.1)
    second = {Cell("baseline", 2, 0.1): (26.0, 2.35), Cell("id", 2, 0.1): (28.0, 2.15)}
    c5 = judged(grid({**WORLD, **second}))["C5"]
    assert c5.verdict == "contradicted"  # 0.15 off ID's teacher, 0.15 off the baseline's
    assert line_of(c5, f"{EXCESS}second student, s = 0.1", NLL).verdict == "contradicted"


def test_c8_is_about_the_gain_of_c1():
    c8 = judged(grid())["C8"]
    assert [(line.label, line.metric) for line in c8.primary] == [
        ("against K passes, α = 0", BLEU),
        ("against K × the updates", BLEU),
    ]
    assert {line.metric for line in c8.lines} == {BLEU, "test/chrf", NLL}
    world = {**WORLD, Cell("passes", 0, 0.1): (28.0, 2.2)}
    assert judged(grid(world))["C8"].verdict == "contradicted"


def test_too_few_seeds_nothing_and_a_missing_metric_are_not_judged():
    for name, verdict in judged(grid(seeds=(1, 2))).items():
        assert verdict.verdict == "not judged", name
        assert verdict.reason == "2 seeds, where translation needs 3"
        assert verdict.primary[0].interval is not None
    for verdict in judged([]).values():
        assert verdict.reason == "no translation records" and verdict.n_seeds == 0
    lacking = judged(grid(drop=(BLEU,)))
    assert f"no {BLEU} of intra-distillation teacher, s = 0.1" in lacking["C1"].reason
    assert lacking["C4"].verdict == "supported"


def test_tasks_do_not_mix():
    others = [
        r.model_copy(update={"asked": r.asked.model_copy(update={"task": "images"})})
        for r in grid()
    ]
    assert judged([*grid(), *others]) == judged(grid())
    with pytest.raises(ValueError, match=r"one task .*'images', 'translation'"):
        by_cell([*grid(), *others])


def test_a_sweeps_records_are_of_another_grid():
    swept = made_up_translation(Cell("id", 0, 0.1), 1, 20.0, 2.4, epochs=3)
    with pytest.raises(ValueError, match="pass records of one grid"):
        judged([*grid(), swept])
