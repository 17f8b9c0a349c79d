"""Tables from made-up records: their shapes, and what stands in their cells."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from made_up.records import made_up_record

from idlib.records import Measured
from idlib.report import outcomes, tables
from idlib.report.names import LAYERS, NLL, STD, STD_NORMALIZED, Cell

MODELS = [Cell(m, r, s) for m in ("baseline", "id") for r in (0, 1) for s in (0.0, 0.1)]
CONTROLS = [Cell(m, 0, 0.0) for m in ("passes", "compute")]
ID, BASELINE = "intra-distillation", "baseline"
ONE, FIVE = "this build (small, 1 seed)", "recorded evidence (medium, 5 seeds)"


def record(cell, seed, profile="small", **metrics):
    nll = (0.4 if cell.method == "id" else 0.5) + cell.round / 100 + cell.smoothing + seed / 1000
    numbers = {
        NLL: nll,
        "test/accuracy": 0.8 + seed / 1000,
        "test/nll/calibrated": nll - 0.02,
        "calibration/temperature": 1.25,
        STD: 4e-4 + seed * 1e-5,
        STD_NORMALIZED: 2e-3,
        "sensitivity/cv": 4.5,
        "sensitivity/gini": 0.7,
        **{f"sensitivity/std/{layer}": 2e-4 for layer in LAYERS["images"]},
        **{f"sensitivity/mean/{layer}": 5e-5 for layer in LAYERS["images"]},
        **metrics,
    }
    seconds = {"baseline": 40.0}.get(cell.method, 100.0)
    return made_up_record(
        cell, seed, profile, numbers, seconds=seconds, peak_memory_bytes=2 * 10**9
    )


def judged(records):
    return outcomes.verdicts(records, "images")


def small(cells=(*MODELS, *CONTROLS)):
    return [record(cell, 1) for cell in cells]


def medium(cells=(*MODELS, *CONTROLS), seeds=(1, 2, 3, 4, 5)):
    return [record(cell, seed, "medium") for cell in cells for seed in seeds]


def test_frame_is_tidy_and_sorted():
    records = small() + medium()
    frame = tables.frame(records)
    assert len(frame) == len(records) == 60
    assert {*tables.ASKED, "seconds", "peak_memory_mb", NLL, "sensitivity/std/stem"} <= {*frame}
    row = frame[(frame.method == "id") & (frame["round"] == 1) & (frame.profile == "small")].iloc[1]
    assert (row.smoothing, row.seed, row.peak_memory_mb) == (0.1, 1, 2000.0)
    assert row[NLL] == pytest.approx(0.511)
    shuffled = random.Random(0).sample(records, len(records))
    pd.testing.assert_frame_equal(tables.frame(shuffled), frame)


def test_frame_of_nothing_has_the_columns_of_what_is_asked():
    assert list(tables.frame([])) == [*tables.ASKED, "seconds", "peak_memory_mb"]


def test_nll_table_in_the_reports_shape():
    table = tables.nll_table(small(), medium())
    assert list(table.columns) == [
        "s = 0 teacher",
        "s = 0 student",
        "s = 0.1 teacher",
        "s = 0.1 student",
    ]
    assert list(table.index) == [
        (model, source)
        for model in (ID, BASELINE)
        for source in (ONE, FIVE, "earlier report", "paper")
    ]
    assert list(table.loc[(ID, ONE)]) == ["0.401", "0.411", "0.501", "0.511"]
    assert table.loc[(BASELINE, FIVE), "s = 0 teacher"] == "0.503 ± 0.002"
    assert list(table.loc[(ID, "earlier report")]) == ["0.480", "0.537", "0.495", "0.561"]
    assert list(table.loc[(BASELINE, "earlier report")]) == ["0.565", "0.657", "0.659", "0.584"]
    assert set(table.loc[(ID, "paper")]) == {"not stated"}


def test_a_second_round_gets_its_columns():
    table = tables.nll_table(small(), medium([*MODELS, Cell("id", 2, 0.0)]))
    assert list(table.columns)[:3] == ["s = 0 teacher", "s = 0 student", "s = 0 second student"]
    assert list(table["s = 0 second student"])[:4] == [
        "–",
        "0.423 ± 0.002",
        "not stated",
        "not stated",
    ]


def test_a_cell_of_fewer_seeds_says_so():
    records = medium(MODELS[1:]) + medium(MODELS[:1], seeds=(1, 3)) + medium(CONTROLS, seeds=(4,))
    source = "this build (medium, 5 seeds)"
    assert tables.nll_table(records).loc[(BASELINE, source), "s = 0 teacher"] == (
        "0.502 ± 0.001 (n = 2)"
    )
    controls = tables.controls_table(records)
    assert controls.loc[("K passes, α = 0", source), "test NLL"] == "0.504 (n = 1)"


def test_tables_of_nothing_hold_what_others_published():
    table = tables.nll_table([])
    assert list(table.index.get_level_values("from").unique()) == ["earlier report", "paper"]
    assert tables.controls_table([]).empty and tables.calibration_table([]).empty
    assert tables.layer_table([]).empty
    assert len(tables.cost_table([])) == 2
    assert len(tables.sensitivity_table([])) == 4


def test_sensitivity_table():
    table = tables.sensitivity_table(small(), medium())
    first = table.loc["std × 1000, raw / normalised"]
    assert first.loc[(ID, ONE), "s = 0 teacher"] == "0.410 / 2.00"
    assert first.loc[(ID, FIVE), "s = 0 teacher"] == "0.430 ± 0.016 / 2.00 ± 0.00"
    assert first.loc[(BASELINE, "earlier report"), "s = 0 teacher"] == "0.414 / 15.8"
    assert first.loc[(ID, "earlier report"), "s = 0 student"] == "1.75 / 2.80"
    assert set(table.loc["std / mean"].loc[(ID, ONE)]) == {"4.50"}
    assert set(table.loc["Gini coefficient"].loc[(BASELINE, FIVE)]) == {"0.700 ± 0.000"}
    assert "paper" not in table.loc["std / mean"].index.get_level_values("from")


def test_sensitivity_table_without_measurements():
    bare = [r.model_copy(update={"measured": Measured(metrics={}, curves={})}) for r in small()]
    table = tables.sensitivity_table(bare)
    assert set(table.loc["std × 1000, raw / normalised"].loc[(ID, ONE)]) == {"–"}
    assert set(tables.layer_table(bare)[ID, "std / mean"]) == {"–"}


def test_very_small_sensitivities_keep_their_digits():
    table = tables.sensitivity_table([record(Cell("id", 0, 0.0), s, **{STD: 2e-9}) for s in (1, 2)])
    assert table.iloc[0]["s = 0 teacher"] == "2.00e-06 ± 0.00 / 2.00 ± 0.00"


def test_controls_table():
    table = tables.controls_table(small(), medium())
    assert list(table.index.get_level_values("model").unique()) == [
        BASELINE,
        ID,
        "K passes, α = 0",
        "K × the updates",
    ]
    assert list(table.loc[("K × the updates", ONE)]) == [
        "0.501",
        "80.1",
        "0.481",
        "0.410",
        "4.50",
    ]


def test_calibration_table():
    table = tables.calibration_table(small())
    assert len(table) == 10
    assert table.index[0] == ("baseline teacher, s = 0", ONE)
    assert list(table.loc[("intra-distillation student, s = 0.1", ONE)]) == [
        "0.511",
        "1.25",
        "0.491",
        "80.1",
    ]


def test_cost_table_beside_the_reports():
    table = tables.cost_table(small(), medium())
    assert list(table.loc[(ID, ONE)]) == ["4", "100", "2.50", "2,000"]
    assert list(table.loc[(BASELINE, FIVE)]) == ["20", "40", "1.00", "2,000"]
    assert table.loc[(ID, "earlier report"), "seconds a run"] == "about 12,000"
    assert table.loc[(ID, "earlier report"), "× baseline"] == "2.86"
    alone = tables.cost_table(small(CONTROLS))
    assert alone.loc[("K × the updates", ONE), "× baseline"] == "–"


def test_a_methods_cost_is_the_median_of_its_runs_seconds_and_the_largest_peak():
    seconds = {"baseline": (10.0, 500.0, 30.0), "id": (60.0, 40.0, 9000.0)}
    records = []
    for method, each in seconds.items():
        for seed, value in enumerate(each, start=1):
            one = record(Cell(method, 0, 0.0), seed)
            cost = one.cost.model_copy(update={"seconds": value, "peak_memory_bytes": seed * 10**6})
            records.append(one.model_copy(update={"cost": cost}))
    table = tables.cost_table(records)
    label = "this build (small, 3 seeds)"
    assert list(table.loc[(BASELINE, label)]) == ["3", "30", "1.00", "3"]
    assert list(table.loc[(ID, label)]) == ["3", "60", "2.00", "3"]


def test_layer_table():
    table = tables.layer_table(medium())
    assert list(table.index) == list(LAYERS["images"])
    assert table.loc["layer2", (ID, "std × 1000")] == "0.200 ± 0.000"
    assert table.loc["head", (BASELINE, "std / mean")] == "4.00 ± 0.00"
    students = tables.layer_table(medium(), round_=1, smoothing=0.1)
    assert list(students.columns.get_level_values("model").unique()) == [BASELINE, ID]


def test_verdict_table():
    c6 = judged(medium())["C6"]
    table = tables.verdict_table(c6)
    assert len(table) == len(c6.lines) == 15
    row = table.loc[("test NLL (nats)", "mean of the four pairs")]
    assert (row["difference"], row["earlier report"], row["verdict"]) == (
        "−0.100",
        "−0.098",
        "supported",
    )
    assert row["95 % interval over seeds"] == "−0.100 to −0.100"
    assert row["95 % interval over items"] == "–"
    one = tables.verdict_table(judged(small())["C8"])
    assert set(one["95 % interval over seeds"]) == set(one["p over seeds"]) == {"–"}
    assert one["verdict"].iloc[0] == "not judged"  # its sentence says why
    nothing = tables.verdict_table(judged([])["C8"])
    assert set(nothing["difference"]) == {"–"}
