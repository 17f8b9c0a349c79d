"""The tagging task: what is counted, what a score is made of, and that a tagger learns."""

from __future__ import annotations

import pytest
import torch
from made_up.tags import NAMES, made_up, tiny_encoder, unigram, wordpiece, write, write_folder
from made_up.tasks import Lookup, spec_of, task_of
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from torch import nn
from torch.nn import functional

from idlib.data import DataError
from idlib.experiments.runs import load_model, run
from idlib.metrics import items, spans
from idlib.tasks.tagging import TaggingSettings, TaggingTask
from idlib.training.settings import resolve

STRICT = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
LANGUAGES = ("en", "de", "ja")


@pytest.fixture(scope="module")
def task(small) -> TaggingTask:
    return task_of(small, "tagging")


def model_of(task: TaggingTask) -> nn.Module:
    torch.manual_seed(0)
    return task.model().double().eval()


@pytest.fixture(scope="module")
def tagger(task: TaggingTask) -> nn.Module:
    """A model that has learnt a part of what there is to learn."""
    model = model_of(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batch = task.data.splits["train"].batch(range(48))
    for _ in range(12):
        optimizer.zero_grad()
        task.loss(model, batch).backward()
        optimizer.step()
    return model


def test_the_defaults_are_the_earlier_reports():
    s = resolve(TaggingSettings, TaggingTask.profiles, "paper", "id")
    assert (s.max_length, s.epochs, s.lr_peak, s.schedule, s.warmup) == (128, 10, 2e-5, "linear", 0)
    assert (s.batch_size, s.micro_batch, s.passes, s.alpha) == (32, 8, 3, 1.0)
    assert (s.optimizer, s.lr_head, s.weight_decay, s.layers) == (None, None, 0.0, None)
    assert s.pretrained and not s.freeze_embeddings and s.languages is None and not s.examples
    assert TaggingTask.adapt(s, "hub").encoder == "bert-base-multilingual-cased"
    assert TaggingTask.adapt(s, "embedded").encoder == "embedded"


def test_dropout_is_drawn_in_the_encoder_and_before_the_head(small, task):
    batch = task.data.splits["train"].batch([0, 5, 9])
    for silent in ("encoder", "dropout", "encoder dropout"):
        model = task_of(small, "tagging", dropout=0.3).model().train()
        for name in silent.split():
            model.get_submodule(name).eval()
        with torch.no_grad():
            one, two = (task.forward(model)(batch) for _ in range(2))
        assert torch.equal(one, two) == (silent == "encoder dropout")


# ---- what is counted


def test_only_the_first_subwords_of_words_are_counted(task):
    model = model_of(task)
    batch = task.data.splits["train"].batch([0, 5, 9])
    other = {**batch, "labels": batch["labels"].where(batch["label_mask"], 1)}
    assert task.loss(model, other) == task.loss(model, batch)
    flipped = {**batch, "labels": (batch["labels"] + 1) % task.outputs}
    assert task.loss(model, flipped) != task.loss(model, batch)
    counted = [len(task.data.splits["train"].tokens[i]) for i in (0, 5, 9)]
    assert batch["label_mask"].sum(-1).tolist() == counted  # here no subword is of two words


def test_tags_of_a_few_items_are_those_of_all(task, tagger):
    split = task.data.splits["test/ja"]
    every = task.tag(tagger, "test/ja", range(len(split)))
    assert [len(tags) for tags in every] == [len(tokens) for tokens in split.tokens]
    assert task.tag(tagger, "test/ja", [7, 2]) == [every[7], every[2]]


# ---- what a score is made of


def test_scores_are_those_of_seqeval(task, tagger):
    data = task.data
    metrics, _ = task.test(tagger)
    assert 0 < metrics["test/f1/others"] < 1, "a tagger that learnt a little"
    for language in LANGUAGES:
        split = data.splits[f"test/{language}"]
        predicted = task.tag(tagger, f"test/{language}", range(len(split)))
        expected = f1_score(split.tags, predicted, **STRICT)
        assert metrics[f"test/f1/{language}"] == pytest.approx(expected, abs=1e-15)
        both = [i for i, item in enumerate(split.ids) if item in data.parallel]
        shared = [[tags[i] for i in both] for tags in (split.tags, predicted)]
        expected = f1_score(*shared, **STRICT)
        assert metrics[f"test/f1_parallel/{language}"] == pytest.approx(expected, abs=1e-15)


def test_parallel_items_are_not_all(small, tmp_path, tagger):
    """Where a language lacks items, the two means differ, each over its own items."""
    root = write_folder(tmp_path / "tags")
    write(root / "ja/test.parquet", made_up("test", "ja")[5:])
    task = task_of(small, "tagging", data=root, examples={})
    metrics, curves = task.test(tagger)
    assert [len(curves[f"test/items/{language}"]) for language in ("en", "ja")] == [20, 15]
    assert len(task.data.parallel) == 15
    assert metrics["test/f1_parallel/ja"] == metrics["test/f1/ja"]
    assert metrics["test/f1_parallel/de"] != metrics["test/f1/de"]


@pytest.mark.parametrize("tokenizer", [unigram, wordpiece])
def test_the_right_tag_at_every_subword_gives_the_score_within_reach(small, tmp_path, tokenizer):
    root = write_folder(tmp_path / "tags")
    border = {"id": "x", "tokens": [*"弁と羅馬"], "ner_tags": "B-PER O B-LOC I-LOC".split()}
    rows = [border | {"spaces": [False] * 4}, *made_up("test", "ja")]
    write(root / "ja/test.parquet", rows)
    encoder = str(tiny_encoder(tmp_path / "encoder", tokenizer()))
    task = task_of(small, "tagging", data=root, encoder=encoder, examples={})
    known = {}
    for split in task.data.splits.values():
        for index in range(len(split)):
            batch = split.batch([index])
            right = functional.one_hot(batch["labels"][0], task.outputs).double()
            known[tuple(batch["input_ids"][0].tolist())] = 100.0 * right
    metrics, _ = task.test(Lookup(known))
    assert metrics["test/f1/en"] == metrics["test/f1/de"] == metrics["validation/f1"] == 1.0
    assert metrics["test/nll"] == pytest.approx(0, abs=1e-9)
    missed = task.data.splits["test/ja"].missed
    gold = sum(len(spans.spans(row["ner_tags"])) for row in rows)
    # One subword over two words: a wrong span in the place of the right one.
    assert missed == (tokenizer is unigram)
    assert metrics["test/f1/ja"] == pytest.approx((gold - missed) / gold)
    assert metrics["test/f1_parallel/ja"] == 1.0


# ---- runs


@pytest.mark.slow
def test_a_run_learns(small, shared):
    spec = spec_of(small, "tagging", epochs=12, lr_peak=3e-3, lr_head=1e-2)
    record = run(spec, shared)
    metrics, curves = record.measured.metrics, record.measured.curves
    assert metrics["test/f1/en"] > 0.9 > 0.5 > curves["validation/f1"][0]
    assert metrics["test/f1/en"] > metrics["test/f1/others"] > metrics["test/f1/ja"]
    assert len(curves["validation/f1"]) == len(curves["validation/nll"]) == 12
    found = items.score(items.items_of(curves, "test/f1/others"))
    assert found == pytest.approx(metrics["test/f1/others"])
    model = load_model(spec, workspace=shared)
    gold = spec.plan.task.data.splits["test/en"].tags
    predicted = spec.plan.task.tag(model, "test/en", range(len(gold)))
    assert f1_score(gold, predicted, **STRICT) == pytest.approx(metrics["test/f1/en"])


@pytest.mark.slow
def test_micro_batches_change_no_update(small, shared):
    found = []
    for micro_batch in (3, 8):
        spec = spec_of(small, "tagging", "baseline", dropout=0.0, micro_batch=micro_batch)
        found.append(run(spec, shared).measured.curves["train/task"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_faults_of_the_data_are_found_before_any_training(small, tmp_path):
    with pytest.raises(DataError, match="unknown language 'sv'; .* has en, de, ja"):
        task_of(small, "tagging", languages=["sv"])
    root = write_folder(tmp_path / "tags")
    row = {"id": "a", "tokens": ["x"], "ner_tags": ["B-ORG"]}
    write(root / "ja/test.parquet", [row], (*NAMES, "B-ORG"))
    with pytest.raises(DataError, match=r"test.parquet:1 has the tag 5 \(B-ORG\)"):
        task_of(small, "tagging", data=root)
