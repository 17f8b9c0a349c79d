"""Verdicts on images from made-up records with known differences."""

from __future__ import annotations

import numpy as np
import pytest
from made_up.images import SEEDS, WOBBLE, WORLD, grid, judged, line_of, record

from idlib.report import outcomes
from idlib.report.comparisons import signed
from idlib.report.names import CELLS, NLL, SMOOTHINGS, STD, STD_NORMALIZED, Cell
from idlib.report.outcomes import EXCESS
from idlib.report.published import CLAIMS
from idlib.report.statistics import t_interval


def test_all_supported_in_a_world_made_so():
    verdicts = judged(grid())
    assert {name: v.verdict for name, v in verdicts.items()} == dict.fromkeys(
        ("C4", "C5", "C6", "C8"), "supported"
    )
    for name, verdict in verdicts.items():
        assert verdict.claim is CLAIMS[name] and verdict.task == "images"
        assert verdict.sentence.startswith("Supported: ")
        assert "5 seeds, profile medium" in verdict.sentence
        assert "95 % interval" in verdict.sentence
        assert verdict.n_seeds == 5 and verdict.profile == "medium" and not verdict.reason
        assert set(verdict.signatures) <= {r.signature for r in grid()}


def test_c6_by_hand():
    records = grid()
    by_seed = {s: {c: r.measured.metrics[NLL] for c, r in cells} for s, cells in seeds_of(records)}
    expected = t_interval(
        [
            np.mean([nll[Cell("id", *cell)] - nll[Cell("baseline", *cell)] for cell in CELLS])
            for _, nll in sorted(by_seed.items())
        ]
    )
    (line,) = judged(records)["C6"].primary
    assert line.interval == pytest.approx(expected)
    assert line.interval.mean == pytest.approx(-0.05325, abs=2e-3)
    assert signed(line.interval.mean, NLL, unit=True) in judged(records)["C6"].sentence


def seeds_of(records):
    for seed in SEEDS:
        chosen = [r for r in records if r.asked.seed == seed]
        yield (
            seed,
            [
                (Cell(r.asked.method, r.asked.settings["round"], r.asked.settings["smoothing"]), r)
                for r in chosen
            ],
        )


def test_c6_contradicted_and_undecided():
    flipped = {
        c: WORLD[c._replace(method={"id": "baseline", "baseline": "id"}.get(c.method, c.method))]
        for c in WORLD
    }
    assert judged(grid(flipped))["C6"].verdict == "contradicted"
    same = {c: 0.5 for c in WORLD}
    undecided = judged(grid(same))["C6"]
    assert undecided.verdict == "undecided" and undecided.sentence.startswith("Undecided: ")


def test_c6_second_lines_say_whether_it_is_calibration():
    c6 = judged(grid())["C6"]
    assert line_of(c6, "mean of the four pairs", "test/accuracy").claimed == "above"
    for metric in ("test/accuracy", "test/nll/calibrated"):
        lines = [line for line in c6.lines if line.metric == metric]
        assert len(lines) == 5 and not any(line.primary for line in lines)
        assert all(line.verdict == "supported" for line in lines)


def test_c4_needs_every_comparison():
    cell = Cell("baseline", 1, 0.1)
    records = [
        record(c, s, 0.5, std=1e-3 * (WORLD[c] + WOBBLE[s] / 10 + (0.2 if c == cell else 0)))
        for c in WORLD
        for s in SEEDS
    ]
    c4 = judged(records)["C4"]
    assert c4.verdict == "contradicted"
    outcomes = [line.verdict for line in c4.primary]
    assert outcomes == ["supported", "supported", "supported", "contradicted"]
    assert all(line.metric == STD for line in c4.primary)
    assert "contradicted" in c4.sentence and "× 10⁻³" in c4.sentence
    measures = {line.metric for line in c4.lines}
    assert {"sensitivity/cv", "sensitivity/gini", STD_NORMALIZED, "sensitivity/std/last"} < measures
    assert {line.verdict for line in c4.lines if line.metric == "train/nll"} == {"context"}


def test_c5_is_a_paired_difference_of_gains():
    c5 = judged(grid())["C5"]
    line = line_of(c5, f"{EXCESS}student, s = 0")
    by_seed = [dict(cells) for _, cells in seeds_of(grid())]

    def gain(cells, method):
        student, teacher = (cells[Cell(method, r, 0.0)].measured.metrics[NLL] for r in (1, 0))
        return teacher - student

    expected = t_interval([gain(c, "id") - gain(c, "baseline") / 2 for c in by_seed])
    assert line.interval == pytest.approx(expected)
    assert line.interval.mean == pytest.approx(0.001 - 0.02, abs=2e-3)


