"""A user's tables: each ends in data, none of its rows lost, or in an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from made_up import questions, tags, texts
from made_up.anything import ODD_TEXTS, folder, json_values, numbers, whole_texts
from made_up.data_sets import DATA_SETS
from made_up.tables import write_table

from idlib.data.errors import DataError

# The rows of each task: the file that is changed, and what may stand in its columns.
FILES = {
    "tagging": "en/train",
    "answering": "en/train",
    "classification": "mood/train",
}
FEW = 4  # rows of each table


def rows_of(task: str) -> dict[str, list[dict[str, Any]]]:
    """Few good rows for each table."""
    if task == "tagging":
        splits = {f"en/{name}": tags.made_up(name, "en") for name in tags.COUNTS}
    elif task == "answering":
        splits = {k: v for k, v in questions.every_row().items() if k.startswith("en/")}
    else:
        splits = {f"mood/{name}": rows for name, rows in texts.splits().items()}
    return {name: [dict(row) for row in rows[:FEW]] for name, rows in splits.items()}


GOOD = {task: rows_of(task) for task in FILES}
tasks = st.sampled_from(sorted(FILES))


def write_lines(root: Path, tables: dict[str, list[Any]]) -> None:
    for name, rows in tables.items():
        path = root / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def loaded_or_named(task: str, root: Path) -> dict[str, int] | None:
    """Sizes of the splits, or None where there was an error; that must name the folder.

    An error that is no ``DataError`` goes on to the test.
    """
    try:
        data = DATA_SETS[task].load(root=root, cache=root / "cache")
    except DataError as error:
        assert str(root) in str(error), f"no file in: {error}"
        return None
    return {name: len(split.ids) for name, split in data.splits.items()}


def values_near(value: Any) -> st.SearchStrategy[Any]:
    """What somebody may have written in the place of a value."""
    near = [json_values, numbers, st.sampled_from(ODD_TEXTS)]
    if isinstance(value, list):
        near += [
            st.just(value[:-1]),
            st.just([*value, None]),
            st.just(" ".join(map(str, value))),
            st.tuples(st.integers(0, max(len(value) - 1, 0)), json_values).map(
                lambda change: [*value[: change[0]], change[1], *value[change[0] + 1 :]]
            ),
        ]
    if isinstance(value, dict) and value:
        near += [
            st.tuples(st.sampled_from(sorted(value)), json_values).map(
                lambda change: {**value, change[0]: change[1]}
            ),
            st.fixed_dictionaries({name: values_near(one) for name, one in value.items()}),
        ]
    return st.one_of(near)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, dict[str, list[Any]]]:
    """A task and its rows, a value or two of which are something else."""
    task = draw(tasks)
    tables = {name: [dict(row) for row in rows] for name, rows in GOOD[task].items()}
    for _ in range(draw(st.integers(1, 2))):
        rows = tables[draw(st.sampled_from([FILES[task], *sorted(tables)]))]
        row = draw(st.integers(0, len(rows) - 1))
        column = draw(st.sampled_from(sorted(GOOD[task][FILES[task]][0])))
        if draw(st.integers(0, 9)) == 0:
            rows[row].pop(column, None)
        else:
            rows[row][column] = draw(values_near(rows[row].get(column)))
    return task, tables


@given(spoilt())
def test_a_value_that_should_not_stand_there_ends_in_data_or_a_named_error(case) -> None:
    task, tables = case
    with folder() as root:
        write_lines(root, tables)
        sizes = loaded_or_named(task, root)
        for name, size in (sizes or {}).items():
            assert size <= FEW, f"{name} has more than was written"


@given(spoilt())
def test_so_do_tables_of_parquet(case) -> None:
    """Where pyarrow takes the values at all: a column has one type there."""
    task, tables = case
    with folder() as root:
        try:
            for name, rows in tables.items():
                write_table(root / f"{name}.parquet", rows)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
            return
        loaded_or_named(task, root)


@given(tasks, st.data())
def test_bytes_that_are_something_else_end_in_data_or_a_named_error(task, data) -> None:
    suffix = data.draw(st.sampled_from([".jsonl", ".parquet"]))
    with folder() as root:
        for name, rows in GOOD[task].items():
            write_table(root / f"{name}{suffix}", rows)
        path = root / f"{FILES[task]}{suffix}"
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content)))
        other = data.draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"\n\n", b"\r\n", b"\xff", b"[" * 9_999, b"9" * 5000, b"\x00"]),
            )
        )
        cut = data.draw(st.sampled_from([0, 1, len(other), len(content)]))
        path.write_bytes(content[:place] + other + content[place + cut :])
        loaded_or_named(task, root)


ARROW = (  # columns that no task has, some of which Python cannot hold
    pa.array([b"\xff", b"a"]).view(pa.string()),
    pa.array([b"\xff", b"a"]),
    pa.array([2**62, 1], pa.timestamp("us")),
    pa.array([2**62, None], pa.date64()),
    pa.array(["a", "a"]).dictionary_encode(),
    pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    pa.array([1, 2], pa.decimal128(20, 3)),
    pa.array([[1.5, None], None]),
    pa.nulls(2),
)


@given(tasks, st.data())
def test_columns_and_descriptions_of_any_kind_end_in_data_or_a_named_error(task, data) -> None:
    with folder() as root:
        for name, rows in GOOD[task].items():
            table = pa.Table.from_pylist(rows[:2])
            for column in table.column_names:
                if data.draw(st.integers(0, 3)) == 0:
                    other = data.draw(st.sampled_from(ARROW))
                    table = table.set_column(table.column_names.index(column), column, other)
            about = data.draw(st.none() | json_values)
            if data.draw(st.booleans()):
                columns = st.sampled_from(table.column_names)
                feature = st.fixed_dictionaries({"names": json_values | st.lists(st.text())})
                features = st.dictionaries(columns, feature | json_values)
                about = {"info": {"features": data.draw(features)}}
            path = root / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            metadata = {"huggingface": json.dumps(about)}
            pq.write_table(table.replace_schema_metadata(metadata), path)
        loaded_or_named(task, root)


@st.composite
def good(draw: st.DrawFn) -> tuple[str, dict[str, list[Any]], str]:
    """A task and tables of rows that are as they should be, whatever their texts say."""
    task = draw(tasks)
    filled = whole_texts.filter(lambda text: text.strip())
    tables: dict[str, list[Any]] = {}
    for name in GOOD[task]:
        count = draw(st.integers(2, 5))
        rows: list[dict[str, Any]] = []
        for number in range(count):
            if task == "tagging":
                tokens = draw(st.lists(filled, min_size=1, max_size=4))
                kinds = draw(
                    st.lists(
                        st.sampled_from(tags.NAMES),
                        min_size=len(tokens) - 1,
                        max_size=len(tokens) - 1,
                    )
                )
                rows.append({"tokens": tokens, "ner_tags": ["B-PER", *kinds]})
            elif task == "answering":
                # of plain words, so that the tokenizer gives the answer a token
                before = draw(st.lists(st.sampled_from(questions.WORDS["en"]), max_size=3))
                answer = draw(st.sampled_from(questions.WORDS["en"]))
                context = " ".join([*before, answer, draw(whole_texts)])
                start = len(" ".join([*before, ""]))
                rows.append(
                    {
                        "context": context,
                        "question": "where?",
                        "answers": {"text": [answer], "answer_start": [start]},
                    }
                )
            else:
                rows.append({"sentence": draw(filled), "label": number % 2})
        tables[name] = rows
    if task == "tagging":  # both kinds occur in what is trained on
        tables["en/train"][0] |= {"tokens": ["a", "b"], "ner_tags": ["B-LOC", "B-PER"]}
    return task, tables, draw(st.sampled_from([".jsonl", ".parquet"]))


@given(good())
def test_every_good_row_is_read(case) -> None:
    task, tables, suffix = case
    with folder() as root:
        for name, rows in tables.items():
            write_table(root / f"{name}{suffix}", rows)
        data = DATA_SETS[task].load(root=root, cache=root / "cache")
        for name, rows in tables.items():
            split = name.split("/")[1]
            split = "test/en" if split == "test" and task != "classification" else split
            held = data.splits[split]
            assert len(held.ids) == len(rows)
            if task == "tagging":
                assert held.tokens == [row["tokens"] for row in rows]
                assert held.tags == [row["ner_tags"] for row in rows]
            elif task == "answering":
                found = [(one.context, one.span) for one in held.questions]
                assert [context for context, _ in found] == [row["context"] for row in rows]
                spans = [context[begin:end] for context, (begin, end) in found]
                assert spans == [row["answers"]["text"][0] for row in rows]
            else:
                assert held.texts == [(row["sentence"],) for row in rows]
                assert held.labels.tolist() == [row["label"] for row in rows]
        assert not any(count for split in data.dropped.values() for count in split.values())
