"""Mode ``cached`` is ``loop``, bit by bit where nothing rounds otherwise, with one graph at a time.

Its losses are those of the same logits; its gradients are added up in another order.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up.toy import ToySettings, ToyTask
from torch import nn
from torch.utils.checkpoint import checkpoint

from idlib.method.objective import IntraDistillation
from idlib.method.projection import Projected
from idlib.method.targets import Target
from idlib.training.loop import NonFiniteLoss, train

K, B, D, C = 3, 5, 6, 4
X = torch.randn(B, D, generator=torch.Generator().manual_seed(1))
Y = torch.arange(B) % C


def network(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    middle = [nn.BatchNorm1d(D)] if norm else []
    return nn.Sequential(nn.Linear(D, D), *middle, nn.Tanh(), nn.Dropout(0.5), nn.Linear(D, C))


def objective(mode: str, passes: int = K, **asked) -> IntraDistillation:
    return IntraDistillation(passes=passes, mode=mode, smoothing=0.1, **asked)


def targets(batch) -> Target:
    return Target(Y)


def update(mode: str, model: nn.Module, forward=None, batch=X, scale=1.0, **asked):
    """Parts and gradients of an update from a fixed seed, and the next random number."""
    torch.manual_seed(4)
    parts = objective(mode, **asked)(forward or model, targets, batch, 80, 100)
    (scale * parts.total).backward()
    return parts, [p.grad for p in model.parameters()], torch.rand(())


def assert_as_loop(make=network, forward_of=lambda model: model, make_looped=None, **asked):
    """Losses and what is drawn next are the same bits; gradients agree."""
    models = [(make_looped or make)(), make()]
    looped, cached = (
        update(mode, model, forward_of(model), **asked)
        for mode, model in zip(("loop", "cached"), models, strict=True)
    )
    assert looped[0] == cached[0] and looped[0].divergence > 0.001
    assert torch.equal(looped[2], cached[2])
    torch.testing.assert_close(looped[1], cached[1])
    for a, b in zip(models[0].buffers(), models[1].buffers(), strict=True):
        assert torch.equal(a, b)
    return looped, cached


@pytest.mark.parametrize("passes", [2, 3, 4])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("overwrite", [True, False])
def test_losses_draws_and_gradients_are_those_of_the_loop(passes, fused, overwrite):
    assert_as_loop(passes=passes, fused=fused, overwrite_logits=overwrite)


def test_the_same_masks_are_drawn_again():
    """NumPy's and Python's too, which some models draw from."""
    seen = []

    def forward(x):
        drawn = torch.rand(B), torch.from_numpy(np.random.rand(B)), random.random()
        seen.append(torch.cat([drawn[0], drawn[1], torch.tensor([drawn[2]])]))
        return nn.functional.dropout(layer(x) * drawn[0][:, None])

    layer = nn.Linear(D, C)
    update("cached", layer, forward)
    first, second, third, *again = seen
    assert len(again) == K - 1 and not torch.equal(first, second)
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])
    assert not torch.equal(third, again[1])


def test_only_one_pass_has_a_graph_at_a_time():
    alive, most = set(), []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            if x.requires_grad:
                alive.add(ctx)
            most.append(len(alive))
            return 1 * x

        @staticmethod
        def backward(ctx, gradient):
            alive.discard(ctx)
            return gradient

    model = network()
    for mode, passes in (("loop", K), ("cached", 1)):
        most.clear()
        update(mode, model, lambda x: Watched.apply(model(x)))
        assert max(most) == passes and not alive


def test_heads_and_a_projection():
    def forward_of(model):
        def forward(x):
            states = model[:-1](x)
            logits, last = model(x), model[-1]
            return {"a": logits, "b": Projected(states, last.weight, last.bias)}

        return forward

    targets_of = lambda b: {"a": Target(Y), "b": Target(Y)}  # noqa: E731
    found = []
    for mode in ("loop", "cached"):
        model = network()
        torch.manual_seed(4)
        parts = objective(mode)(forward_of(model), targets_of, X, 80, 100)
        parts.total.backward()
        found.append([*parts[:3], *(p.grad for p in model.parameters())])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("trained", ["0", "3"], ids=["body", "projection"])
@pytest.mark.parametrize("projected", [False, True])
def test_what_is_not_trained_gets_no_gradient(trained, projected):
    def make():
        model = network()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(trained))
        return model

    def forward_of(model):
        if not projected:
            return model
        return lambda x: Projected(model[:-1](x), model[-1].weight, model[-1].bias)

    _, (_, gradients, _) = assert_as_loop(make, forward_of)
    assert [gradient is not None for gradient in gradients].count(True) == 2


def test_nothing_to_train_and_no_gradient_wanted():
    model = network().requires_grad_(False)
    assert not objective("cached")(model, targets, X, 1, 1).total.requires_grad
    with torch.no_grad():
        torch.manual_seed(4)
        found = objective("cached")(model, targets, X, 80, 100)
    assert found == update("loop", network())[0]


def test_the_upstream_gradient_counts():
    """As a scaler of losses has it."""
    assert_as_loop(scale=1024.0)


def test_the_replays_are_under_the_same_autocast():
    """Called inside, while backward stands outside as it should."""
    seen = []

    def forward_of(model):
        model[0].register_forward_hook(lambda *call: seen.append(call[-1].dtype))

        def forward(x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return model(x)

        return forward

    for form in (True, False):
        found = []
        for mode in ("loop", "cached"):
            model = network()
            forward_of(model)
            torch.manual_seed(4)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                parts = objective(mode, fused=form)(model, targets, X, 80, 100)
            parts.total.backward()
            found.append((parts, [p.grad for p in model.parameters()]))
        assert found[0][0] == found[1][0]
        torch.testing.assert_close(found[0][1], found[1][1], rtol=0.02, atol=1e-3)
    assert set(seen) == {torch.bfloat16}


def test_micro_batches_add_up():
    counts = {"logits": torch.tensor(float(B))}
    found = []
    for mode in ("loop", "cached"):
        model = network()
        torch.manual_seed(4)
        for rows in ([0, 1], [2, 3, 4]):
            parts = objective(mode)(
                model, lambda x, rows=rows: Target(Y[rows]), X[rows], 80, 100, counts=counts
            )
            parts.total.backward()
        found.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*found)


def test_hooks_of_parameters_are_called_once_a_pass_and_with_gradients():
    model, seen = network(), []
    model[0].weight.register_hook(seen.append)
    update("cached", model)
    assert len(seen) == K and sum(seen).allclose(model[0].weight.grad)


def test_an_update_of_several_objectives_at_once():
    """Two losses whose sum is differentiated: each is run again with its own draws."""
    found = []
    for mode in ("loop", "cached"):
        model = network(norm=True)
        torch.manual_seed(4)
        losses = [objective(mode)(model, targets, x, 80, 100).total for x in (X, X + 1)]
        torch.stack(losses).sum().backward()
        found.append([p.grad for p in model.parameters()] + list(model.buffers()))
    torch.testing.assert_close(*found)


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.net, self.reentrant = network(norm=True), reentrant

    def forward(self, x):
        x = self.net[0](x)
        return self.net[-1](checkpoint(self.net[1:-1], x, use_reentrant=self.reentrant))


@pytest.mark.parametrize("reentrant", [None, True, False])
def test_batch_norm_sees_the_first_pass_only(reentrant):
    """Also where activation checkpointing runs parts of the replays once more."""

    def plain():
        return network(norm=True)

    assert_as_loop(
        plain if reentrant is None else lambda: Checkpointed(reentrant), make_looped=plain
    )


@pytest.mark.slow
def test_a_compiled_model():
    torch.compiler.reset()
    assert_as_loop(forward_of=lambda model: torch.compile(model, backend="eager"))


# What it cannot do -----------------------------------------------------------------------------


def test_what_needs_the_graph_of_all_passes_is_refused():
    model = network()
    total = objective("cached")(model, targets, X, 1, 1).total
    weights = list(model.parameters())
    for chosen in (weights, weights[:1]):
        with pytest.raises(RuntimeError, match="torch.autograd.grad.*mode='loop'"):
            torch.autograd.grad(total, chosen, retain_graph=True)
        with pytest.raises(RuntimeError, match="inputs.*mode='loop'"):
            total.backward(inputs=chosen, retain_graph=True)
    with pytest.raises(RuntimeError, match="second derivatives.*mode='loop'"):
        total.backward(create_graph=True)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="a second time.*once.*mode='loop'"):
        total.backward()


def test_passes_of_other_shapes_are_named():
    sizes = iter([4, 3])
    with pytest.raises(ValueError, match=r"'logits'.*\(5, 4\) in one pass and \(5, 3\)"):
        objective("cached")(lambda x: x[:, : next(sizes)], targets, X, 1, 1)


def test_draws_are_put_back_after_an_error():
    calls = []

    def forward(x):
        calls.append(torch.rand(()))
        if len(calls) > K:
            raise KeyError("a fault of the model's own")
        return model(x)

    model = network()
    total = objective("cached")(forward, targets, X, 1, 1).total
    before = torch.get_rng_state()
    with pytest.raises(KeyError):
        total.backward()
    assert torch.equal(torch.get_rng_state(), before)


# In a run --------------------------------------------------------------------------------------

RUN = ToySettings(passes=3, mode="cached", clip=1.0, dropout=0.5)


def curves(folder: Path, mode: str, **changes) -> dict[str, list[float]]:
    settings = RUN.model_copy(update={"mode": mode, **changes})
    task = ToyTask()
    return train(task.model(0.5), task, settings, seed=1, folder=folder).curves


@pytest.mark.parametrize(
    "changes", [{}, {"micro_batch": 3}, {"dropout_bits": 16}, {"precision": "bf16"}]
)
def test_a_run_has_the_curve_of_the_loop(tmp_path, changes):
    found, expected = (curves(tmp_path / mode, mode, **changes) for mode in ("cached", "loop"))
    tolerance = 1e-2 if "precision" in changes else 1e-5
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=tolerance, abs=tolerance), name


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    task = ToyTask()
    task.x[0] = torch.inf
    with pytest.raises(NonFiniteLoss, match="update"):
        train(task.model(), task, RUN, seed=1, folder=tmp_path)


TESTS = str(Path(__file__).parents[1])


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_the_loop(tmp_path):
    """Also with a projection that is tied, and batch norm; in micro-batches, of which one syncs."""
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "made_up.two_cached", str(tmp_path / "found.json")),
        ],
        check=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
    )
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["processes"] == 2 and len(found["kinds"]) == 4
    for kind, ranks in found["kinds"].items():
        for updates in ranks:
            for update in updates:
                assert update["cached"] == pytest.approx(update["loop"], rel=1e-5, abs=1e-6), kind
        one, other = (updates[-1]["cached"][: found["gradients"]] for updates in ranks)
        assert one == pytest.approx(other, rel=1e-6) and any(one), kind
