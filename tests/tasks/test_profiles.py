"""Settings: what cannot be meant is refused, by name and with the choices."""

from typing import get_args, get_origin

import pytest

from idlib.method.choices import REDUCTIONS
from idlib.method.losses import DIVERGENCES
from idlib.method.passes import MODES
from idlib.tasks import TASKS, task_class
from idlib.tasks.images import ImageSettings, ImageTask
from idlib.tasks.translation import TranslationTask
from idlib.training.optim import check_rates
from idlib.training.settings import (
    METHODS,
    PROFILES,
    Settings,
    SettingsError,
    check_choice,
    check_kept,
    default_source,
    distinct,
    resolve,
)


def settings(profile="small", method="id", **overrides):
    return resolve(ImageTask.schema, ImageTask.profiles, profile, method, overrides)


def test_paper_is_the_earlier_reports_settings():
    s = settings("paper")
    assert (s.architecture, s.pretrained, s.epochs, s.batch_size) == ("resnet50", True, 80, 60)
    assert (s.passes, s.alpha, s.p, s.q) == (3, 5.0, 5.0, 10.0)
    assert (s.lr_initial, s.lr_peak, s.warmup, s.weight_decay) == (2e-5, 1e-3, 50, 1e-3)
    assert (s.dropout, s.betas) == (0.1, (0.9, 0.999))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_every_method(profile):
    assert all(settings(profile, method) for method in METHODS)


def test_methods_differ_by_what_they_are_and_by_nothing_else():
    names = {"passes", "alpha", "stretch", "mode"}
    ours = {m: settings(method=m).model_dump(include=names) for m in METHODS}
    rest = {m: settings(method=m).model_dump(exclude=names) for m in METHODS}
    assert rest["baseline"] == rest["id"] == rest["passes"] == rest["compute"]
    assert ours["id"]["alpha"] == 5.0 and ours["id"]["passes"] == 3
    assert ours["passes"] == {**ours["id"], "alpha": 0.0}
    assert ours["baseline"] == {**ours["id"], "alpha": 0.0, "passes": 1}
    assert ours["compute"] == {**ours["baseline"], "stretch": 3}


def test_what_plays_no_part_does_not_make_another_baseline():
    plain = settings(method="baseline")
    assert settings(method="baseline", alpha=2.0, p=4.0, divergence="js", mode="stack") == plain
    assert settings(method="compute", passes=5).stretch == 5
    assert settings(method="passes", p=4.0) == settings(method="passes")
    assert settings(method="passes", mode="stack").mode == "stack"


def test_none_leaves_a_setting_as_it_is():
    assert settings(alpha=None) == settings()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"profile": "tiny"},
            "choose one of smoke, small, medium, large, paper",
        ),
        (
            {"method": "rdrop"},
            "unknown method 'rdrop': choose one of baseline, id, passes, compute",
        ),
        ({"alhpa": 1.0}, "unknown setting 'alhpa': choose one of .*alpha"),
        ({"alpha": "abc"}, "setting alpha = 'abc'"),
        ({"divergence": "kld"}, "divergence = 'kld'.*'x', 'js' or 'kl'"),
        ({"epochs": 0}, "epochs = 0"),
        ({"p": 10.0, "q": 5.0}, "A4"),
        ({"smoothing": 1.0}, "smoothing"),
        ({"alpha": float("nan")}, "alpha"),
        ({"epochs": True}, "epochs = True"),
        ({"epochs": 2**31}, "epochs = 2147483648"),
        ({"threads": 1025}, "threads = 1025"),
        ({"betas": (1.0, 0.9)}, "betas"),
        ({"betas": (0.9, -0.1)}, "betas"),
        ({"warmup": 0}, "warmup = 0: .*set warmup to at least 1"),
        ({"lr_head": 0.1}, "lr_head = 0.1: this task has none"),
        ({"passes": 1}, "passes = 1: method id"),
        ({"passes": 1, "method": "passes"}, "passes = 1: method passes"),
        ({"dropout": 0.0}, "dropout = 0: .*nothing to distil"),
        ({"dropout": 0.0, "method": "passes"}, "dropout = 0: .*set dropout above 0"),
    ],
)
def test_errors_name_the_value_and_the_choices(wrong, says):
    with pytest.raises(SettingsError, match=says):
        settings(**wrong)


