"""Pruning: which weights go, that they come back, and what is refused."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from idlib.sensitivity.parameter_sets import kinds
from idlib.sensitivity.pruning import magnitudes, pruned, pruning_curve

Floats = NDArray[np.float32]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(4, 3), nn.LayerNorm(3), nn.Linear(3, 2))


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([model[0].weight.flatten(), model[2].weight.flatten()]).detach()


def test_the_smallest_of_the_whole_model_go_and_come_back() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    whole = weights(model)  # 12 + 6
    with pruned(model, magnitudes(model), 0.5):
        left = weights(model)
        gone = left == 0
        assert gone.sum() == 9
        assert whole[gone].abs().max() < whole[~gone].abs().min()
        assert torch.equal(left[~gone], whole[~gone])
        assert torch.equal(model[1].weight, before["1.weight"])  # norms and biases stay
        assert torch.equal(model[2].bias, before["2.bias"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_they_come_back_after_an_error_too() -> None:
    model = network()
    whole = weights(model)
    with pytest.raises(KeyboardInterrupt), pruned(model, magnitudes(model), 1.0):
        assert not weights(model).any()
        raise KeyboardInterrupt
    assert torch.equal(weights(model), whole)


def test_of_equal_importance_the_first_go_first() -> None:
    model = network()
    equal = {name: torch.ones_like(p) for name, p in model.named_parameters()}
    with pruned(model, equal, 0.5):
        assert not weights(model)[:9].any() and weights(model)[9:].all()


@given(
    hnp.arrays(np.float32, 18, elements=st.sampled_from([0.0, 0.5, 0.5000001, 2.0, np.inf])),
    st.integers(0, 18),
)
def test_the_same_go_as_by_a_stable_sort(importance: Floats, count: int) -> None:
    model = network()
    first, last = torch.from_numpy(importance).split([12, 6])
    with pruned(model, {"0.weight": first.view(4, 3), "2.weight": last.view(2, 3)}, count / 18):
        gone = (weights(model) == 0).nonzero().flatten()
    assert gone.tolist() == sorted(np.argsort(importance, kind="stable")[:count])


def test_a_curve_takes_each_share_from_the_whole_model() -> None:
    model = network()
    left = pruning_curve(
        model, magnitudes(model), [0.5, 0.0, 1.0], lambda m: (weights(m) != 0).sum().item()
    )
    assert left == [9, 18, 0]


def test_what_is_refused() -> None:
    model = network()
    with (
        pytest.raises(ValueError, match=r"share must lie in 0\.\.1, not 1\.5"),
        pruned(model, magnitudes(model), 1.5),
    ):
        pass
    with pytest.raises(ValueError, match=r"importance of '0\.weight' must have shape \(4, 3\)"):
        pruning_curve(model, {"0.weight": torch.ones(3, 4)}, [0.5], lambda _: 0.0)
    unknown = {**magnitudes(model), "2.weight": torch.full((2, 3), torch.nan)}
    with pytest.raises(ValueError, match="some is NaN"), pruned(model, unknown, 0.5):
        pass
    with pytest.raises(ValueError, match="two axes"):
        pruning_curve(nn.LayerNorm(3), {}, [0.5], lambda _: 0.0)


def test_kinds_of_parameters() -> None:
    model = nn.ModuleDict({"body": network(), "stem": nn.Conv2d(1, 2, 3), "bn": nn.BatchNorm2d(2)})
    assert kinds(model) == {
        "body.0.weight": "embedding",
        "body.1.weight": "norm",
        "body.1.bias": "norm",
        "body.2.weight": "weight",
        "body.2.bias": "bias",
        "stem.weight": "weight",
        "stem.bias": "bias",
        "bn.weight": "norm",
        "bn.bias": "norm",
    }
    model["bn"].weight.requires_grad_(False)
    assert "bn.weight" not in kinds(model)
