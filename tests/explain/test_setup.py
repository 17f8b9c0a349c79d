"""The setup page's tables are those of the code that trains."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from idlib.explain import setup
from idlib.report.tasks.images import IMAGES
from idlib.tasks import task_class
from idlib.training.settings import METHODS, PROFILES, resolve


def test_trained_parameters_are_counted() -> None:
    model = nn.Linear(3, 2)
    assert setup.parameters(model) == 8
    model.bias.requires_grad_(False)
    assert setup.parameters(model) == 6


def test_image_models_follow_profile_and_source() -> None:
    table = setup.image_models("hub", ("smoke", "paper")).set_index("profile")
    assert list(table["architecture"]) == ["narrow", "resnet50"]
    assert list(table["initial weights"]) == ["random", "ImageNet"]
    assert list(table["image size"]) == [28, 224] and list(table["dropout"]) == [0.1, 0.1]
    assert table.loc["paper", "parameters"] == "23,528,512"  # ResNet-50, 10 classes, no bias
    embedded = setup.image_models("embedded", ("paper",))
    assert list(embedded["initial weights"]) == ["random"]


def test_translation_models_are_those_of_the_settings() -> None:
    (shape,) = setup.translation_models(("smoke",)).to_dict("records")
    task = task_class("translation")
    settings = resolve(task.schema, task.profiles, "smoke", "id").model_dump()
    assert shape["width"] == f"{settings['width']:,}"
    assert shape["dropout"] == str(settings["dropout"])
    assert int(shape["parameters"].replace(",", "")) > settings["width"] * settings["vocabulary"]


def test_encoders_follow_profile_and_source() -> None:
    tasks = ("tagging", "classification")
    embedded = setup.encoder_models(tasks, "embedded", ("smoke", "paper"))
    assert set(embedded["encoder"]) == {"embedded"} and len(embedded) == 4
    assert embedded.loc[("tagging", "paper"), "layers"] == "all"
    assert list(embedded.loc["tagging"]["word embeddings"]) == ["frozen", "trained"]
    public = setup.encoder_models(tasks, "hub", ("paper",))
    assert len(set(public["encoder"]) - {"embedded"}) == 2


def test_methods_differ_as_they_train() -> None:
    table = setup.methods("small")
    assert list(table["passes"]) == [1, 3, 3, 1] and list(table["stretch"]) == [1, 1, 1, 3]
    assert list(table["alpha"]) == [0, 5, 0, 0] and len(table) == len(METHODS)


def test_sizes_and_checksums_are_those_of_the_data() -> None:
    data = setup.embedded_data(("images",), "smoke")
    table = setup.data_sizes(data)
    assert list(table["split"]) == ["train", "validation", "test"]
    assert list(table["examples"]) == [240, 120, 120]
    assert table["sha256 of the content"][0] == data["images"].checksums["train"][:16] + "…"


def test_of_test_sets_by_language_the_english_one_has_its_checksum_shown() -> None:
    data = setup.embedded_data(("tagging",), "smoke")
    assert list(setup.data_sizes(data)["split"]) == ["train", "validation", "test/en"]
    counts = setup.test_languages(data).loc["tagging"].to_dict()
    splits = data["tagging"].splits
    assert counts == {
        name: f"{len(splits[f'test/{name}']):,}" for name in data["tagging"].languages
    }


def test_a_language_that_a_task_lacks_has_no_count() -> None:
    table = setup.test_languages(setup.embedded_data(("tagging", "answering"), "smoke"))
    assert table.loc["answering", "ja"] == "–" and table.loc["tagging", "ja"].isdecimal()


ALL_TASKS = ["images", "translation", "tagging", "answering", "classification"]


@pytest.mark.parametrize("task", ALL_TASKS)
def test_a_table_has_what_some_profile_changes_and_a_sentence_the_rest(task: str) -> None:
    table = setup.hyper_parameters(task)
    assert list(table) == ["paper", "large", "medium", "small", "smoke"] == list(PROFILES)[::-1]
    kind, told = task_class(task), setup.in_common(task)
    assert told.startswith(f"{task.capitalize()}, the same at every profile: `passes` 3; ")
    for profile in PROFILES:
        settings = resolve(kind.schema, kind.profiles, profile, "id").model_dump()
        text = {name: setup.written(name, value) for name, value in settings.items()}
        filled = table[profile].where(table[profile] != "", table["paper"])
        assert filled.to_dict() == {name: text[name] for name in table.index}
        for name in settings.keys() - {*table.index, *setup.OF_A_RUN}:
            assert (f"`{name}` {text[name]}" in told) == (settings[name] not in (None, {}))
    others = table.drop(columns="paper")
    assert (others != "").any(axis=1).all(), "no row of empty cells"
    assert (others.ne(table["paper"], axis=0)).all(axis=None)


def test_values_are_text_that_a_reader_knows() -> None:
    shown = " ".join(
        cell for task in ALL_TASKS for cell in setup.hyper_parameters(task).to_numpy().flat
    )
    assert not any(raw in shown for raw in ("None", "{", "(", "True"))
    assert setup.written("pretrained", False) == "no"
    assert setup.written("layers", None) == "all" and setup.written("clip", None) == "–"


def test_reported_cost_is_what_was_published() -> None:
    table = setup.reported_cost()
    costs = IMAGES.cost.values()
    assert list(table["time a model"]) == [f"about {cost.seconds / 3600:.1f} h" for cost in costs]
    assert list(table["GPU memory"]) == [f"{cost.gpu_gb:g} GB" for cost in costs]


def test_the_machine_is_this_one() -> None:
    found = setup.machine()
    assert found["processor cores"] == os.cpu_count()
    assert (found["GPU"] == "none") == (not torch.cuda.is_available())
