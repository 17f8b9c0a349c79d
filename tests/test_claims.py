"""Verdicts from made-up records with known differences, and the published figures' arithmetic."""

from __future__ import annotations

import random

import numpy as np
import pytest
from made_up import made_up_record

from idlib.claims import EXCESS, by_cell, images_verdicts, signed
from idlib.published import (
    CELLS,
    CLAIMS,
    NLL,
    REPORT_IMAGES,
    STD,
    STD_NORMALIZED,
    Cell,
    title,
)
from idlib.statistics import t_interval

SEEDS = (1, 2, 3, 4, 5)
WOBBLE = {1: 0.004, 2: -0.003, 3: 0.001, 4: 0.0, 5: -0.002, 6: 0.003}

# Test NLL by cell: ID below, baseline students better than their teachers, ID students hardly.
WORLD = {
    Cell("baseline", 0, 0.0): 0.50,
    Cell("baseline", 1, 0.0): 0.46,
    Cell("baseline", 0, 0.1): 0.52,
    Cell("baseline", 1, 0.1): 0.47,
    Cell("id", 0, 0.0): 0.43,
    Cell("id", 1, 0.0): 0.429,
    Cell("id", 0, 0.1): 0.44,
    Cell("id", 1, 0.1): 0.438,
    Cell("passes", 0, 0.0): 0.48,
    Cell("compute", 0, 0.0): 0.49,
}


def record(cell, seed, nll, profile="medium", std=None, items=None, drop=(), **settings):
    std = nll / 1000 if std is None else std
    metrics = {
        NLL: nll,
        "test/accuracy": 1 - nll / 3,
        "test/nll/calibrated": nll - 0.01,
        "train/nll": nll / 2,
        STD: std,
        STD_NORMALIZED: 3 * std,
        "sensitivity/cv": 4.5 + std,
        "sensitivity/gini": 0.7 + std,
        "sensitivity/std/last": std / 2,
        "sensitivity/cv/last": 4.4 + std,
    }
    kept = {name: value for name, value in metrics.items() if name not in drop}
    curves = {} if items is None else {"test/nll/items": items}
    return made_up_record(cell, seed, profile, kept, curves, **settings)


def noise(cell, seed):
    """What no pairing takes off, small beside the differences of WORLD."""
    place = sorted(WORLD).index(cell) if cell in WORLD else 11
    return 0.0004 * np.sin(1 + 7 * seed + 3 * place)


def grid(world=WORLD, seeds=SEEDS, profile="medium", **more):
    return [
        record(cell, seed, nll + WOBBLE[seed] + noise(cell, seed), profile, **more)
        for cell, nll in world.items()
        for seed in seeds
    ]


def line_of(verdict, label, metric=NLL):
    return next(line for line in verdict.lines if (line.label, line.metric) == (label, metric))


def test_all_supported_in_a_world_made_so():
    verdicts = images_verdicts(grid())
    assert {name: v.verdict for name, v in verdicts.items()} == dict.fromkeys(
        ("C4", "C5", "C6", "C8"), "supported"
    )
    for name, verdict in verdicts.items():
        assert verdict.claim is CLAIMS[name]
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
    (line,) = images_verdicts(records)["C6"].primary
    assert line.interval == pytest.approx(expected)
    assert line.interval.mean == pytest.approx(-0.05325, abs=2e-3)
    assert signed(line.interval.mean, NLL, unit=True) in images_verdicts(records)["C6"].sentence


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
    assert images_verdicts(grid(flipped))["C6"].verdict == "contradicted"
    same = {c: 0.5 for c in WORLD}
    undecided = images_verdicts(grid(same))["C6"]
    assert undecided.verdict == "undecided" and undecided.sentence.startswith("Undecided: ")


def test_c6_second_lines_say_whether_it_is_calibration():
    c6 = images_verdicts(grid())["C6"]
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
    c4 = images_verdicts(records)["C4"]
    assert c4.verdict == "contradicted"
    outcomes = [line.verdict for line in c4.primary]
    assert outcomes == ["supported", "supported", "supported", "contradicted"]
    assert all(line.metric == STD for line in c4.primary)
    assert "contradicted" in c4.sentence and "× 10⁻³" in c4.sentence
    measures = {line.metric for line in c4.lines}
    assert {"sensitivity/cv", "sensitivity/gini", STD_NORMALIZED, "sensitivity/std/last"} < measures
    assert {line.verdict for line in c4.lines if line.metric == "train/nll"} == {"context"}


def test_c5_is_a_paired_difference_of_gains():
    c5 = images_verdicts(grid())["C5"]
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
    c5 = images_verdicts(grid(world))["C5"]
    assert c5.verdict == "contradicted"
    assert line_of(c5, f"{EXCESS}student, s = 0").verdict == "supported"


