"""The one frame of records, and how a cell is written."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
from made_up.records import BLEU, NLL, results, world

from idlib.report.frame import ASKED, COST, frame, frame_of, published, spread
from idlib.report.metrics import NLL as NATS
from idlib.report.metrics import STD, Metric, percentage

ONE, FIVE = "this build (small, 1 seed)", "recorded evidence (medium, 5 seeds)"


def test_a_frame_is_tidy_and_sorted():
    records = world("images", seeds=[1], profile="small") + world("images")
    table = frame(records)
    assert len(table) == len(records) == 60
    row = table[(table.method == "id") & (table["round"] == 1) & (table.profile == "small")].iloc[1]
    (one,) = (r for r in records if r.signature == row.signature)
    asked = ("images", "id", "small", "embedded", 1, 1, 0.1, "")
    assert (*row[list(ASKED[1:])], row.dataset) == asked
    assert (row.model, row.seconds, row.peak_memory_mb) == ("intra-distillation", 80.0, 2000.0)
    assert row[NLL] == one.measured.metrics[NLL]
    shuffled = random.Random(0).sample(records, len(records))
    pd.testing.assert_frame_equal(frame(shuffled), table)
    assert list(frame([])) == [*ASKED, "dataset", "model", *COST]


def test_the_results_frame_says_where_rows_are_from():
    table = frame_of(
        results("images", world("images", seeds=[1], profile="small"), world("images"))
    )
    sizes = table.groupby(["from", "seeds"], sort=False).size()
    assert list(sizes.items()) == [((ONE, 1), 10), ((FIVE, 5), 50)]
    assert (table["profile"] == np.where(table["from"] == ONE, "small", "medium")).all()
    nothing = frame_of(results("images", []))
    assert nothing.empty and {"from", "seeds", "seed"} <= {*nothing}


def test_published_figures_are_rows_of_the_same_frame():
    table = published(results("translation", []))
    scores = table.set_index(["from", "method"])[BLEU].to_dict()
    assert scores == {
        ("earlier report", "baseline"): 32.90,
        ("earlier report", "id"): 35.11,
        ("paper", "baseline"): 33.07,
        ("paper", "id"): 36.10,
    }
    assert set(table["seeds"]) == {1} and set(table["smoothing"]) == {0.1}
    assert set(table["model"]) == {"baseline", "intra-distillation"}
    assert (
        len(published(results("images", []))) == 8
        and published(results("classification", [])).empty
    )


@pytest.mark.parametrize(
    ("values", "metric", "seeds", "text"),
    [
        ([1.0, 2.0, 4.5], NATS, 3, "2.500 ± 1.803"),  # the standard deviation of a sample
        ([1.0], NATS, 1, "1.000"),
        ([1.0], NATS, 3, "1.000 (n = 1)"),
        ([1.0, np.nan, 3.0], NATS, 3, "2.000 ± 1.414 (n = 2)"),
        ([np.nan], NATS, 1, "–"),
        ([], NATS, 0, "–"),
        ([0.81, 0.83], percentage("", ""), 2, "82.00 ± 1.41"),
        ([4e-4, 5e-4], STD, 2, "0.450 ± 0.071"),  # as many decimals as the mean has
        ([1e-2, 3e-2], STD, 2, "20.0 ± 14.1"),
        ([2e-9, 2e-9], STD, 2, "2.00e-06 ± 0.00"),
        ([12000.0, 12000.0], Metric("", "", form=",.0f"), 2, "12,000 ± 0"),
    ],
)
def test_a_cell_is_a_mean_with_its_spread_over_seeds(values, metric, seeds, text):
    assert spread(values, metric, seeds) == text
