"""What the pages of images and of the claims say."""

from __future__ import annotations

import pytest
from made_up.records import results, world

from idlib.report.pages.images import gains_after_temperature


def test_gains_before_and_after_a_temperature():
    records = world("images")
    shown = results("images", records)
    lines = gains_after_temperature(shown).splitlines()
    assert len(lines) == 4 and lines[0].startswith("- base model, s = 0: −")
    for line in lines:  # half of a loss is left after a temperature, as made up
        before, after = (
            float(part.split()[0])
            for part in line.replace("−", "-").split(": ")[1].split("temperature ")
        )
        assert after == pytest.approx(before / 2, abs=6e-4)
    base_models = [record for record in records if record.asked.settings["round"] == 0]
    assert len(gains_after_temperature(results("images", base_models)).splitlines()) == 2
