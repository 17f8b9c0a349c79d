"""Tables of rows: what ships, the hub's layouts, and files on disk; also damaged ones."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import pytest
from made_up.tables import publish, sha256, write_table
from made_up.texts import pairs, sentences, splits

from idlib.data import DataError, tables
from idlib.data.sources import Source

TABLES = splits()
COLUMNS = ["sentence", "label"]
NAMES = {"label": ("bad", "good")}


@pytest.fixture
def shipped(tmp_path):
    for name, table in TABLES.items():
        write_table(tmp_path / f"shipped/task/{name}.parquet", table, NAMES)
    return publish(tmp_path / "shipped")


@pytest.fixture
def source(tmp_path):
    return Source("hub", tmp_path / "hub", tmp_path / "cache")


@pytest.fixture
def no_network(monkeypatch):
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def layout(root, shape, by_split=TABLES):
    """The tables of the configuration cola, in files named after their split by ``shape``."""
    for name, table in by_split.items():
        write_table(root / shape.format(name), table, NAMES)
    return root


def read_hub(source, names=tuple(TABLES), columns=COLUMNS, config="cola"):
    return tables.read_hub(source, "owner/name", "refs/convert/parquet", names, columns, config)


# ---- what ships


def test_embedded_tables_come_as_published(shipped):
    table = tables.read_embedded("task/train", COLUMNS, shipped)
    assert table.rows == TABLES["train"] and table.names == NAMES
    assert table.checksum == sha256(shipped / "task/train.parquet")
    assert table.place(0) == f"{shipped}/task/train.parquet:1"


def test_an_embedded_table_that_is_missing_or_changed(shipped):
    write_table(shipped / "task/test.parquet", TABLES["test"][1:], NAMES)
    with pytest.raises(DataError, match="task/test.parquet is not the file that was published"):
        tables.read_embedded("task/test", COLUMNS, shipped)
    for name in ("task/train.parquet", "CHECKSUMS"):
        (shipped / name).unlink()
        with pytest.raises(DataError, match=f"{name}.*restore it"):
            tables.read_embedded("task/train", COLUMNS, shipped)


def test_a_published_checksum_is_that_of_one_path(shipped):
    """Two tables of one file name: the checksum of the one says nothing of the other."""
    write_table(shipped / "other/train.parquet", TABLES["train"], NAMES)
    with pytest.raises(DataError, match="other/train.parquet.*listed in CHECKSUMS"):
        tables.read_embedded("other/train", COLUMNS, shipped)


def test_an_embedded_table_that_is_none(shipped):
    (shipped / "task/train.parquet").write_bytes(b"PAR1")
    publish(shipped)
    with pytest.raises(DataError, match="task/train.parquet is no parquet table"):
        tables.read_embedded("task/train", COLUMNS, shipped)
    with pytest.raises(DataError, match="has no column idx; it has sentence, label"):
        tables.read_embedded("task/test", ["idx"], shipped)


# ---- the hub's layouts

SHAPES = [
    "cola/{}-00000-of-00001.parquet",  # as GLUE lies on the hub
    "cola/{}/0000.parquet",  # as the hub converts data sets itself
    "cola/{}.parquet",
]


def test_every_layout_gives_the_same_tables_and_checksums(tmp_path, source):
    checksums = []
    for number, shape in enumerate(SHAPES):
        root = layout(tmp_path / str(number), shape)
        by_split = read_hub(replace(source, root=root))
        assert {name: table.rows for name, table in by_split.items()} == TABLES
        assert all(table.names == NAMES for table in by_split.values())
        assert by_split["test"].place(2) == f"{root}/cola/test:3"
        assert sorted(path.name for path in root.iterdir()) == ["cola"]  # nothing is left beside it
        checksums.append({name: table.checksum for name, table in by_split.items()})
    assert (source.cache / "datasets").is_dir()
    first = checksums[0]
    assert checksums == [first] * 3 and len(set(first.values())) == 3
    changed = layout(tmp_path / "changed", SHAPES[0], {**TABLES, "test": TABLES["test"][1:]})
    by_split = read_hub(replace(source, root=changed))
    assert [by_split[name].checksum == first[name] for name in TABLES] == [True, True, False]


def test_a_split_in_several_files_is_read_in_their_order(source):
    layout(source.root, SHAPES[0])
    for number in range(3):
        part = TABLES["train"][16 * number : 16 * (number + 1)]
        write_table(source.root / f"cola/train-0000{number}-of-00003.parquet", part, NAMES)
    (source.root / "cola/train-00000-of-00001.parquet").unlink()
    assert read_hub(source)["train"].rows == TABLES["train"]


def test_splits_whose_names_begin_alike_stay_apart(source):
    names = ("train", "validation_matched", "validation_mismatched", "test_matched")
    every = {name: sentences(5, seed) for seed, name in enumerate(names)}
    for config, shape in (("mnli", "{}-00000-of-00001.parquet"), ("other", "{}/0000.parquet")):
        layout(source.root, f"{config}/{shape}", every)
        by_split = read_hub(source, names[:2], config=config)
        assert [by_split[name].rows for name in names[:2]] == [every[name] for name in names[:2]]


def test_the_folder_of_a_configuration_is_taken_as_it_is(source):
    inside = replace(source, root=layout(source.root, SHAPES[0]) / "cola")
    assert read_hub(inside)["train"].rows == TABLES["train"]


def test_another_configurations_tables_are_never_taken(source, no_network):
    """The folder has cola alone; rte, of the same columns, would have to come from the hub."""
    for shape in SHAPES:
        root = layout(source.root, shape)
        says = rf"owner/name \(rte\) cannot be loaded.* into {root}/rte .*--source embedded"
        with pytest.raises(DataError, match=says):
            read_hub(source, config="rte")


def test_files_where_the_message_says_take_the_place_of_the_hub(workspace, no_network):
    """The command line names no root: the folder of the message is the one that is read."""
    says = r"convert/parquet.* into \.idlib/data/name/cola and try again"
    with pytest.raises(DataError, match=says):
        read_hub(Source("hub"))
    for shape in SHAPES:
        layout(workspace / ".idlib/data/name", shape)
        by_split = read_hub(Source("hub"))
        assert {name: table.rows for name, table in by_split.items()} == TABLES
        shutil.rmtree(workspace / ".idlib/data/name")


def test_what_a_hub_folder_lacks_is_named(source):
    root = layout(source.root, SHAPES[0])
    with pytest.raises(DataError, match="cola has no split dev; it has test, train, validation"):
        read_hub(source, ("train", "dev"))
    with pytest.raises(DataError, match="cola/train has no column idx; it has sentence, label"):
        read_hub(source, columns=[*COLUMNS, "idx"])
    (root / "cola/test-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cola cannot be loaded.*restore its files from owner/nam"):
        read_hub(source)


def test_the_hub_needs_a_package(source, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the package datasets; install it"):
        read_hub(source)


# ---- files on disk


def test_parquet_and_lines_hold_the_same_rows(tmp_path):
    write_table(tmp_path / "a.parquet", TABLES["test"], NAMES)
    write_table(tmp_path / "de/b.jsonl", TABLES["test"])
    first, second = (tables.read_path(tmp_path, name, COLUMNS) for name in ("a", "de/b"))
    assert first.rows == second.rows == TABLES["test"]
    assert (first.names, second.names) == (NAMES, {})
    assert second.file == f"{tmp_path}/de/b.jsonl"
    assert [first.checksum, second.checksum] == [
        sha256(tmp_path / n) for n in ("a.parquet", "de/b.jsonl")
    ]


def test_numbers_keep_their_types(tmp_path):
    """A whole number and one with a fraction mean different things as a label."""
    write_table(tmp_path / "a.jsonl", [{"label": value} for value in (1, 1.0, None, True)])
    labels = [row["label"] for row in tables.read_path(tmp_path, "a", ["label"]).rows]
    assert [type(label) for label in labels] == [int, float, type(None), bool]
    write_table(tmp_path / "b.parquet", pairs(6, seed=1))
    assert tables.read_path(tmp_path, "b", ["label"]).rows == pairs(6, seed=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"sentence": "a", "label": 1}\n{"sentence": ', "a.jsonl:2 is no JSON"),
        (b'{"sentence": "a", "label": 1}\n["a", 1]\n', "a.jsonl:2 is no JSON object"),
        (b'{"sentence": "\xe4", "label": 1}\n', "a.jsonl:1 is no JSON"),
        (b'{"label": 1}\n', "a.jsonl:1 has no column sentence; it has label"),
        (b'{"sentence": "a", "label": 1}\n{}', "a.jsonl:2 has no column .*; it has none"),
        (b'{"sentence": "a", "label": 1}\n\n{"sentence": "a", "label": 1}', "a.jsonl:2 is no JSON"),
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
    write_table(tmp_path / "c.parquet", TABLES["test"])
    with pytest.raises(DataError, match="c.parquet has no column tokens, idx; it has sentence"):
        tables.read_path(tmp_path, "c", ["tokens", "idx"])


def test_rows_are_numbered_as_lines_are(tmp_path):
    """No line is skipped, so that file:row leads to the line; only at the end may some be empty."""
    (tmp_path / "a.jsonl").write_text('{"label": 1}\r\n{"label": "\u2028"}\r\n\n\n')
    table = tables.read_path(tmp_path, "a", ["label"])
    assert [row["label"] for row in table.rows] == [1, "\u2028"]
    assert table.place(1) == f"{tmp_path}/a.jsonl:2"
    (tmp_path / "a.jsonl").write_text("")
    assert tables.read_path(tmp_path, "a", ["label"]).rows == []
