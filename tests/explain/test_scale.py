"""The page of scale: hours are updates times measured rates, spread over machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up.costs import arm, made_up_costs

from idlib.costs import ArmCost, CaseCosts
from idlib.experiments.grid import grid
from idlib.explain import scale
from idlib.explain.scale import Chain, Rate

RATES = Rate({"baseline": 0.5, "id": 1.0, "passes": 1.0, "compute": 0.5}, "a GPU", "images-smoke")


def results(folder: Path, suite: str, about: dict, device: str = "cuda", **seconds: float) -> None:
    """A file of results of the benchmark with one case."""
    arms = tuple(arm(name, value, None) for name, value in seconds.items())
    failed = ArmCost(arm="id-cached", title="cached", failed="out of memory")
    case = CaseCosts(
        suite=suite, case=f"{suite} case", about=about, memory_kept=True, arms=(*arms, failed)
    )
    costs = made_up_costs("a GPU", case).model_copy(update={"device_type": device})
    costs.write(folder / f"{suite}-{device}-{len(arms)}.json")


def test_rates_are_those_of_a_tasks_own_updates_on_a_gpu(tmp_path):
    about = {"task": "tagging", "profile": "paper"}
    results(tmp_path, "tasks", about, baseline=0.5, id=1.25)
    (found,) = scale.rates("paper", tmp_path).items()
    seconds = {"baseline": 0.5, "id": 1.25, "passes": 1.25, "compute": 0.5}
    assert found == ("tagging", Rate(seconds, "a GPU", "tasks case"))
    assert scale.rates("medium", tmp_path) == {}


def test_rates_of_a_processor_or_of_one_method_alone_are_none(tmp_path):
    about = {"task": "tagging", "profile": "paper"}
    results(tmp_path, "tasks", about, device="cpu", baseline=0.5, id=1.25)
    results(tmp_path, "tasks", about, id=1.25)
    assert scale.rates("paper", tmp_path) == scale.rates("paper", tmp_path / "nowhere") == {}
    assert "No GPU rates yet" in scale.sentence({}, "paper")


@pytest.mark.parametrize(("sentences", "there"), [(64, True), (256, False)])
def test_an_update_of_the_papers_translation_is_one_of_as_many_tokens(tmp_path, sentences, there):
    about = {"layers": 6, "width": 512, "ffn": 1024, "vocabulary": 12_000, "passes": 3}
    about |= {"sentences": sentences, "tokens": 64, "precision": "bf16"}
    results(tmp_path, "step", about, baseline=0.02, id=0.06)
    found = scale.rates("paper", tmp_path)
    assert (found["translation"].seconds["id"] == 0.06) if there else (found == {})
    told = scale.sentence(found or {"translation": RATES}, "paper")
    assert "a GPU" in told and "images" in told and "translation" not in told.split("Not ")[1]


def test_chains_hold_all_runs_of_the_grid_and_their_updates():
    specs = grid("images", "smoke", [1, 2], rounds=2)
    found = scale.chains("images", "smoke", seeds=2, rounds=2)
    assert sum(chain.runs for chain in found) == len(specs) == 28
    assert sum(chain.updates for chain in found) == sum(spec.plan.updates for spec in specs)
    of_one = [chain for chain in found if chain.method == "id"]
    assert len(of_one) == 4 and {chain.runs for chain in of_one} == {3}  # two seeds, two s


def test_every_data_set_has_chains_of_its_own():
    found = scale.chains("classification", "smoke", seeds=1, rounds=0)
    specs = grid("classification", "smoke", [1], rounds=0)
    assert len(found) == len(specs) and all(chain.runs == 1 for chain in found)
    assert [chain.updates for chain in found] == [spec.plan.updates for spec in specs]


@pytest.mark.parametrize(
    ("workers", "hours"), [(1, 12), (2, 7), (3, 5), (4, 5), (64, 5)]
)  # never less than the longest
def test_the_longest_come_first_and_bound_the_whole(workers, hours):
    assert scale.makespan([5, 3, 2, 2], workers) == hours


def test_hours_are_updates_times_rates():
    work = [
        Chain("images", "id", 2, 7200),
        Chain("images", "compute", 1, 3600),
        Chain("tagging", "id", 1, 10),
    ]
    table = scale.needed(work, {"images": RATES}, [1, 8])
    images = table.loc["images"].to_dict()
    assert (images["runs"], images["chains"], images["updates"]) == ("3", "2", "10,800")
    assert images["GPU hours"] == images["hours on 1 GPUs"] == "2.5"
    assert images["hours on 8 GPUs"] == images["longest chain"] == "2.0"
    assert table.loc["together", "GPU hours"] == "2.5"
    assert table.loc["tagging", "GPU hours"] == scale.NOTHING
    assert list(scale.needed(work, {}, [8])) == ["runs", "chains", "updates"]
