"""What the settings make of a run: every one of them reaches the objective, optimizer or rate."""

from dataclasses import fields

import pytest
import torch
from made_up.toy import ToySettings, ToyTask

from idlib.method.objective import IntraDistillation
from idlib.method.projection import logits_of
from idlib.method.schedules import constant, inverse_sqrt, linear_decay
from idlib.training.optim import forward_of, learning_rate, objective_of, optimizer_of
from idlib.training.settings import Settings, SettingsError

UPDATES, PEAK, INITIAL, WARMUP = 12, 0.3, 0.05, 4
OTHERWISE = {  # every setting of the objective, other than its default
    "passes": 4,
    "alpha": 0.7,
    "p": 2.0,
    "q": 3.0,
    "divergence": "js",
    "smoothing": 0.2,
    "mode": "loop",
    "divergence_reduction": "sum",
}
FORM = {"fused", "overwrite_logits"}  # of the computation: no settings of a run
SCHEDULES = {
    "inverse_sqrt": lambda at: inverse_sqrt(at, PEAK, WARMUP, INITIAL),
    "linear": lambda at: linear_decay(at, UPDATES, PEAK, WARMUP),
    "constant": lambda at: constant(at, PEAK),
}


def test_the_objective_has_every_setting_that_it_takes():
    assert set(OTHERWISE) == {field.name for field in fields(IntraDistillation)} - FORM
    objective = objective_of(ToySettings(**OTHERWISE))
    for name, value in OTHERWISE.items():
        assert value != Settings.model_fields[name].default, name
        assert getattr(objective, name) == value, name


def test_the_objective_of_the_defaults_is_the_papers():
    assert objective_of(ToySettings()) == IntraDistillation(overwrite_logits=True)


def test_a_task_is_trained_through_its_logits_or_what_makes_them():
    task = ToyTask()
    model, batch = task.model(dropout=0.0), {"x": task.x}
    assert torch.equal(forward_of(task, model)(batch), model(task.x))
    head = forward_of(task, model, projected=True)(batch)
    assert head.weight is model[-1].weight
    torch.testing.assert_close(logits_of(head), model(task.x))


def rates(schedule: str, stretch: int = 1) -> list[float]:
    """The rates of all updates of a run; there are ``stretch`` times as many."""
    settings = ToySettings(
        schedule=schedule, lr_peak=PEAK, lr_initial=INITIAL, warmup=WARMUP, stretch=stretch
    )
    total = UPDATES * stretch
    return [learning_rate(settings, step, total) for step in range(1, total + 1)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_update_has_the_rate_of_its_schedule(name):
    assert rates(name) == [SCHEDULES[name](step) for step in range(1, UPDATES + 1)]


@pytest.mark.parametrize("stretch", [2, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_stretched_run_walks_the_same_rates_to_the_same_end(name, stretch):
    stretched = rates(name, stretch)
    assert len(stretched) == stretch * UPDATES
    assert stretched[stretch - 1 :: stretch] == rates(name)
    between = [SCHEDULES[name](step / stretch) for step in range(1, stretch * UPDATES + 1)]
    assert stretched == between


def test_the_optimizer_has_the_settings_and_what_is_trained():
    model, task = ToyTask().model(), ToyTask()
    model[0].weight.requires_grad_(False)
    for name, kind in ((None, torch.optim.AdamW), ("adamax", torch.optim.Adamax)):
        asked = {"betas": (0.8, 0.9), "eps": 1e-7, "weight_decay": 0.1, "lr_peak": 0.3}
        settings = ToySettings(optimizer=name, **asked)
        optimizer = optimizer_of(model, settings, task.is_head)
        assert type(optimizer) is kind
        (group,) = optimizer.param_groups
        asked["lr"] = asked.pop("lr_peak")
        assert {setting: group[setting] for setting in asked} == asked
        trained = [[id(p) for p in (model[0].bias, model[2].weight, model[2].bias)]]
        assert [[id(p) for p in group["params"]]] == trained
        apart = optimizer_of(model, settings.model_copy(update={"lr_head": 0.4}), task.is_head)
        groups = [[id(p) for p in group["params"]] for group in apart.param_groups]
        assert groups == [trained[0][:1], trained[0][1:]]


def test_a_rate_for_a_head_needs_a_head():
    model, settings = torch.nn.Linear(2, 2), ToySettings(lr_head=0.05)
    assert len(optimizer_of(model, settings, lambda name: name == "bias").param_groups) == 2
    with pytest.raises(SettingsError, match="this model has none"):
        optimizer_of(model, settings, lambda name: False)
