"""The compiled model trains as the plain one does, on batches in the shapes of their buckets."""

import logging
import shutil

import pytest
import torch
from made_up.toy import ToySettings, ToyTask, interrupt_at

from idlib.experiments.specs import Spec
from idlib.method.targets import Target
from idlib.training.buckets import ROWS, bucket, in_bucket, of_rows_that_count
from idlib.training.compiled import CompileError
from idlib.training.loop import Run, train
from idlib.training.randomness import seed_everything
from idlib.training.settings import SettingsError


def test_buckets_are_few_and_never_too_small_or_far_too_large():
    for step in (1, 8):
        sizes = {bucket(size, step) for size in range(1, 2049)}
        assert len(sizes) <= 45
        for size in range(1, 2049):
            assert size <= bucket(size, step) < 1.25 * size + step


@pytest.mark.parametrize("task", ["translation", "tagging", "answering", "classification"])
@pytest.mark.filterwarnings("ignore:the K passes are equal")  # on purpose: no dropout
def test_what_a_bucket_adds_changes_no_loss_and_no_gradient(task, tmp_path):
    """The same weights and 11 examples, as they are and filled up."""
    found = {}
    for asked in (None, "filled"):
        seed_everything(1)
        rates = {name: 0.0 for name in ("dropout", "attention_dropout")}
        plan = Spec(task, "baseline", "smoke").plan
        names = set(type(plan.settings).model_fields)
        changed = {name: rate for name, rate in rates.items() if name in names}
        part = plan.task._with(changed)
        run = Run(part.model(), part, part.settings, 1, tmp_path, "cpu", None)
        (batch,) = part.batches([list(range(11))])
        if asked:
            filled = in_bucket(batch)
            assert len(filled["input_ids"]) == 12 and filled[ROWS].sum() == 11
            assert filled["input_ids"].shape[1] % 8 == 0
            assert {name: value.dtype for name, value in filled.items() if name != ROWS} == {
                name: value.dtype for name, value in batch.items()
            }
            run.targets, batch = of_rows_that_count(part.targets), filled
        losses = run.forward_backward([batch])
        gradients = torch.cat(
            [p.grad.flatten() for p in run.model.parameters() if p.grad is not None]
        )
        found[asked] = losses, gradients
    for plain, filled in zip(found[None], found["filled"], strict=True):
        torch.testing.assert_close(filled, plain, rtol=1e-4, atol=1e-6)


def test_batches_of_no_text_stay_as_they_are():
    batch = {"image": torch.zeros(3, 1, 4, 4), "label": torch.zeros(3, dtype=torch.int64)}
    assert in_bucket(batch) is batch
    target = Target(batch["label"])
    assert of_rows_that_count(lambda _: target)(batch) is target


COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="wants a C++ compiler")


@COMPILER
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
def test_a_compiled_model_trains_as_the_plain_one_and_is_compiled_few_times(tmp_path):
    """Without dropout, whose masks compiled code draws in another order."""
    still = {"dropout": 0.0, "attention_dropout": 0.0, "epochs": 1}
    curves = {}
    for asked in (None, "default"):
        plan = Spec("translation", "baseline", "smoke", overrides=still).plan
        settings = plan.settings.model_copy(update={"compile": asked})
        seed_everything(1)
        torch._dynamo.utils.counters.clear()
        folder = tmp_path / str(asked)
        trained = train(plan.task.model(), plan.task, settings, seed=1, folder=folder)
        curves[asked] = trained.curves
    assert 1 <= torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 3
    for name in ("train/total", "validation/nll"):
        assert curves["default"][name] == pytest.approx(curves[None][name], rel=1e-4), name


def test_updates_are_recorded_on_a_gpu_alone_and_that_is_said_once(tmp_path, caplog):
    settings = ToySettings(compile="reduce-overhead", micro_batch=2)
    task = ToyTask()
    run = Run(task.model(), task, settings, 1, tmp_path, "cpu", None)
    with caplog.at_level(logging.WARNING):
        assert run.graphs is None and run.graphs is None
    (record,) = caplog.records
    assert "the device is no GPU and micro_batch = 2" in record.getMessage()


def test_a_compiler_that_fails_is_explained(tmp_path, monkeypatch):
    def broken(graph, inputs):
        raise ValueError("no compiler here")

    monkeypatch.setattr("idlib.training.compiled.BACKEND", broken)
    task = ToyTask()
    run = Run(task.model(), task, ToySettings(compile="default"), 1, tmp_path, "cpu", None)
    with pytest.raises(CompileError, match=r"g\+\+.*leave out the setting compile"):
        run.update([{"x": task.x, "y": task.y}])


def test_padding_that_counts_cannot_be_added():
    with pytest.raises(SettingsError, match="compile = default.*sum_padded"):
        changed = {"compile": "default", "divergence_reduction": "sum_padded"}
        _ = Spec("tagging", "id", "smoke", overrides=changed).plan


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="wants a GPU")


def trained(folder, dropout=0.2, **settings):
    """Curves of the toy task on a GPU, in batches of two sizes; ``asked`` to be recorded or not."""
    progress = settings.pop("progress", None)
    settings = ToySettings(batch_size=5, evaluate_every=1, epochs=6, clip=1.0, **settings)
    task = ToyTask(5)
    model = task.model(dropout)
    return train(
        model, task, settings, seed=1, folder=folder, device="cuda", progress=progress
    ).curves


@pytest.fixture
def without_compiler(monkeypatch):
    """The model is traced and not compiled: recording is the same, and takes no time."""
    monkeypatch.setattr("idlib.training.compiled.BACKEND", "eager")


@GPU
@pytest.mark.filterwarnings("ignore:the K passes are equal")  # on purpose: no dropout
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recorded_updates_are_those_of_the_plain_loop(tmp_path, without_compiler, precision):
    asked = {"dropout": 0.0, "precision": precision}
    plain = trained(tmp_path / "plain", **asked)
    recorded = trained(tmp_path / "recorded", compile="reduce-overhead", **asked)
    assert len(plain["train/total"]) == 18
    for name, curve in plain.items():
        tolerance = 1e-5 if precision == "fp32" else 2e-2
        assert recorded[name] == pytest.approx(curve, rel=tolerance), name


@GPU
def test_recorded_updates_draw_new_masks_and_resume_with_them(tmp_path, without_compiler):
    asked = {"compile": "reduce-overhead"}
    whole = trained(tmp_path / "whole", **asked)["train/divergence"]
    assert len(set(whole)) == len(whole)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "part", progress=interrupt_at(10), **asked)
    resumed = trained(tmp_path / "part", **asked)["train/divergence"]
    assert resumed == pytest.approx(whole, rel=1e-4)


@GPU
def test_labels_of_a_recorded_update_are_checked(tmp_path, without_compiler):
    task = ToyTask()
    settings = ToySettings(compile="reduce-overhead")
    run = Run(task.model(), task, settings, 1, tmp_path, "cuda", None)
    batch = {"x": task.x[:4], "y": task.y[:4]}
    for _ in range(3):
        run.update([batch])
    with pytest.raises(ValueError, match=r"label 3 is not a class in 0\.\.2"):
        run.update([{**batch, "y": batch["y"] + 1}])
