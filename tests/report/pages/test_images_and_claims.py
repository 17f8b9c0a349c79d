"""What the pages of images and of the claims say."""

from __future__ import annotations

import pytest
from made_up.records import results, world
from made_up.studies import pictured

from idlib.report.board import Board
from idlib.report.pages.images import causes_beside, gains_after_temperature, interactions


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


def test_what_c8_compares_stands_beside_it_in_what_is_not_registered():
    head, _, passes, compute = causes_beside(results("images", world("images"))).splitlines()
    assert "not registered and decides nothing" in head and "(profile medium, 5 seeds)" in head
    # half of a loss is left after a temperature, as made up: of 2.45 − 2.3 and of 2.6 − 2.3
    assert passes.startswith("- against K passes, α = 0: test accuracy +3.00 points (95 % interval")
    assert "test NLL after temperature −0.075 nats (95 % interval" in passes
    assert compute.startswith("- against K × the updates: test accuracy +5.00 points")
    assert "−0.150 nats" in compute
    none = [record for record in world("images") if record.asked.method in ("id", "baseline")]
    assert causes_beside(results("images", none)).startswith("There are no controls")


def test_opposite_effects_have_a_difference_and_no_mean():
    gains = {
        "baseline": (0.0, 0.0, 0.0),
        "id": (0.02, 0.0, 0.01),
        "baseline smoothed": (0.0, 0.0, 0.0),
        "id smoothed": (-0.02, 0.0, 0.01),
    }
    table = interactions(Board({"images": pictured(gains)})).set_index("ID against baseline in")
    loss = table.loc["test NLL (nats)"]
    assert loss["s = 0"].startswith("−0.020") and loss["s = 0.1"].startswith("+0.020")
    assert loss["difference of the two"].startswith("−0.040") and float(loss["p"]) < 0.05
    assert table.iloc[-1].tolist() == ["–"] * 4 + ["0"], "no std of sensitivity among these"
    assert set(interactions(Board())["seeds"]) == {"0"}
