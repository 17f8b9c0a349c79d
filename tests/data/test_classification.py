"""Texts with classes or values: the tensors made of them, GLUE's layouts, and what is refused."""

from __future__ import annotations

from collections import Counter

import pyarrow.parquet as pq
import pytest
import torch
from made_up.tables import change_row, sha256, write_table
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
)

from idlib.data import DataError, classification
from idlib.data.folding import fold
from idlib.data.sources import LIBREOFFICE_HELP

TOKENIZER, PLAIN = tokenizer(), tokenizer(types=False)
TOKENIZER.model_max_length = PLAIN.model_max_length = 128
PAD, UNK, CLS, SEP = 0, 1, 2, 3
TEXTS, VALUES = splits(), splits(pairs)
NAMES = ("bad", "good")


def load(root, source="path", tokenizer=TOKENIZER, **asked):
    asked = {"cache": root / "cache", **asked}
    return classification.load(source, tokenizer, root=root, **asked)


def write_both(root):
    """Two data sets: one of classes of sentences, and one of values of pairs."""
    write_dataset(root / "mood", TEXTS)
    write_dataset(root / "likeness", VALUES)
    return root


@pytest.fixture
def folder(tmp_path):
    return write_both(tmp_path / "data")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = write_both(tmp_path_factory.mktemp("shared"))
    return {name: load(root, dataset=name) for name in ("mood", "likeness")}


# ---- examples and their tensors


def test_a_batch_is_its_examples_padded(shared):
    split, rows = shared["mood"].splits["train"], [3, 0, 17, 3]
    batch = split.batch(rows)
    assert {value.dtype for value in batch.values()} == {torch.int64}
    longest = max(split.lengths[i] for i in rows)
    for b, i in enumerate(rows):
        ids = TOKENIZER(TEXTS["train"][i]["sentence"])["input_ids"]
        free = longest - len(ids)
        assert ids[0] == CLS and ids[-1] == SEP
        assert {name: value[b].tolist() for name, value in batch.items()} == {
            "input_ids": ids + [PAD] * free,
            "token_type_ids": [0] * longest,
            "attention_mask": [1] * len(ids) + [0] * free,
            "label": TEXTS["train"][i]["label"],
        }


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
    whole = [3 + len(f"{row['sentence1']} {row['sentence2']}".split()) for row in rows]
    assert split.lengths == [min(length, 12) for length in whole]
    long = sum(length > 12 for length in whole)
    assert split.cut == long and f"test: {long} of 21 texts cut at 12 tokens" in data.report
    (ids,) = split.batch([0])["input_ids"].tolist()
    assert ids[-3:] == TOKENIZER("the cell")["input_ids"][1:]  # the longer one lost its end
    exact = load(folder, dataset="likeness", max_length=max(whole))
    assert [part.cut for part in exact.splits.values()] == [0, 0, 0] and exact.report == []


def test_many_texts_are_the_same_as_few(monkeypatch, folder, shared):
    """Texts are tokenised some at a time."""
    monkeypatch.setattr(classification, "CHUNK", 7)
    again = load(folder, dataset="likeness").splits["train"]
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
        assert mood.splits[name].ids == [str(i) for i in range(count)]
        texts = [(row["sentence1"], row["sentence2"]) for row in VALUES[name]]
        assert likeness.splits[name].texts == texts


def test_one_fraction_among_the_training_labels_makes_all_of_them_values(folder):
    rows = [{**row, "label": int(row["label"])} for row in VALUES["train"]]
    write_table(folder / "likeness/train.jsonl", rows)
    with pytest.raises(DataError, match=r"validation.jsonl:\d+ has the label \d\.\d; choose one"):
        load(folder, dataset="likeness")
    change_row(folder / "likeness/train.jsonl", 7, label=2.5)
    assert load(folder, dataset="likeness").regression


def test_parquet_names_its_classes(tmp_path):
    """Also such that the training split has none of: the model still has them."""
    names = (*NAMES, "c", "d", "e", "f")
    for name, rows in TEXTS.items():
        write_table(tmp_path / f"mood/{name}.parquet", rows, {"label": names})
    assert load(tmp_path).classes == names
    write_table(tmp_path / "mood/test.parquet", TEXTS["test"], {"label": NAMES[::-1]})
    with pytest.raises(DataError, match="test.parquet has the classes good, bad, but .*train"):
        load(tmp_path)


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
    columns = classification.DATASETS["embedded"][dataset]
    folded = {}
    for name, split in data.splits.items():
        path = LIBREOFFICE_HELP / f"classification/{dataset}/{name}.parquet"
        rows = pq.read_table(path).to_pylist()
        assert split.texts == [tuple(row[column] for column in columns) for row in rows]
        assert split.labels.tolist() == [row["label"] for row in rows]
        assert data.checksums[name] == sha256(path)
        assert set(split.labels.tolist()) == set(range(len(classes)))
        # Of a pair its paragraph: headings such as "Options" stand above many.
        folded[name] = {fold(texts[-1]) for texts in split.texts}
    assert folded["test"] and folded["validation"]
    assert not folded["test"] & (folded["train"] | folded["validation"])
    assert not folded["validation"] & folded["train"]


