"""What is typed after --set, and lists of numbers."""

import pytest

from idlib.commands.arguments import numbers_of, settings_of
from idlib.training.settings import SettingsError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 5e-4),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("010", 10),
        ("1:30", "1:30"),  # 90 in YAML 1.1
        ("no", "no"),  # Norwegian; false in YAML 1.1
        ("[en, no]", ["en", "no"]),
        ("true", True),
        ("'5'", "5"),
        ("[0.9, 0.98]", [0.9, 0.98]),
        ("{train: 60}", {"train": 60}),
        ("a=b", "a=b"),
        ("2022-01-01", "2022-01-01"),
    ],
)
def test_values_are_what_they_look_like(text, value):
    (found,) = settings_of([f"name={text}"]).values()
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["[1", "{a: 1", "*x", "@x", "a: b: c", "!!python/name:os.system", "!!timestamp x", "[" * 5000],
)
def test_what_is_no_yaml_is_one_line_that_names_the_setting(text):
    with pytest.raises(SettingsError, match="--set 'alpha=") as raised:
        settings_of(["epochs=1", f"alpha={text}"])
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("changes", [["alpha"], ["=1"], ["alpha="], ["alpha=null"], ["a=1", "a=1"]])
def test_a_setting_is_named_once_and_has_a_value(changes):
    with pytest.raises(SettingsError, match="--set"):
        settings_of(changes)


def test_numbers_are_of_one_kind_and_none_is_there_twice():
    assert numbers_of("seeds", "3,-1") == (3, -1)
    assert numbers_of("smoothing", "0, 0.1", float) == (0.0, 0.1)
    for text in ("", "1,", "1.5", "a", "1,1", "1,01"):
        with pytest.raises(SettingsError, match="seeds"):
            numbers_of("seeds", text)
