"""The classification task: classes and values, GLUE's metrics, and runs of it to the record."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from made_up.tables import write_table
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
from idlib.models.encoders import EncoderError
from idlib.records import Store
from idlib.sensitivity.first_order import parameter_sensitivity
from idlib.tasks import TASKS
from idlib.tasks.classification import ClassificationSettings, ClassificationTask
from idlib.training.optim import optimizer_of
from idlib.training.settings import SettingsError, resolve

LAYERS = {"embedding", "attention", "feed-forward", "norm", "head"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two data sets, of classes of sentences and of values of pairs, and a tiny encoder."""
    root = tmp_path_factory.mktemp("classification")
    write_dataset(root / "data/mood", splits())
    write_dataset(root / "data/likeness", splits(pairs))
    write_encoder(root / "encoder")
    return root


@pytest.fixture(scope="module")
def workspace(root) -> Workspace:
    return Workspace(Store(root / "records", also=()), root / "checkpoints")


def asked(root, dataset, **settings) -> dict:
    """What the tests lay over profile smoke."""
    encoder = {"encoder": str(root / "encoder"), "freeze_embeddings": False, "examples": {}}
    return {**encoder, "layers": 2, "sensitivity_batch": 8, "dataset": dataset, **settings}


def task_of(root, dataset, source="path", folder="data", **settings) -> ClassificationTask:
    task, overrides = ClassificationTask, asked(root, dataset, **settings)
    found = resolve(task.schema, task.profiles, "smoke", "id", overrides)
    return task(task.adapt(found, source), source, root / folder)


def model_of(task, seed: int = 0):
    torch.manual_seed(seed)
    model = task.model().double().eval()
    with torch.no_grad():
        model.head.weight.mul_(50)
        logits = task.forward(model)(task.data.splits["test"].batch(range(12)))
        model.head.bias -= logits.median(0).values  # so that some texts are of each class
    return model


DATASETS = ("mood", "likeness")


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


def test_outputs_are_classes_or_one_value(root):
    assert [task_of(root, name).outputs for name in DATASETS] == [2, 1]
    for name in DATASETS:
        task = task_of(root, name)
        batch = task.data.splits["train"].batch([0, 4, 7])
        assert task.forward(model_of(task))(batch).shape == (3, task.outputs)


@pytest.mark.filterwarnings("ignore:the K passes are equal")  # in evaluation mode, on purpose
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("dataset", DATASETS)
def test_padding_changes_neither_loss_nor_gradient(root, dataset, passes, pooling):
    task = task_of(root, dataset, pooling=pooling)
    model = model_of(task)
    objective = IntraDistillation(passes=passes, alpha=0.5)
    batch = task.data.splits["train"].batch([0, 5, 9])
    found = []
    for columns in (0, 7):
        padded = {
            name: functional.pad(value, (0, columns)) if value.dim() == 2 else value
            for name, value in batch.items()
        }
        model.zero_grad()
        parts = objective(task.forward(model), task.targets, padded, step=9, total_steps=10)
        parts.total.backward()
        trained = [p for p in model.parameters() if p.grad is not None]
        found.append((parts.total.detach(), torch.cat([p.grad.flatten() for p in trained])))
    (loss, gradients), (padded_loss, padded_gradients) = found
    torch.testing.assert_close(padded_loss, loss, rtol=1e-10, atol=0)
    torch.testing.assert_close(padded_gradients, gradients, rtol=0, atol=1e-10)
    assert gradients.abs().max() > 1e-3


def test_the_order_of_a_pair_and_its_token_types_matter(root):
    task = task_of(root, "likeness")
    forward, batch = task.forward(model_of(task)), task.data.splits["train"].batch([3])
    whole = forward(batch)
    without = {name: value for name, value in batch.items() if name != "token_type_ids"}
    assert not torch.allclose(forward(without), whole, atol=1e-6)
    other = {**batch, "token_type_ids": 1 - batch["token_type_ids"]}
    assert not torch.allclose(forward(other), whole, atol=1e-6)


