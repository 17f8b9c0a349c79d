"""Folders of one's own, as the command line takes them: what nobody named follows what is there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from made_up import questions as made_up_questions
from made_up import tags as made_up_tags
from made_up import texts as made_up_texts
from made_up.pairs import COUNTS, change, write_splits
from PIL import Image

from idlib.data import DataError
from idlib.experiments.runs import run
from idlib.experiments.specs import Spec
from idlib.records import Store


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Tagged text and questions without ids, two data sets of texts, and encoders for them."""
    root = tmp_path_factory.mktemp("world")
    made_up_tags.tiny_encoder(root / "tagger", made_up_tags.unigram())
    made_up_texts.write_encoder(root / "classifier")
    made_up_questions.write_encoder(root / "reader")
    rows = made_up_questions.every_row()
    for table in rows.values():
        for row in table:
            del row["id"]
    made_up_questions.write(root / "data/answering", rows)
    for language, split in [("en", name) for name in made_up_tags.COUNTS] + [("fr", "test")]:
        table = made_up_tags.made_up(split, "de" if language == "fr" else language)
        plain = [{name: row[name] for name in ("tokens", "ner_tags")} for row in table]
        made_up_tags.write(root / f"data/tagging/{language}/{split}.parquet", plain)
    texts = made_up_texts.splits()
    made_up_texts.write_dataset(root / "data/classification/mood", texts)
    made_up_texts.write_dataset(root / "data/classification/tone", texts)
    return root


TASKS = {  # the encoder of each task, and what its tokenizer needs
    "tagging": ("tagger", {}),
    "answering": ("reader", {"max_length": 32, "stride": 8}),
    "classification": ("classifier", {"dataset": "mood"}),
}


def spec_of(world: Path, task: str, **settings) -> Spec:
    encoder, needs = TASKS[task]
    asked = {"encoder": str(world / encoder), "freeze_embeddings": False, **needs, **settings}
    return Spec(task, "id", "smoke", str(world / "data"), overrides=asked)


# ---- what nobody named


def test_languages_and_sizes_follow_the_folder(world):
    """Profile smoke names German and Japanese, and more training questions than there may be."""
    settings = spec_of(world, "tagging").plan.asked.settings
    assert settings["languages"] == ["en", "fr"]
    assert settings["examples"] == {"train": 48, "validation": 24, "test": 16}
    assert spec_of(world, "answering").plan.asked.settings["languages"] == ["en", "de", "ja"]
    settings = spec_of(world, "classification").plan.asked.settings
    assert settings["examples"] == {"train": 48, "validation": 16, "test": 20}  # of 24 each


def test_what_was_named_stands(world):
    plan = spec_of(world, "tagging", languages=["en"], examples={"train": 10}, warmup=1).plan
    assert plan.asked.settings["languages"] == ["en"] and plan.task.data.languages == ("en",)
    assert plan.asked.settings["examples"] == {"train": 10}
    with pytest.raises(DataError, match=r"'de'; .* has en, fr: .*--set languages=.\[en, fr\]"):
        _ = spec_of(world, "tagging", languages=["de"]).plan
    with pytest.raises(DataError, match="17 cannot .*--set examples='{validation: 16}'"):
        _ = spec_of(world, "classification", examples={"validation": 17}).plan


def test_pairs_and_images_too(tmp_path):
    pairs = Spec(
        *("translation", "id", "smoke", str(write_splits(tmp_path / "text"))),
        overrides={"vocabulary": 80, "max_tokens": 40, "test_tokens": 40},
    ).plan
    sizes = {name: len(split) for name, split in pairs.task.data.splits.items()}
    assert pairs.asked.settings["examples"] == sizes and sizes["train"] <= COUNTS["train"]
    for name in ("train", "validation", "test"):
        for label in "ab":
            path = tmp_path / "images" / name / label / "0.png"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (8, 8), len(name)).save(path)
    plan = Spec("images", "id", "smoke", str(tmp_path)).plan
    assert set(plan.asked.settings["examples"].values()) == {2}


