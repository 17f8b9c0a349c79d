"""What the settings make of a run: every one of them reaches the objective, optimizer or rate."""

from dataclasses import fields

import pytest
from made_up.toy import ToySettings

from idlib.method.objective import IntraDistillation
from idlib.method.schedules import constant, inverse_sqrt, linear_decay
from idlib.training.optim import learning_rate, objective_of
from idlib.training.settings import Settings

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
SCHEDULES = {
    "inverse_sqrt": lambda at: inverse_sqrt(at, PEAK, WARMUP, INITIAL),
    "linear": lambda at: linear_decay(at, UPDATES, PEAK, WARMUP),
    "constant": lambda at: constant(at, PEAK),
}


def test_the_objective_has_every_setting_that_it_takes():
    assert set(OTHERWISE) == {field.name for field in fields(IntraDistillation)}
    objective = objective_of(ToySettings(**OTHERWISE))
    for name, value in OTHERWISE.items():
        assert value != Settings.model_fields[name].default, name
        assert getattr(objective, name) == value, name


def test_the_objective_of_the_defaults_is_the_papers():
    assert objective_of(ToySettings()) == IntraDistillation()


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
