"""Claims say all they have to, and designs what their rules say in words."""

from __future__ import annotations

import pytest

from idlib.report.claims import CLAIMS
from idlib.report.designs import DESIGNS, tasks_of
from idlib.report.outcomes import RULES
from idlib.report.tasks import REPORTS, report_of


def test_claims_are_complete():
    assert list(CLAIMS) == list(RULES) == [f"C{n}" for n in range(1, 9)]
    for name, claim in CLAIMS.items():
        assert claim.id == name and claim.statement.endswith(".")
        assert claim.paper and claim.report and tasks_of(name)
    assert "not stated" in CLAIMS["C4"].paper and "not stated" in CLAIMS["C7"].paper


@pytest.mark.parametrize(
    ("task", "claims", "quality", "better", "seeds"),
    [
        ("images", ["C4", "C5", "C6", "C8"], "test/nll", "below", 5),
        ("translation", ["C1", "C4", "C5", "C8"], "test/bleu", "above", 3),
        ("tagging", ["C2", "C5", "C8"], "test/f1_parallel/others", "above", 3),
        ("answering", ["C3", "C5", "C8"], "test/f1/others", "above", 3),
        ("classification", ["C7", "C8"], "test/score", "above", 3),
    ],
)
def test_designs_are_what_the_rules_say_in_words(task, claims, quality, better, seeds):
    design = DESIGNS[task]
    assert list(design.rules) == claims
    assert [name for name in CLAIMS if task in tasks_of(name)] == claims
    assert all(rule.endswith(".") for rule in design.rules.values())
    assert (design.quality, design.better, design.seeds) == (quality, better, seeds)
    assert report_of(task).compared[0] == quality


def test_every_metric_of_a_design_has_a_name_and_a_side():
    assert list(DESIGNS) == list(REPORTS)
    for task, design in DESIGNS.items():
        sides = dict([(design.quality, design.better), *design.beside])
        assert len(sides) == 1 + len(design.beside)  # none twice
        for key, side in sides.items():
            assert report_of(task).metric(key).name != key
            assert side == ("below" if "nll" in key else "above"), key
        assert set(design.context) <= sides.keys()
