"""Records of anything: written and read again as they were, or refused by the name of the file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from made_up.anything import folder, json_values, scalars, whole_texts
from pydantic import ValidationError

from idlib.records import Asked, Cost, Measured, Origin, Record, RecordError, Store, read

finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.one_of(st.integers(-(2**53), 2**53), finite)
names = st.sampled_from(["images", "id", "small", "embedded", "measured", "cpu"])

# What YAML and JSON can say and a run can be asked for.
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, whole_texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(whole_texts | st.just("measured"), inner, max_size=3),
    ),
    max_leaves=6,
)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    return Asked(
        task=draw(names),
        method=draw(names),
        profile=draw(names),
        source=draw(whole_texts),
        seed=draw(st.integers(-(2**70), 2**70)),
        settings=draw(st.dictionaries(whole_texts | names, values, max_size=4)),
        data=draw(st.dictionaries(whole_texts, whole_texts, max_size=2)),
        precision="fp32",
        device_type="cpu",
        threads=draw(st.integers(1, 64)),
        processes=draw(st.integers(1, 8)),
        revision=draw(st.integers(0, 9)),
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    what = draw(asked())
    return Record(
        signature=what.signature,
        asked=what,
        measured=Measured(
            metrics=draw(st.dictionaries(whole_texts, finite, max_size=3)),
            curves=draw(st.dictionaries(whole_texts, st.lists(finite, max_size=4), max_size=3)),
        ),
        cost=Cost(
            seconds=draw(finite),
            peak_memory_bytes=draw(st.integers(0, 2**50)),
            energy_joules=draw(st.none() | finite),
        ),
        origin=Origin(
            versions=draw(st.dictionaries(whole_texts, whole_texts, max_size=2)),
            commit=draw(st.none() | whole_texts),
            device=draw(whole_texts),
            created=draw(whole_texts),
            protocol=draw(st.none() | whole_texts),
        ),
    )


def turned(value: Any) -> Any:
    """The same with all keys in the other order."""
    if isinstance(value, dict):
        return {key: turned(one) for key, one in reversed(value.items())}
    return [turned(one) for one in value] if isinstance(value, list) else value


def read_or_named(path: Path) -> Record | None:
    """A record, or None where there was an error, which must name the file."""
    try:
        return read(path)
    except RecordError as error:
        assert str(path) in str(error)
        return None


@given(records())
def test_a_record_is_read_as_it_was_written_and_found_by_what_was_asked(record) -> None:
    with folder() as root:
        store = Store(root, also=())
        path = store.save(record)
        assert read(path) == record
        assert store.answer(record.asked) == record and store.path(record.asked) == path
        (stored,), damaged = store.readable()
        assert stored.record == record and not damaged
        assert read(path).digest == record.digest == json.loads(path.read_text())["digest"]


@given(records(), records())
def test_the_signature_depends_on_what_was_asked_and_on_nothing_else(one, other) -> None:
    fields = json.loads(one.asked.model_dump_json())
    again = Asked(**turned(fields))
    assert again.signature == one.signature
    made = Record(**{**dict(other), "asked": one.asked, "signature": one.signature})
    assert made.asked.signature == one.signature
    same = json.dumps(one.asked.model_dump(), sort_keys=True) == json.dumps(
        other.asked.model_dump(), sort_keys=True
    )
    assert (one.signature == other.signature) == same


@given(records(), st.data())
def test_a_number_changed_afterwards_is_found(record, data) -> None:
    """Whatever value of the file is another: it is refused, or it was the same number."""
    with folder() as root:
        path = Store(root, also=()).save(record)
        payload = json.loads(path.read_text())
        place, within = [], payload
        while isinstance(within, (dict, list)) and len(within):
            every = sorted(within) if isinstance(within, dict) else range(len(within))
            place.append(data.draw(st.sampled_from(every)))
            within = within[place[-1]]
        holder = payload
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = data.draw(scalars)
        try:
            path.write_text(json.dumps(payload))
        except UnicodeEncodeError:
            return
        found = read_or_named(path)
        assert found is None or found == record


@given(records(), st.data())
def test_damaged_bytes_end_in_the_record_or_a_named_error(record, data) -> None:
    with folder() as root:
        path = Store(root, also=()).save(record)
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content)))
        other = data.draw(st.binary(max_size=6) | st.sampled_from([b"[" * 9_999, b"1" * 5000]))
        cut = data.draw(st.sampled_from([0, len(other), len(content)]))
        path.write_bytes(content[:place] + other + content[place + cut :])
        found = read_or_named(path)
        assert found is None or found == record


@given(st.one_of(json_values, st.binary(max_size=40), st.text(st.characters(codec="utf-8"))))
def test_a_file_of_anything_else_is_no_record(content) -> None:
    with folder() as root:
        path = root / "images-small-id-0000.json"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
        assert read_or_named(path) is None
        stored, damaged = Store(root, also=()).readable()
        assert not stored and list(damaged) == [path]


@given(st.sampled_from([math.nan, math.inf, -math.inf]), st.sampled_from(["metrics", "curves"]))
def test_what_is_not_finite_is_not_measured(value, where) -> None:
    try:
        Measured(
            **{"metrics": {}, "curves": {}, where: {"x": value if where == "metrics" else [value]}}
        )
    except ValidationError as error:
        assert where in str(error)
    else:
        raise AssertionError(f"{value} was taken")


@given(asked(), st.sampled_from([math.nan, math.inf, -math.inf, "\ud800"]))
def test_nor_is_it_asked_for(what, value) -> None:
    try:
        Asked(**{**dict(what), "settings": {**what.settings, "x": {"y": [1.0, value]}}})
    except ValidationError as error:
        assert "not finite" in str(error)
    else:
        raise AssertionError(f"{value!r} was taken, of which JSON has no word")
