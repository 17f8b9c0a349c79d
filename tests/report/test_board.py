"""The board in words, tables and a figure: what stands there is what the records decide."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.records import Level, made_up_record, record
from made_up.shown import legend_texts, says_nothing, ticks

from idlib.protocol import read
from idlib.report import figures, tables
from idlib.report.board import Board
from idlib.report.conditions import Condition
from idlib.report.decisions import decide
from idlib.report.figures.style import OUTCOMES
from idlib.report.pages.claims import (
    KEYS,
    answers,
    answers_list,
    by_claim,
    helps_of,
    over_items,
    under_each_rule,
)

SEEDS = range(11, 21)
STEPS = dict(zip(SEEDS, np.linspace(-1, 1, 10).tolist(), strict=True))
TRANSLATION = {  # cell: SacreBLEU of the three checkpoints, and std of sensitivity
    "baseline": ((30.0, 27.0, 30.5), 0.002),
    "id": ((33.0, 31.5, 30.6), 0.001),
    "passes": ((30.1, 29.0, 30.0), 0.002),
}
LINK = '<a href="records:?run=translation%3A+id&amp;run=translation%3A+baseline">'
LATEST = ["best validation score", "lowest validation loss", "last update"]


def runs(bleu, std, step=0.0):
    """Ten seeds: the seed's own level in both, and a step that makes differences vary."""
    return {
        seed: made_up_record(
            Condition("id", 0, 0.1),
            seed,
            "medium",
            {
                "test/bleu": bleu[0] + step * at,
                "test/bleu@loss": bleu[1] + step * at,
                "test/bleu@last": bleu[2] + step * at,
                "sensitivity/std@loss": std * (1 + step * at / 100),
            },
            task="translation",
        )
        for seed, at in STEPS.items()
    }


@pytest.fixture
def board() -> Board:
    cells = {
        cell: runs(bleu, std, 0.5 * (cell == "id")) for cell, (bleu, std) in TRANSLATION.items()
    }
    return Board({"translation": cells})


def test_decisions_are_those_of_all_tasks_together(board):
    # by what they read: what is not judged has p of NaN, which equals nothing, itself included
    def read_of(decisions):
        return {name: repr(one) for name, one in decisions.items()}

    whole = read_of(board.decisions)
    assert whole == read_of(decide(read(), board.records))
    part = board.of_task("translation")
    assert {one.line.study for one in part.decisions.values()} == {"translation"}
    assert read_of(part.decisions).items() <= whole.items()
    assert Board().decided == 0 and not Board().of_task("music").decisions


def test_effects_and_remarks_are_in_the_lines_own_unit(board):
    # mean 3, standard deviation of the steps 0.5 * 0.671, half width of 95 % 0.24
    effect = board.effect(board.decisions["C1"])
    assert effect == "+3.00 points (95 % interval +2.76 to +3.24)"
    remarks = "larger than δ, no effect at the last update (+0.10 points)"
    assert board.remarks("C1") == remarks
    ratio = board.decisions["C4 translation"]
    assert board.effect(ratio) == "× 0.50 (95 % interval × 0.50 to × 0.50)"
    assert board.delta(ratio.line) == "× 1.11"
    assert board.effect(board.decisions["C8 translation, compute"]) == ""
    assert board.remarks("C8 translation, compute") == "no record of K × the updates"
    assert board.decisions["C8 translation, K passes"].outcome == "supported"


def test_an_undecided_line_says_how_many_seeds_it_would_take():
    cells = {"id": runs((30.5,) * 3, 1.0, 4.0), "baseline": runs((30.0,) * 3, 1.0)}
    board = Board({"translation": cells})
    needed = board.decisions["C1"].seeds_needed
    assert f"about {needed} seeds would decide it" in board.remarks("C1")
    assert "lines not judged yet count as p = 1 beside it" in board.remarks("C1")
    assert "undecided in" in answers(board, "")["Where?"]
    row = board.undecided().set_index("line").loc["C1"]
    assert row["outcome"] == "undecided" and row.iloc[-1] == str(needed)
    assert board.undecided().set_index("line").loc["C2"].iloc[-1] == "–"


