"""What holds of every task: padding, batches, sensitivity, and runs from spec to record."""

from __future__ import annotations

import pytest
import torch
from made_up.tasks import CASES, ON_ENCODER, ON_TEXT, spec_of, task_of
from torch import nn
from torch.nn import functional

from idlib.experiments.runs import load_model, run
from idlib.method.objective import IntraDistillation
from idlib.method.projection import Projected, logits_of
from idlib.method.targets import as_heads
from idlib.metrics.names import LAST, LOSS, at, steps_of
from idlib.models.encoders import EncoderError
from idlib.sensitivity.first_order import parameter_sensitivity
from idlib.training.optim import optimizer_of

LANGUAGES = ("en", "de", "ja")
CROSS_LINGUAL = ("tagging", "answering")


def model_of(task) -> nn.Module:
    torch.manual_seed(0)
    model = task.model().eval()
    return model if task.name == "images" else model.double()


@pytest.mark.parametrize("case", CASES)
def test_the_projection_that_a_task_names_makes_its_logits(small, case) -> None:
    """Translation names one; the other tasks give logits in either case."""
    task = task_of(small, case)
    model, batch = model_of(task), task.data.splits["train"].batch([0, 5, 9])
    if case == "images":
        model = model.double()
        batch["image"] = batch["image"].double()
    heads = as_heads(task.unprojected(model)(batch))
    assert any(isinstance(head, Projected) for head in heads.values()) == (case == "translation")
    for name, logits in as_heads(task.forward(model)(batch)).items():
        torch.testing.assert_close(logits_of(heads[name]), logits)


def counted(task, batch: dict) -> int:
    """Counted positions of a batch, over all heads."""
    return sum(int(target.count) for target in as_heads(task.targets(batch)).values())


# ---- the loss


def more_padding(batch: dict, columns: int) -> dict:
    """The same batch with more columns; what stands in them counts for nothing."""
    masks = ("attention_mask", "label_mask", "positions")
    return {
        name: functional.pad(value, (0, columns), value=0 if name in masks else 1)
        if value.dim() == 2
        else value
        for name, value in batch.items()
    }


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize(
    ("case", "reduction"),
    [(case, "mean") for case in ON_TEXT] + [("answering", "sum"), ("answering", "sum_padded")],
)
def test_padding_changes_neither_loss_nor_gradient(small, case, reduction, passes) -> None:
    task = task_of(small, case)
    model = model_of(task)

    def forward(batch):  # passes differ, but not by chance
        by_head = as_heads(task.forward(model)(batch))
        scales = {
            name: 1 + 0.01 * torch.arange(len(z)).view(-1, *[1] * (z.dim() - 1))
            for name, z in by_head.items()
        }
        return {name: z * scales[name] for name, z in by_head.items()}

    def targets(batch):
        return as_heads(task.targets(batch))

    objective = IntraDistillation(passes, alpha=5.0, divergence_reduction=reduction)
    batch = task.data.splits["train"].batch([0, 5, 9])
    found = []
    for padded in (batch, more_padding(batch, 7)):
        model.zero_grad()
        parts = objective(forward, targets, padded, step=9, total_steps=10)
        parts.total.backward()
        trained = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append((parts, torch.cat(trained)))
    (parts, gradients), (padded_parts, padded_gradients) = found
    torch.testing.assert_close(padded_parts.total, parts.total, rtol=1e-10, atol=0)
    torch.testing.assert_close(padded_gradients, gradients, rtol=0, atol=1e-10)
    assert gradients.abs().max() > 1e-4 and (parts.divergence > 1e-9) == (passes > 1)


@pytest.mark.parametrize("case", sorted(set(CASES) - {"answering"}))  # whose NLL is a question's
def test_the_nll_is_the_mean_over_what_is_counted_whatever_the_batches(small, case) -> None:
    task = task_of(small, case)
    model, split = model_of(task), "validation"
    summed = total = 0
    with torch.no_grad():
        for index in range(len(task.data.splits[split])):
            (batch,) = task.batches([[index]], split)
            summed += task.loss(model, batch).item() * counted(task, batch)
            total += counted(task, batch)
    for sizes in ({"batch_size": 2, "batch_tokens": 20}, {"batch_size": 16, "batch_tokens": 900}):
        kept = {name: size for name, size in sizes.items() if hasattr(task.settings, name)}
        found = task_of(small, case, schedule="constant", **kept).evaluate(model, split)["nll"]
        assert found == pytest.approx(summed / total, rel=1e-6)


