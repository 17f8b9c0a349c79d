"""What a plan refuses: settings that fit neither each other nor the data, before any training."""

import json

import pytest
import torch
import transformers
from made_up.pairs import PAIRS, TOKENS, write_splits, write_text
from made_up.tables import write_table
from made_up.texts import splits, write_encoder
from transformers import RobertaConfig, RobertaModel

from idlib.experiments.grid import grid
from idlib.experiments.sources import locate
from idlib.experiments.specs import Spec
from idlib.experiments.workers import run_all
from idlib.models import encoders
from idlib.models.encoders import EncoderError
from idlib.tasks.images import ImageSettings, ImageTask
from idlib.tasks.translation import TranslationSettings, TranslationTask
from idlib.training.order import micro_batches
from idlib.training.processes import LaunchError
from idlib.training.settings import SettingsError


def planned(task, method="id", source=None, seed=1, **overrides):
    return Spec(task, method, "smoke", source, seed, overrides).plan


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A folder with an encoder of 2 layers and 64 positions."""
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for name, rows in splits().items():
        write_table(folder / f"only/{name}.jsonl", rows)
    return folder


# ---- images


@pytest.mark.parametrize("batch_size", [1, 7, 60, 239, 240, 500])
@pytest.mark.parametrize("micro_batch", [None, 1, 4, 59, 600])
@pytest.mark.parametrize("mode", ["loop", "stack"])
def test_the_smallest_batch_is_that_of_training(batch_size, micro_batch, mode):
    smoke = ImageTask.profiles["smoke"]
    given = {"batch_size": batch_size, "micro_batch": micro_batch, "mode": mode}
    task = ImageTask(ImageSettings(**{**smoke, **given}), "embedded")
    updates = task.epoch(None)
    smallest = min(len(part) for update in updates for part in micro_batches(update, micro_batch))
    assert task._smallest_batch() == smallest * (3 if mode == "stack" else 1)


@pytest.mark.parametrize("size", [8, 16])
def test_batch_norm_needs_two_values_a_channel(size):
    with pytest.raises(SettingsError, match=f"image_size = {size}.*above 16"):
        planned("images", image_size=size, batch_size=239)
    planned("images", image_size=size, batch_size=238)
    task = planned("images", image_size=17, batch_size=239).task
    task.model()(task.data.splits["train"].batch([0])["image"])  # in training mode


# ---- translation


def test_more_beams_than_pieces_are_refused(tmp_path):
    asked = {"source": str(write_splits(tmp_path)), "vocabulary": TOKENS, "examples": {}}
    planned("translation", **asked, beams=TOKENS - 3)
    with pytest.raises(SettingsError, match=f"beams = {TOKENS - 2}"):
        planned("translation", **asked, beams=TOKENS - 2)


def test_a_sentence_beyond_the_positions_is_refused(tmp_path):
    write_text(write_splits(tmp_path), "test", [*PAIRS["test"], ("Zelle " * 1100, "cell " * 1100)])
    limits = {"vocabulary": TOKENS, "max_tokens": 40}
    whole = TranslationTask(TranslationSettings(**limits), "path", tmp_path)
    with pytest.raises(SettingsError, match="test_tokens.*test has a sentence of [0-9]+ tokens"):
        whole.check()
    planned("translation", source=str(tmp_path), examples={}, **limits, test_tokens=40)


# ---- tasks on an encoder


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"layers": 3}, "has 2 layers, so layers=3"),
        ({"max_length": 65}, "64 tokens, so max_length = 65"),
    ],
)
def test_what_an_encoder_has_not_is_refused_before_any_text_is_read(
    encoder, setting, says, tmp_path
):
    with pytest.raises(EncoderError, match=says):
        planned("classification", source=str(tmp_path), encoder=str(encoder), **setting)


def test_positions_that_are_counted_from_the_padding_piece_on_are_fewer(tmp_path):
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 9}
    config = RobertaConfig(max_position_embeddings=66, pad_token_id=1, **sizes)
    config.save_pretrained(tmp_path)
    model, text = RobertaModel(config), torch.full((1, 65), 5)
    encoders.check(str(tmp_path), layers=None, max_length=64)
    model(text[:, :64])
    with pytest.raises(EncoderError, match="set max_length to 64"):
        encoders.check(str(tmp_path), layers=None, max_length=65)
    with pytest.raises((IndexError, RuntimeError), match="index"):
        model(text)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_lies_in_a_folder_is_not_run(tmp_path, file, monkeypatch):
    """Nor is anybody asked whether it may be."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    folder, marker = write_encoder(tmp_path / "encoder"), tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')")
    named = json.loads((folder / file).read_text())
    maps = {"AutoConfig": "own.C", "AutoModel": "own.M", "AutoTokenizer": ["own.T", "own.T"]}
    named |= {"model_type": "own", "tokenizer_class": "Own", "auto_map": maps}
    (folder / file).write_text(json.dumps(named))
    load = encoders.load if file == "config.json" else encoders.tokenizer
    if file == "tokenizer_config.json" and not transformers.__version__.startswith("4."):
        assert load(str(folder)).is_fast  # later versions take a tokenizer of their own
    else:
        with pytest.raises(EncoderError, match="code of its own, which is not run"):
            load(str(folder))
    assert not marker.exists()


