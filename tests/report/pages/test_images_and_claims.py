"""What the pages of images and of the claims say."""

from __future__ import annotations

from made_up.images import grid

from idlib.report.claims import CLAIMS
from idlib.report.designs import DESIGNS
from idlib.report.pages.claims import published, rules
from idlib.report.pages.images import gains_after_temperature
from idlib.report.results import Results


def test_gains_before_and_after_a_temperature():
    results = Results("images", "medium", "embedded", grid())
    lines = gains_after_temperature(results).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("- mean of the 4 pairs: −0.05")
    assert all(" nats, and after temperature −0.0" in line for line in lines)
    one = [record for record in grid() if record.asked.settings["round"] == 0]
    assert (
        len(gains_after_temperature(Results("images", "medium", "embedded", one)).splitlines()) == 2
    )


def test_every_claim_has_a_row_and_every_task_of_it_a_rule():
    table = published(list(CLAIMS))
    assert list(table[""]) == [f"**C{n}**" for n in range(1, 9)]
    assert table.set_index("").loc["**C4**", "tested on"] == "{doc}`images`, {doc}`translation`"
    found = rules(list(CLAIMS))
    assert len(found) == sum(len(design.rules) for design in DESIGNS.values())
    first = rules(["C6"]).iloc[0]
    assert first["rule"] == DESIGNS["images"].rules["C6"]
    assert first["verdict"] == "{glue:text}`images.ipynb::outcome_c6:s`"