def test_the_head_is_what_lr_head_is_the_rate_of(root):
    task = task_of(root, "mood", lr_head=1e-3)
    model = task.model()
    groups = optimizer_of(model, task.settings, task.is_head).param_groups
    sizes = [sum(p.numel() for p in group["params"]) for group in groups]
    assert sizes[1] == model.head.weight.numel() + model.head.bias.numel() == 2 * 16 + 2
    assert sum(sizes) == sum(p.numel() for p in model.parameters())


def test_the_divergence_of_a_regression_is_the_variance_between_passes(root):
    task = task_of(root, "likeness", dropout=0.3)
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


def test_metrics_of_classes_are_those_of_others_whatever_the_batches(root):
    task = task_of(root, "mood")
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


def test_metrics_of_values_are_those_of_others_whatever_the_batches(root):
    task = task_of(root, "likeness")
    model = model_of(task)
    logits, labels = one_by_one(task, model, "test")
    expected = {
        "nll": (logits[:, 0] - labels).square().mean().item(),
        "pearson": stats.pearsonr(logits[:, 0], labels)[0],
        "spearman": stats.spearmanr(logits[:, 0], labels)[0],
    }
    expected["score"] = expected["pearson"]
    assert task.evaluate(model, "test") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dataset", DATASETS)
def test_items_add_up_to_the_metrics(root, dataset):
    task = task_of(root, dataset, batch_size=2)  # three batches of test items of like length
    model = model_of(task)
    metrics, curves = task.test(model)
    logits, labels = one_by_one(task, model, "test")
    if dataset == "mood":
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
    assert names & set(curves) == (names if dataset == "mood" else set())
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
def test_each_data_set_of_glue_is_told_in_its_metric(root, dataset, score, others):
    write_glue(root / "glue", dataset)
    task = task_of(root, dataset, "hub", "glue")
    found = task.evaluate(model_of(task), "test")
    assert set(found) == {"nll", "score", score, *others}
    assert task.score == score and found["score"] == found[score]
    assert len(task.data.splits["test"]) == GLUE_VALIDATION
    _, curves = task.test(model_of(task))
    assert ("test/score/numerators" in curves) == (score == "accuracy")
    assert ("test/accuracy/numerators" in curves) == (dataset != "stsb")


# ---- runs


def spec_of(root, dataset, method="id", **settings) -> Spec:
    overrides = asked(root, dataset, **settings)
    return Spec("classification", method, "smoke", str(root / "data"), overrides=overrides)


LEARNING = {"epochs": 10, "lr_peak": 0.02, "lr_head": 0.05, "pooling": "mean"}


def test_a_run_of_classes_leaves_a_record_with_all_figures(root, workspace):
    spec = spec_of(root, "mood", **LEARNING)
    record = run(spec, workspace)
    metrics, curves = record.measured.metrics, record.measured.curves
    assert metrics["test/nll"] < 0.8 * math.log(2) and metrics["test/accuracy"] > 0.8
    for split in ("validation", "test"):
        assert {f"{split}/{name}" for name in ("nll", "score", "f1", "matthews")} <= set(metrics)
    assert metrics["test/score"] == metrics["test/accuracy"] and "test/score/last" in metrics
    assert sum(curves["test/score/numerators"]) / 20 == metrics["test/score"]
    assert {f"sensitivity/std/{layer}" for layer in LAYERS} <= set(metrics)
    assert curves["validation/nll"][-1] < curves["validation/nll"][0]
    assert min(curves["validation/nll"]) == metrics["validation/nll"]  # the selected checkpoint
    assert set(record.asked.data) == {"train", "validation", "test", "encoder"}
    assert record.asked.settings["dataset"] == "mood" and record.asked.source == "path"
    task, model = spec.plan.task, load_model(spec, workspace=workspace)
    assert task.evaluate(model, "test")["score"] == metrics["test/score"]