# ---- any task


def test_the_warm_up_of_a_stretched_run_is_that_of_its_baseline(encoder, texts):
    asked = {"source": str(texts), "encoder": str(encoder), "examples": {}}
    asked |= {"batch_size": 12, "max_length": 32}  # 48 texts in 4 updates an epoch
    for method in ("baseline", "compute"):
        assert planned("classification", method, **asked, warmup=3).settings.warmup == 3
        with pytest.raises(SettingsError, match="warmup = 4"):
            planned("classification", method, **asked, warmup=4)


@pytest.mark.parametrize("seed", ["1", 1.0, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(SettingsError, match="seed"):
        planned("images", seed=seed)


def test_a_folder_has_a_folder_for_each_task_or_is_the_tasks_own(tmp_path):
    (tmp_path / "images").mkdir()
    assert locate(str(tmp_path), "images", "small") == ("path", tmp_path / "images")
    assert locate(str(tmp_path), "tagging", "small") == ("path", tmp_path)
    (tmp_path / "annotations").mkdir()  # Oxford-IIIT Pet, whose pictures lie in images
    assert locate(str(tmp_path), "images", "small") == ("path", tmp_path)
    assert locate("hub", "images", "small") == ("hub", None)
    kinds = [locate(None, "images", profile)[0] for profile in ("small", "paper")]
    assert kinds == ["embedded", "hub"]


def test_an_empty_source_is_no_source():
    with pytest.raises(SettingsError, match="source ''"):
        planned("images", source="")
    with pytest.raises(SettingsError, match="source ''"):
        run_all(grid("images", "smoke", [1], source=""))


@pytest.mark.parametrize(
    "variables",
    [{"WORLD_SIZE": "x"}, {"WORLD_SIZE": "0"}, {"RANK": "1"}, {"WORLD_SIZE": "2", "RANK": "2"}],
)
def test_variables_of_a_launcher_that_name_no_process_are_refused(variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LaunchError, match="torchrun"):
        planned("images")


# ---- grids


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"rounds": -1}, "rounds = -1"),
        ({"smoothing": []}, "smoothing"),
        ({"smoothing": [0.1, 0.1]}, "smoothing"),
        ({"overrides": {"smoothing": 0.2}}, "give smoothing"),
        ({"overrides": {"round": 1}}, "give rounds"),
        ({"task": "translation", "sweep": True, "overrides": {"epochs": 3}}, "leave out sweep"),
    ],
)
def test_a_grid_ignores_nothing_that_it_is_given(wrong, says):
    given = {"task": "images", "profile": "smoke", "seeds": [1], **wrong}
    with pytest.raises(SettingsError, match=says):
        grid(**given)


def test_settings_that_are_left_as_they_are_do_not_conflict():
    same = grid("images", "smoke", [1], overrides={"smoothing": None, "round": None, "alpha": None})
    assert same == grid("images", "smoke", [1])


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_are_at_least_one(workers, tmp_path):
    with pytest.raises(SettingsError, match="workers"):
        run_all([], workers=workers)
