"""Tables of rows: what ships, the hub's layouts, and files on disk; also damaged ones."""

from __future__ import annotations

import shutil

import pytest
from made_up.tables import publish, write_table
from made_up.texts import pairs, sentences, splits, write_parquet

from idlib.data import DataError, tables
from idlib.data.sources import Source

TABLES = splits()
COLUMNS = ["sentence", "label"]
NAMES = ("bad", "good")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def shipped(tmp_path):
    for name, table in TABLES.items():
        write_parquet(tmp_path / "shipped/task" / f"{name}.parquet", table, NAMES)
    publish(tmp_path / "shipped")
    return tmp_path / "shipped"


def layout(root, shape, tables=TABLES):
    """The tables of the configuration cola, in files named after their split by ``shape``."""
    for name, table in tables.items():
        write_parquet(root / shape.format(name), table, NAMES)
    return root


def read_hub(root, cache, names=tuple(TABLES), config="cola", columns=COLUMNS):
    source = Source("hub", root, cache)
    return tables.read_hub(source, "owner/name", "refs/convert/parquet", names, columns, config)


# ---- what ships


def test_embedded_tables_come_as_published(shipped):
    table = tables.read_embedded("task/train", COLUMNS, shipped)
    assert table.rows == TABLES["train"] and table.names == {"label": NAMES}
    assert f"{table.checksum}  task/train.parquet" in (shipped / "CHECKSUMS").read_text()
    assert table.place(0) == f"{shipped}/task/train.parquet:1"


@pytest.mark.parametrize("name", ["task/train.parquet", "CHECKSUMS"])
def test_an_embedded_table_that_is_missing_or_changed(shipped, name):
    write_parquet(shipped / "task/test.parquet", TABLES["test"][1:], NAMES)
    with pytest.raises(DataError, match="task/test.parquet is not the file that was published"):
        tables.read_embedded("task/test", COLUMNS, shipped)
    (shipped / name).unlink()
    with pytest.raises(DataError, match=f"{name}.*restore it"):
        tables.read_embedded("task/train", COLUMNS, shipped)


def test_a_published_checksum_is_that_of_one_path(shipped):
    """Two tables of one file name: the checksum of the one says nothing of the other."""
    write_parquet(shipped / "other/train.parquet", TABLES["train"], NAMES)
    with pytest.raises(DataError, match="other/train.parquet.*listed in CHECKSUMS"):
        tables.read_embedded("other/train", COLUMNS, shipped)


# ---- the hub's layouts

SHAPES = [
    "cola/{}-00000-of-00001.parquet",  # as GLUE lies on the hub
    "cola/{}/0000.parquet",  # as the hub converts data sets itself
    "cola/{}.parquet",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_layout_gives_the_same_tables(tmp_path, cache, shape):
    root = layout(tmp_path / "hub", shape)
    found = read_hub(root, cache)
    assert {name: table.rows for name, table in found.items()} == TABLES
    assert all(table.names == {"label": NAMES} for table in found.values())
    assert found["test"].place(2) == f"{root}/cola/test:3"
    assert sorted(path.name for path in root.iterdir()) == ["cola"]  # nothing is left beside it


def test_checksums_tell_content_and_not_place_or_layout(tmp_path, cache):
    sums = []
    for number, shape in enumerate(SHAPES):
        found = read_hub(layout(tmp_path / str(number), shape), cache)
        sums.append({name: table.checksum for name, table in found.items()})
    assert sums[0] == sums[1] == sums[2] and len(set(sums[0].values())) == 3
    changed = layout(tmp_path / "changed", SHAPES[0], {**TABLES, "test": TABLES["test"][1:]})
    other = read_hub(changed, cache)
    assert [other[name].checksum == sums[0][name] for name in TABLES] == [True, True, False]


def test_a_split_in_several_files_is_read_in_their_order(tmp_path, cache):
    root, train = tmp_path / "hub", TABLES["train"]
    layout(root, SHAPES[0])
    for number in range(3):
        part = train[16 * number : 16 * (number + 1)]
        write_parquet(root / f"cola/train-0000{number}-of-00003.parquet", part, NAMES)
    (root / "cola/train-00000-of-00001.parquet").unlink()
    assert read_hub(root, cache)["train"].rows == train


def test_splits_whose_names_begin_alike_stay_apart(tmp_path, cache):
    names = ("train", "validation_matched", "validation_mismatched", "test_matched")
    tables = {name: sentences(5, seed) for seed, name in enumerate(names)}
    for shape in ("mnli/{}-00000-of-00001.parquet", "other/{}/0000.parquet"):
        root = layout(tmp_path / "hub", shape, tables)
        found = read_hub(root, cache, names[:2], shape.split("/")[0])
        assert {name: table.rows for name, table in found.items()} == {
            name: tables[name] for name in names[:2]
        }


def test_the_folder_of_a_configuration_is_taken_as_it_is(tmp_path, cache):
    root = layout(tmp_path / "hub", SHAPES[0])
    assert read_hub(root / "cola", cache)["train"].rows == TABLES["train"]


def test_another_configurations_tables_are_never_taken(tmp_path, cache, monkeypatch):
    """The folder has cola alone; rte, of the same columns, would have to come from the hub."""
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for shape in SHAPES:
        root = layout(tmp_path / shape[6:8], shape)
        says = rf"owner/name \(rte\) cannot be loaded.* into {root}/rte .*--source embedded"
        with pytest.raises(DataError, match=says):
            read_hub(root, cache, config="rte")


def test_files_where_the_message_says_take_the_place_of_the_hub(workspace, cache, monkeypatch):
    """The command line names no root: the folder of the message is the one that is read."""
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r" into \.idlib/data/name/cola and try again"):
        read_hub(None, cache)
    for shape in SHAPES:
        layout(workspace / ".idlib/data/name", shape)
        assert {name: table.rows for name, table in read_hub(None, cache).items()} == TABLES
        shutil.rmtree(workspace / ".idlib/data/name")


