"""The page of performance says what the files say."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up.costs import arm, loss_case, made_up_costs, sensitivity_case, update_case

from idlib.bench.arms import TITLES
from idlib.costs import COMMITTED_COSTS, CaseCosts, Costs, CostsError, StoredCosts
from idlib.report.figures.costs import costs_figure, sizes_figure
from idlib.report.pages import performance as page
from idlib.tasks import task_class
from idlib.training.settings import resolve

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def stored() -> list[StoredCosts]:
    sweep = [loss_case(), *(loss_case(k, 64, suite="sizes") for k in (2, 3, 5))]
    return [
        StoredCosts(made_up_costs("a_processor", *sweep), Path("cpu.json")),
        StoredCosts(made_up_costs("a GPU", loss_case()), Path("gpu.json")),
    ]


def test_each_machine_says_its_first_case(stored) -> None:
    first, second = page.sentences(stored, "loss").splitlines()
    assert first == (
        r"- On a\_processor, the loss alone (K = 3, 2,048 positions, 12,000 classes, float32), "
        "beside title of published: title of id takes 0.25 times the time (quartiles 0.24 to "
        "0.26) and 0.25 times the memory; the time is 2.50 times the floor."
    )
    assert second.startswith("- On a GPU")


def test_tables_have_a_row_for_each_arm_that_was_measured(stored) -> None:
    table = page.headline_table(stored, "loss")
    assert list(table["arm"]) == ["title of published", "title of id", "title of floor"] * 2
    of_id = table.iloc[1]
    assert of_id["time ÷ published"] == "0.25" and of_id["quartiles"] == "0.24–0.26"
    assert of_id["time ÷ floor"] == "2.50" and of_id["peak, MiB"] == "100"
    assert of_id["peak ÷ published"] == "0.25"
    assert table.iloc[2]["peak, MiB"] == page.NOTHING
    cases = page.cases_table(stored, "sizes")
    assert list(cases["case"]) == ["K = 2", "K = 3", "K = 5"], "ID of each, by what tells it apart"
    alone = page.cases_table(stored[1:], "loss")
    assert list(alone["case"]) == ["K = 3, 2,048 positions, 12,000 classes, float32"]


def of(costs: Costs) -> StoredCosts:
    return StoredCosts(costs, Path("file.json"))


CPU = of(made_up_costs("CPU 1", update_case(3.04, layers=6)))


def test_of_updates_k_times_the_baseline_is_no_floor() -> None:
    (line,) = page.sentences([CPU], "step").splitlines()
    assert "(K = 3, 6 + 6 layers)" in line and line.endswith(
        "; the time is 0.50 of K × the baseline's."
    )
    table = page.headline_table([CPU], "step")
    assert list(table["time ÷ (K × baseline)"]) == ["0.40", "0.50", "1"]
    assert "floor" not in " ".join(table.columns)


def test_the_price_names_what_the_baseline_leaves_of_a_gpu() -> None:
    gpu = made_up_costs(
        "GPU 1",
        update_case(1.5, 0.1),
        update_case(1.2, 0.05, suite="tasks", task="tagging", profile="small"),
        update_case(2.2, 0.69, suite="tasks", task="images", profile="paper"),
        device_type="cuda",
    )
    assert page.price([CPU, of(gpu)]) == (
        "About K times: an update with K = 3 takes 3.0 times the baseline's time on a CPU (CPU 1), "
        "2.2 times on a GPU that the baseline keeps busy (GPU 1, ResNet-50, 69 % utilisation) and "
        "1.5 times on a GPU that the baseline uses little (GPU 1, Transformer, 10 % utilisation), "
        "and 2.5 times the memory."
    )
    (line,) = page.sentences([of(gpu)], "step").splitlines()
    assert line.endswith("; the baseline's utilisation is 10 %.")


def test_the_price_without_utilisation_or_far_from_k() -> None:
    tagging = update_case(1.2, suite="tasks", task="tagging", profile="small")
    bare = made_up_costs("GPU 1", tagging, device_type="cuda")
    assert page.price([of(bare)]) == (
        "An update with K = 3 takes 1.2 times the baseline's time on a GPU (GPU 1), and 2.5 times "
        "the memory."
    )
    used = update_case(1.2, 0.3, suite="tasks", task="tagging", profile="small")
    told = page.price([of(made_up_costs("GPU 1", used, device_type="cuda"))])
    assert "(GPU 1, tagging at profile small, 30 % utilisation)" in told
    assert page.price([of(made_up_costs("CPU 1", loss_case()))]) == page.price([])
    assert page.price([]) == "What an update costs has not been measured."


def test_what_sensitivity_adds_is_told_in_seconds() -> None:
    cpu = made_up_costs("CPU 1", sensitivity_case(10.0, 10.5))
    gpu = made_up_costs("GPU 1", sensitivity_case(0.125, 2.145), device_type="cuda")
    earlier = gpu.model_copy(
        update={"origin": gpu.origin.model_copy(update={"commit": page.SORTED_THERE[0]})}
    )
    lines = page.added([of(cpu), of(gpu)]).splitlines()
    assert lines == [
        "- On CPU 1 it adds 0.5 s to the 10 s that the backward passes of 4 batches take.",
        "- On GPU 1 it adds 2.02 s to the 0.125 s that the backward passes of 4 batches take.",
    ]
    (told,) = page.added([of(earlier)]).splitlines()
    assert told.startswith(lines[1]) and told.endswith("which has not been measured.")
    assert page.added([CPU]) == ""


def test_arms_measured_under_earlier_names_are_shown_under_todays() -> None:
    earlier = arm("id-cached", 1.0, 1).model_copy(update={"title": "ID, passes replayed"})
    assert page.title(earlier) == TITLES["id-cached"]
    committed = page.load(str(ROOT / COMMITTED_COSTS))
    shown = {
        (one.arm, page.title(one)) for costs, _ in committed for c in costs.cases for one in c.arms
    }
    assert {(name, words) for name, words in shown if name != "floor"} <= set(TITLES.items())
    for costs, _ in committed:
        for case in costs.cases:
            told = [page.title(one) for one in case.arms if one.arm == "floor"]
            assert all(t.startswith("floor") == (case.suite not in page.UPDATES) for t in told)


def test_networks_are_those_of_the_tasks() -> None:
    for (name, profile), network in page.NETWORKS.items():
        task = task_class(name)
        settings = resolve(task.schema, task.profiles, profile, "id").model_dump()
        assert settings["architecture"] == network.replace("-", "").lower()


def test_what_failed_is_listed(stored) -> None:
    lines = page.failures(stored).splitlines()
    assert len(lines) == 5 and all("title of id-plain: out of memory" in line for line in lines)
    assert page.failures([]) == "Every arm was measured."


def test_machines_and_spread(stored) -> None:
    table = page.machines(stored)
    assert list(table["machine"]) == ["a_processor", "a GPU"] and list(table["cases"]) == [4, 1]
    assert page.spread(stored) == (
        "Over 10 ratios the quartiles lie 20% of the median apart in the middle case, and 20% or "
        "less in 95 of 100."
    )


def test_figures_have_a_row_for_each_machine(stored) -> None:
    assert len(costs_figure(stored, "loss").axes) == 4
    axes = sizes_figure(stored).axes
    assert len(axes) == 6
    lines = [list(line.get_xdata()) for line in axes[0].get_lines() if len(line.get_xdata()) == 3]
    assert [2, 3, 5] in lines


def test_a_long_name_of_an_arm_is_broken_into_lines() -> None:
    long = arm("id", 1.0, 1, baseline=1.0).model_copy(update={"title": "word " * 20})
    case = update_case(3.0).model_copy(update={"arms": (arm("baseline", 1.0, 1), long)})
    left, _ = costs_figure([of(made_up_costs("CPU 1", case))], "step").axes
    short, broken = (text.get_text() for text in left.get_yticklabels())
    assert "\n" not in short and max(map(len, broken.splitlines())) <= 36


def test_without_results_the_page_says_so() -> None:
    assert (
        page.sentences([], "step")
        == "Nothing of a whole update of a Transformer has been measured."
    )
    assert page.headline_table([], "step").empty and page.machines([]).empty
    assert page.spread([]) == "There is no ratio yet."
    for figure in (costs_figure([], "step"), sizes_figure([])):
        assert [text.get_text() for text in figure.texts] == ["no records"]


def test_a_case_without_sizes_is_named(stored) -> None:
    bare = CaseCosts(suite="tasks", case="images-small", about={}, memory_kept=False, arms=())
    assert page.sizes(bare) == "freed memory given back"
    assert page.sizes(bare.model_copy(update={"memory_kept": True})) == "images-small"


def test_a_damaged_file_is_named(tmp_path) -> None:
    (tmp_path / "cpu.json").write_text("{}")
    with pytest.raises(CostsError, match="cpu.json is no result of idlib bench"):
        page.load(str(tmp_path))


def test_committed_results_can_be_read() -> None:
    for costs, path in page.load(str(ROOT / COMMITTED_COSTS)):
        assert costs.cases, path
        assert {case.suite for case in costs.cases} <= set(page.SUITES)
