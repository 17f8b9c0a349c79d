"""Texts with classes or values: the tensors made of them, GLUE's layouts, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from made_up.tables import publish, write_table
from made_up.texts import (
    COUNTS,
    GLUE,
    GLUE_TRAINING,
    GLUE_VALIDATION,
    glue_rows,
    pairs,
    splits,
    tokenizer,
    write_dataset,
    write_glue,
    write_parquet,
)

from idlib.data import DataError, classification
from idlib.data.folding import fold

ROOT = Path(__file__).parents[2]
TOKENIZER, PLAIN = tokenizer(), tokenizer(types=False)
TOKENIZER.model_max_length = PLAIN.model_max_length = 128
PAD, UNK, CLS, SEP = 0, 1, 2, 3
TEXTS, VALUES = splits(), splits(pairs)


def load(root, source="path", tokenizer=TOKENIZER, **asked):
    asked = {"cache": root / "cache", **asked}
    return classification.load(source, tokenizer, root=root, **asked)


@pytest.fixture
def folder(tmp_path):
    """Two data sets: one of classes of sentences, and one of values of pairs."""
    write_dataset(tmp_path / "data/mood", TEXTS)
    write_dataset(tmp_path / "data/likeness", VALUES)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = tmp_path_factory.mktemp("shared")
    write_dataset(root / "mood", TEXTS)
    write_dataset(root / "likeness", VALUES)
    return {name: load(root, dataset=name) for name in ("mood", "likeness")}


# ---- examples and their tensors


def test_a_batch_is_its_examples_padded(shared):
    split, rows = shared["mood"].splits["train"], [3, 0, 17, 3]
    batch = split.batch(rows)
    assert {name: value.dtype for name, value in batch.items()} == dict.fromkeys(
        ("input_ids", "token_type_ids", "attention_mask", "label"), torch.int64
    )
    longest = max(split.lengths[i] for i in rows)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (4, longest)
    for b, i in enumerate(rows):
        ids = TOKENIZER(TEXTS["train"][i]["sentence"])["input_ids"]
        free = longest - len(ids)
        assert split.lengths[i] == len(ids) and ids[0] == CLS and ids[-1] == SEP
        assert batch["input_ids"][b].tolist() == ids + [PAD] * free
        assert batch["attention_mask"][b].tolist() == [1] * len(ids) + [0] * free
        assert batch["token_type_ids"][b].tolist() == [0] * longest
        assert batch["label"][b] == TEXTS["train"][i]["label"]
    same = split.batch(torch.tensor(rows))
    assert all(torch.equal(batch[name], same[name]) for name in batch)


def test_the_second_text_of_a_pair_has_the_second_type(shared):
    split = shared["likeness"].splits["validation"]
    batch = split.batch(range(len(split)))
    assert batch["label"].dtype == torch.float32
    for b, row in enumerate(VALUES["validation"]):
        both = [TOKENIZER(row[name])["input_ids"] for name in ("sentence1", "sentence2")]
        first, second = both[0], both[1][1:]  # [CLS] a [SEP], then b [SEP]
        length = len(first) + len(second)
        assert batch["input_ids"][b, :length].tolist() == first + second
        assert batch["token_type_ids"][b, :length].tolist() == [0] * len(first) + [1] * len(second)
        assert batch["attention_mask"][b].sum() == length
        assert batch["label"][b].item() == pytest.approx(row["label"])


def test_an_encoder_without_token_types_gets_none(folder):
    split = load(folder, tokenizer=PLAIN, dataset="likeness").splits["test"]
    assert set(split.batch([0])) == {"input_ids", "attention_mask", "label"}


def test_long_texts_are_cut_and_counted(folder):
    rows = [dict(sentence1="a " * 30, sentence2="the cell", label=1.0), *VALUES["test"]]
    write_table(folder / "likeness/test.jsonl", rows)
    data = load(folder, dataset="likeness", max_length=12)
    split = data.splits["test"]
    assert max(split.lengths) == 12
    whole = [3 + len(f"{row['sentence1']} {row['sentence2']}".split()) for row in rows]
    assert split.lengths == [min(length, 12) for length in whole]
    long = sum(length > 12 for length in whole)
    assert split.cut == long and f"test: {long} of 21 texts cut at 12 tokens" in data.report
    (ids,) = split.batch([0])["input_ids"].tolist()
    assert ids[-3:] == TOKENIZER("the cell")["input_ids"][1:]  # the longer one lost its end
    exact = load(folder, dataset="likeness", max_length=max(whole))
    assert [part.cut for part in exact.splits.values()] == [0, 0, 0] and exact.report == []


def test_many_texts_are_the_same_as_few(monkeypatch, shared):
    """Texts are cut into pieces some at a time."""
    monkeypatch.setattr(classification, "CHUNK", 7)
    examples = [
        classification.Example(str(i), (row["sentence1"], row["sentence2"]), row["label"])
        for i, row in enumerate(VALUES["train"])
    ]
    again = classification.Split(examples, TOKENIZER, 128, regression=True)
    split = shared["likeness"].splits["train"]
    assert again.lengths == split.lengths
    first, second = (part.batch(range(len(part))) for part in (split, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


# ---- classes and values


def test_whole_numbers_are_classes_and_others_values(shared):
    mood, likeness = shared["mood"], shared["likeness"]
    assert mood.classes == ("0", "1") and not mood.regression
    assert likeness.classes == () and likeness.regression
    for name, count in COUNTS.items():
        assert [len(data.splits[name]) for data in shared.values()] == [count, count]
        assert mood.splits[name].ids == [str(i) for i in range(count)]
        assert not any(mood.dropped[name].values())
    texts = [(row["sentence1"], row["sentence2"]) for row in VALUES["test"]]
    assert likeness.splits["test"].texts == texts


def test_one_fraction_among_the_training_labels_makes_all_of_them_values(folder):
    rows = [{**row, "label": int(row["label"])} for row in VALUES["train"]]
    write_table(folder / "likeness/train.jsonl", rows)
    with pytest.raises(DataError, match=r"validation.jsonl:\d+ has the label \d\.\d; choose one"):
        load(folder, dataset="likeness")
    rows[7]["label"] = 2.5
    write_table(folder / "likeness/train.jsonl", rows)
    assert load(folder, dataset="likeness").regression


def test_parquet_names_its_classes(tmp_path):
    for name, rows in TEXTS.items():
        write_parquet(tmp_path / "mood" / f"{name}.parquet", rows, ("bad", "good"))
    assert load(tmp_path).classes == ("bad", "good")
    write_parquet(tmp_path / "mood/test.parquet", TEXTS["test"], ("good", "bad"))
    with pytest.raises(DataError, match="test.parquet has the classes good, bad, but .*train"):
        load(tmp_path)


def test_a_class_that_only_names_know_is_none_of_the_data(tmp_path):
    """Six classes, of which the training split has two: the model still has six."""
    names = ("bad", "good", "c", "d", "e", "f")
    for name, rows in TEXTS.items():
        write_parquet(tmp_path / "mood" / f"{name}.parquet", rows, names)
    assert load(tmp_path).classes == names


# ---- samples and checksums


def test_a_smaller_sample_is_part_of_a_larger_one(folder):
    samples = [
        load(folder, dataset="mood", sizes={"train": size}).splits["train"].texts
        for size in (5, 10, 20)
    ]
    assert [len(set(sample)) for sample in samples] == [5, 10, 20]
    assert set(samples[0]) < set(samples[1]) < set(samples[2])
    order = [(row["sentence"],) for row in TEXTS["train"]]
    assert samples[2] == sorted(samples[2], key=order.index) != order[:20]


def test_a_sample_moves_neither_checksums_nor_classes(folder):
    whole, part = load(folder, dataset="mood"), load(folder, dataset="mood", sizes={"train": 1})
    assert part.checksums == whole.checksums and part.classes == whole.classes
    assert [len(split) for split in part.splits.values()] == [1, 16, 20]
    with pytest.raises(DataError, match="test has 20 examples, so 21 cannot be taken from it"):
        load(folder, dataset="mood", sizes={"test": 21})


# ---- what ships


@pytest.mark.parametrize(
    ("dataset", "classes"),
    [
        ("application", ("writer", "calc", "impress or draw", "math", "base", "basic")),
        ("heading", ("does not belong", "belongs")),
    ],
)
def test_embedded_loads_as_published(dataset, classes):
    data = classification.load("embedded", PLAIN, dataset=dataset)
    assert data.classes == classes and not any(sum(d.values()) for d in data.dropped.values())
    folder = ROOT / "idlib/data/embedded/libreoffice_help"
    published = (folder / "CHECKSUMS").read_text()
    for name, split in data.splits.items():
        path = f"classification/{dataset}/{name}.parquet"
        rows = pq.read_table(folder / path).to_pylist()
        columns = classification.DATASETS["embedded"][dataset]
        assert split.texts == [tuple(row[column] for column in columns) for row in rows]
        assert split.labels.tolist() == [row["label"] for row in rows]
        assert f"{data.checksums[name]}  {path}" in published
        assert set(split.labels.tolist()) == set(range(len(classes)))


def test_no_embedded_test_text_is_a_training_text():
    """Of a pair its paragraph: headings such as "Options" stand above many."""
    for dataset in classification.DATASETS["embedded"]:
        data = classification.load("embedded", PLAIN, dataset=dataset)
        folded = {
            name: {fold(texts[-1]) for texts in split.texts} for name, split in data.splits.items()
        }
        assert folded["test"] and folded["validation"]
        assert not folded["test"] & (folded["train"] | folded["validation"])
        assert not folded["validation"] & folded["train"]


def test_a_changed_embedded_file_is_refused(tmp_path):
    for name, rows in TEXTS.items():
        write_parquet(tmp_path / "classification/application" / f"{name}.parquet", rows)
    publish(tmp_path)
    assert len(load(tmp_path, "embedded").splits["test"]) == COUNTS["test"]
    write_parquet(tmp_path / "classification/application/test.parquet", TEXTS["test"][1:])
    with pytest.raises(DataError, match="application/test.parquet is not the file.*restore it"):
        load(tmp_path, "embedded")


# ---- GLUE


@pytest.mark.parametrize("dataset", GLUE)
def test_every_data_set_of_glue_loads(dataset, tmp_path):
    data = load(write_glue(tmp_path, dataset), "hub", dataset=dataset)
    columns, names = GLUE[dataset]
    assert data.dataset == dataset and data.classes == (names or ())
    public = glue_rows(dataset, GLUE_TRAINING, 0), glue_rows(dataset, GLUE_VALIDATION, 1)
    trained = [tuple(row[column] for column in columns) for row in public[0]]
    train, validation = (data.splits[name] for name in ("train", "validation"))
    assert Counter(train.texts + validation.texts) == Counter(trained)
    assert (len(train), len(validation), len(data.splits["test"])) == (72, 8, 12)  # a tenth held
    for split, rows in (
        (train, public[0]),
        (validation, public[0]),
        (data.splits["test"], public[1]),
    ):
        for index, texts, label in zip(split.ids, split.texts, split.labels.tolist(), strict=True):
            row = rows[int(index)]
            assert texts == tuple(row[column] for column in columns)
            assert label == pytest.approx(row["label"])
    assert any(
        f"8 of 80 examples of {tmp_path}/{dataset}/train held out" in line for line in data.report
    )


def test_mnli_is_tested_on_matched_texts(tmp_path):
    """Its mismatched ones, which lie beside them, are in no split."""
    data = load(write_glue(tmp_path, "mnli"), "hub", dataset="mnli")
    matched = [(row["premise"], row["hypothesis"]) for row in glue_rows("mnli", GLUE_VALIDATION, 1)]
    assert data.splits["test"].texts == matched
    assert data.splits["test"].labels.min() == 0


def test_the_part_held_out_depends_on_content_alone(tmp_path):
    first = load(write_glue(tmp_path / "a", "rte"), "hub", dataset="rte")
    turned = write_glue(tmp_path / "b", "rte", lambda split, rows: rows[::-1])
    second = load(turned, "hub", dataset="rte")
    for name in first.splits:
        assert set(first.splits[name].texts) == set(second.splits[name].texts)
    assert first.splits["train"].texts == second.splits["train"].texts[::-1]
    assert first.splits["validation"].labels.bincount().tolist() == [4, 4]  # as in training
    moved = load(write_glue(tmp_path / "c", "rte"), "hub", dataset="rte")
    assert moved.checksums == first.checksums and len(set(first.checksums.values())) == 3


def test_validation_is_no_larger_than_the_test_split(tmp_path):
    fewer = write_glue(
        tmp_path, "cola", lambda split, rows: rows[: 5 if split == "validation" else 80]
    )
    sizes = {n: len(s) for n, s in load(fewer, "hub", dataset="cola").splits.items()}
    assert sizes == {"train": 75, "validation": 5, "test": 5}


def test_what_is_known_to_be_missing_on_the_hub_is_dropped_and_counted(tmp_path):
    def damaged(split, rows):
        if split == "train":
            rows[3]["question2"], rows[5]["question1"], rows[9]["label"] = "", None, -1
        return rows

    data = load(write_glue(tmp_path, "qqp", damaged), "hub", dataset="qqp")
    assert data.dropped["train"] == {"hidden": 1, "empty": 2}
    assert data.dropped["validation"] == data.dropped["test"] == {"hidden": 0, "empty": 0}
    assert len(data.splits["train"]) + len(data.splits["validation"]) == GLUE_TRAINING - 3
    assert {"3", "5", "9"}.isdisjoint(data.splits["train"].ids + data.splits["validation"].ids)
    file = f"{tmp_path}/qqp/train"
    assert data.report[:2] == [
        f"train: 1 of 80 examples dropped, label -1, which is none: {file}:10",
        f"train: 2 of 80 examples dropped, no text: {file}:4, {file}:6",
    ]


def test_a_wrong_label_on_the_hub_is_no_missing_one(tmp_path):
    def damaged(split, rows):
        rows[2]["label"] = 3
        return rows

    with pytest.raises(DataError, match=r"rte/train:3 has the label 3; choose one of 0 \(entail"):
        load(write_glue(tmp_path, "rte", damaged), "hub", dataset="rte")


def test_hidden_labels_alone_make_no_split(tmp_path):
    def damaged(split, rows):
        return [{**row, "label": -1} for row in rows] if split == "validation" else rows

    with pytest.raises(DataError, match="split test: test: 12 of 12.*label -1.*rte/validation:1"):
        load(write_glue(tmp_path, "rte", damaged), "hub", dataset="rte")


def test_too_few_to_hold_some_out(tmp_path):
    few = write_glue(tmp_path, "cola", lambda split, rows: rows[:9])
    with pytest.raises(DataError, match="cola/train has 9 examples, too few to hold some out"):
        load(few, "hub", dataset="cola")


# ---- what cannot be loaded


def change(folder, dataset, split, index, **values):
    """Put other values into one row."""
    path = folder / dataset / f"{split}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[index] |= values
    write_table(path, rows)


@pytest.mark.parametrize("label", [2, -1, True, 1.0, "1", None, 1.5])
def test_a_label_outside_the_set_is_named(folder, label):
    change(folder, "mood", "test", 4, label=label)
    with pytest.raises(DataError) as raised:
        load(folder, dataset="mood")
    assert str(raised.value) == (
        f"{folder}/mood/test.jsonl:5 has the label {label!r}; choose one of 0 (0), 1 (1)"
    )


@pytest.mark.parametrize("label", [float("nan"), float("inf"), "2.5", None, True])
def test_a_value_that_is_no_number_is_named(folder, label):
    change(folder, "likeness", "validation", 2, label=label)
    with pytest.raises(DataError, match=r"validation.jsonl:3 has the label .* needs a number"):
        load(folder, dataset="likeness")


@pytest.mark.parametrize("text", [None, "", " \t", 5])
def test_a_missing_text_is_named(folder, text):
    change(folder, "likeness", "train", 11, sentence2=text)
    with pytest.raises(DataError, match=r"train.jsonl:12: no text in sentence2 .*sentence1 and"):
        load(folder, dataset="likeness")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a", "label": 1}], "needs a column sentence, or .*; it has text, label"),
        ([{"sentence": "a", "sentence1": "a", "sentence2": "b", "label": 1}], "and not both"),
        ([{"sentence1": "a", "label": 1}], "needs a column sentence, or sentence1 and sentence2"),
        ([], "it has no row"),
        ([{"sentence": "a", "label": 1}] * 3, "no two classes to tell apart: its labels are 1"),
        ([{"sentence": "a", "label": "x"}], "no two classes.*no whole number from 0"),
        ([{"sentence": "a"}], "train.jsonl:1 has no column label"),
    ],
)
def test_tables_of_another_schema(folder, rows, message):
    write_table(folder / "mood/train.jsonl", rows)
    with pytest.raises(DataError, match=message):
        load(folder, dataset="mood")


def test_an_empty_split(folder):
    write_table(folder / "mood/test.jsonl", [])
    with pytest.raises(DataError, match="mood/test.jsonl has no examples"):
        load(folder, dataset="mood")


def test_a_parquet_table_with_gaps(tmp_path):
    """A missing label makes pandas write all of them as fractions: then none is a class."""
    for name, rows in TEXTS.items():
        write_table(tmp_path / f"mood/{name}.jsonl", rows)
    (tmp_path / "mood/train.jsonl").unlink()
    labels = pa.array([0.0, 1.0, None], pa.float64())
    table = pa.table({"sentence": ["a", "the", "cell"], "label": labels})
    pq.write_table(table, tmp_path / "mood/train.parquet")
    with pytest.raises(DataError, match="train.parquet:3 has the label None, but a regression"):
        load(tmp_path)


def test_data_sets_are_chosen_by_name(folder):
    with pytest.raises(DataError, match="data has several data sets, choose one of likeness, mood"):
        load(folder)
    with pytest.raises(DataError, match="unknown dataset 'moods'; choose one of likeness, mood"):
        load(folder, dataset="moods")
    (folder / "mood/train.jsonl").unlink()
    assert load(folder).dataset == "likeness"  # the only one left
    with pytest.raises(DataError, match="nowhere has no folder with a train.parquet or train.j"):
        load(folder / "nowhere")


@pytest.mark.parametrize(
    ("source", "first", "message"),
    [
        ("embedded", "application", "unknown dataset 'rte'; choose one of application, heading$"),
        ("hub", "cola", "unknown dataset 'wnli'; choose one of cola, sst2, .*, qnli, rte$"),
    ],
)
def test_a_source_has_a_first_data_set(source, first, message):
    assert classification.dataset_of(source, None, None) == first
    with pytest.raises(DataError, match=message):
        classification.dataset_of(source, None, message.split("'")[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "cloud"}, "unknown source 'cloud'; choose one of embedded, hub, path"),
        ({"source": "path"}, 'source "path" needs root'),
        ({"source": "embedded", "sizes": {"dev": 3}}, "unknown split 'dev'; choose from train"),
        ({"source": "embedded", "max_length": 129}, "max_length is 129, but .* 3 to 128 tokens"),
        ({"source": "embedded", "max_length": 2}, "set max_length .--set max_length=3;"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        classification.load(tokenizer=TOKENIZER, **arguments)
