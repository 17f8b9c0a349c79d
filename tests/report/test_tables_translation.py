"""Tables of translation from made-up records, beside what others published."""

from __future__ import annotations

import pytest
from made_up.records import made_up_translation

from idlib.metrics import bleu
from idlib.report import outcomes, tables
from idlib.report.comparisons import by_cell, signed
from idlib.report.names import BLEU, LAYERS, Cell
from idlib.report.tables.cells import P_ITEMS

ID, BASELINE = "intra-distillation", "baseline"
ONE, THREE = "this build (small, 1 seed)", "recorded evidence (medium, 3 seeds)"
MODELS = [Cell(method, round_, 0.1) for method in ("baseline", "id") for round_ in (0, 1, 2)]
CONTROLS = [Cell(method, 0, 0.1) for method in ("passes", "compute")]


def record(cell, seed, profile="small", **more):
    score = (27.0 if cell.method == "id" else 24.0) + cell.round / 2 + seed / 10
    nll = (2.3 if cell.method == "id" else 2.5) - cell.round / 100 + seed / 1000
    return made_up_translation(cell, seed, score, nll, profile, **more)


def small():
    return [record(cell, 1) for cell in MODELS if not cell.round]


def medium(cells=(*MODELS, *CONTROLS), seeds=(1, 2, 3), **more):
    return [record(cell, seed, "medium", **more) for cell in cells for seed in seeds]


def test_score_table_of_sacrebleu_beside_the_papers():
    evidence = medium(sentences=30)
    table = tables.score_table(small(), evidence)
    assert list(table.index) == [ONE, THREE, "earlier report", "paper"]
    assert list(table.columns) == [
        BASELINE,
        ID,
        "difference",
        "95 % interval over items",
        P_ITEMS,
        "95 % interval over seeds",
    ]
    assert list(table.loc["paper"])[:3] == ["33.07", "36.10", "+3.03"]
    assert list(table.loc["earlier report"])[:3] == ["32.90", "35.11", "+2.21"]
    assert set(list(table.loc["paper"])[3:]) == {"not stated"}
    assert list(table.loc[ONE]) == ["24.10", "27.10", "+3.00", "–", "–", "–"]
    cells = by_cell(evidence)
    systems = [
        [bleu.items_of(r.measured.curves) for r in cells[Cell(method, 0, 0.1)].values()]
        for method in ("id", "baseline")
    ]
    found = bleu.paired_bootstrap(*systems)
    low, high = signed(found.low, BLEU), signed(found.high, BLEU)
    assert list(table.loc[THREE]) == [
        "24.20 ± 0.10",
        "27.20 ± 0.10",
        "+3.00",
        f"{low} to {high}",
        f"{found.p_value:.2g}",
        "+3.00 to +3.00",
    ]


def test_rounds_table_has_three_measures_by_round():
    table = tables.rounds_table(small(), medium())
    assert list(table.columns) == [
        "round 0 (teacher)",
        "round 1 (student)",
        "round 2 (second student)",
    ]
    assert list(table.loc["test NLL (nats)"].loc[(BASELINE, THREE)]) == [
        "2.502 ± 0.001",
        "2.492 ± 0.001",
        "2.482 ± 0.001",
    ]
    scores = table.loc["test SacreBLEU (points)"]
    assert list(scores.loc[(ID, ONE)]) == ["27.10", "–", "–"]
    assert list(scores.loc[(ID, "earlier report")]) == ["35.11", "not stated", "not stated"]
    assert list(scores.loc[(BASELINE, "paper")]) == ["33.07", "not stated", "not stated"]
    stds = table.loc["std of sensitivity (× 10⁻³)"]
    assert list(stds.loc[(ID, THREE)]) == ["0.400 ± 0.000"] * 3
    assert "paper" not in stds.index.get_level_values("from")


def test_controls_table_shows_what_translation_is_judged_by():
    table = tables.controls_table(medium())
    assert list(table.columns[:4]) == ["SacreBLEU", "chrF++", "length ratio", "test NLL"]
    row = table.loc[("K passes, α = 0", "this build (medium, 3 seeds)")]
    assert list(row)[:3] == ["24.20 ± 0.10", "44.20 ± 0.10", "0.980 ± 0.000"]
    assert len(table) == 4


