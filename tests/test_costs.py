"""Results of the benchmark: medians, quartiles, ratios turn by turn, and files that are whole."""

from __future__ import annotations

import json

import pytest

from idlib.costs import ArmCost, CaseCosts, Costs, CostsError, Spread, ratios_of, read, read_all
from idlib.records import origin


def costs() -> Costs:
    measured = ArmCost(arm="id", title="ID", seconds=Spread.of([2.0]), peak_bytes=300)
    other = ArmCost(arm="published", title="loop", seconds=Spread.of([4.0]), peak_bytes=1200)
    lost = ArmCost(arm="floor", title="floor", failed="out of memory")
    case = CaseCosts(
        suite="loss",
        case="K3",
        about={"passes": 3},
        memory_kept=True,
        arms=(measured, other, lost),
    )
    return Costs(origin=origin(), device_type="cpu", cores=2, threads=1, repeats=5, cases=(case,))


def test_a_spread_is_median_and_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 2.0, 3.0, 4.0]) == Spread(median=3.0, lower=2.0, upper=4.0)
    assert Spread.of([1 / 3]).median == 0.33333


def test_ratios_are_taken_within_a_turn() -> None:
    """A turn in which the machine was slow moves both arms, and no ratio."""
    ratios = ratios_of({"a": [2.0, 20.0, 2.0], "b": [1.0, 10.0, 1.0]}, ["b", "absent"])
    assert ratios == {"a": {"b": Spread(median=2.0, lower=2.0, upper=2.0)}, "b": {}}


def test_a_file_is_read_as_it_was_written(tmp_path) -> None:
    written = costs()
    written.write(tmp_path / "cpu.json")
    assert read(tmp_path / "cpu.json") == written
    assert [stored.costs for stored in read_all(tmp_path)] == [written]
    assert read_all(tmp_path / "nowhere") == []


def test_memory_is_compared_where_both_are_known() -> None:
    case = costs().cases[0]
    assert case.memory_ratio("id", "published") == 0.25
    assert case.memory_ratio("id", "floor") is None and case.memory_ratio("id", "no") is None
    assert case.arm("floor") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("repeats"), r"no result of idlib bench \(repeats: Field required\)"),
        (lambda c: c.update(weather="fair"), r"\(weather: Extra inputs are not permitted\)"),
        (lambda c: c["cases"][0]["arms"][0].pop("seconds"), "either seconds or why it failed"),
    ],
)
def test_a_file_that_is_no_result_is_an_error_that_names_it(tmp_path, change, message) -> None:
    content = json.loads(costs().model_dump_json())
    change(content)
    path = tmp_path / "cpu.json"
    path.write_text(json.dumps(content))
    with pytest.raises(CostsError, match=f"cpu.json is {message}|{message}"):
        read(path)


@pytest.mark.parametrize("change", [("2.0", "3.0"), ('"digest": "', '"digest": "0')])
def test_a_number_is_not_changed_unseen(tmp_path, change) -> None:
    path = tmp_path / "cpu.json"
    costs().write(path)
    whole = path.read_text()
    path.write_text(whole.replace(*change, 1))
    assert path.read_text() != whole
    with pytest.raises(CostsError, match=r"cpu\.json was changed after it was written"):
        read(path)


def test_a_truncated_file_is_an_error(tmp_path) -> None:
    path = tmp_path / "cpu.json"
    path.write_text(costs().model_dump_json()[:100])
    with pytest.raises(CostsError, match=r"cpu\.json is no result of idlib bench"):
        read(path)
