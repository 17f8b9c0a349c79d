"""The page of pruning and balance says what the records say, and what is missing."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import math

import pytest
from made_up.balance import AREA, STD, study
from made_up.shown import drawn, legend_texts, points, says_nothing, ticks

from idlib.protocol import read
from idlib.report.association import Association
from idlib.report.balance import with_figures
from idlib.report.board import Board
from idlib.report.figures import balance as figures
from idlib.report.pages.balance import generalisation, opening, pruning, sensitivity, words
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
    text = opening.answer(board, shown)
    assert "Std of sensitivity is 0.50 (0.50 to 0.50, n = 5) times the baseline's" in text
    assert "(C4: supported)" in text
    assert "80% lies in its norms, which are 10.0% of its parameters" in text  # 6.084 of 7.56
    assert "Std over mean" in text and "1.00 (1.00 to 1.00, n = 5) times" in text
    area = f"−{0.5 * AREA['sensitivity']:.3f} nats"
    predicted = "where the thesis predicts more of the more balanced by std"
    assert f"loses less than the baseline, {predicted}: {area}" in text
    assert text.count("- *translation*: ") == 3


@pytest.mark.parametrize(
    ("cell", "against", "words"),
    [
        (
            *("compute", "baseline"),
            "loses more than the baseline, as the thesis predicts of the more balanced by std",
        ),
        (
            *("baseline", "compute"),
            "loses less than the baseline, as the thesis predicts of the less balanced by std",
        ),
        ("passes", "baseline", "loses neither clearly more nor clearly less"),
    ],
)
def test_pruning_is_told_whichever_way_it_goes(shown, cell: str, against: str, words: str) -> None:
    cells = {"id": shown["images"][cell], "baseline": shown["images"][against]}
    assert words in opening.pruning(cells, 5)
    assert "cannot be told from the baseline with fewer than 6 seeds" in opening.pruning(cells, 6)
    assert opening.pruning({}, 5) == "no seed has a curve of pruning of both."


def test_balance_that_goes_with_quality_is_said_to(shown) -> None:
    cells = {"id": shown["images"]["id"], "baseline student": shown["images"]["baseline student"]}
    said = opening.goes_with(cells, 5)
    assert said.startswith("Over the seeds of a method ") and "10 runs" in said
    assert opening.goes_with(cells, 6).startswith("No way to train has 6 seeds yet")
    assert opening.goes_with({}, 5) == "no run has both figures."


def association(low: float, high: float) -> Association:
    return Association((low + high) / 2, low, high, math.nan, 30, 3)


@pytest.mark.parametrize(
    ("intervals", "says"),
    [
        ([(0.1, 0.5), (0.2, 0.6)], "more even runs are the better ones,"),
        ([(-0.5, -0.1), (-0.1, 0.3)], "the worse ones, but only by 1 of 2 figures,"),
        ([(0.1, 0.5), (-0.6, -0.1)], "figures of balance contradict each other"),
        ([(-0.1, 0.5), (-0.6, 0.1)], "no association is clear"),
        ([(math.nan, math.nan)], "nothing can be told"),
    ],
)
def test_figures_of_balance_that_disagree_are_said_to(intervals, says) -> None:
    assert opening.verdict([association(*ends) for ends in intervals]).endswith(says)


def test_studies_are_those_whose_models_are_pruned_and_made(board: Board) -> None:
    assert opening.studies_of(board) == ["translation", "images"]
    made = Board({**board.records, "tagging": study(), "pairs-1000": study()}, read())
    assert opening.studies_of(made) == ["translation", "images", "tagging"]


def test_lines_of_c4_stand_with_the_last_update(board: Board) -> None:
    table = sensitivity.outcomes(board, ["images"]).set_index("line")
    row = table.loc["C4 images"]
    assert row["outcome"] == "supported" and row["ratio of std"] == f"0.50 ({SAME})"
    assert row["compared"] == "ID ÷ baseline" and row["seeds"] == "5 of 10"
    assert row["δ"] == f"× {math.exp(0.105):.2f}" and row["ratio there"] == f"0.50 ({SAME})"
    assert table.loc["C4 images, distilled", "compared"] == "baseline student ÷ baseline"


def test_tables_by_kind(shown) -> None:
    held = sensitivity.held_by_kind(shown)
    assert list(held.index) == [("images", "norm"), ("images", "weight")]
    assert held.loc[("images", "norm"), "variance, baseline"] == "80.5% (68.6%)"
    assert held.loc[("images", "weight"), "parameters"] == "90.00%"
    table = sensitivity.ratios(shown)
    ours = table["ID ÷ baseline"]
    for part in ("all", "all but norms", "norm", "weight"):
        assert ours["images", "std", part] == f"0.50 ({SAME})"
        assert ours["images", "std / mean", part].startswith("1.00")
    assert ours["images", "std, each batch over its loss", "all"].startswith("0.10")
    assert ours["images", "seeds", ""] == "5"
    assert table["K × the updates ÷ baseline"]["images", "std", "all"].startswith("0.80")


def test_std_beside_the_training_loss(shown) -> None:
    said = sensitivity.beside_the_loss(shown["images"])
    assert "5.00 (5.00 to 5.00, n = 5) times the baseline's training NLL" in said
    assert "do not overlap" in said and "moves by 0.50 %" in said
    assert "std 0.22 instead of 0.50: the difference in training loss hides a part" in said
    flipped = {"id": shown["images"]["baseline"], "baseline": shown["images"]["compute"]}
    # std 1.25 times at twice the loss: less than the root of two
    assert "may make all of the difference" in sensitivity.beside_the_loss(flipped)
    assert sensitivity.beside_the_loss({}).startswith("no seed has both")


def test_tables_of_pruning(shown) -> None:
    table = pruning.areas(shown, 0.6)
    both = table.loc[("images", "ID − baseline", "NLL added")]
    for rank, area in AREA.items():
        assert both[f"by {rank}"].startswith(f"−{0.5 * area:.3f} (−")
    assert both["seeds"] == "5"
    assert ("images", "ID − baseline", "NLL added up to 60%") in table.index
    assert len(table) == 3 + 3, "three measures of ID, one of each other pair"
    means = pruning.added(shown)
    area = AREA["magnitude"]
    assert means.loc[("images", "by magnitude"), "baseline"] == f"{area:.3f} ({area:.3f})"


def test_tables_of_correlations(shown) -> None:
    table = generalisation.correlations(shown, 5)
    assert len(table) == 2 * 3 and set(table["runs"]) == {"25 of 5 ways"}
    assert set(generalisation.correlations(shown, 6)["runs"]) == {"–"}
    alone = generalisation.by_method(shown, 5)
    assert len(alone) == 2 * 5
    baseline = alone.loc[("images", "test NLL", "baseline")]
    assert baseline.tolist() == ["–", "–", "5"], "its std does not vary"
    assert generalisation.by_method(shown, 6).columns.tolist() == [words.NOT_YET]


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
    first, _ = drawn(figures.areas(shown, words.CONTRASTS, words.LABELS))
    assert ticks(first.yaxis)[0] == "ID − baseline" and len(ticks(first.yaxis)) == 5 - 1
    (ax,) = drawn(figures.beside_training_loss(shown))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert {(0.4, round(STD, 9)), (0.1, round(STD / 2, 9))} <= {*points(ax)}, "both checkpoints"
    axes = drawn(figures.associations(shown))
    assert len(axes) == 2 * 3
    assert [ax.get_xlabel() for ax in axes[:3]] == ["std", "std / mean", "Gini coefficient"]


def test_embeddings_that_no_batch_has_are_told(shown) -> None:
    assert pruning.unseen(shown) == ""
    metrics = [r.measured.metrics for runs in shown["images"].values() for r in runs.values()]
    weights = metrics[0]["kinds/parameters/weight@loss"]
    for found in metrics:
        found["sensitivity/excluded@loss"] = weights / 3
    assert "- *images*: 25 % of the ranked weights are embeddings" in pruning.unseen(shown)
    metrics[0]["kinds/parameters/embedding@loss"] = 2 * weights
    assert "- *images*: 10 to 25 % of the ranked weights" in pruning.unseen(shown)


def test_without_records_everything_says_so() -> None:
    shown = with_figures(EMPTY, 0.6)
    board = Board(EMPTY, read())
    assert opening.answer(board, shown).count("No seed has") == 4
    for figure in (
        figures.overview(shown),
        figures.pruning(shown),
        figures.areas(shown, words.CONTRASTS, words.LABELS),
        figures.beside_training_loss(shown),
        figures.associations(shown),
    ):
        assert says_nothing(figure)
    tables = (
        sensitivity.held_by_kind(shown),
        sensitivity.ratios(shown),
        pruning.areas(shown, 0.6),
        pruning.added(shown),
        generalisation.correlations(shown, 5),
        generalisation.by_method(shown, 5),
    )
    assert all(table.columns.tolist() == [words.NOT_YET] for table in tables)
    assert set(sensitivity.outcomes(board, EMPTY)["outcome"]) == {"not judged"}