def test_tables_have_every_line(board):
    table = board.table().set_index("line")
    secondary = [name for name, one in board.decisions.items() if not one.line.primary]
    assert [*table.index] == [
        f"{name} (secondary)" if name in secondary else name for name in board.decisions
    ]
    assert list(table.loc["C1"]) == [
        "supported",
        f"{LINK}+3.00 points</a><br>+2.76 to +3.24",
        "1.50 points",
        "intra-distillation minus baseline, SacreBLEU",
        "10 of 10",
        board.remarks("C1"),
    ]
    assert list(table.loc["C2"])[:2] == ["not judged", "–"]
    assert "no record of ID" in table.loc["C2"]["remarks"]
    shown = tables.lines(board)
    assert shown.data.equals(board.table())
    page = shown.to_html()  # what is read on the way stays whole, what is read through stays wide
    assert re.search(r'class="[^"]*nowrap"\s*>not judged</td>', page)
    assert re.search(r'class="[^"]*sentence"\s*>[^<]*no record of ID', page)
    short = by_claim(board).data
    words = short.pop("line").str.extract('<strong>(.*)</strong><small class="words">(.*)</small>')
    short.index = words[0]
    assert [*short.index] == [*board.primary]
    assert words[1][0] == "intra-distillation minus baseline, SacreBLEU; translation, medium"
    assert list(short.loc["C1"]) == [
        "supported, larger than δ<br><small>10 of 10 seeds</small>"
        '<small class="words">no effect at the last update (+0.10 points)</small>',
        f"{LINK}+3.00 points</a><br>+2.76 to +3.24",
        "1.50 points",
        "+3.03 points<br><small>paper</small><br>+2.21 points<br><small>earlier report</small>",
    ]


def test_published_effects_are_of_the_same_contrast_and_not_void(board):
    assert dict(board.published("C1")) == pytest.approx(
        {"paper": 36.10 - 33.07, "earlier report": 35.11 - 32.90}
    )
    assert dict(board.published("C6")) == pytest.approx({"earlier report": 0.480 - 0.565})
    for name in ("C2", "C4 images", "C5 images", "C6 accuracy", "C8 images, K passes"):
        assert not dict(board.published(name)), name
    # every comparison of label smoothing: the baseline that is named smoothed was not (A1)
    for name in ("C6 smoothed", "C5 images, smoothed"):
        assert not dict(board.published(name)) and board.caveat(name).startswith("void"), name
    assert board.caveat("C6") == "confounded (A2, A11)" and board.caveat("C1") == ""


def test_a_published_figure_carries_what_the_audit_says_of_it(board):
    short = by_claim(board).data.set_index("line")["published"]
    (c6,) = (text for line, text in short.items() if "<strong>C6</strong>" in line)
    assert c6 == "−0.085 nats<br><small>earlier report, confounded (A2, A11)</small>"
    (smoothed,) = (text for line, text in short.items() if "<strong>C6 smoothed</strong>" in line)
    assert smoothed == "–"


def test_the_summary_counts_outcomes_of_primary_lines(board):
    outcomes = [one.outcome for one in board.primary.values()]
    assert board.decided == outcomes.count("supported") == 3
    assert board.summary == (
        f"Of {len(outcomes)} primary lines 3 are decided (3 supported). "
        f"The others: {len(outcomes) - 3} not judged."
    )


def test_an_outcome_is_interim_until_all_registered_seeds_are_made(board):
    cells = board.records["translation"]
    seven = {cell: {seed: runs[seed] for seed in SEEDS[:7]} for cell, runs in cells.items()}
    part = Board({"translation": seven})
    one, whole = part.decisions["C1"], board.decisions["C1"]
    assert (one.outcome, one.interim) == ("supported", True) and not whole.interim
    assert part.remarks("C1").startswith("interim, 3 seeds to come, larger than δ")
    assert part.summary.endswith("not judged. 3 outcomes may still change: seeds are to come.")
    assert helps_of([one]).endswith("1 is decided (1 on part of the seeds): 1 supported")
    assert "(+2.83 points, interim)" in answers(part, "")["Where?"]
    assert "7 of 10 seeds, interim</small>" in by_claim(part).data["outcome"][0]
    assert legend_texts(figures.board(part))[-1] == "interim"
    drawn = next(line for line in figures.board(part).axes[0].lines if line.get_marker() == "o")
    assert drawn.get_markerfacecolor() == "white"
    assert not part.decisions["C2"].interim, "what is not judged has no outcome to change"