def test_cost_table_beside_the_reports_and_its_logs():
    table = tables.cost_table(small())
    ours = table.loc[(ID, "earlier report")]
    assert ours["seconds a run"] == "10,891.7" and ours["× baseline"] == "3.01"
    assert ours["peak memory, MB"] == "23,500 (GPU; its logs: at most 7,800)"
    stated = table.loc[(BASELINE, "earlier report"), "peak memory, MB"]
    assert stated == "16,500 (GPU; its logs: at most 2,400)"
    assert table.loc[(ID, ONE), "seconds a run"] == "100"
    nothing = tables.cost_table([], task="translation")
    assert list(nothing["seconds a run"]) == ["3,615.9", "10,891.7"]


def test_layer_table_has_the_kinds_of_layers():
    table = tables.layer_table(medium())
    assert list(table.index) == list(LAYERS["translation"])
    assert table.loc["attention", (ID, "std × 1000")] == "0.200 ± 0.000"
    assert table.loc["output", (BASELINE, "std / mean")] == "0.80 ± 0.00"
    students = tables.layer_table(medium(), round_=1)
    assert list(students.columns.get_level_values("model").unique()) == [BASELINE, ID]


def test_verdict_table_has_the_p_of_the_bootstrap():
    c1 = outcomes.verdicts(medium(sentences=30), "translation")["C1"]
    table = tables.verdict_table(c1)
    row = table.loc[("test SacreBLEU (points)", "against the baseline, s = 0.1")]
    assert (row["difference"], row["earlier report"]) == ("+3.00", "+2.21")
    assert row[P_ITEMS] == f"{c1.primary[0].items_p:.2g}"
    assert table.loc[("test NLL (nats)", "against the baseline, s = 0.1"), P_ITEMS] == "–"
    without = tables.verdict_table(outcomes.verdicts(medium(), "translation")["C1"])
    assert P_ITEMS not in without.columns


def test_tables_of_nothing_hold_what_others_published():
    assert list(tables.score_table([]).index) == ["earlier report", "paper"]
    rounds = tables.rounds_table([])
    assert list(rounds.index.get_level_values("measure").unique()) == ["test SacreBLEU (points)"]
    assert tables.gains([]).empty


def test_tables_of_two_tasks_are_refused():
    other = small()[0]
    other = other.model_copy(update={"asked": other.asked.model_copy(update={"task": "images"})})
    with pytest.raises(ValueError, match="one task"):
        tables.controls_table(small(), [other])


def swept(epochs, train, seed, gain, **more):
    settings = {"epochs": epochs, "examples": {"train": train, "test": 9}, **more}
    pair = Cell("baseline", 0, 0.1), Cell("id", 0, 0.1)
    return [
        made_up_translation(cell, seed, 20 + 10 * gain * ours, 2.5 - gain * ours, **settings)
        for ours, cell in enumerate(pair)
    ]


def test_gains_pair_each_setting_and_seed():
    records = [
        *swept(5, 4000, 1, -0.1),
        *swept(20, 4000, 1, 0.2),
        *swept(20, 4000, 2, 0.3),
        *swept(20, 1000, 1, 0.4),
        *swept(40, 4000, 1, 0.5)[:1],  # a baseline alone
        *(record(cell, 1, "medium", epochs=20, examples={}) for cell in MODELS if cell.round),
    ]
    table = tables.gains(records[::-1])
    nll = table[table["metric"] == "validation/nll"]
    assert list(nll.itertuples(index=False, name=None)) == [
        ("validation/nll", 5, 4000, 1, pytest.approx(-0.1)),
        ("validation/nll", 20, 1000, 1, pytest.approx(0.4)),
        ("validation/nll", 20, 4000, 1, pytest.approx(0.2)),
        ("validation/nll", 20, 4000, 2, pytest.approx(0.3)),
    ]
    scores = table[table["metric"] == "validation/bleu"]
    assert list(scores["gain"]) == pytest.approx([-1.0, 4.0, 2.0, 3.0])


def test_gains_refuse_two_records_of_one_setting():
    records = swept(5, 4000, 1, 0.1) + swept(5, 4000, 1, 0.2, alpha=2.0)
    with pytest.raises(ValueError, match="5 epochs of 4,000 training examples, seed 1"):
        tables.gains(records)


def test_gains_of_the_whole_training_split():
    records = [*swept(5, 4000, 1, 0.1)]
    whole = {"epochs": 5, "examples": {}}
    for ours, method in enumerate(("baseline", "id")):
        cell = Cell(method, 0, 0.1)
        records.append(made_up_translation(cell, 1, 20 + ours, 2.5 - ours, **whole))
    table = tables.gains(records)
    assert [tables.size(train) for train in table["train"].unique()] == ["4,000", "all"]
    assert list(table["gain"]) == pytest.approx([1.0, 1.0, 0.1, 1.0])
