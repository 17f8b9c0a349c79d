"""The tagging task: what is counted, what a score is made of, and that a tagger learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_up.tags import (
    NAMES,
    made_up,
    tiny_encoder,
    unigram,
    wordpiece,
    write,
    write_folder,
)
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from torch import nn
from torch.nn import functional

from idlib.data import DataError
from idlib.experiments.grid import grid
from idlib.experiments.runs import load_model, run
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.method.objective import IntraDistillation
from idlib.metrics import items, spans
from idlib.models import encoders
from idlib.records import Store
from idlib.tasks.tagging import TaggingSettings, TaggingTask
from idlib.training.settings import resolve

STRICT = {"mode": "strict", "scheme": IOB2, "zero_division": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Tagged text in three languages, and beside it an encoder."""
    root = tmp_path_factory.mktemp("tagging")
    tiny_encoder(root / "encoder", unigram())
    return write_folder(root / "tags")


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Workspace:
    root = tmp_path_factory.mktemp("runs")
    return Workspace(Store(root / "records", also=()), root / "checkpoints")


@pytest.fixture(scope="module")
def task(folder: Path) -> TaggingTask:
    return task_on(folder)


def task_on(folder: Path, **settings) -> TaggingTask:
    changed = {"encoder": str(folder.with_name("encoder")), "layers": 2, **settings}
    asked = {**TaggingTask.profiles["smoke"], **changed}
    return TaggingTask(TaggingSettings(**asked), "path", folder)


def spec_on(folder: Path, method: str = "id", **overrides) -> Spec:
    """A run at profile smoke that is long enough to learn something."""
    asked = {"encoder": str(folder.with_name("encoder")), "layers": 2, "epochs": 12}
    asked |= {"lr_peak": 3e-3, "lr_head": 1e-2, "freeze_embeddings": False, **overrides}
    return Spec("tagging", method, "smoke", source=str(folder), overrides=asked)