def test_c5_is_tested_only_where_baseline_students_beat_their_teachers():
    one = {**WORLD, Cell("baseline", 1, 0.0): 0.55}
    c5 = images_verdicts(grid(one))["C5"]
    assert c5.verdict == "supported"
    assert [line.label for line in c5.primary] == [f"{EXCESS}student, s = 0.1"]
    left_out = line_of(c5, f"{EXCESS}student, s = 0")
    assert left_out.verdict == "not judged" and "does not beat" in left_out.reason

    none = {**one, Cell("baseline", 1, 0.1): 0.55}
    c5 = images_verdicts(grid(none))["C5"]
    assert c5.verdict == "not judged"
    assert "no baseline student beats its teacher" in c5.sentence
    assert "+0.050 nats" in c5.sentence and c5.n_seeds == 5


def test_c5_tests_the_second_round_if_it_is_there():
    world = {
        **WORLD,
        Cell("baseline", 2, 0.0): 0.44,
        Cell("id", 2, 0.0): 0.36,  # 0.07 off ID's teacher, 0.06 off the baseline's
    }
    c5 = images_verdicts(grid(world))["C5"]
    assert c5.verdict == "contradicted"
    assert line_of(c5, f"{EXCESS}second student, s = 0").verdict == "contradicted"
    assert not any("second student, s = 0.1" in line.label for line in c5.lines)
    # a second round of too few seeds, or of one method alone, leaves the first round's verdict
    few = grid() + grid({c: world[c] for c in world if c.round == 2}, seeds=(1, 2))
    assert images_verdicts(few)["C5"].verdict == "supported"
    alone = grid() + grid({Cell("id", 2, 0.0): 0.36})
    assert images_verdicts(alone)["C5"].verdict == "supported"


def test_c8_must_beat_both_controls():
    assert images_verdicts(grid({**WORLD, Cell("compute", 0, 0.0): 0.40}))["C8"].verdict == (
        "contradicted"
    )
    assert images_verdicts(grid({**WORLD, Cell("passes", 0, 0.0): 0.43}))["C8"].verdict == (
        "undecided"
    )


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"seeds": (1, 2, 3, 4)}, "4 seeds, where images needs 5"),
        ({"seeds": (1,)}, "1 seed, where images needs 5"),
        ({"profile": "small"}, "profile small is below medium"),
    ],
)
def test_too_few_seeds_or_too_small_a_profile_is_not_judged(made, reason):
    for verdict in images_verdicts(grid(**made)).values():
        assert verdict.verdict == "not judged"
        assert verdict.reason == reason and reason in verdict.sentence
        assert all(line.interval is not None for line in verdict.primary)  # yet measured
        assert "nats" in verdict.sentence or "× 10⁻³" in verdict.sentence
        assert {line.verdict for line in verdict.lines} <= {"not judged", "context"}


def test_a_missing_cell_is_named():
    world = {c: nll for c, nll in WORLD.items() if c.method != "compute"}
    verdicts = images_verdicts(grid(world))
    assert verdicts["C8"].verdict == "not judged"
    assert "no record of K × the updates teacher, s = 0" in verdicts["C8"].sentence
    assert verdicts["C6"].verdict == "supported"


def test_a_missing_metric_is_named():
    verdicts = images_verdicts(grid(drop=(STD,)))
    assert verdicts["C4"].verdict == "not judged"
    assert f"no {STD} of intra-distillation teacher, s = 0" in verdicts["C4"].reason
    assert verdicts["C6"].verdict == "supported"


def test_no_seed_in_common_is_said():
    others = grid({c: n for c, n in WORLD.items() if c.method == "passes"}, seeds=(6,))
    records = [r for r in grid() if r.asked.method != "passes"] + others
    assert "no seed that all records of against K passes" in images_verdicts(records)["C8"].reason


def test_no_records_at_all():
    for verdict in images_verdicts([]).values():
        assert verdict.verdict == "not judged" and verdict.reason == "no image records"
        assert verdict.n_seeds == 0 and verdict.signatures == ()


def test_order_of_records_changes_nothing():
    records = grid()
    shuffled = random.Random(0).sample(records, len(records))
    assert images_verdicts(shuffled) == images_verdicts(records)


def test_pairing_is_by_seed():
    # Seeds differ far more than methods: only pairs can tell, and only pairs of one seed.
    level = dict(zip(SEEDS, (0.1, 0.9, 0.3, 0.7, 0.5), strict=True))
    records = [
        record(cell, seed, level[seed] + 0.1 * nll + noise(cell, seed))
        for cell, nll in WORLD.items()
        for seed in (SEEDS if cell.method == "id" else SEEDS[::-1])
    ]
    assert images_verdicts(records)["C6"].verdict == "supported"


