"""A task that nobody has yet: its report and its design alone give all that a page shows."""

from __future__ import annotations

import importlib.util

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.records import HALF, SCORE, Level, record, results, world

from idlib.report import figures, tables
from idlib.report.conditions import METHOD_NAMES, Condition
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
    {name: "As elsewhere." for name in ("C4", "C5", "C7", "C8")},
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


def test_it_is_judged(page):
    assert "music" in tasks_of("C7") and "music" not in tasks_of("C1")
    assert {name: verdict.outcome for name, verdict in page.verdicts.items()} == dict.fromkeys(
        ("C4", "C5", "C7", "C8"), "supported"
    )
    (gain,) = page.verdicts["C7"].primary
    assert gain.interval == pytest.approx((0.04, 0.04 - HALF[3], 0.04 + HALF[3], 3))
    assert gain.earlier_report == pytest.approx(0.15)
    # the first 10 of 24 notes are right, or the first 11
    assert gain.items.mean == pytest.approx(0.04) and gain.items.low < 0.04 < gain.items.high
    texts = page.glued({"notes_c8": ("C8", SCORE)})
    assert (
        texts["outcome_c7"] == "supported"
        and texts["music_seeds"] == "profile medium, seeds 1, 2, 3"
    )
    assert texts["explanation_c7"] == (
        "intra-distillation changes the notes by +4.0 % (95 % interval +3.8 to +4.2) against the "
        "baseline, s = 0.2 (3 seeds, profile medium)"
    )
    assert texts["notes_c8"] == (
        "against K passes, α = 0: +3.0 % (supported); against K × the updates: +5.0 % (supported)"
    )


def test_its_tables_hold_the_records_numbers(page):
    ours, base = METHOD_NAMES["id"], METHOD_NAMES["baseline"]
    assert list(tables.methods(page)) == ["notes (%)", "std of sensitivity (× 10⁻³)"]
    assert list(tables.methods(page)["notes (%)"]) == [
        "42.0 ± 1.0",
        "46.0 ± 1.1",
        "43.0 ± 1.0",
        "41.0 ± 1.0",
    ]
    score = tables.score(page, SCORE)
    assert list(score.loc[LABEL])[:3] == ["42.0 ± 1.0", "46.0 ± 1.1", "+4.0"]
    assert list(score.loc["earlier report"])[:3] == ["60.0", "75.0", "+15.0"]
    assert list(score.loc["paper"])[:3] == ["50.0", "not stated", "not stated"]
    rounds = tables.rounds(page).loc["notes (%)"]
    assert list(rounds.loc[(ours, LABEL)]) == ["46.0 ± 1.1", "46.5 ± 1.2"]
    assert list(rounds.loc[(ours, "earlier report")]) == ["75.0", "not stated"]
    assert (
        list(tables.balance(page).loc["Gini coefficient of sensitivity"].iloc[0])[0]
        == "0.702 ± 0.000"
    )
    assert list(tables.layers(page)[base, "std / mean"]) == ["4.00 ± 0.00", "2.00 ± 0.00"]
    assert list(tables.cost(page)["× baseline"])[:4] == ["1.00", "1.00", "1.00", "3.50"]
    assert dict(tables.settings(page)["this build"]) == {
        "instruments": 4,
        "passes": "–",
        "updates": 30,
    }
    first = tables.verdict(page.verdicts["C7"]).iloc[0]
    assert (first["difference"], first["earlier report"]) == ("+4.0", "+15.0")


def test_its_figures_carry_the_records_numbers(page):
    (ax,) = figures.by_model(page, SCORE).axes
    assert ax.get_xlabel() == "notes (%)"
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "base model, s = 0.2",
        "student, s = 0.2",
    ]
    shown = np.concatenate(
        [c.get_offsets()[:, 0] for c in ax.collections if len(c.get_offsets()) > 1]
    )
    assert sorted(shown) == pytest.approx(
        sorted(100 * r.measured.metrics[SCORE] for r in page.records)
    )
    assert [ax.get_title() for ax in figures.validation_curves(page).axes][
        0
    ] == "base model, s = 0.2"
    layers, _ = figures.sensitivity_by_layer(page).axes
    assert [label.get_text() for label in layers.get_xticklabels()] == ["strings", "brass"]
    assert len(figures.training_parts(page).axes) == 3
    assert len(figures.sensitivity_distribution(page).axes) == 2
    verdict = figures.verdict(page.verdicts["C7"])
    assert [ax.get_xlabel().partition("\n")[0] for ax in verdict.axes] == [
        "difference in notes (%)",
        "difference in test NLL (nats)",
    ]


def test_its_sweep_is_in_its_own_metric(report):
    records = [
        record("music", Condition(method, 0, 0.2), 1, Level(2.5, quality), epochs=epochs)
        for epochs, gained in ((5, 0.1), (20, -0.1))
        for method, quality in (("baseline", 0.5), ("id", 0.5 + gained))
    ]
    table = tables.gains(records)
    assert list(table["metric"].unique()) == ["validation/score"]
    assert list(table["gain"]) == pytest.approx([0.1, -0.1])
    first, _ = figures.gain_by_setting(records).axes
    assert first.get_ylabel() == "gain in validation notes\n(points)"