# ---- sensitivity


@pytest.mark.parametrize("case", CASES)
def test_sensitivity_batches_are_the_first_examples_in_order(small, case) -> None:
    task = task_of(small, case, sensitivity_examples=10, sensitivity_batch=4)
    train = task.data.splits["train"]
    batches = list(task.sensitivity_batches())
    expected = [train.batch(part) for part in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9])]
    for batch, wanted in zip(batches, expected, strict=True):
        assert batch.keys() == wanted.keys()
        assert all(torch.equal(batch[name], wanted[name]) for name in batch)
    everything = task_of(small, case, sensitivity_examples=10_000, sensitivity_batch=10_000)
    (whole,) = everything.sensitivity_batches()
    assert {len(value) for value in whole.values()} == {len(train)}


@pytest.mark.parametrize("case", CASES)
def test_sensitivity_covers_every_layer_and_leaves_out_tokens_never_seen(small, case) -> None:
    task = task_of(small, case, sensitivity_examples=10)
    model = model_of(task).float()
    unseen = task.never_seen(model)
    found = parameter_sensitivity(model, task.sensitivity_batches(), task.loss, unseen)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert found.excluded_count == sum(int(mask.sum()) for mask in unseen.values())
    assert found.count == trained - found.excluded_count
    assert bool(unseen) == (case != "images") == (found.excluded_count > 0)
    for name, mask in unseen.items():
        assert found.values[name][mask].eq(0).all()
        moving = found.values[name][~mask[:, 0]].sum(-1).gt(0)
        assert moving.sum() >= len(moving) - 1, "a row that is seen moves the loss, but padding's"
    layers = {row.layer for row in found.by_layer(task.layer)}
    on_text = {"embedding", "attention", "feed-forward", "norm"}
    assert layers == {
        "images": {"stem", "layer1", "layer2", "layer3", "layer4", "head"},
        "translation": {*on_text, "output"},
    }.get(case, {*on_text, "head"})


# ---- runs


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("case", CASES)
def test_a_run_leaves_a_record_with_all_figures(small, shared, case) -> None:
    spec = spec_of(small, case)
    record, task = run(spec, shared), spec.plan.task
    metrics, curves = record.measured.metrics, record.measured.curves
    model = load_model(spec, workspace=shared)
    for name, value in task.evaluate(model, "validation").items():
        assert metrics[f"validation/{name}"] == value
        assert len(curves[f"validation/{name}"]) > 0
    assert metrics["test/nll"] == pytest.approx(task.evaluate(model, "test")["nll"])
    mean = sum(curves["test/nll/items"]) / len(curves["test/nll/items"])
    assert mean == pytest.approx(metrics["test/nll"], abs=1e-4)
    plain = {name for name in metrics if "@" not in name and not name.startswith("dropped/")}
    assert {"selected/step", "train/nll", "sensitivity/cv", "validation/nll"} <= plain
    assert {at(name, which) for name in plain for which in (LOSS, LAST)} <= set(metrics)
    layers = {task.layer(name) for name, p in model.named_parameters() if p.requires_grad}
    assert all(metrics[f"sensitivity/std/{layer}"] > 0 for layer in layers)
    chosen, values = task.selection, curves[f"validation/{task.selection.metric}"]
    best = max(values) if chosen.higher_is_better else min(values)
    assert metrics[f"validation/{chosen.metric}"] == pytest.approx(best)
    steps = steps_of(curves, f"validation/{chosen.metric}")
    assert metrics["selected/step"] == steps[values.index(best)]
    losses = curves["validation/nll"]
    lowest = curves["validation/step"][losses.index(min(losses))]
    assert metrics[at("selected/step", LOSS)] == lowest
    assert metrics[at("selected/step", LAST)] == spec.plan.updates
    assert set(record.asked.data) == set(task.checksums) >= set(task.data.splits)
    assert record.asked.source == "path" and record.asked.task == CASES[case][0]


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("case", CASES)
def test_the_same_spec_gives_the_same_numbers(small, shared, fresh, case) -> None:
    spec = spec_of(small, case)
    assert run(spec, fresh).measured == run(spec, shared).measured


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("method", ["baseline", "id"])
@pytest.mark.parametrize("case", CASES)
def test_students_learn_from_their_teachers(small, shared, case, method) -> None:
    """The losses against labels and against the teacher are added."""
    spec = spec_of(small, case, method)
    teacher, student = (run(one, shared).measured.curves for one in (spec, spec.round(1)))
    assert student["train/task"][0] > 1.2 * teacher["train/task"][0]
    assert all((value > 0) == (method == "id") for value in student["train/divergence"])