def test_each_rule_of_selection_has_its_outcome(board):
    table = under_each_rule(board).set_index("line")
    assert list(table) == LATEST
    assert list(table.loc["C1"]) == [
        "+3.00 points, supported\N{NO-BREAK SPACE}*",
        "+4.50 points, supported",
        "+0.10 points, no effect",
    ]
    assert list(table.loc["C4 translation"])[1].endswith("supported\N{NO-BREAK SPACE}*")
    assert "C2" not in table.index and under_each_rule(Board()).empty


def test_an_interval_over_seeds_and_items_where_items_are_kept():
    condition = Condition("id", 0, 0.0)

    def of(level):
        return {
            seed: record("images", condition, seed, Level(level + at / 100, 0.5), items=8)
            for seed, at in STEPS.items()
        }

    board = Board({"images": {"id": of(0.4), "baseline": of(0.5)}})
    found = board.over_items("C6")
    assert found.mean == pytest.approx(-0.1) and found.n == 8
    # losses are 0.5 and 1.5 times the level in turns, so that the gain is larger on hard items
    assert found.low < board.decisions["C6"].interval.low
    assert board.over_items("C4 images") is None and board.over_items("C1") is None
    (row,) = over_items(board).to_dict("records")
    assert row["line"] == "C6" and row["mean"] == "−0.100 nats" and row["items"] == "8"
    assert row["over seeds"] == "−0.100 to −0.100"
    assert over_items(Board()).empty


def test_answers_count_and_name_what_is_decided(board):
    found = answers(board, "It costs.")
    assert len(found) == len(KEYS)
    helps, where, price, use = found.values()
    lines = [one for one in board.primary.values() if one.line.claim in "C1 C2 C3 C6 C7"]
    assert helps == (
        f"Yes, in some of what has been measured: of {len(lines)} questions whether a score gets "
        "better 1 is decided: 1 supported."
    )
    better, depends, waiting = where.split(". ")
    assert better == f"<strong>Translation</strong>: better in {LINK}SacreBLEU</a> (+3.00 points)"
    assert waiting == "Not judged yet: tagging, answering, images, application and heading."
    another = f"By another choice of the checkpoint {LINK}C1</a> is"
    assert depends == f"{another} no effect at the last update (+0.10 points)"
    assert price == "It costs."
    assert use == "On translation, it may pay. Choose the checkpoint by the score that you report."
    nothing = answers(Board(), "a < b")
    assert nothing["Does it help?"].startswith("Not known yet: of 11 questions")
    assert nothing["Where?"].startswith("Not judged yet: translation, tagging")
    assert answers_list({"Why?": "a"}) == "<ul><li><strong>Why?</strong> a</li></ul>"
    assert nothing["At what price?"] == "a &lt; b"
    assert nothing["Should I use it?"] == "Nothing can be said yet."


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        (
            [("supported", "smaller than δ"), ("contradicted", "smaller than δ")],
            "Hardly: of 2 questions",
        ),
        ([("contradicted", ""), ("no effect", "")], "Not where it has been measured"),
        ([("supported", ""), ("undecided", "")], "Yes, in some of what has been measured"),
    ],
)
def test_the_first_answer_weighs_outcomes_against_delta(board, outcomes, says):
    any_line = next(iter(board.primary.values()))
    lines = [replace(any_line, outcome=outcome, size=size) for outcome, size in outcomes]
    assert helps_of(lines).startswith(says)


