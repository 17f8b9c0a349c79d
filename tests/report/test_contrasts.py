"""Comparisons seed by seed: what is paired, what is left out, what is refused."""

from __future__ import annotations

import random

import numpy as np
import pytest
from made_up.images import SEEDS, WORLD, grid, judged, line_of, noise, record

from idlib.report.comparisons import Runs, by_cell, difference, signed
from idlib.report.names import NLL, STD, Cell
from idlib.report.statistics import p_value, t_interval


def test_no_seed_in_common_is_said():
    others = grid({c: n for c, n in WORLD.items() if c.method == "passes"}, seeds=(6,))
    records = [r for r in grid() if r.asked.method != "passes"] + others
    assert "no seed that all records of against K passes" in judged(records)["C8"].reason


def test_order_of_records_changes_nothing():
    gains = np.random.default_rng(0).gamma(1.0, 0.2, size=(len(WORLD), 30)).round(4)
    records = [
        record(cell, seed, nll + noise(cell, seed), items=list(nll + own))
        for (cell, nll), own in zip(WORLD.items(), gains, strict=True)
        for seed in SEEDS
    ]
    shuffled = random.Random(0).sample(records, len(records))
    assert judged(shuffled) == judged(records)
    line = judged(records)["C6"].primary[0]
    assert line.items.low < line.items.mean < line.items.high  # the bootstrap's draws are the same


def test_pairing_is_by_seed():
    # Seeds differ far more than methods: only pairs can tell, and only pairs of one seed.
    level = dict(zip(SEEDS, (0.1, 0.9, 0.3, 0.7, 0.5), strict=True))
    records = [
        record(cell, seed, level[seed] + 0.1 * nll + noise(cell, seed))
        for cell, nll in WORLD.items()
        for seed in (SEEDS if cell.method == "id" else SEEDS[::-1])
    ]
    assert judged(records)["C6"].verdict == "supported"


def test_seeds_that_one_arm_lacks_are_left_out():
    extra = [record(Cell("id", 0, 0.0), 6, 9.0)]
    with_extra, without = (judged(r)["C8"] for r in (grid() + extra, grid()))
    assert with_extra == without


def test_a_claim_has_the_seeds_of_the_line_that_has_fewest():
    records = [r for r in grid() if r.asked.method != "compute" or r.asked.seed < 4]
    c8 = judged(records)["C8"]
    assert [len(line.seeds) for line in c8.primary] == [5, 3] and c8.n_seeds == 3
    assert c8.verdict == "not judged" and c8.reason == "3 seeds, where images needs 5"


def test_what_was_measured_of_a_later_round_stands_in_the_lines():
    world = {**WORLD, Cell("baseline", 2, 0.0): 0.44}
    c5 = judged(grid(world))["C5"]
    line = line_of(c5, "baseline, second student − teacher, s = 0")
    assert line.interval.mean == pytest.approx(-0.06, abs=2e-3) and line.verdict == "supported"
    assert (
        "no record of" in line_of(c5, "intra-distillation, second student − teacher, s = 0").reason
    )


def test_where_each_arm_lacks_a_seed_the_others_are_paired_by_number():
    level = dict(zip(SEEDS, (0.1, 0.9, 0.3, 0.7, 0.5), strict=True))
    gain = {2: 0.01, 3: 0.03, 4: 0.05}
    baseline, ours = Cell("baseline", 0, 0.0), Cell("id", 0, 0.0)
    items = np.linspace(0, 1, 7).round(4)
    records = [record(baseline, s, level[s], items=list(items + level[s])) for s in (1, 2, 3, 4)]
    for seed in (5, 4, 3, 2):
        value = level[seed] - gain.get(seed, 0.0)
        records.append(record(ours, seed, value, items=list(items + value)))
    line = Runs(records, "images").line(difference("", ours, baseline), NLL, "below")
    assert line.seeds == (2, 3, 4)
    assert line.interval == pytest.approx(t_interval([-0.01, -0.03, -0.05]))
    assert line.p_value == pytest.approx(p_value([-0.01, -0.03, -0.05]))
    assert line.items[:3] == pytest.approx((-0.03, -0.03, -0.03))
    assert set(line.signatures) == {r.signature for r in records if r.asked.seed in line.seeds}


def test_bootstrap_over_items_stands_beside_the_interval():
    base = np.random.default_rng(0).gamma(1.0, 0.5, size=400).round(4)
    records = [
        record(cell, seed, nll, items=list(base + nll))
        for cell, nll in WORLD.items()
        for seed in SEEDS
    ]
    c8 = judged(records)["C8"]
    line = c8.primary[0]
    assert line.items.mean == pytest.approx(0.43 - 0.48)
    assert line.items.low == pytest.approx(line.items.high)  # every item gains the same
    assert line.items.n == 400
    assert line_of(c8, line.label, "test/accuracy").items is None
    records[0] = record(Cell("baseline", 0, 0.0), 1, 0.5, items=[0.1])
    assert line_of(judged(records)["C6"], "teacher, s = 0").items is None


def test_two_records_of_one_cell_and_seed_are_refused():
    twin = record(Cell("id", 0, 0.0), 1, 0.4, alpha=2.0)
    with pytest.raises(ValueError, match="two records for intra-distillation teacher, s = 0, seed"):
        judged([*grid(), twin])
    records = grid()
    assert by_cell(records + records) == by_cell(records)  # the same record twice is one


def test_the_name_of_the_only_data_set_plays_no_part():
    named = [
        record(cell, seed, nll + noise(cell, seed), dataset="pets")
        for cell, nll in WORLD.items()
        for seed in SEEDS
    ]
    assert set(by_cell(named)) == set(WORLD)
    assert judged(named)["C6"].verdict == "supported"


def test_records_of_two_profiles_are_refused():
    with pytest.raises(ValueError, match="medium.*small"):
        judged(grid() + grid(profile="small"))


def test_numbers_are_written_with_sign_and_unit():
    assert signed(-0.0451, NLL, unit=True) == "−0.045 nats"
    assert signed(0.0123, "test/accuracy", unit=True) == "+1.23 points"
    assert signed(-0.0123, "test/f1/de", unit=True) == "−1.23 points"
    assert signed(-3.04e-4, STD) == "−0.304"
    assert signed(0.5, "something/else", unit=True) == "+0.500"
