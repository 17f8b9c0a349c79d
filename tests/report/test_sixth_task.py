"""A task that nobody has yet: its report and its design alone give all that a page shows."""

from __future__ import annotations

import importlib.util

import matplotlib

matplotlib.use("Agg")

import pytest
from made_up.records import HALF, SCORE, results, swept, world
from made_up.shown import points, rows_of, ticks

from idlib.report import figures, tables
from idlib.report.designs import DESIGNS, tasks_of
from idlib.report.tasks import REPORTS

MUSIC = '''
"""Music: a task that nobody has yet."""

from idlib.metrics.items import ItemScore
from idlib.report.conditions import Condition
from idlib.report.designs import Design
from idlib.report.metrics import STD, Metric, percentage
from idlib.report.tasks.base import PublishedCost, TaskReport

BASELINE, ID = Condition("baseline", 0, 0.2), Condition("id", 0, 0.2)
NOTES = ItemScore(("numerators",), lambda sums: sums[0] / 24)  # the share of 24 notes

REPORT = TaskReport(
    task="music",
    metrics=(
        Metric("test/score", "notes", "%", 100.0, ".1f", NOTES),
        percentage("validation/score", "validation notes"),
    ),
    smoothings=(0.2,),
    layers=("strings", "brass"),
    settings=("instruments", "passes"),
    compared=("test/score", STD.key),
    by_round=("test/score",),
    swept=(("validation/score", "above"),),
    paper={"test/score": {BASELINE: 0.5}},
    earlier_report={"test/score": {BASELINE: 0.6, ID: 0.75}},
    cost={"baseline": PublishedCost(10.0, "T4", 1.0), "id": PublishedCost(35.0, "T4", 2.0)},
)
DESIGN = Design(
    "test/score",
    "above",
    (("test/nll", "below"),),
    ("C4", "C5", "C7", "C8"),
    context=("test/score",),
)
'''
LABEL = "this build (medium, 3 seeds)"


@pytest.fixture
def report(tmp_path, monkeypatch):
    """The task's report and design, in a module of their own and in the two registries."""
    path = tmp_path / "music.py"
    path.write_text(MUSIC, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("music", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(REPORTS, "music", module.REPORT)
    monkeypatch.setitem(DESIGNS, "music", module.DESIGN)
    return module.REPORT


@pytest.fixture
def page(report):
    return results("music", world("music", items=24, instruments=4))


def test_it_is_compared(page):
    assert "music" not in tasks_of("C7"), "the protocol has no line of it"
    assert list(page.compared) == ["C4", "C5", "C7", "C8"]
    (gain,) = page.compared["C7"].main
    assert gain.interval == pytest.approx((0.04, 0.04 - HALF[3], 0.04 + HALF[3], 3))
    assert gain.earlier_report == pytest.approx(0.15)
    # the first 10 of 24 notes are right, or the first 11
    assert gain.items.mean == pytest.approx(0.04) and gain.items.low < 0.04 < gain.items.high
    assert page.glued()["music_seeds"] == "profile medium, seeds 1, 2, 3"
    assert {c.label: c.in_words() for c in page.compared["C8"].main} == {
        "against K passes, α = 0": "+3.0 % (95 % interval +2.8 to +3.2)",
        "against K × the updates": "+5.0 % (95 % interval +4.8 to +5.2)",
    }


def test_its_tables_hold_the_records_numbers(page):
    score = rows_of(tables.score(page, SCORE))
    assert score[0].startswith(f"{LABEL} | 42.0 ± 1.0 | 46.0 ± 1.1 | +4.0 | ")
    assert score[1].startswith("earlier report | 60.0 | 75.0 | +15.0 | ")
    assert score[2].startswith("paper | 50.0 | not stated | not stated | ")
    assert list(tables.rounds(page)) == ["base model, s = 0.2", "student, s = 0.2"]
    assert rows_of(tables.rounds(page)) == [
        f"notes (%) | intra-distillation | {LABEL} | 46.0 ± 1.1 | 46.5 ± 1.2",
        "notes (%) | intra-distillation | earlier report | 75.0 | not stated",
        f"notes (%) | baseline | {LABEL} | 42.0 ± 1.0 | 44.0 ± 1.0",
        "notes (%) | baseline | earlier report | 60.0 | not stated",
        "notes (%) | baseline | paper | 50.0 | not stated",
    ]
    assert list(tables.methods(page)) == ["notes (%)", "std of sensitivity (× 10⁻³)"]
    assert rows_of(tables.methods(page))[2] == (
        f"K passes, α = 0 | {LABEL} | 43.0 ± 1.0 | 2.47 ± 0.01"
    )
    assert rows_of(tables.balance(page))[-1] == (
        f"Gini coefficient of sensitivity | baseline | {LABEL} | 0.703 ± 0.000 | 0.702 ± 0.000"
    )
    assert list(tables.layers(page)["baseline", "std / mean"]) == ["4.00 ± 0.00", "2.00 ± 0.00"]
    assert list(tables.cost(page)["time ÷ baseline"])[:4] == ["1.00", "1.00", "1.00", "3.50"]
    assert rows_of(tables.settings(page)) == ["instruments | 4", "passes | –", "updates | 30"]
    assert rows_of(tables.compared(page.compared["C7"]))[0].endswith(" | +15.0")


def test_its_figures_carry_the_records_numbers(page):
    (ax,) = figures.by_model(page, SCORE).axes
    assert ax.get_xlabel() == "notes (%)"
    assert ticks(ax.yaxis) == ["base model, s = 0.2", "student, s = 0.2"]
    scores = {round(100 * one.measured.metrics[SCORE], 9) for one in page.records}
    assert {x for x, _ in points(ax)} == scores
    layers, _ = figures.sensitivity_by_layer(page).axes
    assert ticks(layers.xaxis) == ["strings", "brass"]
    assert figures.validation_curves(page).axes[0].get_title() == "base model, s = 0.2"
    assert len(figures.training_parts(page).axes) == 3
    assert len(figures.sensitivity_distribution(page).axes) == 2
    first, second = figures.compared(page.compared["C7"]).axes
    assert first.get_xlabel() == "difference in notes (%)\nbetter: above 0"
    assert second.get_xlabel() == "difference in test NLL (nats)\nbetter: below 0"


def test_its_sweep_is_in_its_own_metric(report):
    records = swept(5, 100, 1, 1.0, "music") + swept(20, 100, 1, -1.0, "music")
    table = tables.gains(records)
    assert list(table["metric"].unique()) == ["validation/score"]
    assert list(table["gain"]) == pytest.approx([0.1, -0.1])
    first, _ = figures.gain_by_setting(records).axes
    assert first.get_ylabel() == "gain in validation notes\n(points)"