# ---- GLUE


@pytest.mark.parametrize("dataset", GLUE)
def test_every_data_set_of_glue_loads(dataset, tmp_path):
    data = load(write_glue(tmp_path, dataset), "hub", dataset=dataset)
    columns, names = GLUE[dataset]
    assert data.dataset == dataset and data.classes == (names or ())
    training, testing = glue_rows(dataset, GLUE_TRAINING, 0), glue_rows(dataset, GLUE_VALIDATION, 1)
    train, validation = (data.splits[name] for name in ("train", "validation"))
    trained = [tuple(row[column] for column in columns) for row in training]
    assert Counter(train.texts + validation.texts) == Counter(trained)
    assert (len(train), len(validation), len(data.splits["test"])) == (72, 8, 12)  # a tenth held
    # Of MNLI the matched texts are tested: its mismatched ones are in no split.
    for split, rows in ((train, training), (validation, training), (data.splits["test"], testing)):
        for index, texts, label in zip(split.ids, split.texts, split.labels.tolist(), strict=True):
            row = rows[int(index)]
            assert texts == tuple(row[column] for column in columns)
            assert label == pytest.approx(row["label"])
    line = f"8 of 80 examples of {tmp_path}/{dataset}/train held out"
    assert any(line in said for said in data.report)


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
    def fewer(split, rows):
        return rows[: 5 if split == "validation" else 80]

    data = load(write_glue(tmp_path, "cola", fewer), "hub", dataset="cola")
    assert [len(split) for split in data.splits.values()] == [75, 5, 5]


def test_what_is_known_to_be_missing_on_the_hub_is_dropped_and_counted(tmp_path):
    def damaged(split, rows):
        if split == "train":
            rows[3]["question2"], rows[5]["question1"], rows[9]["label"] = "", None, -1
        return rows

    data = load(write_glue(tmp_path, "qqp", damaged), "hub", dataset="qqp")
    assert data.dropped["train"] == {"hidden": 1, "empty": 2}
    assert data.dropped["validation"] == data.dropped["test"] == {"hidden": 0, "empty": 0}
    ids = data.splits["train"].ids + data.splits["validation"].ids
    assert len(ids) == GLUE_TRAINING - 3 and {"3", "5", "9"}.isdisjoint(ids)
    file = f"{tmp_path}/qqp/train"
    assert data.report[:2] == [
        f"train: 1 of 80 examples dropped, label -1, which is none: {file}:10",
        f"train: 2 of 80 examples dropped, no text: {file}:4, {file}:6",
    ]


def wrong_label(split, rows):
    return [*rows[:2], {**rows[2], "label": 3}]  # no missing one


def hidden_labels(split, rows):
    return rows if split == "train" else [{**row, "label": -1} for row in rows]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (wrong_label, r"rte/train:3 has the label 3; choose one of 0 \(entail"),
        (hidden_labels, "split test: test: 12 of 12.*label -1.*rte/validation:1"),
        (lambda split, rows: rows[:9], "rte/train has 9 examples, too few to hold some out"),
    ],
)
def test_public_data_that_cannot_be_used(tmp_path, changed, message):
    with pytest.raises(DataError, match=message):
        load(write_glue(tmp_path, "rte", changed), "hub", dataset="rte")


# ---- what cannot be loaded


@pytest.mark.parametrize("label", [2, -1, True, 1.0, "1", None, 1.5])
def test_a_label_outside_the_set_is_named(folder, label):
    path = change_row(folder / "mood/test.jsonl", 4, label=label)
    with pytest.raises(DataError) as raised:
        load(folder, dataset="mood")
    assert str(raised.value) == f"{path}:5 has the label {label!r}; choose one of 0 (0), 1 (1)"


@pytest.mark.parametrize("label", [float("nan"), float("inf"), "2.5", None, True])
def test_a_value_that_is_no_number_is_named(folder, label):
    change_row(folder / "likeness/validation.jsonl", 2, label=label)
    with pytest.raises(DataError, match=r"validation.jsonl:3 has the label .* needs a number"):
        load(folder, dataset="likeness")


@pytest.mark.parametrize("text", [None, "", " \t", 5])
def test_a_missing_text_is_named(folder, text):
    change_row(folder / "likeness/train.jsonl", 11, sentence2=text)
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


def test_tables_with_gaps(folder):
    """A missing label makes pandas write all of them as fractions: then none is a class."""
    write_table(folder / "mood/test.jsonl", [])
    with pytest.raises(DataError, match="mood/test.jsonl has no examples"):
        load(folder, dataset="mood")
    (folder / "mood/train.jsonl").unlink()
    texts = [("a", 0.0), ("the", 1.0), ("cell", None)]
    rows = [{"sentence": text, "label": label} for text, label in texts]
    write_table(folder / "mood/train.parquet", rows)
    with pytest.raises(DataError, match="train.parquet:3 has the label None, but a regression"):
        load(folder, dataset="mood")


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
