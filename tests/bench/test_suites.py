"""What there is to measure, and that every arm does its work at tiny sizes."""

from __future__ import annotations

import pytest
import torch

from idlib.bench.arms import Case
from idlib.bench.losses import KernelCase
from idlib.bench.measure import measure
from idlib.bench.running import Asked
from idlib.bench.steps import WAYS, StepCase, Way, of_training_loop, prepare
from idlib.bench.suites import CASES, QUICK, SUITES, cases_of
from idlib.commands.bench import SUITES as NAMED
from idlib.training.settings import SettingsError

TINY = StepCase(layers=1, width=16, ffn=32, sentences=2, tokens=5, vocabulary=50)


KERNEL = KernelCase(positions=16, classes=500)  # without a GPU the chunks take its place


@pytest.mark.slow
@pytest.mark.parametrize("case", [*QUICK, KERNEL], ids=lambda case: f"{case.suite}-{case.name}")
def test_every_arm_is_measured(case: Case) -> None:
    costs = measure(case, torch.device("cpu"), repeats=1)
    assert [arm.failed for arm in costs.arms if arm.failed] == []


@pytest.mark.parametrize("device", CASES)
def test_cases_have_names_of_their_own(device: str) -> None:
    names = [(case.suite, case.name, case.memory_kept) for case in cases_of((), device)]
    assert len(set(names)) == len(names)
    assert {suite for suite, *_ in names} <= set(SUITES)


def test_the_help_names_the_suites() -> None:
    assert NAMED == SUITES


def test_suites_are_chosen_by_name() -> None:
    assert {case.suite for case in cases_of(("loss", "step"), "cpu")} == {"loss", "step"}
    with pytest.raises(SettingsError, match="unknown suite 'losses': choose one of loss, "):
        cases_of(("losses",), "cpu")
    with pytest.raises(SettingsError, match="unknown suite on cpu 'compiled': choose one of"):
        cases_of(("compiled",), "cpu")


@pytest.mark.parametrize("name", ["baseline", "published", "rdrop", "id-plain", "id", "id-loop"])
def test_an_update_moves_the_weights_as_its_passes_say(name: str) -> None:
    setup = TINY.set_up(torch.device("cpu"))
    models, passes = [], []

    def model() -> torch.nn.Module:
        models.append(TINY.set_up(torch.device("cpu")).model())
        models[-1].register_forward_hook(lambda *_: passes.append(1))
        return models[-1]

    call = prepare(WAYS[name], setup._replace(model=model))
    before = models[0].lm_head.weight.detach().clone()
    call.run(call.make())
    assert not torch.equal(models[0].lm_head.weight, before)
    assert len(passes) == (3 if name in ("published", "id-loop") else 1)


def test_what_is_compiled_is_an_update_of_the_training_loop() -> None:
    """Without its compiler, which takes a minute here."""
    setup = TINY.set_up(torch.device("cpu"))
    model = setup.model()
    before = model.lm_head.weight.detach().clone()
    call = of_training_loop(Way(WAYS["id-compiled"].method), setup._replace(model=lambda: model))
    call.run(call.make())
    assert not torch.equal(model.lm_head.weight, before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SettingsError, match="torch finds no GPU here; take --device cpu"):
        Asked(device="cuda").check()