def test_c5_contradicted_where_distillation_still_adds():
    world = {**WORLD, Cell("id", 1, 0.1): 0.39}  # 0.05 for both, more than half
    c5 = judged(grid(world))["C5"]
    assert c5.verdict == "contradicted"
    assert line_of(c5, f"{EXCESS}student, s = 0").verdict == "supported"


def test_c5_is_tested_only_where_baseline_students_beat_their_teachers():
    one = {**WORLD, Cell("baseline", 1, 0.0): 0.55}
    c5 = judged(grid(one))["C5"]
    assert c5.verdict == "supported"
    assert [line.label for line in c5.primary] == [f"{EXCESS}student, s = 0.1"]
    left_out = line_of(c5, f"{EXCESS}student, s = 0")
    assert left_out.verdict == "not judged" and "not shown to beat" in left_out.reason

    none = {**one, Cell("baseline", 1, 0.1): 0.55}
    c5 = judged(grid(none))["C5"]
    assert c5.verdict == "not judged"
    assert "no baseline student is shown to beat its teacher" in c5.sentence
    assert "+0.050 nats" in c5.sentence and c5.n_seeds == 5


def test_c5_tests_the_second_round_if_it_is_there():
    world = {
        **WORLD,
        Cell("baseline", 2, 0.0): 0.44,
        Cell("id", 2, 0.0): 0.36,  # 0.07 off ID's teacher, 0.06 off the baseline's
    }
    c5 = judged(grid(world))["C5"]
    assert c5.verdict == "contradicted"
    assert line_of(c5, f"{EXCESS}second student, s = 0").verdict == "contradicted"
    assert not any("second student, s = 0.1" in line.label for line in c5.lines)
    # a second round of too few seeds, or of one method alone, leaves the first round's verdict
    few = grid() + grid({c: world[c] for c in world if c.round == 2}, seeds=(1, 2))
    assert judged(few)["C5"].verdict == "supported"
    alone = grid() + grid({Cell("id", 2, 0.0): 0.36})
    assert judged(alone)["C5"].verdict == "supported"


def test_c8_must_beat_both_controls():
    assert judged(grid({**WORLD, Cell("compute", 0, 0.0): 0.40}))["C8"].verdict == ("contradicted")
    assert judged(grid({**WORLD, Cell("passes", 0, 0.0): 0.43}))["C8"].verdict == ("undecided")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"seeds": (1, 2, 3, 4)}, "4 seeds, where images needs 5"),
        ({"seeds": (1,)}, "1 seed, where images needs 5"),
        ({"profile": "small"}, "profile small is below medium"),
    ],
)
def test_too_few_seeds_or_too_small_a_profile_is_not_judged(made, reason):
    for verdict in judged(grid(**made)).values():
        assert verdict.verdict == "not judged"
        assert verdict.reason == reason and reason in verdict.sentence
        assert all(line.interval is not None for line in verdict.primary)  # yet measured
        assert "nats" in verdict.sentence or "× 10⁻³" in verdict.sentence
        assert {line.verdict for line in verdict.lines} <= {"not judged", "context"}


def test_a_missing_cell_is_named():
    world = {c: nll for c, nll in WORLD.items() if c.method != "compute"}
    verdicts = judged(grid(world))
    assert verdicts["C8"].verdict == "not judged"
    assert "no record of K × the updates teacher, s = 0" in verdicts["C8"].sentence
    assert verdicts["C6"].verdict == "supported"


def test_a_missing_metric_is_named():
    verdicts = judged(grid(drop=(STD,)))
    assert verdicts["C4"].verdict == "not judged"
    assert f"no {STD} of intra-distillation teacher, s = 0" in verdicts["C4"].reason
    assert verdicts["C6"].verdict == "supported"


def test_no_records_at_all():
    for verdict in judged([]).values():
        assert verdict.verdict == "not judged" and verdict.reason == "no image records"
        assert verdict.n_seeds == 0 and verdict.signatures == ()


def test_a_task_without_rules_is_refused():
    with pytest.raises(ValueError, match="'music'; choose one of images, translation"):
        outcomes.verdicts([], "music")
    assert set(outcomes.DESIGNS) == set(SMOOTHINGS)


def test_other_tasks_are_left_out():
    other = grid()[0]
    other = other.model_copy(update={"asked": other.asked.model_copy(update={"task": "tagging"})})
    assert judged([*grid(), other]) == judged(grid())


def test_lines_carry_the_reports_figure():
    verdicts = judged(grid())
    assert verdicts["C6"].primary[0].report == pytest.approx(-0.098)
    assert verdicts["C8"].primary[0].report is None
    assert [line.report for line in verdicts["C4"].primary] == pytest.approx(
        [0.001196, 0.0013, 0.007906, 0.0002]
    )
    excess = line_of(verdicts["C5"], f"{EXCESS}student, s = 0.1")
    assert excess.report == pytest.approx(-0.066 - 0.0375)
