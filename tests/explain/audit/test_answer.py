"""What the audit amounts to, from made-up studies whose gains can be worked out by hand."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import pytest
from made_up.studies import HALF, pictured, translated

from idlib.explain.audit import answer
from idlib.explain.audit.sources import Sources
from idlib.protocol import read
from idlib.report.paired import StudyRecords

PROTOCOL = read()
IMAGES = pictured(
    {
        "baseline": (0.0, 0.0, 0.0),
        "baseline smoothed": (0.01, 0.0, 0.0),
        "baseline student": (0.05, 0.0, 0.0),
        "baseline smoothed student": (0.0, 0.0, 0.0),
        "id": (0.02, 0.0, 0.0),
        "id smoothed": (0.06, 0.0, 0.0),
        "id student": (0.02, 0.0, 0.0),
        "id smoothed student": (0.02, 0.0, 0.0),
    }
)
TRANSLATION = translated({"id": {"best": 1.0, "loss": 3.0, "last": -1.0}, "baseline student": 2.0})
SOURCES = Sources(images=IMAGES, translation=TRANSLATION)


def test_the_answer_tells_gains_as_compared_and_matched() -> None:
    said = answer.answer(SOURCES, PROTOCOL)
    compared, chosen, ordered, untold = said.splitlines()
    assert "that comparison gives ID +0.060 nats" in compared
    assert "neither smoothed it gains +0.020 nats" in compared and "both +0.050" in compared
    assert "by the best validation SacreBLEU +1.00 points" in chosen
    assert "by the lowest validation loss +3.00 points" in chosen
    assert "at the last update −1.00 points" in chosen and "earlier records" not in chosen
    # worse than the student at 0.05 are three of the ID models; the fourth is clear of it too
    assert "in 16 pairs. Of these, ours have ID better in 13 and worse in 3" in ordered
    assert "it gains −0.030 nats" in untold and "+0.060 nats" in untold
    assert "−1.00 points" in untold


def test_earlier_records_have_one_rule() -> None:
    sources = Sources(images=IMAGES, translation=TRANSLATION, rules=("loss",))
    said = answer.answer(sources, PROTOCOL)
    assert "The gain of ID in SacreBLEU is by the lowest validation loss +3.00 points" in said
    assert "best validation" not in said and "The earlier records have no other rule." in said
    assert "+1.00 points" in said.splitlines()[-1]  # 3 − 2, at the lowest loss


def test_what_stands_in_translation_is_told_with_the_rule_of_selection() -> None:
    said = answer.direction(SOURCES, PROTOCOL)
    assert "by the lowest validation loss +3.00 points" in said and "−1.00 points" in said
    assert said.endswith("the direction is that of a rule of selection as much as of the method.")
    same = Sources(translation=translated({"id": 2.0}))
    assert "as much as of the method" not in answer.direction(same, PROTOCOL)
    unclear = Sources(translation=translated({"id": {"best": 0.0, "loss": 3.0, "last": 0.0}}))
    assert "as much as of the method" not in answer.direction(unclear, PROTOCOL)


def test_what_no_record_can_tell_is_named() -> None:
    said = answer.answer(Sources(), PROTOCOL)
    assert "no record of ID" in said and "and 16 have no interval yet" in said
    assert "There is no seed that every way to train has." in said
    answer.overview(Sources(), PROTOCOL)


def test_the_last_update_is_compared_with_the_lowest_loss() -> None:
    nll, _ = answer.measures(PROTOCOL)
    metrics = {"test/nll@loss": 0.5, "test/nll@last": 0.53}
    record = IMAGES["id"][11]
    changed = record.measured.model_copy(update={"metrics": metrics})
    found = answer.of_last({"id": {11: record.model_copy(update={"measured": changed})}}, nll, "id")
    assert found.values == {11: pytest.approx(-0.03)}
    assert answer.of_last({}, nll, "id").words == "no record of ID"


def test_the_figure_has_each_comparison_in_a_row() -> None:
    figure = answer.overview(SOURCES, PROTOCOL)
    pictures, translations = figure.axes
    labels = [label.get_text() for label in pictures.get_yticklabels()]
    assert labels[0] == "A1, A2: ID over baseline, as compared" and len(labels) == 7
    first = next(line for line in pictures.lines if line.get_marker() == "s")
    assert first.get_xdata()[0] == pytest.approx(0.06)
    (low, _), (high, _) = pictures.collections[0].get_segments()[0]
    # as compared, the step of the first is all that varies: the baseline has none
    assert (low, high) == (pytest.approx(0.06 - HALF), pytest.approx(0.06 + HALF))
    shown = [label.get_text() for label in translations.get_yticklabels()]
    assert [text.startswith("A22") for text in shown] == [True, True, True, False, False]


def test_what_is_missing_stands_with_its_command() -> None:
    kinds = {"images": "earlier evidence", "translation": "registered runs"}
    told = answer.standing(kinds, StudyRecords(PROTOCOL, {"images": IMAGES}))
    assert "images: earlier evidence; translation: registered runs" in told
    assert "`idlib evidence images` makes them" in told
    assert "tagging" not in told


def test_the_pilot_speaks_in_the_words_of_the_protocol() -> None:
    (pilot,) = (one for one in PROTOCOL.pilots if one.study == "translation")
    assert answer.pilots(PROTOCOL) == f"> {pilot.what.strip()}"
    assert answer.pilots(PROTOCOL, "images") == ""
