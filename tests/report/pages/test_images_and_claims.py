"""What the pages of images and of the claims say."""

from __future__ import annotations

import pytest
from made_up.records import results, world

from idlib.report.claims import CLAIMS
from idlib.report.designs import DESIGNS
from idlib.report.pages.claims import published, rules
from idlib.report.pages.images import gains_after_temperature


def test_gains_before_and_after_a_temperature():
    records = world("images")
    shown = results("images", records)
    lines = gains_after_temperature(shown).splitlines()
    assert len(lines) == 5 and lines[0].startswith("- mean of the 4 pairs: −")
    for line in lines:  # half of a loss is left after a temperature, as made up
        before, after = (
            float(part.split()[0])
            for part in line.replace("−", "-").split(": ")[1].split("temperature ")
        )
        assert after == pytest.approx(before / 2, abs=6e-4)
    base_models = [record for record in records if record.asked.settings["round"] == 0]
    assert len(gains_after_temperature(results("images", base_models)).splitlines()) == 2


def test_every_claim_has_a_row_and_every_task_of_it_a_rule():
    table = published(list(CLAIMS))
    assert list(table[""]) == [f"**C{n}**" for n in range(1, 9)]
    assert table.set_index("").loc["**C4**", "tested on"] == "{doc}`images`, {doc}`translation`"
    found = rules(list(CLAIMS))
    assert len(found) == sum(len(design.rules) for design in DESIGNS.values())
    first = rules(["C6"]).iloc[0]
    assert first["rule"] == DESIGNS["images"].rules["C6"]
    assert first["verdict"] == "{glue:text}`images.ipynb::outcome_c6:s`"