def model_of(task: TaggingTask, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return task.model().double().eval()


@pytest.fixture(scope="module")
def tagger(task: TaggingTask) -> nn.Module:
    """A model that has learnt a part of what there is to learn."""
    model = model_of(task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batch = task.data.splits["train"].batch(range(48))
    for _ in range(20):
        optimizer.zero_grad()
        task.loss(model, batch).backward()
        optimizer.step()
    return model


class Knows(nn.Module):
    """A tagger that says at every piece what the items of the data have there."""

    def __init__(self, task: TaggingTask):
        super().__init__()
        self.device_of = nn.Parameter(torch.zeros(()))
        self.outputs, self.right = task.outputs, {}
        for split in task.data.splits.values():
            for index, length in enumerate(split.lengths):
                batch = split.batch([index])
                self.right[tuple(batch["input_ids"][0].tolist())] = batch["labels"][0], length

    def forward(self, input_ids, attention_mask):
        labels = torch.zeros_like(input_ids)
        for row, mask, tags in zip(input_ids, attention_mask, labels, strict=True):
            own, length = self.right[tuple(row[mask.bool()].tolist())]
            tags[:length] = own
        return 100.0 * functional.one_hot(labels, self.outputs).double()


# ---- settings


def test_the_defaults_are_the_earlier_reports():
    s = resolve(TaggingSettings, TaggingTask.profiles, "paper", "id")
    assert (s.max_length, s.epochs, s.lr_peak, s.schedule, s.warmup) == (128, 10, 2e-5, "linear", 0)
    assert (s.batch_size, s.micro_batch, s.passes, s.alpha) == (32, 8, 3, 1.0)
    assert (s.optimizer or "adamw", s.lr_head, s.weight_decay, s.layers) == (
        "adamw",
        None,
        0.0,
        None,
    )
    assert s.pretrained and not s.freeze_embeddings and s.languages is None and not s.examples
    assert TaggingTask.adapt(s, "hub").encoder == "bert-base-multilingual-cased"
    assert TaggingTask.adapt(s, "embedded").encoder == "embedded"


def test_the_grid_holds_rounds_controls_and_a_random_encoder():
    specs = grid("tagging", "medium", [1], rounds=2)
    assert len(specs) == 8 and {spec.overrides["smoothing"] for spec in specs} == {0.0}
    swept = grid("tagging", "medium", [1], rounds=2, sweep=True)[8:]
    assert [spec.overrides["pretrained"] for spec in swept] == [False, False]
    assert {spec.method for spec in swept} == {"baseline", "id"}


# ---- the model


def test_the_model_is_the_one_that_the_settings_ask_for(folder):
    model = task_on(folder, layers=1, dropout=0.37, freeze_embeddings=True).model()
    rates = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    assert "dropout" in rates and len(rates) > 3 and set(rates.values()) == {0.37}
    assert len(model.encoder.encoder.layer) == 1
    words = "encoder.embeddings.word_embeddings.weight"
    assert words not in dict(model.named_parameters())
    assert words in dict(task_on(folder, freeze_embeddings=False).model().named_parameters())


def test_dropout_is_drawn_in_the_encoder_and_before_the_head(folder, task):
    batch = task.data.splits["train"].batch([0, 5, 9])
    for silent in ("encoder", "dropout", "encoder dropout"):
        model = task_on(folder, dropout=0.3).model().train()
        for name in silent.split():
            model.get_submodule(name).eval()
        with torch.no_grad():
            one, two = (task.forward(model)(batch) for _ in range(2))
        assert torch.equal(one, two) == (silent == "encoder dropout")


def test_the_measured_batches_are_the_first_items_in_batches_of_the_settings(folder, task):
    measured = task_on(folder, sensitivity_examples=20, sensitivity_batch=8)
    batches = list(measured.sensitivity_batches())
    assert [len(batch["labels"]) for batch in batches] == [8, 8, 4]
    found = [row[mask.bool()].tolist() for b in batches for row, mask in pieces_of(b)]
    assert found == [list(ids) for ids in task.data.splits["train"].input_ids[:20]]


def pieces_of(batch):
    return zip(batch["input_ids"], batch["attention_mask"], strict=True)


# ---- what is counted


@pytest.mark.filterwarnings("ignore:the K passes are equal")  # in evaluation mode, on purpose
@pytest.mark.parametrize("passes", [1, 3])
def test_padding_changes_neither_loss_nor_gradient(task, passes):
    model = model_of(task)
    objective = IntraDistillation(passes=passes, alpha=5.0)
    batch = task.data.splits["train"].batch([0, 5, 9])
    wider = {name: functional.pad(value, (0, 7)) for name, value in batch.items()}
    found = []
    for padded in (batch, wider):
        model.zero_grad()
        parts = objective(task.forward(model), task.targets, padded, step=9, total_steps=10)
        parts.total.backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append((parts.total.detach(), torch.cat(gradients)))
    (loss, gradients), (padded_loss, padded_gradients) = found
    torch.testing.assert_close(padded_loss, loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(padded_gradients, gradients, rtol=0, atol=1e-13)
    assert gradients.abs().max() > 1e-4


def test_only_first_pieces_are_counted(task):
    model = model_of(task)
    batch = task.data.splits["train"].batch([0, 5, 9])
    other = {**batch, "labels": batch["labels"].where(batch["label_mask"], 1)}
    assert task.loss(model, other) == task.loss(model, batch)
    flipped = {**batch, "labels": (batch["labels"] + 1) % task.outputs}
    assert task.loss(model, flipped) != task.loss(model, batch)
    counted = [len(task.data.splits["train"].tokens[i]) for i in (0, 5, 9)]
    assert batch["label_mask"].sum(-1).tolist() == counted  # here no piece is of two tokens


def test_evaluate_is_the_mean_over_counted_pieces_whatever_the_batches(folder, task, tagger):
    split = task.data.splits["validation"]
    summed = counted = 0
    gold, predicted = [], []
    with torch.no_grad():
        for index in range(len(split)):
            batch = split.batch([index])
            logits = task.forward(tagger)(batch)[0]
            mask = batch["label_mask"][0]
            losses = functional.cross_entropy(
                logits[mask], batch["labels"][0][mask], reduction="sum"
            )
            summed, counted = summed + losses.item(), counted + int(mask.sum())
            gold.append(split.tags[index])
            predicted += split.decode([index], logits[None].argmax(-1))
    expected = pytest.approx(f1_score(gold, predicted, **STRICT), abs=1e-15)
    for size in (1, 3, 50):
        found = task_on(folder, batch_size=size).evaluate(tagger, "validation")
        assert found == {"nll": pytest.approx(summed / counted, rel=1e-12), "f1": expected}
    assert 0 < found["f1"] < 1, "a tagger that learnt a little"


def test_the_test_split_is_english(task, tagger):
    assert task.evaluate(tagger, "test") == task.evaluate(tagger, "test/en")
    assert task.evaluate(tagger, "test") != task.evaluate(tagger, "test/de")


def test_tags_of_a_few_items_are_those_of_all(task, tagger):
    split = task.data.splits["test/ja"]
    every = task.tag(tagger, "test/ja", range(len(split)))
    assert [len(tags) for tags in every] == [len(tokens) for tokens in split.tokens]
    assert task.tag(tagger, "test/ja", [7, 2]) == [every[7], every[2]]


# ---- what a score is made of


def test_scores_are_made_of_the_items_in_the_curves(task, tagger):
    data = task.data
    metrics, curves = task.test(tagger)
    languages = ("en", "de", "ja")
    assert data.parallel and items.languages(curves) == list(languages)
    for language in languages:
        split = data.splits[f"test/{language}"]
        predicted = task.tag(tagger, f"test/{language}", range(len(split)))
        expected = f1_score(split.tags, predicted, **STRICT)
        assert metrics[f"test/f1/{language}"] == pytest.approx(expected, abs=1e-15)
        both = [i for i, item in enumerate(split.ids) if item in data.parallel]
        shared = [[tags[i] for i in both] for tags in (split.tags, predicted)]
        expected = f1_score(*shared, **STRICT)
        assert metrics[f"test/f1_parallel/{language}"] == pytest.approx(expected, abs=1e-15)
    for score in ("f1", "f1_parallel"):
        mean = np.mean([metrics[f"test/{score}/{language}"] for language in ("de", "ja")])
        assert metrics[f"test/{score}/others"] == pytest.approx(mean)
    nll = [task.evaluate(tagger, f"test/{language}")["nll"] for language in languages]
    assert metrics["test/nll"] == pytest.approx(nll[0])
    assert metrics["test/nll/others"] == pytest.approx(np.mean(nll[1:]))
    assert np.mean(curves["test/nll/items"]) == pytest.approx(metrics["test/nll"], abs=1e-4)
    every = sorted({item for name in languages for item in data.splits[f"test/{name}"].ids})
    for language in languages:
        numbers = curves[f"test/items/{language}"]
        assert [every[number] for number in numbers] == data.splits[f"test/{language}"].ids


def test_parallel_items_are_not_all(folder, tmp_path, tagger):
    """Where a language lacks items, the two means differ, each over its own items."""
    root = write_folder(tmp_path / "tags")
    write(root / "ja/test.parquet", made_up("test", "ja")[5:])
    (tmp_path / "encoder").symlink_to(folder.with_name("encoder"))
    task = task_on(root, examples={})
    metrics, curves = task.test(tagger)
    assert [len(curves[f"test/items/{language}"]) for language in ("en", "ja")] == [20, 15]
    assert len(task.data.parallel) == 15
    assert metrics["test/f1_parallel/ja"] == metrics["test/f1/ja"]
    assert metrics["test/f1_parallel/de"] != metrics["test/f1/de"]


def test_english_alone_has_no_others(folder):
    task = task_on(folder, languages=("en",))
    metrics, curves = task.test(model_of(task))
    assert {name for name in metrics if name.startswith("test/")} == {"test/nll", "test/f1/en"}
    assert items.languages(curves) == ["en"]


@pytest.mark.parametrize("tokenizer", ["unigram", "wordpiece"])
def test_the_right_tag_at_every_piece_gives_the_score_within_reach(tmp_path, tokenizer):
    root = write_folder(tmp_path / "tags")
    border = {"id": "x", "tokens": [*"弁と羅馬"], "ner_tags": "B-PER O B-LOC I-LOC".split()}
    rows = [border | {"spaces": [False] * 4}, *made_up("test", "ja")]
    write(root / "ja/test.parquet", rows)
    made = {"unigram": unigram, "wordpiece": wordpiece}[tokenizer]()
    tiny_encoder(tmp_path / "encoder", made)
    task = task_on(root, examples={})
    metrics, curves = task.test(Knows(task))
    assert metrics["test/f1/en"] == metrics["test/f1/de"] == metrics["validation/f1"] == 1.0
    assert metrics["test/nll"] == pytest.approx(0, abs=1e-9)
    missed = task.data.splits["test/ja"].missed
    gold = sum(len(spans.spans(row["ner_tags"])) for row in rows)
    # One piece over two tokens: a wrong span in the place of the right one.
    assert missed == (tokenizer == "unigram")
    assert metrics["test/f1/ja"] == pytest.approx((gold - missed) / gold)
    assert metrics["test/f1_parallel/ja"] == 1.0


# ---- runs


def test_a_run_learns_and_leaves_a_record_with_all_figures(folder, shared):
    spec = spec_on(folder)
    record = run(spec, shared)
    metrics, curves = record.measured.metrics, record.measured.curves
    assert metrics["test/f1/en"] > 0.9 > 0.5 > curves["validation/f1"][0]
    assert metrics["test/f1/en"] > metrics["test/f1/others"] > metrics["test/f1/ja"]
    assert len(curves["validation/f1"]) == len(curves["validation/nll"]) == 12
    best = max(curves["validation/f1"])
    place = curves["validation/f1"].index(best)
    assert metrics["selected/step"] == curves["validation/step"][place]
    assert metrics["validation/f1"] == pytest.approx(best)
    assert {"test/nll/last", "test/f1/last", "test/nll/others", "train/nll"} <= set(metrics)
    for layer in ("embedding", "attention", "feed-forward", "norm", "head"):
        assert metrics[f"sensitivity/std/{layer}"] > 0
    assert set(record.asked.data) == {
        "train",
        "validation",
        "test/en",
        "test/de",
        "test/ja",
        "encoder",
    }
    assert record.asked.settings["languages"] == ["en", "de", "ja"]
    found = items.score(items.items_of(curves, "test/f1/others"))
    assert found == pytest.approx(metrics["test/f1/others"])
    model = load_model(spec, workspace=shared)
    gold = spec.plan.task.data.splits["test/en"].tags
    predicted = spec.plan.task.tag(model, "test/en", range(len(gold)))
    assert f1_score(gold, predicted, **STRICT) == pytest.approx(metrics["test/f1/en"])


def test_students_of_both_methods_learn_from_their_teachers(folder, shared):
    for method in ("baseline", "id"):
        spec = spec_on(folder, method, epochs=2)
        teacher, student = run(spec, shared), run(spec.round(1), shared)
        # The cross-entropies to labels and to the teacher are added.
        parts = (r.measured.curves["train/task"][0] for r in (student, teacher))
        assert next(parts) > 1.5 * next(parts)


def test_the_same_spec_gives_the_same_numbers(folder, shared, tmp_path):
    spec = spec_on(folder, "id", epochs=2)
    again = Workspace(Store(tmp_path / "records", also=()), tmp_path / "checkpoints")
    assert run(spec, again).measured == run(spec, shared).measured


def test_micro_batches_change_no_update(folder, shared):
    found = []
    for micro_batch in (3, 8):
        spec = spec_on(folder, "baseline", epochs=1, dropout=0.0, micro_batch=micro_batch)
        found.append(run(spec, shared).measured.curves["train/task"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_another_encoder_or_other_weights_make_another_run(folder, shared):
    plain, random_ = spec_on(folder), spec_on(folder, pretrained=False)
    assert plain.signature != random_.signature
    weights = [spec.plan.task.model().encoder.state_dict() for spec in (plain, plain, random_)]
    same = [all(torch.equal(w[name], weights[0][name]) for name in w) for w in weights]
    assert same == [True, True, False]


# ---- what cannot be run


def test_text_that_the_encoder_does_not_know_is_refused(folder, tmp_path):
    root = write_folder(tmp_path / "tags")
    rows = made_up("test", "de")
    for row in rows[:10]:
        row["tokens"][0] = "щщщ"
    write(root / "de/test.parquet", rows)
    (tmp_path / "encoder").symlink_to(folder.with_name("encoder"))
    with pytest.raises(encoders.EncoderError, match="test/de"):
        task_on(root, examples={}).checksums  # noqa: B018  (what a plan asks first)


def test_faults_are_found_before_any_training(folder, tmp_path):
    with pytest.raises(DataError, match="unknown language 'sv'; .* has en, de, ja"):
        spec_on(folder, languages=["sv"]).plan  # noqa: B018
    root = write_folder(tmp_path / "tags")
    write(
        root / "ja/test.parquet",
        [{"id": "a", "tokens": ["x"], "ner_tags": ["B-ORG"]}],
        (*NAMES, "B-ORG"),
    )
    with pytest.raises(DataError, match=r"test.parquet:1 has the tag 5 \(B-ORG\)"):
        spec_on(root, encoder=str(folder.with_name("encoder"))).plan  # noqa: B018
