"""Settings of anything: what can be meant stays as it is, all else is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up.anything import json_values, numbers, texts, whole_texts

from idlib.book.parameters import check_parameters
from idlib.commands.arguments import names_of, numbers_of, settings_of
from idlib.tasks import TASKS, task_class
from idlib.training.settings import METHODS, PROFILES, Settings, SettingsError, resolve

SCHEMAS = {name: (task_class(name).schema, task_class(name).profiles) for name in TASKS}
FIELDS = sorted({field for schema, _ in SCHEMAS.values() for field in schema.model_fields})
WORDS = ["x", "js", "mean", "sum", "stack", "loop", "linear", "fp32", "bf16", "adamw", "default"]

values = st.one_of(json_values, numbers, st.sampled_from(WORDS), st.floats(0, 20))


@given(
    st.sampled_from(sorted(TASKS)),
    st.sampled_from(PROFILES),
    st.sampled_from(METHODS),
    st.dictionaries(st.sampled_from(FIELDS) | texts, values, max_size=3),
)
def test_settings_are_valid_or_named(task, profile, method, given_) -> None:
    schema, profiles = SCHEMAS[task]
    try:
        settings = resolve(schema, profiles, profile, method, given_)
    except SettingsError as error:
        message = str(error)
        asked = [name for name, value in given_.items() if value is not None]
        unknown = [name for name in asked if name not in schema.model_fields]
        half = [name for name in unknown if "\ud800" in name]  # alone named: nothing is read
        for name in half[:1] or unknown:
            assert f"unknown setting {name!r}: choose one of" in message
        assert any(name in message or repr(name) in message for name in asked), message
        return
    assert isinstance(settings, Settings)
    assert schema(**settings.model_dump()) == settings
    assert schema(**json.loads(settings.model_dump_json())) == settings


@given(st.sampled_from(["profile", "method", "task"]), json_values)
def test_a_choice_that_is_none_is_named_with_the_others(what, value) -> None:
    schema, profiles = SCHEMAS["images"]
    choices = {"profile": PROFILES, "method": METHODS, "task": tuple(TASKS)}[what]
    asked = {"profile": "smoke", "method": "id", what: value}
    if isinstance(value, str) and value in choices:
        return
    with pytest.raises(SettingsError, match=f"unknown {what} ") as raised:
        if what == "task":
            task_class(value)
        resolve(schema, profiles, asked["profile"], asked["method"])
    assert ", ".join(choices) in str(raised.value)


@given(st.lists(st.one_of(texts, st.tuples(texts, texts).map("=".join)), max_size=3))
def test_what_is_typed_is_a_setting_or_named(changes) -> None:
    try:
        settings = settings_of(changes)
    except SettingsError as error:
        assert any(f"--set {change!r}" in str(error) for change in changes)
        return
    assert len(settings) == len(changes)
    assert all(value is not None for value in settings.values())


@given(
    st.sampled_from(
        ["&a [*a]", "&a {x: *a}", "!!binary aa", "!!set {a}", "!!omap [a: 1]", "? a\n: b", "<<: 1"]
        + ["!!int x", "!!float x", "!!bool x", "!!null x", "--- 1\n--- 2", "%YAML 9", "1e999"]
        + ["- a\n- b", "{[a]: b}", "{{a: b}: c}", "!!str", "!!timestamp 2022-13-45", "9" * 5000]
    ),
    st.sampled_from(FIELDS),
)
def test_yaml_that_nobody_types_is_a_setting_or_named(text, name) -> None:
    schema, profiles = SCHEMAS["translation"]
    with pytest.raises(SettingsError, match=name):
        resolve(schema, profiles, "smoke", "id", settings_of([f"{name}={text}"]))
        raise SettingsError(name)  # it was taken


@given(
    st.dictionaries(
        st.from_regex(r"\A[a-z_]{1,8}\Z"),
        st.one_of(
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.lists(st.integers(), max_size=3),
        ),
        max_size=4,
    )
)
def test_what_is_typed_as_json_is_what_is_meant(settings) -> None:
    assert settings_of([f"{k}={json.dumps(v)}" for k, v in settings.items()]) == settings


@given(texts, st.sampled_from([int, float]))
def test_lists_of_numbers_are_read_or_named(text, kind) -> None:
    try:
        found = numbers_of("seeds", text, kind)
    except SettingsError as error:
        assert str(error).startswith("seeds")
        return
    assert len(found) == text.count(",") + 1


@given(st.lists(st.integers(), min_size=1, max_size=5, unique=True))
def test_lists_of_numbers_are_what_was_written(numbers) -> None:
    assert numbers_of("seeds", ", ".join(map(str, numbers))) == tuple(numbers)
    assert names_of(", ".join(map(str, numbers))) == tuple(map(str, numbers))


ANNOTATIONS = [
    int, float, bool, str, list[int], list[str], float | None, int | None, str | None,
    dict[str, int] | None, tuple[int, ...], dict[str, float],
]  # fmt: skip


@given(st.sampled_from(ANNOTATIONS), values, st.none() | st.integers(0, 3))
def test_a_parameter_of_a_notebook_is_of_its_type_or_named(annotation, value: Any, least) -> None:
    namespace = {"x": value, "__annotations__": {"x": annotation}}
    numeric = annotation in (int, float, list[int], float | None, int | None, tuple[int, ...])
    minimum = {"x": least} if least is not None and numeric else None
    try:
        check_parameters(namespace, minimum)
    except SettingsError as error:
        assert "'x'" in str(error)
        return
    once = namespace["x"]
    check_parameters(namespace, minimum)
    assert namespace["x"] == once and type(namespace["x"]) is type(once)


@given(whole_texts, json_values)
def test_a_parameter_that_there_is_not_is_named(name, value) -> None:
    namespace = {"alpha": 1.0, name: value, "__annotations__": {"alpha": float}}
    try:
        check_parameters(namespace)
    except SettingsError as error:
        assert f"unknown parameter {name!r}" in str(error) or "'alpha'" in str(error)
    else:
        assert name.startswith("_") or name == "alpha" or name in ("In", "Out") or not name