def test_seeds_that_one_arm_lacks_are_left_out():
    extra = [record(Cell("id", 0, 0.0), 6, 9.0)]
    with_extra, without = (images_verdicts(r)["C8"] for r in (grid() + extra, grid()))
    assert with_extra == without


def test_bootstrap_over_items_stands_beside_the_interval():
    base = np.random.default_rng(0).gamma(1.0, 0.5, size=400).round(4)
    records = [
        record(cell, seed, nll, items=list(base + nll))
        for cell, nll in WORLD.items()
        for seed in SEEDS
    ]
    c8 = images_verdicts(records)["C8"]
    line = c8.primary[0]
    assert line.items.mean == pytest.approx(0.43 - 0.48)
    assert line.items.low == pytest.approx(line.items.high)  # every item gains the same
    assert line.items.n == 400
    assert line_of(c8, line.label, "test/accuracy").items is None
    records[0] = record(Cell("baseline", 0, 0.0), 1, 0.5, items=[0.1])
    assert line_of(images_verdicts(records)["C6"], "teacher, s = 0").items is None


def test_two_records_of_one_cell_and_seed_are_refused():
    twin = record(Cell("id", 0, 0.0), 1, 0.4, alpha=2.0)
    with pytest.raises(ValueError, match="two records for intra-distillation teacher, s = 0, seed"):
        images_verdicts([*grid(), twin])
    records = grid()
    assert by_cell(records + records) == by_cell(records)  # the same record twice is one


def test_records_of_two_profiles_are_refused():
    with pytest.raises(ValueError, match="medium.*small"):
        images_verdicts(grid() + grid(profile="small"))


def test_other_tasks_are_left_out():
    other = grid()[0]
    other = other.model_copy(update={"asked": other.asked.model_copy(update={"task": "tagging"})})
    assert images_verdicts([*grid(), other]) == images_verdicts(grid())


def test_published_tables_give_the_printed_figures():
    nll = REPORT_IMAGES[NLL]
    gains = [nll[Cell("baseline", *c)] - nll[Cell("id", *c)] for c in CELLS]
    assert np.mean(gains) == pytest.approx(0.098)
    # printed as 0.098 too, where the table gives this (A21)
    assert nll[Cell("baseline", 1, 0.1)] - nll[Cell("id", 0, 0.1)] == pytest.approx(0.089)
    normalised = REPORT_IMAGES[STD_NORMALIZED]
    falls = [normalised[Cell("baseline", *c)] - normalised[Cell("id", *c)] for c in CELLS]
    assert np.mean(falls) == pytest.approx(0.00564, abs=5e-6)


@pytest.mark.parametrize(("metric", "by_id", "by_student"), [(STD, 1, 1), (STD_NORMALIZED, 3, 4)])
def test_published_sensitivities_count_as_the_report_counts(metric, by_id, by_student):
    table = REPORT_IMAGES[metric]
    assert sum(table[Cell("id", *c)] < table[Cell("baseline", *c)] for c in CELLS) == by_id
    students = [c for c in table if c.round == 1]
    assert sum(table[c] < table[c._replace(round=0)] for c in students) == by_student


def test_lines_carry_the_reports_figure():
    verdicts = images_verdicts(grid())
    assert verdicts["C6"].primary[0].report == pytest.approx(-0.098)
    assert verdicts["C8"].primary[0].report is None
    assert [line.report for line in verdicts["C4"].primary] == pytest.approx(
        [0.001196, 0.0013, 0.007906, 0.0002]
    )
    excess = line_of(verdicts["C5"], f"{EXCESS}student, s = 0.1")
    assert excess.report == pytest.approx(-0.066 - 0.0375)


def test_claims_are_complete():
    assert list(CLAIMS) == [f"C{n}" for n in range(1, 9)]
    for name, claim in CLAIMS.items():
        assert claim.id == name and claim.statement.endswith(".") and claim.rule.endswith(".")
        assert claim.paper and claim.report and claim.tasks
    assert "not stated" in CLAIMS["C4"].paper and "not stated" in CLAIMS["C7"].paper


def test_numbers_are_written_with_sign_and_unit():
    assert signed(-0.0451, NLL, unit=True) == "−0.045 nats"
    assert signed(0.0123, "test/accuracy", unit=True) == "+1.23 points"
    assert signed(-3.04e-4, STD) == "−0.304"
    assert signed(0.5, "something/else", unit=True) == "+0.500"
    assert Cell("id", 3, 0.1).label == "student of round 3, s = 0.1"
    assert title("something/else") == "something/else"