def test_the_figure_draws_effects_in_units_of_delta(board):
    figure = figures.board(board)
    (ax,) = figure.axes
    shown = [name for name in board.primary if board.decisions[name].interval]
    assert ticks(ax.yaxis) == shown == ["C1", "C4 translation", "C8 translation, K passes"]
    marks = {
        (round(float(line.get_xdata()[0]), 2), line.get_ydata()[0]): line.get_marker()
        for line in ax.lines
        if len(line.get_xdata()) == 1
    }
    assert marks[2.0, 0] == OUTCOMES["supported"][1]
    assert marks[5.0, 1] == ">"  # log 2 over 0.105 lies beyond the edge
    assert marks[2.02, -0.28] == "*"
    assert [text.get_text() for text in ax.texts] == ["supported, larger than δ"] * 3
    assert legend_texts(figure) == ["supported", "paper", "earlier report", "smaller than δ"]
    assert says_nothing(figures.board(Board()))


def test_a_figure_can_be_held_by_html(board):
    text = figures.embedded(figures.board(board), 'C1 & "others"')
    alt, data = text.removeprefix("<img alt=").removesuffix('">').split(" src=")
    assert alt == '"C1 &amp; &quot;others&quot;"'
    drawn = base64.b64decode(data.removeprefix('"data:image/svg+xml;base64,')).decode()
    assert drawn.startswith("<?xml") and "</svg>" in drawn
    assert text == figures.embedded(figures.board(board), 'C1 & "others"')


def measured_images(nll, calibrated, **more):
    """Records of images: a baseline and ID whose NLL and calibrated NLL are given."""
    return {
        cell: {
            seed: made_up_record(
                Condition("id", 0, 0.0),
                seed,
                "medium",
                {
                    "test/nll": nll[cell] + at / 1000,
                    "test/nll/calibrated": calibrated[cell] + at / 1000,
                    "sensitivity/parameters": 1_400_000,
                    "sensitivity/excluded": 30_000,
                },
            )
            for seed, at in STEPS.items()
        }
        for cell in nll
    }


def test_a_gain_that_a_temperature_gives_too_is_called_one_of_calibration():
    losses = {"baseline": 0.44, "id": 0.42}
    same = measured_images(losses, {"baseline": 0.41, "id": 0.41})
    found = answers(Board({"images": same}), "")
    said = "brings the baseline to 0.410, where intra-distillation without one has 0.420"
    assert said in found["Where?"]
    assert (
        "Before it try a temperature fitted on validation (as low an NLL on images)."
        in found["Should I use it?"]
    )
    assert "The models: images, 1.4 million parameters. None is of" in found["Does it help?"]
    real = measured_images(losses, {"baseline": 0.41, "id": 0.39})
    assert "calibration" not in answers(Board({"images": real}), "")["Where?"]


def test_models_of_one_size_are_named_together():
    cells = {
        cell: {
            seed: made_up_record(
                Condition(cell, 0, 0.0),
                seed,
                "large",
                {"test/score": score + at / 1000, "sensitivity/parameters": 36_800_000},
                task="classification",
            )
            for seed, at in STEPS.items()
        }
        for cell, score in {"baseline": 0.8, "id": 0.9}.items()
    }
    said = answers(Board({"application": cells, "heading": cells}), "")["Does it help?"]
    together = "application and heading, 36.8 million parameters each."
    assert f"The models: {together} None is of the paper's size." in said


def test_a_baseline_that_gains_from_longer_training_is_said_to_underfit():
    cells = {"id": (26.0,) * 3, "baseline": (25.0,) * 3, "compute": (28.0,) * 3}
    board = Board({"translation": {cell: runs(bleu, 1.0, 0.1) for cell, bleu in cells.items()}})
    assert "by this score it underfits" in answers(board, "")["Where?"]
    use = answers(board, "")["Should I use it?"]
    assert "longer training (more than δ on translation)" in use
    cells["compute"] = (25.5,) * 3
    board = Board({"translation": {cell: runs(bleu, 1.0, 0.1) for cell, bleu in cells.items()}})
    assert "underfits" not in answers(board, "")["Where?"]
