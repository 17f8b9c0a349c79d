"""The classification task: classes and values, GLUE's metrics, and runs of it to the record."""

from __future__ import annotations

import math

import pytest
import torch
from made_up.tasks import settings_of, spec_of, task_of
from made_up.texts import (
    GLUE,
    GLUE_VALIDATION,
    pairs,
    splits,
    write_dataset,
    write_encoder,
    write_glue,
)
from scipy import stats
from sklearn import metrics as sklearn_metrics
from torch.nn import functional

from idlib.data import DataError
from idlib.experiments.grid import grid, recorded
from idlib.experiments.runs import load_model, run
from idlib.experiments.specs import Spec
from idlib.experiments.workers import run_all
from idlib.experiments.workspace import Workspace
from idlib.method.objective import IntraDistillation
from idlib.metrics import items
from idlib.records import Store
from idlib.tasks import TASKS
from idlib.tasks.classification import ClassificationSettings, ClassificationTask
from idlib.training.settings import SettingsError, resolve

CASES = ("classes", "values")


def model_of(task):
    torch.manual_seed(0)
    model = task.model().double().eval()
    with torch.no_grad():
        model.head.weight.mul_(50)
        logits = task.forward(model)(task.data.splits["test"].batch(range(12)))
        model.head.bias -= logits.median(0).values  # so that some texts are of each class
    return model


# ---- settings


def test_the_paper_profile_has_the_papers_settings():
    s = resolve(ClassificationSettings, ClassificationTask.profiles, "paper", "id")
    assert (s.passes, s.alpha, s.epochs, s.batch_size, s.max_length) == (3, 0.5, 20, 32, 128)
    assert (s.optimizer, s.lr_peak, s.lr_head, s.smoothing) == ("adamax", 2e-4, None, 0.0)
    assert s.layers is None and s.pretrained and not s.freeze_embeddings and s.examples == {}
    assert ClassificationTask.datasets["hub"] == tuple(GLUE)


