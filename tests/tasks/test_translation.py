"""The translation task: settings reach model and search, and scores are those of SacreBLEU."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_up.pairs import change, load, write_splits

from idlib.experiments.grid import grid, recorded
from idlib.experiments.runs import load_model, run
from idlib.experiments.specs import Spec
from idlib.metrics import bleu, items
from idlib.models import transformer as transformer_module
from idlib.sensitivity.exact import exact_sensitivity
from idlib.sensitivity.first_order import parameter_sensitivity
from idlib.tasks.translation import POSITIONS, TranslationSettings, TranslationTask
from idlib.training.settings import SettingsError, resolve

SMOKE = TranslationSettings(**TranslationTask.profiles["smoke"])


@pytest.fixture(scope="module")
def task() -> TranslationTask:
    return TranslationTask(SMOKE, "embedded")


def model_of(task: TranslationTask, seed: int = 0, **settings):
    torch.manual_seed(seed)
    changed = task.settings.model_copy(update=settings)
    return TranslationTask(changed, task.source).model().double().eval()


def test_the_paper_profile_has_the_papers_model_and_settings():
    settings = resolve(TranslationSettings, TranslationTask.profiles, "paper", "id")
    s = settings
    assert (s.layers, s.width, s.ffn, s.heads, s.vocabulary) == (6, 512, 1024, 4, 12_000)
    assert (s.dropout, s.attention_dropout, s.smoothing) == (0.3, 0.1, 0.1)
    assert (s.passes, s.alpha, s.p, s.q) == (3, 5.0, 5.0, 10.0)
    assert (s.beams, s.length_penalty, s.max_ratio, s.max_tokens) == (5, 1.0, 1.5, 175)
    assert (s.lr_peak, s.warmup, s.batch_tokens, s.weight_decay) == (5e-4, 8000, 4096, 1e-4)
    assert s.betas == (0.9, 0.98) and s.eps == 1e-6 and s.test_tokens is None


def test_an_epoch_holds_every_pair_once_within_the_limit(task):
    lengths = task.data.splits["train"].lengths
    for seed in (0, 1):
        parts = task.epoch(torch.Generator().manual_seed(seed))
        assert sorted(index for part in parts for index in part) == list(range(len(lengths)))
        assert all(
            len(part) * max(lengths[i] for i in part) <= SMOKE.batch_tokens for part in parts
        )
    assert len(parts) == len(task.epoch(torch.Generator()))


def test_the_data_are_those_that_the_settings_ask_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_splits(tmp_path / "text")
    limits = dict(vocabulary=80, max_tokens=20, max_ratio=1.2, test_tokens=16)
    asked = SMOKE.model_copy(update={**limits, "examples": {"train": 9}})
    task = TranslationTask(asked, "path", folder)
    expected = load(folder, tmp_path / "cache", **limits, sizes={"train": 9})
    named = {**expected.checksums, "vocabulary": expected.vocabulary.checksum}
    assert task.checksums == named and task.data.dropped == expected.dropped
    assert task.data.vocabulary.size == 80 and len(task.data.splits["train"]) == 9
    for other in ({"max_ratio": 1.5}, {"max_tokens": 16}, {"test_tokens": 20}):
        assert load(folder, tmp_path / "cache", **{**limits, **other}).dropped != expected.dropped


def test_the_model_is_the_one_that_the_settings_ask_for(task):
    asked = dict(layers=3, width=12, ffn=20, heads=6, dropout=0.21, attention_dropout=0.43)
    changed = task.settings.model_copy(update=asked)
    model = TranslationTask(changed, task.source).model()
    sides = [model.model.encoder, model.model.decoder]
    for side in sides:
        assert (len(side.layers), side.dropout) == (3, 0.21)
        assert side.embed_tokens.weight.shape == (task.data.vocabulary.size, 12)
    blocks = [layer for side in sides for layer in side.layers]
    attentions = [layer.self_attn for layer in blocks]
    attentions += [layer.encoder_attn for layer in sides[1].layers]
    assert {(a.num_heads, a.dropout) for a in attentions} == {(6, 0.43)} and len(attentions) == 9
    assert {(b.dropout, b.activation_dropout) for b in blocks} == {(0.21, 0.0)}
    assert {b.fc1.out_features for b in blocks} == {20}


def test_each_rate_of_dropout_makes_passes_differ(task):
    batch = task.data.splits["train"].batch([0, 5, 9])
    for rates in ((0.0, 0.0), (0.2, 0.0), (0.0, 0.2)):
        names = ("dropout", "attention_dropout")
        model = model_of(task, **dict(zip(names, rates, strict=True))).train()
        with torch.no_grad():
            one, two = (task.forward(model)(batch) for _ in range(2))
        assert torch.equal(one, two) == (not any(rates)), rates


def test_the_search_gets_the_settings_beams_penalty_and_length(task, monkeypatch):
    asked = dict(beams=3, length_penalty=0.4, decode_tokens=9)
    changed = TranslationTask(task.settings.model_copy(update=asked), task.source)
    search, seen = transformer_module.beam_search, []

    def seeing(*args, **options):
        seen.append(options)
        return search(*args, **options)

    monkeypatch.setattr(transformer_module, "beam_search", seeing)
    model, pairs = model_of(task).float(), task.data.splits["test"]
    texts = changed.translate(model, "test", [3])
    assert seen == [{"beams": 3, "length_penalty": 0.4, "max_length": 9}]
    batch = pairs.batch([3])
    pieces = search(model, batch["input_ids"], batch["attention_mask"], **seen[0])
    assert texts == task.data.vocabulary.decode(pieces.tolist())


def test_a_batch_holds_no_more_sentences_than_the_settings_allow(task):
    limited = TranslationTask(task.settings.model_copy(update={"batch_size": 3}), task.source)
    generator = torch.Generator().manual_seed(0)
    assert {len(part) for part in limited.epoch(generator)} <= {1, 2, 3}
    assert max(len(part) for part in task.epoch(generator)) > 3


def test_translations_come_in_their_own_order(task):
    model = model_of(task).float()
    whole = task.translate(model, "test")
    assert len(whole) == len(task.data.splits["test"])
    assert task.translate(model, "test", [7, 2, 30]) == [whole[7], whole[2], whole[30]]


@pytest.mark.slow
def test_scores_of_a_record_follow_from_its_curves_and_from_the_model(shared, task):
    spec = Spec("translation", "id", "smoke")
    record = run(spec, shared)
    metrics, curves = record.measured.metrics, record.measured.curves
    for split in ("validation", "test"):
        assert {f"{split}/{name}" for name in ("nll", "bits", "bleu", "chrf")} <= set(metrics)
        assert metrics[f"{split}/bits"] == pytest.approx(metrics[f"{split}/nll"] / math.log(2))
    sentences = items.items_of(curves, "test/bleu", bleu.ITEMS)
    found = items.score(sentences, bleu.ITEMS)
    assert found == pytest.approx(metrics["test/bleu"], abs=1e-9)
    assert len(sentences["en"].numbers) == len(curves["test/nll/items"]) == 40
    assert record.asked.settings["smoothing"] == 0.1
    assert {"transformers", "sentencepiece", "sacrebleu"} <= set(record.origin.versions)
    model, pairs = load_model(spec, workspace=shared), task.data.splits["test"]
    scores = bleu.score(task.translate(model, "test"), pairs.targets)
    assert (scores.bleu, scores.chrf) == (metrics["test/bleu"], metrics["test/chrf"])


@pytest.mark.slow
def test_the_sacrebleu_command_gives_the_records_score_on_the_written_files(shared, command):
    folder = str(shared.checkpoints)
    record = run(Spec("translation", "id", "smoke"), shared)
    written = ["translate", "out", "--profile", "smoke", "--checkpoints", folder, "--scored-only"]
    status, shown, _ = command(*written)
    assert status == 0
    sacrebleu = Path(sys.executable).with_name("sacrebleu")
    more = ["--chrf-word-order", "2", "--width", "10"]
    done = subprocess.run([sacrebleu, *shown.split()[1:], *more], capture_output=True, check=True)
    metrics = record.measured.metrics
    scores = {row["name"]: row["score"] for row in json.loads(done.stdout)}
    assert scores["BLEU"] == pytest.approx(metrics["test/bleu"], abs=1e-9)
    assert scores["chrF2++"] == pytest.approx(metrics["test/chrf"], abs=1e-9)
    assert len(Path("out/sources.txt").read_text(encoding="utf-8").splitlines()) == 40


@pytest.mark.slow
def test_translations_keep_to_the_lines_of_the_users_files(workspace, command):
    """Also those that are empty, too long for the limits or the model, or not in the sample."""
    text = write_splits(workspace / "text")
    change(text / "test.de", 3, "")  # no tokens
    change(text / "test.en", 5, "")  # only the reference is empty
    change(text / "test.de", 7, "Klicken Sie auf die Zelle und " * 4)  # above test_tokens
    change(text / "test.de", 9, "und " * POSITIONS)  # beyond the model
    options = ["--source", str(text), "--profile", "smoke"]
    changes = {"vocabulary": 80, "epochs": 1, "examples": {"test": 5}}
    for name, value in changes.items():
        options += ["--set", f"{name}={json.dumps(value)}"]
    written, said = {}, ""
    for out, more in (("all", []), ("scored", ["--scored-only"])):
        status, _, err = command("translate", out, *options, *more)
        assert status == 0
        names = ("sources", "references", "hypotheses")
        columns = [(workspace / out / f"{name}.txt").read_text().splitlines() for name in names]
        written[out] = list(zip(*columns, strict=True))
        said += err
    lines = [(text / f"test.{side}").read_text().splitlines() for side in ("de", "en")]
    assert [row[:2] for row in written["all"]] == [
        (source.strip(), target.strip()) for source, target in zip(*lines, strict=True)
    ]
    empty = [number for number, row in enumerate(written["all"], 1) if not row[2]]
    assert {3, 9} <= set(empty) and not {5, 7} & set(empty)
    data = Spec("translation", "id", "smoke", str(text), overrides=changes).plan.task.data
    assert written["scored"] == [written["all"][line] for line in data.lines["test"]]
    assert len(written["scored"]) == len(data.splits["test"]) == 5
    long = data.dropped["test"]["long"]
    assert "test: 10 of 15 lines are outside what test/bleu is over: 2 a side without" in said
    assert f"{long} a side above test_tokens, {8 - long} not in the sample (examples)" in said
    assert long >= 2 and "test: 2 lines have no source tokens" in said


@pytest.mark.slow
def test_sensitivity_of_every_parameter_of_a_small_model():
    torch.manual_seed(0)
    model = transformer_module.transformer(
        *(9,),
        **dict(layers=1, width=4, ffn=4, heads=2, dropout=0.1, attention_dropout=0.1),
        positions=16,
    ).double()
    task = TranslationTask(SMOKE, "embedded")
    generator = torch.Generator().manual_seed(1)
    batches = []
    for _ in range(2):
        ids = torch.randint(4, 9, (2, 3, 4), generator=generator)
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])
        batches.append(
            {
                "input_ids": ids[0].where(mask.bool(), 1),
                "attention_mask": mask,
                "decoder_input_ids": torch.cat([torch.full((3, 1), 2), ids[1][:, :-1]], dim=1),
                "labels": ids[1].where(mask.bool(), 1),
                "label_mask": mask.bool(),
            }
        )
    model.eval()
    first = parameter_sensitivity(model, batches, task.loss).values
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    entries = [(name, index) for name, p in named.items() for index in range(p.numel())]
    groups = {f"{name}/{i}": [(name, torch.tensor([i]))] for name, i in entries}
    exact = exact_sensitivity(model, groups, batches, task.loss)
    step = 1e-5
    with torch.no_grad():
        plain = [task.loss(model, batch).item() for batch in batches]
        for name, index in entries:
            flat = named[name].view(-1)
            theta = flat[index].item()
            losses = {}
            for value in (theta + step, theta - step, 0.0):
                flat[index] = value
                losses[value] = [task.loss(model, batch).item() for batch in batches]
            flat[index] = theta
            up, down = losses[theta + step], losses[theta - step]
            slopes = [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]
            expected = sum(abs(theta * slope) for slope in slopes) / 2
            assert first[name].view(-1)[index].item() == pytest.approx(expected, abs=1e-9)
            moved = [abs(a - b) for a, b in zip(losses[0.0], plain, strict=True)]
            assert exact[f"{name}/{index}"] == pytest.approx(sum(moved) / 2, abs=1e-13)
    assert len(entries) > 400 and max(exact.values()) > 1e-3


def test_the_grid_holds_rounds_controls_and_sweep():
    specs = grid("translation", "medium", [1], rounds=2)
    assert len(specs) == 8
    assert {spec.overrides["smoothing"] for spec in specs} == {0.1}
    swept = grid("translation", "medium", [1], rounds=2, sweep=True)[8:]
    assert len(swept) == 2 * len(TranslationTask.sweep) > 0
    assert all(len(spec.overrides) > 2 and spec.overrides["round"] == 0 for spec in swept)


@pytest.mark.slow
def test_sweep_records_are_told_from_those_of_the_main_grid(shared, monkeypatch):
    monkeypatch.setattr(TranslationTask, "sweep", ({"epochs": 1},))
    main = run(Spec("translation", "baseline", "smoke"), shared)
    settings = {"epochs": 1, "smoothing": 0.1, "round": 0}
    swept = run(Spec("translation", "baseline", "smoke", overrides=settings), shared)
    folder = shared.store.root
    assert swept not in recorded("translation", "smoke", folder)
    assert main in recorded("translation", "smoke", folder, sweep=True)
    assert swept in recorded("translation", "smoke", folder, sweep=True)


def test_positions_hold_the_longest_decoding():
    for profile in TranslationTask.profiles:
        settings = resolve(TranslationSettings, TranslationTask.profiles, profile, "id")
        assert max(settings.decode_tokens, settings.max_tokens + 1) <= POSITIONS


def test_settings_that_cannot_be_meant_are_named():
    with pytest.raises(SettingsError, match="max_ratio"):
        resolve(TranslationSettings, TranslationTask.profiles, "smoke", "id", {"max_ratio": 0.5})
    with pytest.raises(SettingsError, match="unknown setting 'vocab'"):
        resolve(TranslationSettings, TranslationTask.profiles, "smoke", "id", {"vocab": 100})
