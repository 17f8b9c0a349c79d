"""What whole runs cost: paired by seed and by processor, and what was published beside it."""

from __future__ import annotations

from made_up.records import made_up_record

from idlib.records import Record
from idlib.report.conditions import Condition
from idlib.report.pages.cost_of_runs import published, runs


def run(method: str, seed: int, seconds: float, device: str = "a") -> Record:
    record = made_up_record(Condition(method, 0, 0.0), seed, "medium", {"test/nll": 1.0})
    cost = record.cost.model_copy(update={"seconds": seconds, "peak_memory_bytes": 10**9})
    origin = record.origin.model_copy(update={"device": device})
    return record.model_copy(update={"cost": cost, "origin": origin})


def test_a_ratio_is_of_the_same_seed_and_processor() -> None:
    baseline = {seed: run("baseline", seed, 60.0 * seed) for seed in (1, 2, 3, 4)}
    ours = {1: run("id", 1, 180.0), 2: run("id", 2, 480.0), 4: run("id", 4, 840.0)}
    ours[3] = run("id", 3, 9.0, "b")
    cells = {"baseline": baseline, "id": ours, "id student": {1: run("id", 1, 1.0)}}
    table = runs({"images": cells, "tagging": {"id": ours}, "heading": {}}).set_index("study")
    del ours[4]
    two = runs({"images": cells}).set_index("model")
    assert two.loc["intra-distillation", "time ÷ baseline"] == "–", "one may have been stopped"
    assert list(table["model"]) == ["baseline", "intra-distillation", "intra-distillation"]
    assert list(table.loc["images", "time ÷ baseline"]) == ["1.00", "3.50"]
    assert list(table.loc["images", "quartiles"]) == ["1.00–1.00", "3.25–3.75"]
    assert "minutes" not in table, "what other work lengthens is compared in pairs alone"
    assert table.loc["tagging", "time ÷ baseline"] == "–"
    assert table.loc["tagging", "on"] == "a, b" and table.loc["tagging", "peak, MB"] == "1,000"
    assert runs({}).empty


def test_published_figures_stand_with_what_speaks_against_them() -> None:
    table = published().set_index(["task", "model"])
    of_id = table.loc[("translation", "intra-distillation")]
    assert of_id["memory, GB"] == "23.5" and "7.8 GB (A15)" in of_id["remark"]
    assert of_id["time ÷ baseline"] == "3.01"
    assert table.loc[("tagging", "both together"), "minutes"] == "497"
    assert table.loc[("images", "baseline"), "minutes"] == "about 70"
