"""What a record holds of a model beside its scores."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from idlib.experiments.measurement import sensitivity
from idlib.experiments.runs import load_model, run
from idlib.experiments.specs import Spec
from idlib.sensitivity.pruning import magnitudes, pruned


@pytest.mark.slow
def test_without_the_least_important_weights_and_by_kind(fresh):
    spec = Spec("images", "id", "smoke", overrides={"pruned": [0.5, 0.9]}, device="cpu")
    measured = run(spec, fresh).measured
    assert measured.curves["pruned/shares"] == [0.5, 0.9]
    model, task = load_model(spec, "loss", fresh), spec.plan.task
    found = sensitivity(task, model)
    for name, importance in (("sensitivity", found.values), ("magnitude", magnitudes(model))):
        with pruned(model, importance, 0.9):
            nll = task.evaluate(model, "test")["nll"]
        assert measured.curves[f"pruned/{name}/nll"][1] == nll
    whole = measured.metrics["test/nll@loss"]
    assert measured.curves["pruned/sensitivity/nll"][1] > whole

    figures = measured.metrics
    sizes = {kind: figures[f"kinds/parameters/{kind}"] for kind in ("norm", "weight")}
    assert sum(sizes.values()) == figures["sensitivity/parameters"] and sizes["norm"] > 0
    means = sum(size * figures[f"kinds/mean/{kind}"] for kind, size in sizes.items())
    assert means / sum(sizes.values()) == pytest.approx(figures["sensitivity/mean"])


@pytest.mark.slow
def test_by_default_no_weight_is_taken_away(fresh):
    record = run(Spec("images", "baseline", "smoke", device="cpu"), fresh)
    assert "pruned" not in record.asked.settings
    assert not any(name.startswith("pruned") for name in record.measured.curves)


def test_a_loss_that_sensitivity_cannot_be_normalised_by_is_named():
    task = SimpleNamespace(
        sensitivity_batches=lambda: [torch.ones(2), torch.zeros(2)],
        loss=lambda model, batch: model(batch).square().sum(),
        never_seen=lambda model: {},
    )
    with pytest.raises(ValueError, match="is not above 0"):
        sensitivity(task, torch.nn.Linear(2, 1, bias=False))
