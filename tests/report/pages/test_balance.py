"""The page of pruning and balance says what the records say, and what is missing."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import math

import pytest
from made_up.balance import AREA, STD, study
from made_up.shown import drawn, legend_texts, points, says_nothing, ticks

from idlib.protocol import read
from idlib.report.balance import with_figures
from idlib.report.board import Board
from idlib.report.figures import balance as figures
from idlib.report.pages import balance as page
from idlib.report.paired import NO_BREAK

SAME = "0.50 to 0.50".replace(" ", NO_BREAK)
EMPTY = {"images": {}, "translation": {}}


@pytest.fixture
def shown():
    return with_figures({"images": study(), "translation": {}}, light=0.6)


@pytest.fixture
def board(shown) -> Board:
    return Board({"images": study(), "translation": {}}, read())


def test_the_answer_is_made_from_the_numbers(board: Board, shown) -> None:
    text = page.answer(board, shown)
    assert "Std of sensitivity is 0.50 (0.50 to 0.50, n = 5) times the baseline's" in text
    assert "(C4: supported)" in text
    assert "80% lies in its norms, which are 10.0% of its parameters" in text  # 6.084 of 7.56
    assert "Std over mean" in text and "1.00 (1.00 to 1.00, n = 5) times" in text
    area = f"−{0.5 * AREA['sensitivity']:.3f} nats"
    assert f"loses less than the baseline, where the thesis predicts more: {area}" in text
    assert text.count("- *translation*: ") == 3


@pytest.mark.parametrize(
    ("cell", "against", "words"),
    [
        ("compute", "baseline", "loses more than the baseline, as the thesis predicts"),
        ("passes", "baseline", "loses neither clearly more nor clearly less"),
    ],
)
def test_pruning_is_told_whichever_way_it_goes(shown, cell: str, against: str, words: str) -> None:
    cells = {"id": shown["images"][cell], "baseline": shown["images"][against]}
    assert words in page.pruning(cells, 5)
    assert "cannot be told from the baseline with fewer than 6 seeds" in page.pruning(cells, 6)
    assert page.pruning({}, 5) == "no seed has a curve of pruning of both."


def test_balance_that_goes_with_quality_is_said_to(shown) -> None:
    cells = {"id": shown["images"]["id"], "baseline student": shown["images"]["baseline student"]}
    said = page.goes_with("images", cells, 5)
    assert said.startswith("Over the seeds of a method ") and "10 runs" in said
    assert page.goes_with("images", cells, 6).startswith("No way to train has 6 seeds yet")
    assert page.goes_with("images", {}, 5) == "no run has both figures."


def test_lines_of_c4_stand_with_the_last_update(board: Board) -> None:
    table = page.outcomes(board, ["images"]).set_index("line")
    row = table.loc["C4 images"]
    assert row["outcome"] == "supported" and row["ratio of std"] == f"0.50 ({SAME})"
    assert row["compared"] == "ID ÷ baseline" and row["seeds"] == "5 of 10"
    assert row["δ"] == f"× {math.exp(0.105):.2f}" and row["ratio there"] == f"0.50 ({SAME})"
    assert table.loc["C4 images, distilled", "compared"] == "baseline student ÷ baseline"


def test_tables_by_kind(shown) -> None:
    held = page.held_by_kind(shown)
    assert list(held.index) == [("images", "norm"), ("images", "weight")]
    assert held.loc[("images", "norm"), "variance, baseline"] == "80.5% (68.6%)"
    assert held.loc[("images", "weight"), "parameters"] == "90.00%"
    table = page.ratios(shown)
    ours = table["ID ÷ baseline"]
    for part in ("all", "all but norms", "norm", "weight"):
        assert ours["images", "std", part] == f"0.50 ({SAME})"
        assert ours["images", "std / mean", part].startswith("1.00")
    assert ours["images", "std, each batch over its loss", "all"].startswith("0.10")
    assert ours["images", "seeds", ""] == "5"
    assert table["K × the updates ÷ baseline"]["images", "std", "all"].startswith("0.80")


def test_std_beside_the_training_loss(shown) -> None:
    said = page.beside_the_loss(shown["images"])
    assert "5.00 (5.00 to 5.00, n = 5) times the baseline's training NLL" in said
    assert "do not overlap" in said and "moves by 0.50 %" in said
    assert "std 0.22 instead of 0.50: the difference in training loss hides a part" in said
    flipped = {"id": shown["images"]["baseline"], "baseline": shown["images"]["compute"]}
    # std 1.25 times at twice the loss: less than the root of two
    assert "may make all of the difference" in page.beside_the_loss(flipped)
    assert page.beside_the_loss({}).startswith("no seed has both")


def test_tables_of_pruning(shown) -> None:
    table = page.areas(shown, 0.6)
    both = table.loc[("images", "ID − baseline", "NLL added")]
    for rank, area in AREA.items():
        assert both[f"by {rank}"].startswith(f"−{0.5 * area:.3f} (−")
    assert both["seeds"] == "5"
    assert ("images", "ID − baseline", "NLL added up to 60%") in table.index
    assert len(table) == 3 + 3, "three measures of ID, one of each other pair"
    means = page.added(shown)
    area = AREA["magnitude"]
    assert means.loc[("images", "by magnitude"), "baseline"] == f"{area:.3f} ({area:.3f})"


def test_tables_of_correlations(shown) -> None:
    table = page.correlations(shown, 5)
    assert len(table) == 2 * 3 and set(table["runs"]) == {"25 of 5 ways"}
    assert set(page.correlations(shown, 6)["runs"]) == {"–"}
    alone = page.by_method(shown, 5)
    assert len(alone) == 2 * 5
    baseline = alone.loc[("images", "test NLL", "baseline")]
    assert baseline.tolist() == ["–", "–", "5"], "its std does not vary"
    assert page.by_method(shown, 6).columns.tolist() == [page.NOT_YET]


# ---- figures


def test_the_overview_has_ratios_and_curves(shown) -> None:
    left, right = drawn(figures.overview(shown))
    assert ticks(left.yaxis) == ["all", "all but norms", "norm", "weight"]
    at = sorted(round(float(line.get_xdata()[0]), 3) for line in left.lines)
    assert at[:4] == [0.5] * 4 and at[-1] == 1.0
    curve = next(line for line in right.lines if line.get_color() == "#D55E00")
    assert list(curve.get_xdata()) == pytest.approx([0, 20, 40, 60, 80, 90])
    assert list(curve.get_ydata()) == pytest.approx([1.03, 1.03, 1.03, 1.53, 2.03, 3.03])
    assert legend_texts(figures.overview(shown))[0] == "baseline"


def test_a_study_without_pairs_says_so_in_its_panel(shown) -> None:
    alone = {"images": {"id": shown["images"]["id"]}}
    left, _ = drawn(figures.overview(alone))
    assert [text.get_text() for text in left.texts] == [figures.NO_PAIR]


def test_every_figure_has_its_panels(shown) -> None:
    assert [ax.get_title() for ax in drawn(figures.pruning(shown))] == [
        "images, by sensitivity",
        "images, by magnitude",
    ]
    first, _ = drawn(figures.areas(shown, page.CONTRASTS, page.LABELS))
    assert ticks(first.yaxis)[0] == "ID − baseline" and len(ticks(first.yaxis)) == 5 - 1
    (ax,) = drawn(figures.beside_training_loss(shown))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert {(0.4, round(STD, 9)), (0.1, round(STD / 2, 9))} <= {*points(ax)}, "both checkpoints"
    axes = drawn(figures.associations(shown))
    assert len(axes) == 2 * 3
    assert [ax.get_xlabel() for ax in axes[:3]] == ["std", "std / mean", "Gini coefficient"]


def test_without_records_everything_says_so() -> None:
    shown = with_figures(EMPTY, 0.6)
    board = Board(EMPTY, read())
    assert page.answer(board, shown).count("No seed has") == 4
    for figure in (
        figures.overview(shown),
        figures.pruning(shown),
        figures.areas(shown, page.CONTRASTS, page.LABELS),
        figures.beside_training_loss(shown),
        figures.associations(shown),
    ):
        assert says_nothing(figure)
    tables = (
        page.held_by_kind(shown),
        page.ratios(shown),
        page.areas(shown, 0.6),
        page.added(shown),
        page.correlations(shown, 5),
        page.by_method(shown, 5),
    )
    assert all(table.columns.tolist() == [page.NOT_YET] for table in tables)
    assert set(page.outcomes(board, EMPTY)["outcome"]) == {"not judged"}
