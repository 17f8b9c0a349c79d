"""The page of performance says what the files say."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up.costs import loss_case, made_up_costs

from idlib.costs import COMMITTED_COSTS, CaseCosts, CostsError, StoredCosts
from idlib.report.figures.costs import costs_figure, sizes_figure
from idlib.report.pages import performance as page

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
        r"- On a\_processor, the loss alone (3 passes, 2048 positions, 12000 classes, float32), "
        "beside title of published: title of id takes 0.25 of the time (quartiles 0.24 to 0.26) "
        "and 0.25 of the memory, 2.50 times the floor."
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
    assert len(page.cases_table(stored, "sizes")) == 3, "ID of each case"


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
