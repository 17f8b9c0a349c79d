"""Settings: what cannot be meant is refused, by name and with the choices."""

import pytest

from idlib.profiles import (
    METHODS,
    PROFILES,
    SettingsError,
    check_choice,
    default_source,
    resolve,
)
from idlib.tasks import task_class
from idlib.tasks.images import ImageSettings, ImageTask


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
        ({"profile": "tiny"}, "unknown profile 'tiny': choose one of smoke, small, medium, paper"),
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
    ],
)
def test_errors_name_the_value_and_the_choices(wrong, says):
    with pytest.raises(SettingsError, match=says):
        settings(**wrong)


def test_settings_are_frozen():
    with pytest.raises(ValueError):
        settings().alpha = 1.0


def test_the_public_data_are_the_default_at_paper_only():
    assert [default_source(p) for p in PROFILES] == ["embedded"] * 3 + ["hub"]
    with pytest.raises(SettingsError):
        default_source("large")


def test_unknown_task():
    with pytest.raises(SettingsError, match="unknown task 'image': choose one of images"):
        task_class("image")
    check_choice("task", "images", ("images",))


def test_embedded_data_cap_the_epochs_and_bring_no_weights():
    adapted = ImageTask.adapt(ImageSettings(), "embedded")
    assert (adapted.epochs, adapted.pretrained) == (60, False)
    assert ImageTask.adapt(ImageSettings(), "hub") == ImageSettings()
