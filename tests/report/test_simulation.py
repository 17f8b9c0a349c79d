"""The simulated board is the board, and errs as seldom as it promises."""

from __future__ import annotations

import numpy as np
import pytest

from idlib.protocol import read
from idlib.report.decisions import board, measured
from idlib.report.simulation import (
    BOARDS,
    Assumed,
    Drawn,
    at_least_one,
    decided,
    draw,
    larger,
    looked_at,
    outcomes_of,
    shares,
)

PROTOCOL = read()
LIMIT = 0.05 + 3 * np.sqrt(0.05 * 0.95 / BOARDS)  # three standard errors
ASSUMED = {
    name: Assumed(
        min(len(PROTOCOL.studies[line.study].seeds_of(cell)) for cell in line.contrast), spread
    )
    for (name, line), spread in zip(
        PROTOCOL.lines.items(), np.linspace(0.3, 3.0, len(PROTOCOL.lines)), strict=True
    )
}


def test_it_decides_as_the_board_does() -> None:
    rng = np.random.default_rng(1)
    lines = {name: line for name, line in PROTOCOL.lines.items() if line.needs is None}
    primary = np.array([line.primary for line in lines.values()])
    n = np.array([ASSUMED[name].seeds for name in lines])
    for _ in range(20):
        draws = [
            rng.normal(rng.choice([0.0, 0.0, 1.5, -1.5]), ASSUMED[name].spread, ASSUMED[name].seeds)
            for name in lines
        ]
        signs = [1 if line.better == "above" else -1 for line in lines.values()]
        ours = {
            name: measured(
                line, dict(enumerate((sign * line.delta * draw).tolist())), PROTOCOL.rules
            )
            for (name, line), sign, draw in zip(lines.items(), signs, draws, strict=True)
        }
        means = np.array([[draw.mean() for draw in draws]])
        errors = np.array([[draw.std(ddof=1) / np.sqrt(len(draw)) for draw in draws]])
        drawn = Drawn(means, errors, n, primary)
        of_board = board(ours, PROTOCOL.rules).values()
        assert list(decided(drawn, PROTOCOL.rules)[0]) == [one.outcome for one in of_board]
        told = [one.size == "larger than δ" for one in of_board]
        assert list(larger(drawn, PROTOCOL.rules)[0]) == told


def test_a_board_without_any_effect_errs_in_at_most_one_of_twenty() -> None:
    primary = [PROTOCOL.lines[name].primary for name in ASSUMED]
    for gates in (True, False):
        found = outcomes_of(np.zeros(len(ASSUMED)), ASSUMED, PROTOCOL, gates=gates)
        share = at_least_one(found[:, primary], "supported", "contradicted")
        assert share < LIMIT
    # Holm's first step alone, over independent lines, and no needed line hides an error
    exact = 1 - (1 - 0.05 / sum(primary)) ** sum(primary)
    assert share == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / BOARDS))


def test_effects_of_just_delta_are_rarely_called_larger() -> None:
    primary = [PROTOCOL.lines[name].primary for name in ASSUMED]
    for side in (1.0, -1.0):
        found = larger(draw(np.full(len(ASSUMED), side), ASSUMED, PROTOCOL), PROTOCOL.rules)
        assert found[:, primary].any(axis=1).mean() < LIMIT
    large = draw(np.full(len(ASSUMED), 40.0), ASSUMED, PROTOCOL, boards=50)
    assert larger(large, PROTOCOL.rules).all()


def test_looking_at_every_seed_errs_more_often_than_looking_once() -> None:
    found = looked_at(ASSUMED, PROTOCOL, [5, 6, 7, 8, 9, 10, 46], boards=1000)
    assert (np.diff(found) >= 0).all()
    once = looked_at(ASSUMED, PROTOCOL, [46], boards=1000)
    assert found[-1] > 0.08 > once[-1]


def test_effects_as_large_as_delta_are_rarely_called_none() -> None:
    for side in (1.0, -1.0):
        found = outcomes_of(np.full(len(ASSUMED), side), ASSUMED, PROTOCOL)
        primary = [PROTOCOL.lines[name].primary for name in ASSUMED]
        assert at_least_one(found[:, primary], "no effect") < LIMIT


def test_large_effects_are_found_and_causes_are_asked_for_where_there_is_a_gain() -> None:
    lines = [*ASSUMED]
    found = outcomes_of(np.full(len(lines), 40.0), ASSUMED, PROTOCOL, boards=50)
    assert shares(found, "supported") == pytest.approx(1.0)
    worse = np.full(len(lines), 40.0)
    worse[lines.index("C1")] = -40.0
    found = outcomes_of(worse, ASSUMED, PROTOCOL, boards=50)
    gone = {
        name for name, share in zip(lines, shares(found, "not applicable"), strict=True) if share
    }
    assert gone == {"C8 translation, K passes", "C8 translation, compute"}
    assert shares(found, "contradicted")[lines.index("C1")] == 1.0


def test_draws_are_of_the_means_distribution() -> None:
    """The share of one line alone that differs from zero is the power of a t test."""
    from scipy import stats

    only = {"C1": Assumed(10, 1.5)}
    found = outcomes_of([1.0], only, PROTOCOL, boards=20000)
    critical = stats.t.ppf(0.975, 9)
    power = stats.nct.sf(critical, 9, np.sqrt(10) / 1.5)
    assert shares(found, "supported")[0] == pytest.approx(power, abs=0.01)
    assert (outcomes_of([1.0], only, PROTOCOL, boards=20000) == found).all()