# ---- tasks on an encoder


def test_the_new_head_is_what_lr_head_is_the_rate_of(small) -> None:
    for case in ON_ENCODER:
        task = task_of(small, case, lr_head=1e-3)
        model = task.model()
        groups = optimizer_of(model, task.settings, task.is_head).param_groups
        sizes = [sum(p.numel() for p in group["params"]) for group in groups]
        assert sizes[1] == model.head.weight.numel() + model.head.bias.numel()
        assert model.head.out_features == task.outputs
        assert sum(sizes) == sum(p.numel() for p in model.parameters())


def test_the_model_is_the_one_that_the_settings_ask_for(small) -> None:
    words = "encoder.embeddings.word_embeddings.weight"
    for case in ON_ENCODER:
        model = task_of(small, case, layers=1, dropout=0.37, freeze_embeddings=True).model()
        rates = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
        assert "dropout" in rates and len(rates) > 3 and set(rates.values()) == {0.37}
        assert len(model.encoder.encoder.layer) == 1
        assert words not in dict(model.named_parameters())
        assert words in dict(task_of(small, case).model().named_parameters())


def test_another_encoder_or_other_weights_make_another_run(small) -> None:
    plain, random_ = spec_of(small, "tagging"), spec_of(small, "tagging", pretrained=False)
    assert plain.signature != random_.signature
    weights = [spec.plan.task.model().encoder.state_dict() for spec in (plain, plain, random_)]
    same = [all(torch.equal(w[name], weights[0][name]) for name in w) for w in weights]
    assert same == [True, True, False]


@pytest.mark.parametrize("case", ON_ENCODER)
def test_text_that_the_encoder_does_not_know_is_refused(small, tmp_path, case) -> None:
    other = "tagging" if case != "tagging" else "answering"  # which knows other words
    encoder = str(small / "encoders" / other)
    with pytest.raises(EncoderError, match="the text of split .* unknown"):
        task_of(small, case, encoder=encoder, max_length=64)


@pytest.mark.parametrize("case", CROSS_LINGUAL)
def test_the_metrics_of_a_language_are_those_of_its_split(small, case) -> None:
    task = task_of(small, case)
    model = model_of(task)
    assert task.data.languages == LANGUAGES and task.data.parallel
    metrics, curves = task.test(model)
    assert task.evaluate(model, "test") == task.evaluate(model, "test/en")
    assert task.evaluate(model, "test") != task.evaluate(model, "test/de")
    found = {language: task.evaluate(model, f"test/{language}") for language in LANGUAGES}
    assert metrics["test/nll"] == found["en"]["nll"]
    mean = (found["de"]["nll"] + found["ja"]["nll"]) / 2
    assert metrics["test/nll/others"] == pytest.approx(mean)
    for language in LANGUAGES:
        assert metrics[f"test/f1/{language}"] == pytest.approx(found[language]["f1"], abs=1e-4)
    averaged = [name.removesuffix("others") for name in metrics if name.endswith("/others")]
    assert {"test/nll/", "test/f1/", "test/f1_parallel/"} <= set(averaged)
    for name in set(averaged) - {"test/nll/"}:
        mean = (metrics[f"{name}de"] + metrics[f"{name}ja"]) / 2
        assert metrics[f"{name}others"] == pytest.approx(mean)
    ids = {language: task.data.splits[f"test/{language}"].ids for language in LANGUAGES}
    names = sorted({item for own in ids.values() for item in own})
    for language, own in ids.items():  # an item and its translations share a number
        assert [names[number] for number in curves[f"test/items/{language}"]] == own


@pytest.mark.parametrize("case", CROSS_LINGUAL)
def test_one_language_has_no_others(small, case) -> None:
    task = task_of(small, case, languages=("en",))
    metrics, curves = task.test(model_of(task))
    assert "test/f1/en" in metrics
    assert not any("others" in name or "parallel" in name for name in metrics)
    assert [name for name in curves if name.startswith("test/items")] == ["test/items/en"]
