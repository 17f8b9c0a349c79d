"""A record trained again: what it answers, and how far the numbers agree."""

from __future__ import annotations

import pytest
from made_up.records import made_up_record

from idlib.experiments.specs import Spec
from idlib.experiments.verification import Verification, spec_of
from idlib.records import Record
from idlib.report.conditions import Condition
from idlib.training.settings import SettingsError


def record(value: float, seed: int = 1, method: str = "id", **origin) -> Record:
    condition = Condition(method, 0, 0.0)
    one = made_up_record(condition, seed, "small", {"test/nll": value, "test/accuracy": 0.5})
    return one.model_copy(update={"origin": one.origin.model_copy(update=origin)})


SEEDS = [record(value, seed) for seed, value in ((2, 1.1), (3, 1.4))]


def test_the_same_bits_agree_wherever_they_were_made() -> None:
    found = Verification(record(1.0), record(1.0, device="another"))
    assert found.agrees and found.same_bits and found.verdict == "it agrees bit for bit"


def test_other_numbers_on_the_same_processor_do_not_agree() -> None:
    found = Verification(record(1.0), record(1.0 + 1e-12), SEEDS)
    assert not found.agrees and not found.otherwise
    assert found.verdict == "1 of 2 metrics differ, on the same processor with the same versions"


@pytest.mark.parametrize(("again", "agrees"), [(1.39, True), (0.61, True), (1.41, False)])
def test_elsewhere_they_may_differ_by_as_much_as_the_seeds_do(again: float, agrees: bool) -> None:
    found = Verification(record(1.0), record(again, device="another"), SEEDS)  # 1.0, 1.1 and 1.4
    assert found.differences["test/nll"].spread == pytest.approx(0.4)
    assert found.agrees == agrees and len(found.seeds) == 3
    assert ("all within the spread over 3 seeds" in found.verdict) == agrees
    assert "made elsewhere: device another for" in found.verdict


def test_other_versions_are_elsewhere() -> None:
    before = record(1.0, versions={"torch": "2.6", "idlib": "0.1"})
    found = Verification(before, record(1.1, versions={"torch": "2.7", "idlib": "0.2"}), SEEDS)
    assert found.otherwise == {"torch": ("2.6", "2.7")} and found.agrees


def test_two_seeds_tell_no_spread() -> None:
    found = Verification(record(1.0), record(1.001, device="another"), SEEDS[:1])
    assert found.differences["test/nll"].within is None and not found.agrees
    assert "2 seeds are too few" in found.verdict


def test_seeds_are_of_the_same_condition() -> None:
    others = [*SEEDS, record(9.0, 4, "baseline")]
    assert len(Verification(record(1.0), record(1.0), others).seeds) == 3


@pytest.mark.parametrize(
    "spec",
    [
        Spec("images", "id", "smoke", seed=3, overrides={"alpha": 2.5, "round": 1}),
        Spec("translation", "compute", "smoke"),
        Spec("tagging", "passes", "smoke", overrides={"threads": 2}),
    ],
    ids=lambda spec: spec.task,
)
def test_the_spec_of_a_record_asks_for_it(spec: Spec) -> None:
    made = record(1.0).model_copy(update={"asked": spec.plan.asked})
    again = spec_of(made)
    assert again.plan.asked == spec.plan.asked and again.plan.settings == spec.plan.settings


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"revision": 1}, "of revision 1 of images, and this version makes revision 2"),
        ({"data": {"train": "0" * 64}}, "data train was '000000000000' and is"),
        ({"processes": 2}, "processes was 2 and is 1"),
        ({"source": "path"}, "give it, by --source FOLDER"),
    ],
)
def test_what_cannot_be_made_again_says_why(change, says: str) -> None:
    asked = Spec("images", "id", "smoke").plan.asked.model_copy(update=change)
    made = record(1.0).model_copy(update={"asked": asked})
    with pytest.raises(SettingsError, match=says):
        spec_of(made)


@pytest.mark.parametrize(
    ("commit", "says"),
    [
        (None, "revision 2$"),
        ("0123456789ab", "revision 2: git checkout 0123456789ab has the code that made it$"),
        ("0123456789ab+changed", "checkout 0123456789ab has .*, but for changes that were not"),
    ],
)
def test_the_code_of_an_earlier_revision_is_named(commit, says: str) -> None:
    asked = Spec("images", "id", "smoke").plan.asked.model_copy(update={"revision": 1})
    made = record(1.0, commit=commit).model_copy(update={"asked": asked})
    with pytest.raises(SettingsError, match=says):
        spec_of(made)
