"""Tables of classification from made-up records."""

from __future__ import annotations

from made_up.records import made_up_classification, made_up_classifications

from idlib.report import outcomes, tables
from idlib.report.names import LAYERS, SCORE, Cell

ID = "intra-distillation"


def heading():
    return [
        r for r in made_up_classifications(items=100) if r.asked.settings["dataset"] == "heading"
    ]


def test_tables_of_one_data_set():
    records = heading()
    table = tables.score_table(records, None, SCORE, "classification")
    row = table.loc["this build (medium, 3 seeds)"]
    assert list(row)[:3] == ["62.00 ± 1.00", "60.00 ± 1.10", "−2.00"]
    assert " to " in row["95 % interval over items"]
    assert set(table.loc["earlier report"]) == {"not stated"}
    controls = tables.controls_table(records)
    assert list(controls["score"]) == [
        "62.00 ± 1.00",
        "60.00 ± 1.10",
        "59.00 ± 1.00",
        "61.00 ± 1.00",
    ]
    layers = tables.layer_table(records)
    assert list(layers.index) == list(LAYERS["classification"])
    assert layers.loc["attention", (ID, "std × 1000")] == "0.200 ± 0.000"


def test_verdict_table_of_two_data_sets():
    table = tables.verdict_table(
        outcomes.verdicts(made_up_classifications(), "classification")["C7"]
    )
    scores = table.loc["test score (points)"]
    assert list(scores["difference"]) == ["+2.00", "+6.00", "−2.00"]
    assert list(scores.index) == [
        f"against the baseline, s = 0, {name}"
        for name in ("mean of application and heading", "application", "heading")
    ]
    assert list(scores["verdict"]) == ["supported", "supported", "contradicted"]


def test_cost_table_counts_the_runs_of_all_data_sets():
    table = tables.cost_table(made_up_classifications())
    assert list(table["runs"]) == ["6"] * 4 and list(table["seconds a run"]) == ["50"] * 4
    assert set(table.index.get_level_values("from")) == {"this build (medium, 3 seeds)"}


def test_records_by_data_set_also_where_nobody_named_it():
    evidence = made_up_classifications()
    unnamed = [made_up_classification(Cell("id", 0, 0.0), 1, None, 0.5, 1.0)]
    found = tables.by_dataset(unnamed, evidence)
    assert list(found) == ["application", "heading", "the data set"]
    assert found["the data set"] == (unnamed, []) and found["heading"][0] == []
    assert sum(len(longer) for _, longer in found.values()) == len(evidence)