def test_encoder_pooling_and_data_set_come_with_the_source():
    s = ClassificationSettings()
    found = {}
    for source in ("embedded", "hub", "path"):
        adapted = ClassificationTask.adapt(s, source)
        found[source] = (adapted.encoder, adapted.pooling, adapted.dataset)
    assert found == {
        "embedded": ("embedded", "mean", "application"),
        "hub": ("bert-base-uncased", "first", "cola"),
        "path": ("bert-base-uncased", "first", None),
    }
    other = s.model_copy(update={"encoder": "bert-base-cased", "dataset": "heading"})
    adapted = ClassificationTask.adapt(other, "embedded")
    assert (adapted.encoder, adapted.pooling, adapted.dataset) == (
        *("bert-base-cased", "first", "heading"),
    )
    mean = ClassificationTask.adapt(s.model_copy(update={"pooling": "mean"}), "hub")
    assert mean.pooling == "mean"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"dataset": "rte"}, "unknown dataset 'rte': choose one of application, heading"),
        ({"languages": ["de"]}, "setting languages"),
        ({"pooling": "max"}, "setting pooling = 'max'.*'mean' or 'first'"),
        ({"optimizer": "sgd"}, "setting optimizer"),
        ({"data_set": "heading"}, "unknown setting 'data_set'.*dataset"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(overrides, says):
    with pytest.raises(SettingsError, match=says):
        _ = Spec("classification", "id", "smoke", "embedded", overrides=overrides).plan


# ---- model and loss


def test_the_order_of_a_pair_and_its_token_types_matter(small):
    task = task_of(small, "values")
    forward, batch = task.forward(model_of(task)), task.data.splits["train"].batch([3])
    whole = forward(batch)
    without = {name: value for name, value in batch.items() if name != "token_type_ids"}
    assert not torch.allclose(forward(without), whole, atol=1e-6)
    other = {**batch, "token_type_ids": 1 - batch["token_type_ids"]}
    assert not torch.allclose(forward(other), whole, atol=1e-6)


def test_the_divergence_of_a_regression_is_the_variance_between_passes(small):
    task = task_of(small, "values", dropout=0.3)
    torch.manual_seed(0)
    model, seen = task.model().train(), []

    def forward(batch):
        seen.append(task.forward(model)(batch))
        return seen[-1]

    batch = task.data.splits["train"].batch(range(8))
    parts = IntraDistillation(passes=3, alpha=0.5)(forward, task.targets, batch, 1, 1)
    z = seen[0].view(3, 8)
    task_loss = (z - batch["label"]).square().mean()
    divergence = z.var(0, unbiased=False).mean()
    assert divergence > 1e-6
    torch.testing.assert_close(parts.task, task_loss)
    torch.testing.assert_close(parts.divergence, divergence)
    torch.testing.assert_close(parts.total, task_loss + 0.5 * divergence)


# ---- metrics


def one_by_one(task, model, split) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [N, outputs] and labels [N], each example in a batch of its own."""
    data = task.data.splits[split]
    batches = [data.batch([index]) for index in range(len(data))]
    with torch.no_grad():
        logits = torch.cat([task.forward(model)(batch) for batch in batches])
    return logits, torch.cat([batch["label"] for batch in batches])


def test_metrics_of_classes_are_those_of_others(small):
    task = task_of(small, "classes")
    model = model_of(task)
    for split in ("validation", "test"):
        logits, labels = one_by_one(task, model, split)
        predicted = logits.argmax(-1)
        assert set(predicted.tolist()) == {0, 1}
        expected = {
            "nll": functional.cross_entropy(logits, labels).item(),
            "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
            "f1": sklearn_metrics.f1_score(labels, predicted),
            "matthews": sklearn_metrics.matthews_corrcoef(labels, predicted),
        }
        expected["score"] = expected["accuracy"]
        assert task.evaluate(model, split) == pytest.approx(expected, abs=1e-9)


def test_metrics_of_values_are_those_of_others(small):
    task = task_of(small, "values")
    model = model_of(task)
    logits, labels = one_by_one(task, model, "test")
    expected = {
        "nll": (logits[:, 0] - labels).square().mean().item(),
        "pearson": stats.pearsonr(logits[:, 0], labels)[0],
        "spearman": stats.spearmanr(logits[:, 0], labels)[0],
    }
    expected["score"] = expected["pearson"]
    assert task.evaluate(model, "test") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_items_add_up_to_the_metrics(small, case):
    task = task_of(small, case, batch_size=2)  # three batches of test items of like length
    model = model_of(task)
    metrics, curves = task.test(model)
    logits, labels = one_by_one(task, model, "test")
    if case == "classes":
        each = functional.cross_entropy(logits, labels, reduction="none")
        right = (logits.argmax(-1) == labels).long().tolist()
        assert len(set(logits.argmax(-1).tolist())) == 2
        assert curves["test/accuracy/numerators"] == curves["test/score/numerators"] == right
    else:
        each = (logits[:, 0] - labels).square()
    assert curves["test/nll/items"] == pytest.approx(each.tolist(), abs=1e-4)
    for split in ("validation", "test"):
        for name, value in task.evaluate(model, split).items():
            assert metrics.pop(f"{split}/{name}") == value
            if (split, name) == ("test", "nll"):
                mean = sum(curves["test/nll/items"]) / 20
                assert mean == pytest.approx(value, abs=1e-4)
    assert not metrics and sorted(curves["test/items/en"]) == list(range(20))
    names = {f"test/{name}/numerators" for name in ("accuracy", "score")}
    assert names & set(curves) == (names if case == "classes" else set())
    for name in names & set(curves):
        metric = name.removesuffix("/numerators")
        score = items.score(items.items_of(curves, metric))
        assert score == task.evaluate(model, "test")[metric.removeprefix("test/")]


@pytest.mark.parametrize(
    ("dataset", "score", "others"),
    [
        ("cola", "matthews", {"accuracy", "f1"}),
        ("mrpc", "f1", {"accuracy", "matthews"}),
        ("stsb", "pearson", {"spearman"}),
        ("mnli", "accuracy", {"f1_macro", "matthews"}),
        ("qnli", "accuracy", {"f1", "matthews"}),
    ],
)
def test_each_data_set_of_glue_has_its_own_score(small, tmp_path, dataset, score, others):
    write_glue(tmp_path, dataset)
    asked = settings_of(small, "classes", dataset=dataset, examples={})
    found = resolve(ClassificationSettings, ClassificationTask.profiles, "smoke", "id", asked)
    task = ClassificationTask(found, "hub", tmp_path)
    model = model_of(task)
    metrics = task.evaluate(model, "test")
    assert set(metrics) == {"nll", "score", score, *others}
    assert task.score == score and metrics["score"] == metrics[score]
    assert len(task.data.splits["test"]) == GLUE_VALIDATION
    _, curves = task.test(model)
    assert ("test/score/numerators" in curves) == (score == "accuracy")
    assert ("test/accuracy/numerators" in curves) == (dataset != "stsb")


# ---- runs


@pytest.mark.slow
def test_a_run_of_classes_learns(small, shared):
    spec = spec_of(small, "classes")
    record = run(spec, shared)
    metrics, curves = record.measured.metrics, record.measured.curves
    assert metrics["test/nll"] < 0.8 * math.log(2) and metrics["test/accuracy"] > 0.8
    assert metrics["test/score"] == metrics["test/accuracy"]
    assert sum(curves["test/score/numerators"]) / 20 == metrics["test/score"]
    assert curves["validation/nll"][-1] < curves["validation/nll"][0]
    assert record.asked.settings["dataset"] == "mood"
    task, model = spec.plan.task, load_model(spec, workspace=shared)
    assert task.evaluate(model, "test")["score"] == metrics["test/score"]


@pytest.mark.slow
def test_a_run_of_values_learns(small, shared):
    record = run(spec_of(small, "values"), shared)
    metrics, curves = record.measured.metrics, record.measured.curves
    values = torch.tensor([row["label"] for row in splits(pairs)["test"]])
    assert metrics["test/nll"] < 1.2 * values.var().item()  # about that of their mean
    assert metrics["test/score"] == metrics["test/pearson"] and "test/accuracy" not in metrics
    assert curves["train/alpha"] == [0.5] * 10  # α ≤ 1 is not warmed up
    assert "test/score/numerators" not in curves and len(curves["test/nll/items"]) == 20


def test_a_label_outside_the_set_stops_all_runs_before_one_trains(small, tmp_path, fresh):
    rows = splits()
    rows["test"][3]["label"] = 2
    write_dataset(tmp_path / "data/mood", rows)
    bad = spec_of(small, "classes", data=tmp_path / "data")
    with pytest.raises(DataError, match=r"test.jsonl:4 has the label 2; choose one of 0 \(0\)"):
        run_all([spec_of(small, "values"), bad], workspace=fresh)
    assert not fresh.checkpoints.exists()


# ---- the grid over data sets


@pytest.fixture
def lettered(tmp_path, monkeypatch) -> Workspace:
    """Profile smoke on an encoder of single letters, for the embedded text."""
    write_encoder(tmp_path / "letters", letters=True)
    smoke = {
        **ClassificationTask.profiles["smoke"],
        **dict(encoder=str(tmp_path / "letters"), freeze_embeddings=False),
        "examples": {"train": 16, "validation": 8, "test": 8},
    }
    monkeypatch.setitem(ClassificationTask.profiles, "smoke", smoke)
    return Workspace(Store(tmp_path / "records", also=()), tmp_path / "checkpoints")


def test_the_grid_has_every_data_set_of_the_source():
    specs = grid("classification", "medium", [1, 2], rounds=1, source="embedded")
    assert len(specs) == 2 * 2 * 6
    names = ("application", "heading")
    cells = [(s.seed, s.overrides["dataset"], s.method, s.overrides["round"]) for s in specs]
    one = [(m, r) for m in ("baseline", "id") for r in (0, 1)] + [("passes", 0), ("compute", 0)]
    assert cells == [(seed, name, *cell) for seed in (1, 2) for name in names for cell in one]
    by_default = grid("classification", "medium", [1, 2], rounds=1)  # the profile's source
    assert [s.overrides for s in by_default] == [s.overrides for s in specs]
    on_the_hub = grid("classification", "paper", [1], rounds=0, controls=False)
    assert [s.overrides["dataset"] for s in on_the_hub[::2]] == list(GLUE)


def test_the_grid_has_the_data_sets_that_are_asked_for(small):
    def named(**more):
        specs = grid("classification", "smoke", [1], rounds=0, controls=False, **more)
        return [s.overrides.get("dataset") for s in specs[::2]]

    assert named(datasets=["heading"]) == ["heading"]
    assert named(datasets=iter(["heading", "application"])) == ["heading", "application"]
    assert named(overrides={"dataset": "heading"}) == ["heading"]
    assert named(overrides={"dataset": None}) == ["application", "heading"]
    assert named(datasets=["application"], overrides={"dataset": "heading"}) == ["application"]
    assert named(datasets=[]) == []
    assert named(source=str(small)) == ["likeness", "mood"]
    assert named(source=str(small), overrides={"dataset": "mood"}) == ["mood"]
    assert named(source=str(small), datasets=["mood"]) == ["mood"]


@pytest.mark.parametrize("task", [name for name in TASKS if name != "classification"])
def test_tasks_without_data_sets_are_asked_for_none(task):
    for spec in grid(task, "smoke", [1], sweep=True):
        assert "dataset" not in spec.overrides


@pytest.mark.slow
def test_records_of_every_data_set_answer_to_todays_settings(lettered, monkeypatch):
    specs = grid("classification", "smoke", [1], rounds=0, controls=False)
    assert [s.overrides["dataset"] for s in specs] == ["application"] * 2 + ["heading"] * 2
    made = run_all(specs, workers=1, workspace=lettered)
    other = run(
        Spec("classification", "id", "smoke", overrides={"dataset": "heading", "alpha": 0.25}),
        lettered,
    )
    folder = lettered.store.root
    found = recorded("classification", "smoke", folder)
    assert {r.signature for r in found} == {r.signature for r in made} and other not in found
    # A data set that is no longer there has no settings of today.
    monkeypatch.setitem(ClassificationTask.datasets, "embedded", ("application",))
    found = recorded("classification", "smoke", folder)
    assert {r.asked.settings["dataset"] for r in found} == {"application"} and len(found) == 2


def test_no_data_set_named_is_the_first(lettered):
    named = Spec("classification", "id", "smoke", overrides={"dataset": "application"})
    assert Spec("classification", "id", "smoke").signature == named.signature