def test_what_a_hub_folder_lacks_is_named(tmp_path, cache):
    root = layout(tmp_path / "hub", SHAPES[0])
    with pytest.raises(DataError, match="cola has no split dev; it has test, train, validation"):
        read_hub(root, cache, ("train", "dev"))
    with pytest.raises(DataError, match="cola/train has no column idx; it has sentence, label"):
        read_hub(root, cache, columns=[*COLUMNS, "idx"])
    (root / "cola/test-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cola cannot be loaded.*restore its files from owner/nam"):
        read_hub(root, cache)


# ---- files on disk


def test_parquet_and_lines_hold_the_same_rows(tmp_path):
    write_parquet(tmp_path / "a.parquet", TABLES["test"], NAMES)
    write_table(tmp_path / "b.jsonl", TABLES["test"])
    first, second = (tables.read_path(tmp_path, name, COLUMNS) for name in "ab")
    assert first.rows == second.rows == TABLES["test"]
    assert (first.names, second.names) == ({"label": NAMES}, {})
    moved = shutil.move(tmp_path / "b.jsonl", tmp_path / "c.jsonl")
    assert tables.read_path(tmp_path, "c", COLUMNS).checksum == second.checksum
    write_table(moved, TABLES["test"][1:])
    assert tables.read_path(tmp_path, "c", COLUMNS).checksum != second.checksum


def test_a_table_in_a_folder_of_its_own(tmp_path):
    write_table(tmp_path / "de/test.jsonl", TABLES["test"])
    assert tables.read_path(tmp_path, "de/test", COLUMNS).file == f"{tmp_path}/de/test.jsonl"


def test_lines_keep_numbers_as_they_are(tmp_path):
    """A whole number and one with a fraction mean different things as a label."""
    written = [{"label": 1}, {"label": 1.0}, {"label": None}, {"label": True}]
    write_table(tmp_path / "a.jsonl", written)
    found = [row["label"] for row in tables.read_path(tmp_path, "a", ["label"]).rows]
    assert [type(label) for label in found] == [int, float, type(None), bool]


def test_values_survive_parquet(tmp_path):
    table = pairs(6, seed=1)
    write_parquet(tmp_path / "a.parquet", table)
    assert tables.read_path(tmp_path, "a", ["label"]).rows == table


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"sentence": "a", "label": 1}\n{"sentence": ', "a.jsonl:2 is no JSON"),
        (b'{"sentence": "a", "label": 1}\n["a", 1]\n', "a.jsonl:2 is no JSON object"),
        (b'{"sentence": "\xe4", "label": 1}\n', "a.jsonl:1 is no JSON"),
        (b'{"label": 1}\n', "a.jsonl:1 has no column sentence; it has label"),
        (b'{"sentence": "a", "label": 1}\n{}', "a.jsonl:2 has no column .*; it has none"),
    ],
)
def test_lines_that_are_no_rows_are_named(tmp_path, content, message):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        tables.read_path(tmp_path, "a", COLUMNS)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} has no a.parquet or a.jsonl"):
        tables.read_path(tmp_path, "a", COLUMNS)
    write_table(tmp_path / "a.jsonl", TABLES["test"])
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="has both a.parquet and a.jsonl; it needs one of them"):
        tables.read_path(tmp_path, "a", COLUMNS)
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(DataError, match="a.parquet is no parquet table"):
        tables.read_path(tmp_path, "a", COLUMNS)
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(DataError, match="b.jsonl cannot be read"):
        tables.read_path(tmp_path, "b", COLUMNS)
    write_parquet(tmp_path / "c.parquet", TABLES["test"])
    with pytest.raises(DataError, match="c.parquet has no column tokens, idx; it has sentence"):
        tables.read_path(tmp_path, "c", ["tokens", "idx"])


def test_rows_are_numbered_as_lines_are(tmp_path):
    """No line is skipped, so that file:row leads to the line; only at the end may some be empty."""
    (tmp_path / "a.jsonl").write_text('{"label": 1}\r\n{"label": "\u2028"}\r\n\n\n')
    table = tables.read_path(tmp_path, "a", ["label"])
    assert [row["label"] for row in table.rows] == [1, "\u2028"]
    assert table.place(1) == f"{tmp_path}/a.jsonl:2"
    (tmp_path / "a.jsonl").write_text('{"label": 1}\n\n{"label": 2}\n')
    with pytest.raises(DataError, match="a.jsonl:2 is no JSON"):
        tables.read_path(tmp_path, "a", ["label"])
    (tmp_path / "a.jsonl").write_text("")
    assert tables.read_path(tmp_path, "a", ["label"]).rows == []