def test_a_run_of_values_learns_and_keeps_its_passes_together(root, workspace):
    record = run(spec_of(root, "likeness", **LEARNING), workspace)
    metrics, curves = record.measured.metrics, record.measured.curves
    values = torch.tensor([row["label"] for row in splits(pairs)["test"]])
    assert metrics["test/nll"] < 1.2 * values.var().item()  # about that of their mean
    assert metrics["test/score"] == metrics["test/pearson"] and "test/accuracy" not in metrics
    assert all(value > 0 for value in curves["train/divergence"])
    assert curves["train/alpha"] == [0.5] * 10  # α ≤ 1 is not warmed up
    alone = run(spec_of(root, "likeness", "baseline", **LEARNING), workspace)
    assert alone.measured.curves["train/divergence"] == [0.0] * 10
    assert "test/score/numerators" not in curves and len(curves["test/nll/items"]) == 20


@pytest.mark.parametrize("dataset", DATASETS)
def test_students_learn_from_their_teachers(root, workspace, dataset):
    spec = spec_of(root, dataset, **LEARNING)
    teacher, student = run(spec, workspace), run(spec.round(1), workspace)
    # The losses against labels and against the teacher are added.
    first = [record.measured.curves["train/task"][0] for record in (teacher, student)]
    assert first[1] > 1.2 * first[0]


def test_the_same_spec_gives_the_same_numbers(root, workspace, tmp_path):
    spec = spec_of(root, "likeness")
    again = Workspace(Store(tmp_path / "records", also=()), tmp_path / "checkpoints")
    assert run(spec, again).measured == run(spec, workspace).measured


def test_sensitivity_covers_every_layer_and_leaves_out_pieces_never_seen(root):
    task = task_of(root, "mood")
    model = model_of(task)
    unseen = task.never_seen(model)
    found = parameter_sensitivity(model, task.sensitivity_batches(), task.loss, unseen)
    assert {row.layer for row in found.by_layer(task.layer)} == LAYERS
    ((name, mask),) = unseen.items()
    assert found.values[name][mask].eq(0).all() and mask.any() and not mask.all()
    assert found.excluded_count == mask.sum()
    assert found.batches == 6  # the 48 training sentences, 8 a batch


# ---- what stops a run before it trains


def test_a_label_outside_the_set_stops_a_run_before_it_trains(root, tmp_path):
    rows = splits()
    rows["test"][3]["label"] = 2
    write_dataset(tmp_path / "data/mood", rows)
    workspace = Workspace(Store(tmp_path / "records", also=()), tmp_path / "checkpoints")
    good = spec_of(root, "likeness")
    bad = replace(spec_of(root, "mood"), source=str(tmp_path / "data"))
    with pytest.raises(DataError, match=r"test.jsonl:4 has the label 2; choose one of 0 \(0\)"):
        run_all([good, bad], workspace=workspace)
    assert not workspace.checkpoints.exists()


def test_text_that_the_encoder_does_not_know_is_refused(root, tmp_path):
    rows = splits()
    for row in rows["validation"]:
        row["sentence"] = "η λέξη " + row["sentence"]
    for name, table in rows.items():
        write_table(tmp_path / f"data/mood/{name}.jsonl", table)
    spec = replace(spec_of(root, "mood"), source=str(tmp_path / "data"))
    with pytest.raises(EncoderError, match="of split validation are unknown"):
        _ = spec.plan


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


def test_the_grid_has_the_data_sets_that_are_asked_for(root):
    def named(**more):
        specs = grid("classification", "smoke", [1], rounds=0, controls=False, **more)
        return [s.overrides.get("dataset") for s in specs[::2]]

    assert named(datasets=["heading"]) == ["heading"]
    assert named(datasets=iter(["heading", "application"])) == ["heading", "application"]
    assert named(overrides={"dataset": "heading"}) == ["heading"]
    assert named(overrides={"dataset": None}) == ["application", "heading"]
    assert named(datasets=["application"], overrides={"dataset": "heading"}) == ["application"]
    assert named(datasets=[]) == []
    assert named(source=str(root / "data")) == ["likeness", "mood"]
    assert named(source=str(root / "data"), overrides={"dataset": "mood"}) == ["mood"]
    assert named(source=str(root / "data"), datasets=["mood"]) == ["mood"]


@pytest.mark.parametrize("task", [name for name in TASKS if name != "classification"])
def test_tasks_without_data_sets_are_asked_for_none(task):
    for spec in grid(task, "smoke", [1], sweep=True):
        assert "dataset" not in spec.overrides


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
