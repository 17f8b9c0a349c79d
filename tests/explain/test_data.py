"""The data page counts, shows and warns of what is in the tables, here in small ones."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from made_up import tags as made_up_tags
from matplotlib import pyplot as plt
from transformers import AutoModel

from idlib.data.images import ImageData, MemoryImages
from idlib.data.sources import LIBREOFFICE_HELP
from idlib.explain.data import encoder, faults, lengths, pictures, samples, tables

TAGS = ["O", "B-MENU", "I-MENU", "B-KEY", "I-KEY"]
LABELS = ["writer", "calc"]


def pair(german: str, english: str) -> dict:
    return {"translation": {"de": german, "en": english}}


def tagged(item: str, text: str, tags: list[int], parallel: bool = True) -> dict:
    tokens = text.split()
    spaces = [True] * (len(tokens) - 1) + [False]
    row = {"id": item, "tokens": tokens, "ner_tags": tags, "spaces": spaces}
    return {**row, "parallel": parallel}


def question(item: str, command: str, answer: str, parallel: bool = True) -> dict:
    return {
        "id": item,
        "question": f"Where is “{command}”?",
        "context": f"Choose {answer}.\nThen press it.",
        "answers": {"text": [answer], "answer_start": [7]},
        "parallel": parallel,
    }


def classified(sentence: str, label: int) -> dict:
    return {"sentence": sentence, "sentence2": sentence, "label": label, "idx": 0}


ROWS = {
    "translation/train": [pair("Datei öffnen", "Open the file now"), pair("Ja", "Yes, and more")],
    "translation/validation": [pair("Nein", "No")],
    "translation/test": [pair("Datei", "Open the file here"), pair("Drei", "A third one")],
    "tagging/en/train": [tagged("t", "Press Ctrl and Shift now", [0, 3, 0, 3, 0])],
    "tagging/en/validation": [tagged("v", "Choose File", [0, 1])],
    "tagging/en/test": [
        tagged("plain", "No <entities> here", [0, 0, 0]),
        tagged("menu", "Choose File Open & press F1", [0, 1, 2, 0, 0, 3]),
        tagged("own", "Only here", [0, 0], parallel=False),
    ],
    "tagging/de/test": [
        tagged("plain", "Keine", [0]),
        tagged("menu", "Datei Öffnen F1", [1, 2, 3]),
    ],
    "answering/en/train": [question("t", "Fields", "Insert - Field")],
    "answering/en/validation": [question("v", "Table", "Table - Insert table")],
    "answering/en/test": [
        question("own", "Zoom", "View - Zoom", parallel=False),
        question("both", "Print", "File - Output"),
    ],
    "answering/de/test": [question("both", "Drucken", "Datei - Drucken")],
    "classification/application/train": [classified("Open the file", 0)],
    "classification/application/validation": [classified("A cell", 1)],
    "classification/application/test": [classified("open the File!", 0), classified("Sum", 1)],
    "classification/heading/train": [classified("One", 0)],
    "classification/heading/validation": [classified("Two", 1)],
    "classification/heading/test": [classified("Three", 1)],
}
FEATURES = {
    name: {
        "ner_tags": {"feature": {"names": TAGS}},
        "label": {"names": LABELS},
    }
    for name in ROWS
}
CORPUS = tables.Corpus(ROWS, FEATURES)


def with_rows(name: str, rows: list[dict]) -> tables.Corpus:
    """The corpus with another table in the place of one."""
    return dataclasses.replace(CORPUS, rows={**ROWS, name: rows})


def test_tables_are_read_by_their_names(tmp_path: Path) -> None:
    for name, rows in ROWS.items():
        table = pa.Table.from_pylist(rows)
        metadata = json.dumps({"info": {"features": FEATURES[name]}})
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata({"huggingface": metadata}), path)
    found = tables.read(tmp_path)
    assert found.rows == ROWS and found.features == FEATURES
    assert found.languages == ["en", "de"] and found.tags == TAGS
    assert found.pairs("validation") == [{"de": "Nein", "en": "No"}]


# --- source and sizes ------------------------------------------------------------------------


def test_provenance_is_what_lies_beside_the_tables(tmp_path: Path) -> None:
    note = "Text\n- `libre-a` 1.0\n- `libre-b` 1.0\n- `other` 3\n"
    (tmp_path / "SOURCE.md").write_text(note)
    (tmp_path / "LICENSE").write_text("\n  Some licence\nof many words")
    (tmp_path / "LICENSE.more").write_text("Another one")
    assert tables.provenance(tmp_path) == (
        "2 packages of version `1.0`: `libre-a`, `libre-b`. "
        "Licence: Some licence (`LICENSE`); Another one (`LICENSE.more`)."
    )


def test_provenance_of_what_ships() -> None:
    said = tables.provenance(LIBREOFFICE_HELP)
    assert said.startswith("16 packages of version `4:7.4.7-1+deb12u14`: `libreoffice-help-en-us`")
    assert "Mozilla Public License Version 2.0 (`LICENSE`)" in said


def test_rows_are_counted_by_split() -> None:
    sizes = tables.split_sizes(CORPUS)
    assert list(sizes.columns) == ["train", "validation", "test"]
    assert sizes.T.to_dict("list") == {
        "translation": [2, 1, 2],
        "tagging (English)": [1, 1, 3],
        "answering (English)": [1, 1, 2],
        "application": [1, 1, 2],
        "heading": [1, 1, 1],
    }


def test_test_items_are_counted_by_language() -> None:
    sizes = tables.test_sizes(CORPUS)
    assert list(sizes.index) == ["en", "de"]
    assert list(sizes["tagging", "test"]) == [3, 2]
    assert list(sizes["tagging", "parallel"]) == [2, 2]
    assert list(sizes["answering", "test"]) == [2, 1]
    assert list(sizes["answering", "parallel"]) == [1, 1]


def test_entities_are_counted_where_they_begin() -> None:
    counts = tables.entity_counts(CORPUS)
    assert counts.to_dict("index") == {
        ("train", "en"): {"MENU": 0, "KEY": 2},
        ("validation", "en"): {"MENU": 1, "KEY": 0},
        ("test", "en"): {"MENU": 1, "KEY": 1},
        ("test", "de"): {"MENU": 1, "KEY": 1},
    }


# --- lengths ---------------------------------------------------------------------------------


def test_lengths_are_in_the_unit_of_their_name() -> None:
    found = lengths.text_lengths(CORPUS)
    assert {text: list(part["length"]) for text, part in found.groupby("text")} == {
        "German (words)": [2, 1],
        "English (words)": [4, 3],
        "tagged (tokens)": [5],
        "contexts (characters)": [len("Choose Insert - Field.\nThen press it.")],
    }
    assert lengths.parallel_lengths(CORPUS).values.tolist() == [
        ["en", 3],
        ["en", 6],
        ["de", 1],
        ["de", 3],
    ]


def test_every_length_is_in_a_histogram() -> None:
    found = pd.concat([lengths.text_lengths(CORPUS)] * 3, ignore_index=True)
    figure = lengths.lengths_figure(found)
    assert [axes.get_title() for axes in figure.axes] == list(found["text"].unique())
    for axes, (_, part) in zip(figure.axes, found.groupby("text", sort=False), strict=True):
        assert sum(bar.get_height() for bar in axes.patches) == len(part)
    assert not plt.get_fignums()


@pytest.mark.filterwarnings("ignore:vert")  # seaborn's call of matplotlib
def test_every_language_has_a_box_of_its_lengths() -> None:
    found = lengths.parallel_lengths(CORPUS)
    (axes,) = lengths.parallel_lengths_figure(found).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["en", "de"]
    medians = {
        y for line in axes.lines for y in line.get_ydata() if len(set(line.get_ydata())) == 1
    }
    assert {4.5, 2.0} <= medians


# --- examples --------------------------------------------------------------------------------


def test_entities_are_marked_and_text_is_escaped() -> None:
    row = tagged("", "a <b> c d e & f", [0, 1, 2, 1, 3, 0, 3])
    assert samples.marked(row, TAGS) == (
        "a <sub>MENU</sub><b>&lt;b&gt; c </b><sub>MENU</sub><b>d </b><sub>KEY</sub><b>e </b>&amp; "
        "<sub>KEY</sub><b>f</b>"
    )


def test_tagged_examples_are_those_that_every_language_has() -> None:
    shown = samples.tagged_examples(CORPUS, 2, ["en", "de"])
    assert shown.count("<tr>") == 2 and "Only here" not in shown and "entities" not in shown
    assert "<td>de</td><td><sub>MENU</sub><b>Datei Öffnen </b>" in shown
    assert samples.tagged_examples(CORPUS, 0, ["en"]) == "<table></table>"


def test_question_examples_stand_beside_their_translations() -> None:
    shown = samples.question_examples(CORPUS, 3, ["en", "de"]).data
    assert list(shown["language"]) == ["en", "de"]
    assert list(shown["question"]) == ["Where is “Print”?", "Where is “Drucken”?"]
    assert list(shown["answers"]) == ["File - Output", "Datei - Drucken"]
    assert samples.question_examples(CORPUS, 0, ["en"]).data.empty


def test_classified_examples_have_the_names_of_their_labels() -> None:
    assert tables.data_sets(CORPUS) == ["application", "heading"]
    shown = samples.classified_examples(CORPUS, "application", 2).data
    assert list(shown["label"]) == ["writer", "calc"] and "idx" not in shown
    assert len(samples.classified_examples(CORPUS, "application", 1).data) == 1


# --- faults ----------------------------------------------------------------------------------


def test_near_duplicates_are_counted_from_a_threshold_on() -> None:
    likeness = faults.likeness_to_training(CORPUS)
    assert list(likeness["classification/application", "sentence"]) == [1, 0]
    counts = faults.duplicates(likeness, 0.5).set_index(["task", "text"])
    application = counts.loc[("classification/application", "sentence")]
    assert application["test items"] == 2 and application["at 0.5 or above"] == 1
    assert application["share"] == 0.5 and application["the same"] == 1
    assert application["median index"] == 0.5
    made_up = {("a", "b"): np.array([0.4, 0.6, 0.6])}
    for threshold, count in ((0.3, 3), (0.6, 2), (0.7, 0)):
        found = faults.duplicates(made_up, threshold).iloc[0]
        assert found[f"at {threshold:g} or above"] == count and found["the same"] == 0


def test_the_closest_pair_is_shown_with_its_likeness() -> None:
    likeness = faults.likeness_to_training(CORPUS)["translation", "en"]
    found = faults.closest_pair(CORPUS, likeness).iloc[0]
    assert found["test"] == "Open the file here" and found["training"] == "Open the file now"
    assert found["index"] == likeness.max() == pytest.approx(3 / 7)


def test_commands_named_in_their_answers_are_counted() -> None:
    shares = faults.named_in_answer(CORPUS)
    assert shares == {"train": 0, "validation": 1, "test": 0.5}
    assert faults.listed(shares) == "train 0%, validation 100%, test 50%."
    other = with_rows("answering/en/train", [question("t", "field", "Insert - Field")])
    assert faults.named_in_answer(other)["train"] == 1


def test_uneven_pairs_are_counted_whichever_side_is_longer() -> None:
    ratios = faults.length_ratios([{"de": "abcd", "en": "ab"}, {"de": "ab", "en": "abcde"}])
    assert list(ratios) == [2, 2.5]
    assert faults.uneven(ratios) == "50.0% of 2 pairs; the largest ratio is 2.5."
    assert faults.uneven(pd.Series([1.0] * 2000)).startswith("0.0% of 2,000 pairs")


# --- the encoder -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    folder = tmp_path_factory.mktemp("encoder")
    return AutoModel.from_pretrained(made_up_tags.tiny_encoder(folder, made_up_tags.unigram()))


def test_the_encoder_is_described_by_its_configuration() -> None:
    facts = encoder.facts()
    assert facts["layers"] == 12 and facts["width"] == 384 and facts["subwords kept"] == 39769
    assert 20 < float(str(facts["MB on disk"])) < 25


def test_a_sentence_finds_itself_and_not_another(network: torch.nn.Module) -> None:
    texts = ["see Anna Lee.", "then Rome", "with Ben", "see New York"]
    tokenizer = made_up_tags.unigram()
    same = [{"de": text, "en": text} for text in texts]
    turned = [{"de": text, "en": other} for text, other in zip(texts, texts[::-1], strict=True)]
    half = same[:2] + [{"de": same[i]["de"], "en": same[5 - i]["en"]} for i in (2, 3)]
    assert encoder.translations_found(network, tokenizer, same) == 1
    assert encoder.translations_found(network, tokenizer, half) == 0.5
    assert encoder.translations_found(network, tokenizer, turned) == 0


def test_subwords_are_counted_for_each_token() -> None:
    tokenizer = made_up_tags.unigram()
    rows = [tagged("a", "see Anna Lee", [0, 0, 0])]  # ▁see ▁An na ▁Lee
    corpus = with_rows("tagging/en/test", rows)
    assert encoder.subwords_per_token(corpus, tokenizer)["en"] == pytest.approx(4 / 3)
    corpus = with_rows("tagging/en/test", [*rows, tagged("b", "see", [0])])
    assert encoder.subwords_per_token(corpus, tokenizer)["en"] == pytest.approx(5 / 4)


# --- the images ------------------------------------------------------------------------------


def clothes(labels: list[int]) -> ImageData:
    pixels = torch.arange(len(labels) * 9.0).view(-1, 1, 3, 3)
    test = MemoryImages(pixels, torch.tensor(labels))
    train = MemoryImages(pixels[1:], torch.tensor(labels[1:]))
    splits, names = {"train": train, "test": test}, ("coat", "shirt / top", "bag")
    return ImageData("embedded", splits, {}, {}, [], names, channels=1)


def test_classes_are_counted_also_where_there_are_none() -> None:
    counts = pictures.class_counts(clothes([0, 1, 1]))
    assert counts.to_dict("index") == {
        "coat": {"train": 0, "test": 1},
        "shirt / top": {"train": 2, "test": 2},
        "bag": {"train": 0, "test": 0},
        "all": {"train": 2, "test": 3},
    }


def test_the_first_image_of_each_class_is_drawn() -> None:
    found = clothes([1, 0, 1, 2])
    figure = pictures.classes_figure(found)
    assert [axes.get_title() for axes in figure.axes] == ["coat", "shirt/\ntop", "bag"]
    for axes, place in zip(figure.axes, (1, 0, 3), strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), found.splits["test"].images[place, 0])


def test_images_that_are_in_training_are_counted() -> None:
    found = clothes([0, 1, 2]).splits
    assert pictures.seen_in_training(found["test"].images, found["train"].images) == 2
    assert pictures.seen_in_training(found["test"].images + 1, found["train"].images) == 0