def test_equal_folders_give_one_signature(world, tmp_path):
    here = spec_of(world, "tagging")
    shutil.copytree(world / "data", tmp_path / "elsewhere")
    there = Spec("tagging", "id", "smoke", str(tmp_path / "elsewhere"), overrides=here.overrides)
    assert here.signature == there.signature
    named = spec_of(world, "tagging", languages=["en", "fr"])
    assert named.signature == here.signature


@pytest.mark.slow
def test_a_folder_of_several_data_sets(world, command):
    source = ["--source", str(world / "data"), "--profile", "smoke", "--set", "epochs=1"]
    source += ["--set", f"encoder={world / 'classifier'}", "--set", "freeze_embeddings=false"]
    status, _, said = command("run", "classification", *source)
    assert status == 2 and "choose one of mood, tone" in said and "--set dataset=mood" in said
    status, _, _ = command("grid", "classification", *source, "--rounds", "0", "--workers", "1")
    assert status == 0
    found = [stored.record.asked.settings["dataset"] for stored in Store().all()]
    assert sorted(found) == ["mood"] * 4 + ["tone"] * 4
    # Where one is all there is, it is the one, named or not.
    shutil.copytree(world / "data/classification/mood", "alone/mood")
    asked = {**spec_of(world, "classification").overrides, "dataset": None}
    alone = [
        Spec("classification", "id", "smoke", "alone", overrides={**asked, "dataset": name})
        for name in (None, "mood")
    ]
    assert alone[0].signature == alone[1].signature


# ---- without translations, without other languages


@pytest.mark.slow
@pytest.mark.parametrize("task", ["tagging", "answering"])
@pytest.mark.parametrize("languages", [None, ["en"]])
def test_items_without_ids_are_trained_and_tested(world, workspace, task, languages):
    spec = spec_of(world, task, languages=languages)
    metrics = run(spec).measured.metrics
    assert spec.plan.task.data.parallel == frozenset()
    assert not any("f1_parallel" in name for name in metrics)
    others = set(spec.plan.task.data.languages) - {"en"}
    assert bool(others) == (languages is None)
    expected = {f"test/f1/{name}" for name in {"en", *others, *(["others"] if others else [])}}
    assert {name for name in metrics if re.match(r"test/f1/\w+$", name)} == expected


# ---- what is left out


@pytest.mark.slow
def test_what_is_left_out_is_said_once_and_counted(tmp_path, command):
    text = write_splits(tmp_path / "text")
    change(text / "train.de", 3, "")
    asked = ["--source", str(text), "--profile", "smoke", "--set", "vocabulary=80"]
    asked += ["--set", "epochs=1", "--set", "beams=1", "--set", "decode_tokens=5"]
    status, _, said = command("run", "translation", *asked)
    line = f"train: 1 of 60 pairs dropped, a side without tokens: {text}/train.de:3"
    assert status == 0 and said.count(line) == 1
    status, _, said = command("grid", "translation", *asked, "--rounds", "0", "--workers", "1")
    assert status == 0 and said.count(line) == 1
    for record, _ in Store().all():
        metrics = record.measured.metrics
        dropped = {name: value for name, value in metrics.items() if name.startswith("dropped/")}
        assert dropped["dropped/train/empty"] == 1 and dropped["dropped/train/long"] > 1
        assert all(value > 0 for value in dropped.values())


@pytest.mark.slow
def test_the_books_own_limits_are_not_said(command):
    asked = ["run", "translation", "--profile", "smoke", "--set", "epochs=1", "--set", "beams=1"]
    asked += ["--set", "examples={train: 40, validation: 8, test: 8}"]
    status, _, said = command(*asked)
    assert status == 0 and "dropped" not in said
    status, _, said = command(*asked, "--set", "max_ratio=1.2")
    assert status == 0 and "(max_ratio)" in said
