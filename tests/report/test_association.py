"""Rank correlations: Spearman's own, within groups, and their intervals' promise."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from made_up.balance import study
from scipy import stats

from idlib.report.association import (
    across_means,
    associate,
    qualities,
    rank_correlation,
    runs_of,
)


def runs(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """Runs [groups, seeds] as a table."""
    groups, seeds = np.indices(x.shape)
    columns = {"group": groups, "seed": seeds, "x": x, "y": y}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def test_with_one_group_it_is_spearmans_with_ties() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 6, 25)
    y = x + rng.integers(0, 6, 25)
    assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert math.isnan(rank_correlation(x, np.ones(25)))


def test_what_differs_between_groups_alone_does_not_count() -> None:
    x = np.array([[1.0, 2.0, 3.0], [11.0, 12.0, 13.0]])
    y = -x + np.array([[0.0], [100.0]])  # against each other within, with each other across
    table = runs(x, y)
    assert associate(table, "x", "y", within=True).rho == pytest.approx(-1.0)
    assert associate(table, "x", "y", within=False).rho > 0
    assert across_means(table, "x", "y") != across_means(table, "x", "y"), "two means: NaN"
    three = runs(np.vstack([x, [[21, 22, 23]]]), np.vstack([y, [[179, 178, 177]]]))
    assert across_means(three, "x", "y") == pytest.approx(1.0)


def test_p_of_one_group_is_scipys_permutation() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 6))
    found = associate(runs(x[None], y[None]), "x", "y", within=True, resamples=4000)
    exact = stats.permutation_test(
        (y,), lambda values: stats.spearmanr(x, values)[0], permutation_type="pairings"
    )
    assert found.p == pytest.approx(exact.pvalue, abs=0.03)
    assert (found.n, found.groups) == (6, 1) and found.low <= found.rho <= found.high


def test_intervals_need_three_seeds_and_p_one_group() -> None:
    rng = np.random.default_rng(3)
    few = associate(runs(*rng.normal(size=(2, 3, 2))), "x", "y", within=True)
    assert math.isnan(few.low) and math.isnan(few.high) and few.n == 6
    many = associate(runs(*rng.normal(size=(2, 2, 5))), "x", "y", within=True)
    assert math.isnan(many.p) and not math.isnan(many.low)
    constant = associate(runs(np.ones((1, 5)), rng.normal(size=(1, 5))), "x", "y", within=True)
    assert math.isnan(constant.rho) and math.isnan(constant.low) and math.isnan(constant.p)


def test_the_interval_seldom_misses_zero_where_seeds_are_all_that_runs_share() -> None:
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(100):
        x, y = rng.normal(size=(2, 6, 10)) + rng.normal(size=(2, 1, 10))
        found = associate(runs(x, y), "x", "y", within=True, resamples=200)
        missed += not found.low <= 0 <= found.high
    assert missed <= 15, "the promise is 5; by chance at most 15 of 100 at twice that"


def test_runs_have_the_worse_side_up() -> None:
    cells = study("baseline", "id", seeds=2)
    nll, accuracy = qualities(cells)
    assert nll.asked == ("test/nll", "below", "loss")
    assert accuracy.asked == ("test/accuracy", "above", "best")
    table = runs_of(cells, *nll.asked)
    assert list(table["group"]) == ["baseline", "baseline", "id", "id"]
    assert table["worse"].tolist() == table["quality"].tolist()
    best = runs_of(cells, *accuracy.asked)
    assert best["worse"].tolist() == pytest.approx([-0.89, -0.88, -0.891, -0.88])
    assert runs_of(cells, "test/bleu", "above", "best").empty and qualities({}) == []


def test_accuracy_that_is_the_score_stands_once() -> None:
    cells = study("baseline", seeds=1)
    cells["baseline"][11].measured.metrics["test/score"] = 0.89
    assert [quality.metric.key for quality in qualities(cells)] == ["test/nll", "test/score"]
