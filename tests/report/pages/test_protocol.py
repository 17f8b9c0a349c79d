"""The page of the protocol says what the protocol says, and what earlier records show."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from made_up.records import made_up_record
from made_up.shown import says_nothing

from idlib.protocol import Amendment, Protocol, read, sha256
from idlib.records import Record
from idlib.report.conditions import Condition
from idlib.report.pages import protocol as page
from idlib.report.simulation import BOARDS, Assumed

FOLDER = Path(__file__).resolve().parents[3] / "records"


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return read()


def test_every_line_study_and_cell_stands_there_once(protocol: Protocol) -> None:
    names = [
        name.removesuffix(" (secondary)")
        for claim in dict.fromkeys(line.claim for line in protocol.lines.values())
        for name in page.lines(protocol, claim)["line"]
    ]
    assert sorted(names) == sorted(protocol.lines)
    c8 = page.lines(protocol, "C8").set_index("line").loc["C8 tagging, compute"]
    assert list(c8[["checkpoint", "better", "study", "seeds", "needs"]]) == [
        "best validation score",
        "above",
        "tagging, large",
        "5",
        "C2",
    ]
    assert c8["δ"] == "0.45 points: that of C2, whose gain it explains"
    made = {"images": {"id": {11: run("id", 11, 0.5), 12: run("id", 12, 0.5)}}}
    table = page.studies(protocol, made).set_index("study")
    assert list(table.index) == [*protocol.studies]
    runs = table["runs made"].str.partition(" of ")
    assert runs[2].astype(int).sum() == len([*protocol.runs()])
    assert list(table.loc["images"])[-2:] == ["2 of 100", "0.0"]
    assert set(runs[0].drop("images")) == {"0"}
    cells = page.cells(protocol).set_index(["study", "cell"])
    assert len(cells) == sum(len(study.cells) for study in protocol.studies.values())
    assert list(cells.loc[("image-dose", "r-drop")]) == [
        "id",
        "smoothing 0.0, passes 2, divergence kl",
        "11–15",
    ]


def test_rules_pilots_and_amendments_are_those_of_the_file(protocol: Protocol) -> None:
    told = page.rules(protocol)
    assert "at least 5 seeds" in told and sha256()[:16] in told and "95%" in told
    strict = protocol.model_copy(
        update={"rules": protocol.rules.model_copy(update={"fewest_seeds": 7})}
    )
    assert "at least 7 seeds" in page.rules(strict)
    assert page.pilots(protocol).strip().startswith("- translation, seeds 90: Baselines on 2,000")
    assert page.amendments(protocol) == "None: this is the first version."
    one = Amendment(date="2026-01-01", before="ab" * 32, what="A seed\n  more.")
    amended = protocol.model_copy(update={"amendments": (one,)})
    assert (
        page.amendments(amended).strip()
        == "- 2026-01-01: A seed more. (before it abababababababab…)"
    )


def run(method: str, seed: int, value: float, **settings: object) -> Record:
    metrics = {"test/f1/others": value, "test/bleu": value}
    smoothing = float(settings.pop("smoothing", 0.0))
    condition = Condition(method, int(settings.pop("round", 0)), smoothing)
    return made_up_record(condition, seed, "large", metrics, task="tagging", **settings)


def test_earlier_values_are_of_what_each_record_was_asked(protocol: Protocol) -> None:
    records = [
        *(run("baseline", seed, 0.5) for seed in (1, 2, 3)),
        *(run("id", seed, 0.5 + gain) for seed, gain in ((1, 0.01), (2, 0.03))),
        run("id", 3, 0.9, round=1),
        run("id", 3, 0.9, smoothing=0.1),
    ]
    values, remark = page.earlier_values(protocol, "C2", records)
    assert values.by_seed == pytest.approx({1: 0.01, 2: 0.03})
    assert remark == "at α as printed"  # no earlier run has the scripts' sum
    summed = [run("id", seed, 0.6, divergence_reduction="sum_padded") for seed in (1, 2)]
    values, remark = page.earlier_values(protocol, "C2", [*records, *summed])
    assert values.by_seed == pytest.approx({1: 0.1, 2: 0.1}) and not remark


def test_what_a_simulation_rests_on(protocol: Protocol) -> None:
    gains = [0.01, 0.03, 0.05]
    records = [run("baseline", seed, 0.5) for seed in (1, 2, 3)]
    records += [run("id", seed, 0.5 + gain) for seed, gain in zip((1, 2, 3), gains, strict=True)]
    found, remarks = page.assumed(protocol, {"tagging": records})
    assert found["C2"] == Assumed(46, pytest.approx(np.std(gains, ddof=1) / 0.0045), 3)
    assert found["C1"] == Assumed(10, 1.0, 0) and found["C8 tagging, compute"].seeds == 5
    assert remarks["C2"] == "at α as printed"
    table = page.spreads(protocol, {"tagging": records}, {}).set_index("line")
    assert list(table.loc["C2"]) == [
        "3, at α as printed",
        "+3.00 points<br>−1.97 to +7.97",  # 4.303 * 0.02 / √3
        f"{np.std(gains, ddof=1) / 0.0045:.2f} δ",
        "0",
        "–",
    ]
    now = {"tagging": {"baseline": {}, "id": {}}}
    for record in records:
        cell = now["tagging"][record.asked.method]
        cell[record.asked.seed + 10] = record
    table = page.spreads(protocol, {}, now).set_index("line")
    assert list(table.loc["C2"])[2:] == ["–", "3", f"{np.std(gains, ddof=1) / 0.0045:.2f} δ"]


@pytest.mark.slow
def test_committed_records_give_most_lines_a_spread(protocol: Protocol) -> None:
    earlier = page.earlier_records(protocol, str(FOLDER))
    found, _ = page.assumed(protocol, earlier)
    assert [name for name, one in found.items() if not one.seen] == ["C8 tagging, compute"]
    assert {one.seen for one in found.values()} == {0, 3, 5}
    table = page.errors(protocol, found)
    board = table.iloc[0]
    assert board["of"] == "the board, 26 primary lines"
    for kind in list(table)[1:]:
        of_claims = [float(share.removesuffix(" %")) for share in table[kind][1:]]
        assert max(of_claims) <= 5.0
        # a board's rate is 1 − (1 − 5 % / 26)²⁶ = 4.9 %, to three standard errors of the draws
        assert float(board[kind].removesuffix(" %")) <= 5.0 + 300 * (0.05 * 0.95 / BOARDS) ** 0.5
    said = page.errors_sentence(table, found)
    assert f"on {board.iloc[1]} of 20,000 drawn boards;" in said
    assert "for 28 lines, and assumed to be δ" in said
    looks = page.looks_sentence(protocol, found)
    assert "at 5, 6, 7, 8, 9, 10, 20, 30, 40 and 46 seeds" in looks


def test_a_line_that_needs_another_shows_its_own_power(protocol: Protocol) -> None:
    """C8's lines have no effect where C6 has none, and are not to be told as unable to show it."""
    lines = {name: Assumed(10, 0.2) for name in ("C6", "C8 images, K passes")}
    table = page.power(protocol, lines).set_index("line")
    assert table.loc["C8 images, K passes", "no effect at 0"] == table.loc["C6", "no effect at 0"]
    assert list(table["for a half-width of δ"]) == ["3", "3"]


def test_power_grows_with_seeds_and_shrinks_with_spread(protocol: Protocol) -> None:
    def supported(one: Assumed) -> float:
        table = page.power(protocol, {"C1": one}).set_index("line")
        assert table.loc["C1", "seeds"] == str(one.seeds)
        return float(table.loc["C1", "supported at δ"].removesuffix(" %"))

    base = Assumed(10, 1.35, 3)
    assert supported(base._replace(seeds=20)) > supported(base) > supported(Assumed(10, 3.0))
    guessed = page.power(protocol, {"C1": Assumed(10, 1.0)})
    assert list(guessed["spread"]) == ["δ (assumed)"]


def test_a_panel_for_each_claim(protocol: Protocol) -> None:
    lines = {"C1": Assumed(10, 1.0), "C6": Assumed(10, 0.2), "C6 accuracy": Assumed(10, 0.5)}
    figure = page.power_figure(protocol, lines)
    titles = [ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert titles == ["C1, 1 line", "C6, 2 lines"] and not says_nothing(figure)
    first = figure.axes[0].lines[0]
    assert list(first.get_xdata()) == list(page.EFFECTS)
    assert first.get_ydata()[-1] > 0.9 > first.get_ydata()[0]
