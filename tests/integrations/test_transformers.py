"""Hugging Face's Trainer with the loss of intra-distillation: what changes, and what does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from accelerate.state import AcceleratorState
from made_up.trainers import (
    CLASSES,
    KINDS,
    PAD,
    WORDS,
    arguments,
    batch_of,
    collate,
    examples,
    model_of,
)
from transformers import Trainer, TrainerCallback

from idlib import IntraDistillation, adaptive_alpha
from idlib.integrations.heads import targets_of, unwrapped
from idlib.integrations.transformers import (
    IntraDistillationMixin,
    IntraDistillationSeq2SeqTrainer,
    IntraDistillationTrainer,
)

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.versions,
    pytest.mark.filterwarnings("ignore:the K passes are equal"),  # without dropout
]


@pytest.fixture(autouse=True)
def state_of_its_own() -> Iterator[None]:
    """Accelerate's state is the process's: what compiled here would compile elsewhere, too."""
    yield
    _forget()


def _forget() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        del os.environ[name]  # transformers 4 says there what to compile, and leaves it


ONE_PASS = IntraDistillation(passes=1)
WITH_LOGITS = [kind for kind in KINDS if kind not in ("masked", "causal", "seq2seq")]


def trained(trainer_class, kind, folder, *, dropout=0.0, model=None, asked=None, **kwargs):
    """A trainer that has run, on examples of differing lengths."""
    _forget()
    trainer = trainer_class(
        model=model or model_of(kind, dropout),
        args=arguments(folder, **kwargs),
        train_dataset=examples(kind),
        eval_dataset=examples(kind)[:5],
        data_collator=partial(collate, kind),
        **(asked or {}),
    )
    trainer.train()
    return trainer


def weights(trainer) -> torch.Tensor:
    return torch.cat([value.flatten() for value in trainer.model.state_dict().values()])


def losses(trainer, name="loss") -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


# ---- one pass is the Trainer itself


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_with_one_pass_it_is_the_trainer(kind: str, tmp_path: Path) -> None:
    """Losses, weights and evaluation."""
    asked = {"objective": ONE_PASS}
    # The Trainer adds micro-batches up where the model's loss takes no count, as BERT's does not.
    accumulation = 2 if kind == "causal" else 1
    settings = {"gradient_accumulation_steps": accumulation, "eval_strategy": "epoch"}
    theirs = trained(Trainer, kind, tmp_path, **settings)
    ours = trained(IntraDistillationTrainer, kind, tmp_path, asked=asked, **settings)
    assert losses(ours) == pytest.approx(losses(theirs), abs=1e-6)
    assert losses(ours, "eval_loss") == pytest.approx(losses(theirs, "eval_loss"), abs=1e-6)
    assert torch.allclose(weights(ours), weights(theirs), atol=1e-5)
    assert ours.uses_projection == (kind not in WITH_LOGITS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tagging", "masked"])
def test_label_smoothing_is_the_trainers(kind: str, tmp_path: Path) -> None:
    theirs = trained(Trainer, kind, tmp_path, label_smoothing_factor=0.2)
    asked = {"objective": ONE_PASS}
    ours = trained(
        IntraDistillationTrainer, kind, tmp_path, asked=asked, label_smoothing_factor=0.2
    )
    plain = trained(IntraDistillationTrainer, kind, tmp_path, asked=asked)
    assert ours.intra_distillation.smoothing == 0.2
    assert losses(ours) == pytest.approx(losses(theirs), abs=1e-6)
    assert abs(losses(ours)[0] - losses(plain)[0]) > 1e-3


# ---- and the model's own loss, whatever is around the model


class OfTheirOwn(transformers.GPT2LMHeadModel):
    pass


class Adapted(torch.nn.Module):
    """As peft wraps a model: with a method that gives it, and its attributes."""

    def __init__(self, model):
        super().__init__()
        self.base_model = model

    def get_base_model(self):
        return self.base_model

    def forward(self, **arguments):
        return self.base_model(**arguments)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.base_model, name)


def of_images_and_text():
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    sizes["num_attention_heads"] = 2
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**sizes, image_size=8, patch_size=4),
        text_config=transformers.LlamaConfig(**sizes, vocab_size=WORDS, pad_token_id=PAD),
        image_token_index=WORDS - 1,
    )
    torch.manual_seed(0)
    return transformers.LlavaForConditionalGeneration(config)


WRAPPED = {
    "subclass": lambda model: OfTheirOwn(model.config),
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "adapted": Adapted,
    "adapted and compiled": lambda model: torch.compile(Adapted(model), backend="eager"),
    "images and text": lambda _: of_images_and_text(),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_labels_are_of_the_next_token_where_the_models_own_are(wrap, tmp_path: Path) -> None:
    model, batch = wrap(model_of("causal")), batch_of("causal")
    trainer = IntraDistillationTrainer(model, arguments(tmp_path), objective=ONE_PASS)
    own = unwrapped(model)(**batch).loss
    assert trainer.compute_loss(trainer.model.train(), batch).item() == pytest.approx(own.item())


class Weighing(transformers.BertForTokenClassification):
    """Its loss is not that of its labels alone."""

    added: dict[str, float] = {}

    def forward(self, labels=None, **arguments):
        assert not self.training or labels is None
        outputs = super().forward(labels=labels, **arguments)
        if labels is not None:
            torch.rand(3)
            outputs.loss = 1.5 * outputs.loss
            for name, value in self.added.items():
                outputs[name] = torch.tensor(value)
        return outputs


def test_a_loss_that_is_another_is_refused_at_the_first_batch(tmp_path: Path) -> None:
    model, batch = Weighing(model_of("tagging").config), batch_of("tagging")
    trainer = IntraDistillationTrainer(model, arguments(tmp_path))
    model.train()
    model.dropout.eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"Weighing's own loss .* 2\..* read 1\..* Give targets="):
        trainer.compute_loss(model, batch)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)

    class Mine(IntraDistillationTrainer):
        def targets(self, batch):
            return targets_of(model, batch)

    own = IntraDistillationTrainer(model, arguments(tmp_path), targets=partial(targets_of, model))
    for trainer in (own, Mine(model, arguments(tmp_path))):
        assert trainer.compute_loss(model, batch).isfinite()


def test_losses_that_are_not_of_the_labels_are_not_compared(tmp_path: Path) -> None:
    class WithExperts(Weighing):
        added = {"aux_loss": 0.5}

    class WithoutLoss(Weighing):
        def forward(self, input_ids, attention_mask, return_dict):
            return super().forward(input_ids=input_ids, attention_mask=attention_mask)

    for kind in (WithExperts, WithoutLoss):
        model = kind(model_of("tagging").config)
        trainer = IntraDistillationTrainer(model, arguments(tmp_path))
        assert trainer.compute_loss(model.train(), batch_of("tagging")).isfinite()


def test_it_is_compared_at_the_first_batch_that_counts(tmp_path: Path) -> None:
    model, batch = Weighing(model_of("tagging").config).train(), batch_of("tagging")
    trainer = IntraDistillationTrainer(model, arguments(tmp_path))
    counts = trainer.get_batch_samples(iter([batch]), 1, torch.device("cpu"))[1]
    empty = {**batch, "labels": torch.full_like(batch["labels"], -100)}
    assert trainer.compute_loss(model, empty, num_items_in_batch=counts) == 0
    with pytest.raises(ValueError, match="own loss"):
        trainer.compute_loss(model, batch, num_items_in_batch=counts)


# ---- several passes are the objective


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["stack", "loop", "cached"])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_the_objectives_on_the_same_batches(
    kind: str, mode: str, tmp_path: Path
) -> None:
    """With the same draws; the objective is given logits, the trainer a projection if it can."""
    objective = IntraDistillation(passes=3, alpha=5.0, mode=mode)
    trainer = IntraDistillationTrainer(
        model=model_of(kind, 0.2), args=arguments(tmp_path, max_steps=10), objective=objective
    )
    trainer.state.max_steps, trainer.state.global_step = 10, 0
    model, batch = trainer.model.train(), batch_of(kind)
    targets = targets_of(model, batch)
    torch.manual_seed(7)
    total = trainer.compute_loss(model, batch, num_items_in_batch=None)
    total.backward()
    found = {name: value.grad for name, value in model.named_parameters()}
    model.zero_grad()
    torch.manual_seed(7)

    def forward(given):
        names = {"labels", "start_positions", "end_positions"} & set(given)
        arguments = {key: value for key, value in given.items() if key not in names}
        if kind == "seq2seq":
            shifted = model.prepare_decoder_input_ids_from_labels(given["labels"])
            arguments["decoder_input_ids"] = shifted
        outputs = model(**arguments)
        return {name: outputs[name] for name in targets}

    plain = replace(objective, fused=False)
    parts = plain(forward, lambda _: targets, batch, step=1, total_steps=10)
    parts.total.backward()
    assert parts.divergence > 1e-6 and parts.alpha == pytest.approx(1.0)
    assert total.item() == pytest.approx(parts.total.item(), abs=1e-6)
    for name, value in model.named_parameters():
        if value.requires_grad:
            assert torch.allclose(found[name], value.grad, atol=1e-6, rtol=1e-4), name


@pytest.mark.slow
def test_the_log_has_the_parts_and_the_weight(tmp_path: Path) -> None:
    go = partial(
        trained,
        IntraDistillationTrainer,
        "tagging",
        tmp_path,
        dropout=0.2,
        asked={"objective": IntraDistillation(passes=2, alpha=4.0)},
        gradient_accumulation_steps=2,
        max_steps=20,
    )
    trainer = go()
    alphas = [adaptive_alpha(update, 20, 4.0, 5, 10) for update in range(1, 21)]
    assert losses(trainer, "alpha") == pytest.approx(alphas)
    assert 0 < alphas[0] < 1 and alphas[-1] == 4
    parts = zip(losses(trainer, "task_loss"), losses(trainer, "divergence"), alphas, strict=True)
    total = [task + alpha * divergence for task, divergence, alpha in parts]
    assert losses(trainer) == pytest.approx(total, abs=1e-4)  # which transformers 4 has rounded
    assert all(divergence > 0 for divergence in losses(trainer, "divergence"))
    every_fifth = go(logging_steps=5)
    means = torch.tensor(losses(trainer, "divergence")).view(4, 5).mean(1).tolist()
    assert losses(every_fifth, "divergence") == pytest.approx(means, rel=1e-5)


@pytest.mark.slow
def test_the_log_of_a_training_that_goes_on_and_of_a_second_one(tmp_path: Path) -> None:
    """With no weight for the divergence the task loss is the mean that the Trainer logs."""
    settings = {"max_steps": 10, "logging_steps": 4, "save_strategy": "steps", "save_steps": 6}
    asked = {"objective": IntraDistillation(passes=2, alpha=0.0)}
    trainer = trained(IntraDistillationTrainer, "tagging", tmp_path, asked=asked, **settings)
    for go in (None, {}, {"resume_from_checkpoint": str(tmp_path / "checkpoint-6")}):
        if go is not None:  # after two updates that no log has seen
            trainer.train(**go)
        assert len(losses(trainer)) == 2
        assert losses(trainer, "task_loss") == pytest.approx(losses(trainer), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tagging", "classification", "seq2seq"])
def test_micro_batches_add_up_to_the_update(kind: str, tmp_path: Path) -> None:
    """Unequal numbers of counted positions; without dropout, where passes are equal."""
    asked = {"objective": IntraDistillation(passes=2)}
    go = partial(trained, IntraDistillationTrainer, kind, tmp_path, asked=asked)
    whole = go(per_device_train_batch_size=8)
    parts = go(per_device_train_batch_size=2, gradient_accumulation_steps=4)
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)
    assert torch.allclose(weights(parts), weights(whole), atol=1e-5)


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path) -> None:
    settings = {"per_device_train_batch_size": 2, "max_steps": 3}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, "-m", "made_up.two_trainers", str(tmp_path), json.dumps(settings)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    both = json.loads((tmp_path / "both.json").read_text())
    assert both["processes"] == 2
    one = trained(
        IntraDistillationTrainer,
        "seq2seq",
        tmp_path,
        asked={"objective": IntraDistillation(passes=2)},
        **{**settings, "per_device_train_batch_size": 4},
    )
    assert both["loss"] == pytest.approx(losses(one), abs=1e-5)
    assert both["weights"] == pytest.approx(weights(one).tolist(), abs=1e-5)
    assert both["uses_projection"] == {"True": False, "False": True}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tagging", "seq2seq"])
def test_mixed_precision(kind: str, tmp_path: Path) -> None:
    asked = {"objective": IntraDistillation(passes=2)}
    go = partial(trained, IntraDistillationTrainer, kind, tmp_path, asked=asked, max_steps=5)
    exact, half = go(), go(bf16=True)
    assert losses(half, "task_loss") == pytest.approx(losses(exact, "task_loss"), rel=0.02)
    assert losses(half, "task_loss") != losses(exact, "task_loss")
    assert half.uses_projection == (kind == "seq2seq")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "masked"])
def test_compiled(kind: str, tmp_path: Path) -> None:
    asked = {"objective": IntraDistillation(passes=2)}
    go = partial(trained, IntraDistillationTrainer, kind, tmp_path, asked=asked, max_steps=2)
    plain, compiled = go(), go(torch_compile=True, torch_compile_backend="eager")
    assert losses(compiled) == pytest.approx(losses(plain), abs=1e-5)
    assert compiled.uses_projection == plain.uses_projection == (kind == "masked")


# ---- other people's trainers, labels and models


@pytest.mark.slow
def test_in_a_trainer_of_ones_own_with_its_callbacks(tmp_path: Path) -> None:
    class Theirs(Trainer):
        def evaluate(self, *args, **kwargs):
            return {**super().evaluate(*args, **kwargs), "eval_theirs": 1.0}

    class Mine(IntraDistillationMixin, Theirs):
        pass

    class Count(TrainerCallback):
        steps = 0

        def on_step_end(self, *args, **kwargs):
            self.steps += 1

    count = Count()
    trainer = trained(Mine, "tagging", tmp_path, asked={"callbacks": [count]}, max_steps=3)
    assert count.steps == 3 and trainer.evaluate()["eval_theirs"] == 1.0
    assert trainer.intra_distillation == IntraDistillation()


@pytest.mark.slow
def test_a_sequence_to_another_with_translations_in_evaluation(tmp_path: Path) -> None:
    args = transformers.Seq2SeqTrainingArguments(
        str(tmp_path),
        max_steps=2,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        predict_with_generate=True,
        generation_max_length=5,
    )
    data = examples("seq2seq")
    trainer = IntraDistillationSeq2SeqTrainer(
        model=model_of("seq2seq"),
        args=args,
        train_dataset=data,
        data_collator=partial(collate, "seq2seq"),
    )
    trainer.train()
    predicted = trainer.predict(data[:3])
    assert predicted.predictions.shape[0] == 3 and predicted.metrics["test_loss"] > 0


@pytest.mark.slow
def test_targets_of_ones_own(tmp_path: Path) -> None:
    from idlib import Target

    seen = []

    def first_token(batch):
        mask = torch.zeros_like(batch["labels"], dtype=torch.bool)
        mask[:, 1] = True
        seen.append(len(mask))
        return Target(batch["labels"].clamp(min=0), mask=mask)

    own = trained(
        IntraDistillationTrainer, "tagging", tmp_path, asked={"targets": first_token}, max_steps=2
    )
    plain = trained(IntraDistillationTrainer, "tagging", tmp_path, max_steps=2)
    assert seen and losses(own) != losses(plain)


@pytest.mark.slow
def test_a_model_that_scales_its_logits_is_trained_with_them(tmp_path: Path) -> None:
    model = model_of("causal", scaled=True)
    trainer = trained(IntraDistillationTrainer, "causal", tmp_path, model=model, max_steps=2)
    theirs = trained(
        Trainer, "causal", tmp_path, model=model_of("causal", scaled=True), max_steps=2
    )
    assert trainer.uses_projection is False
    assert losses(trainer) == pytest.approx(losses(theirs), abs=1e-6)


def test_outputs_come_where_they_are_asked_for(tmp_path: Path) -> None:
    trainer = IntraDistillationTrainer(model=model_of("masked"), args=arguments(tmp_path))
    batch = batch_of("masked")
    loss, outputs = trainer.compute_loss(trainer.model.train(), batch, return_outputs=True)
    assert loss.requires_grad and len(outputs["logits"]) == 3 * len(batch["labels"])


# ---- bad input


def refuses(match: str, kind: str, folder: Path, **kwargs):
    batch = kwargs.pop("batch", None) or batch_of(kind)
    with pytest.raises(ValueError, match=match):
        trainer = IntraDistillationTrainer(
            model=kwargs.pop("model", None) or model_of(kind), args=arguments(folder), **kwargs
        )
        trainer.compute_loss(trainer.model.train(), batch)


def test_another_loss_is_refused(tmp_path: Path) -> None:
    refuses("compute_loss_func", "tagging", tmp_path, compute_loss_func=lambda *_: 0)


def test_two_smoothings_are_refused(tmp_path: Path) -> None:
    args = arguments(tmp_path, label_smoothing_factor=0.1)
    with pytest.raises(ValueError, match=r"smoothing is 0\.2, label_smoothing_factor 0\.1"):
        IntraDistillationTrainer(
            model=model_of("tagging"), args=args, objective=IntraDistillation(smoothing=0.2)
        )


def test_a_batch_without_labels_is_refused(tmp_path: Path) -> None:
    batch = {"input_ids": torch.ones(2, 3, dtype=torch.long)}
    refuses("the batch has input_ids, and neither labels", "tagging", tmp_path, batch=batch)


def test_several_labels_to_an_example_are_refused(tmp_path: Path) -> None:
    batch = {"input_ids": torch.ones(2, 3, dtype=torch.long), "labels": torch.ones(2, CLASSES)}
    refuses("several to an example", "classification", tmp_path, batch=batch)


def test_an_output_that_is_not_there_is_named(tmp_path: Path) -> None:
    from idlib import Target

    def targets(batch):
        return {"start_logits": Target(batch["labels"])}

    match = "gives logits, and not start_logits"
    refuses(match, "classification", tmp_path, targets=targets)


def test_a_decoder_without_inputs_is_refused(tmp_path: Path) -> None:
    model = model_of("seq2seq")
    model.prepare_decoder_input_ids_from_labels = None
    refuses("give decoder_input_ids", "seq2seq", tmp_path, model=model)