def test_a_baseline_needs_neither_passes_nor_dropout_nor_a_warm_up():
    assert settings(method="baseline", dropout=0.0, passes=1).dropout == 0
    assert settings(method="compute", dropout=0.0).stretch == 3
    assert settings(warmup=0, schedule="constant").warmup == 0


def test_one_of_several_rates_of_dropout_is_enough():
    def given(**rates):
        return resolve(TranslationTask.schema, TranslationTask.profiles, "small", "id", rates)

    assert given(dropout=0.0).attention_dropout == 0.1
    assert given(attention_dropout=0.0).dropout == 0.3
    with pytest.raises(SettingsError, match="set dropout or attention_dropout above 0"):
        given(dropout=0.0, attention_dropout=0.0)


def test_distinct_values_are_at_least_one_and_none_twice():
    assert distinct("seeds", iter([2, 1])) == (2, 1)
    for values, says in (([], "seeds: none"), ([1, 2, 1], "seeds: 1 is given twice")):
        with pytest.raises(SettingsError, match=says):
            distinct("seeds", values)


def test_a_setting_that_a_source_changes_is_refused_only_if_it_was_asked_for():
    for name, value in (("epochs", 100), ("pretrained", True)):
        asked = ImageSettings(**{name: value})
        adapted = ImageTask.adapt(asked, "embedded")
        check_kept(asked, adapted, {}, "embedded")
        check_kept(asked, adapted, {name: None}, "embedded")
        with pytest.raises(SettingsError, match=f"{name} = {value} .*source embedded"):
            check_kept(asked, adapted, {name: value}, "embedded")


def test_a_linear_schedule_has_its_warm_up_before_its_end():
    linear = settings(schedule="linear", warmup=7)
    for updates in (7, 6):
        with pytest.raises(SettingsError, match=f"warmup = 7: .*{updates} updates"):
            check_rates(linear, updates)
    check_rates(linear, 8)
    stretched = settings(schedule="linear", warmup=7, method="compute")
    check_rates(stretched, 3 * 8)
    with pytest.raises(SettingsError, match="7 updates"):
        check_rates(stretched, 3 * 7)
    check_rates(settings(warmup=1000), 7)  # the rate of inverse_sqrt then rises to the end


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_the_bounds_of_all(task):
    task = task_class(task)
    for wrong in (
        {"betas": (0.9, 1.0)},
        {"warmup": 0, "schedule": "inverse_sqrt"},
        {"passes": 1},
        {"examples": {"train": True}},
        {"examples": {"train": 2**31}},
        {"p": 10.0},
    ):
        (name, *_) = wrong
        with pytest.raises(SettingsError, match=name):
            resolve(task.schema, task.profiles, "small", "id", wrong)


@pytest.mark.parametrize(
    ("setting", "choices"),
    [("divergence", DIVERGENCES), ("divergence_reduction", REDUCTIONS), ("mode", MODES)],
)
def test_settings_have_the_choices_of_the_method(setting, choices):
    """They stand in both, since settings are read where torch is not imported."""
    annotation = Settings.model_fields[setting].annotation
    (literal, *_) = [kind for kind in (*get_args(annotation), annotation) if get_origin(kind)]
    assert set(get_args(literal)) == set(choices)


def test_settings_are_frozen():
    with pytest.raises(ValueError):
        settings().alpha = 1.0


def test_the_public_data_are_the_default_at_paper_only():
    assert [default_source(p) for p in PROFILES] == ["embedded"] * 4 + ["hub"]
    with pytest.raises(SettingsError):
        default_source("huge")


def test_unknown_task():
    with pytest.raises(SettingsError, match="unknown task 'image': choose one of images"):
        task_class("image")
    check_choice("task", "images", ("images",))
