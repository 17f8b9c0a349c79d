"""Claims say all they have to, and designs are of metrics that their tasks have."""

from __future__ import annotations

import pytest

from idlib.metrics.names import BEST, LOSS, parted
from idlib.protocol import read
from idlib.report.claims import CAVEATS, CLAIMS, caveat, is_void
from idlib.report.compared import COMPARED
from idlib.report.designs import DESIGNS, lines_of, selection_of, tasks_of
from idlib.report.tasks import REPORTS, report_of


def test_claims_are_complete():
    assert list(CLAIMS) == list(COMPARED) == [f"C{n}" for n in range(1, 9)]
    for name, claim in CLAIMS.items():
        assert claim.id == name and claim.statement.endswith(".")
        assert claim.paper and claim.report and tasks_of(name)
    assert "not stated" in CLAIMS["C4"].paper and "not stated" in CLAIMS["C7"].paper


def test_what_the_audit_says_of_a_figure_stands_in_its_claim_too():
    for name, claim in CLAIMS.items():
        word, _, numbers = caveat(name).partition(" (")
        assert f"{word}: {numbers}" in claim.report if name in CAVEATS else not word, name
        assert is_void(name) == ("void: " in claim.report), name
        assert (word == "confounded") == ("confounded: " in claim.report), name
    assert not is_void("C6") and is_void("C6", smoothed=True), "that baseline was not smoothed"
    assert not caveat("C1", smoothed=True), "in translation all models are smoothed"


@pytest.mark.parametrize(
    ("task", "claims", "quality", "better"),
    [
        ("images", ("C4", "C5", "C6", "C8"), "test/nll", "below"),
        ("translation", ("C1", "C4", "C5", "C8"), "test/bleu", "above"),
        ("tagging", ("C2", "C5", "C8"), "test/f1/others", "above"),
        ("answering", ("C3", "C5", "C8"), "test/f1/others", "above"),
        ("classification", ("C7", "C8"), "test/score", "above"),
    ],
)
def test_what_is_compared_on_each_task(task, claims, quality, better):
    design = DESIGNS[task]
    assert design.claims == claims
    assert (design.quality, design.better) == (quality, better)
    assert report_of(task).compared[0] == quality


def test_a_gain_is_headed_by_the_metric_that_the_protocol_judges():
    for claim in ("C1", "C2", "C3", "C6", "C7", "C8"):
        for task in tasks_of(claim):
            assert lines_of(task, claim)[0].metric == DESIGNS[task].quality, (task, claim)


def test_every_line_of_the_protocol_is_of_a_claim_that_its_task_is_compared_for():
    protocol = read()
    for name, line in protocol.lines.items():
        task = protocol.studies[line.study].task
        assert line.claim in DESIGNS[task].claims, name
        assert report_of(task).metric(line.metric).name != line.metric, name


def test_a_claim_is_judged_where_the_protocol_has_a_line_of_it():
    assert {name: tasks_of(name) for name in CLAIMS} == {
        "C1": ("translation",),
        "C2": ("tagging",),
        "C3": ("answering",),
        "C4": ("images", "translation"),
        "C5": ("images", "translation"),
        "C6": ("images",),
        "C7": ("classification",),
        "C8": ("images", "translation", "tagging", "answering"),
    }
    assert all(set(tasks_of(name)) <= set(DESIGNS) for name in CLAIMS)
    assert lines_of("tagging", "C5") == [] and lines_of("music", "C1") == []


def test_the_rule_of_a_claim_is_that_of_its_lines():
    for task, design in DESIGNS.items():
        for claim in design.claims:
            rules = {line.selection for line in lines_of(task, claim)} or {BEST}
            assert rules == {selection_of(task, claim)}, (task, claim)
    assert selection_of("translation", "C4") == selection_of("images", "C5") == LOSS
    assert selection_of("translation", "C1") == selection_of("tagging", "C5") == BEST


def test_every_metric_of_a_design_has_a_name_and_a_side():
    assert list(DESIGNS) == list(REPORTS)
    for task, design in DESIGNS.items():
        sides = dict([(design.quality, design.better), *design.beside])
        assert len(sides) == 1 + len(design.beside)  # none twice
        for key, side in sides.items():
            assert report_of(task).metric(key).name != key
            assert side == ("below" if "nll" in key else "above"), key
        assert {parted(key)[0] for key in design.context} <= sides.keys()
