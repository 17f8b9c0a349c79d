"""Dropout from bulk random bits: the rate, masks that are independent, every call, the setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from made_up.tasks import spec_of
from made_up.toy import ToySettings, ToyTask, interrupt_at
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import BertConfig, BertModel

from idlib.method.passes import run_passes
from idlib.models.transformer import transformer
from idlib.training import dropout
from idlib.training.dropout import LEVELS, dropout_from_bits, threshold
from idlib.training.loop import train
from idlib.training.settings import SettingsError

ENTRIES = 1_000_000
ONES = torch.ones(ENTRIES)


@contextmanager
def masks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Entries of each mask that is taken from bits inside."""
    taken: list[int] = []
    kept = dropout._kept

    def counted(entries: int, below: int) -> Tensor:
        taken.append(entries)
        return kept(entries, below)

    with monkeypatch.context() as patch:
        patch.setattr(dropout, "_kept", counted)
        yield taken


class Operators(TorchDispatchMode):
    """The operators that run inside, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def dropped(rate: float = 0.3, seed: int | None = None, x: Tensor = ONES) -> Tensor:
    if seed is not None:
        torch.manual_seed(seed)
    with dropout_from_bits():
        return functional.dropout(x, rate)


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("rate", [0.0, 1e-4, 0.1, 1 / 3, 0.5, 0.9, 1.0])
def test_the_rate(rate):
    exact = threshold(rate) / LEVELS
    assert abs(exact - rate) < 1e-5
    zeros = (dropped(rate, seed=1) == 0).float().mean().item()
    assert abs(zeros - exact) <= 5 * (exact * (1 - exact) / ENTRIES) ** 0.5  # standard errors


def test_what_is_kept_is_scaled_so_that_the_mean_stays():
    values = dropped(0.3).unique()
    assert values.tolist() == pytest.approx([0, 1 / (1 - threshold(0.3) / LEVELS)], rel=1e-6)


@pytest.mark.parametrize("lag", [1, 2, 4, 1000])  # 4 entries share a word of the generator
def test_entries_of_a_mask_are_independent(lag):
    mask = dropped(seed=2)
    assert abs(correlation(mask[lag:], mask[:-lag])) < 5 / ENTRIES**0.5


def test_masks_of_calls_and_of_seeds_are_independent():
    first, second = dropped(seed=3), dropped()
    for other in (second, dropped(seed=4)):
        assert abs(correlation(first, other)) < 5 / ENTRIES**0.5


@pytest.mark.parametrize("mode", ["stack", "loop"])
def test_masks_of_the_passes_are_independent(mode):
    torch.manual_seed(5)
    with dropout_from_bits():
        logits = run_passes(nn.Dropout(0.3), torch.ones(100, 1000), 3, mode)
    (z,) = logits.values()
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert abs(correlation(z[i], z[j])) < 5 / z[0].numel() ** 0.5


def test_torchs_state_alone_decides_the_masks():
    state = torch.get_rng_state()
    first, second = dropped(), dropped()
    torch.set_rng_state(state)
    torch.set_num_threads(2)
    try:
        assert torch.equal(dropped(), first) and torch.equal(dropped(), second)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(dropped(seed=6), dropped(seed=6))


def test_the_gradient_is_mask_times_scale():
    x = torch.randn(40, 30, requires_grad=True)
    y, upstream = dropped(x=x.T), torch.randn(30, 40)  # not contiguous
    factor = y.detach() / x.detach().T
    (gradient,) = torch.autograd.grad(y, x, upstream)
    torch.testing.assert_close(gradient, (upstream * factor).T)


def test_gradcheck():
    x = torch.randn(12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: dropped(0.5, 7, x) ** 2, x)
    assert torch.autograd.gradgradcheck(lambda x: dropped(0.5, 7, x) ** 2, x)


def test_half_precision_keeps_its_type():
    y = dropped(0.5, x=torch.ones(64, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16 and y.unique().tolist() == [0, 2]


def test_nothing_is_dropped_in_evaluation():
    with dropout_from_bits():
        assert torch.equal(nn.Dropout(0.9).eval()(ONES), ONES)
        assert nn.Dropout(0.9)(torch.ones(0, 3)).shape == (0, 3)


# Every call of a model ------------------------------------------------------------------------


def attention(x: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(x, x, x, dropout_p=0.3)


CALLS = {
    "module": nn.Dropout(0.3),
    "function": lambda x: functional.dropout(x, 0.3),
    "attention": attention,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_each_form_of_dropout_is_reached(monkeypatch, call, context):
    with context(), dropout_from_bits(), masks(monkeypatch) as taken:
        CALLS[call](torch.randn(2, 4, 8, 8))
    assert taken == [2 * 4 * 8 * 8]


def small_translation() -> tuple[nn.Module, dict[str, Tensor]]:
    sizes = dict(layers=2, width=16, ffn=24, heads=4, positions=32)
    model = transformer(24, **sizes, dropout=0.3, attention_dropout=0.1)
    ids = torch.randint(3, 24, (2, 5))
    return model, {"input_ids": ids, "decoder_input_ids": ids}


def small_encoder() -> tuple[nn.Module, dict[str, Tensor]]:
    config = BertConfig(  # dropout 0.1 everywhere
        vocab_size=24,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
    )
    return BertModel(config), {"input_ids": torch.randint(3, 24, (2, 5))}


@pytest.mark.parametrize("made", [small_translation, small_encoder])
def test_all_dropout_of_a_model_is_reached(monkeypatch, made):
    model, batch = made()
    model.train()
    with Operators() as own:
        model(**batch)
    with dropout_from_bits(), masks(monkeypatch) as taken, Operators() as ours:
        model(**batch)
    assert own.names.count("bernoulli_") == len(taken) > 6
    assert "bernoulli_" not in ours.names


def test_outside_torchs_own_masks_are_taken():
    def own() -> Tensor:
        torch.manual_seed(8)
        return functional.dropout(ONES[:100], 0.5)

    before = own()
    with dropout_from_bits(None):
        assert torch.equal(own(), before)
    with dropout_from_bits():
        assert not torch.equal(own(), before)
    with pytest.raises(KeyboardInterrupt), dropout_from_bits():
        raise KeyboardInterrupt
    assert torch.equal(own(), before)


@pytest.mark.slow
def test_compiled_code_keeps_torchs_masks(monkeypatch):
    model = torch.compile(nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5)), backend="aot_eager")
    with dropout_from_bits(), masks(monkeypatch) as taken:
        assert 0 < (model(torch.ones(8, 4)) == 0).sum() < 8 * 64
    assert not taken


# The setting ----------------------------------------------------------------------------------


def go(folder: Path, bits: int | None, **kwargs: object) -> dict[str, list[float]]:
    task = ToyTask()
    settings = ToySettings(passes=3, alpha=5.0, dropout_bits=bits)
    trained = train(task.model(), task, settings, seed=1, folder=folder, **kwargs)
    return trained.curves


def test_the_setting_decides_the_masks_of_training(tmp_path, monkeypatch):
    with masks(monkeypatch) as taken:
        own = go(tmp_path / "own", None)
        assert not taken
        ours = go(tmp_path / "ours", 16)
        assert taken == [3 * 4 * 8] * 6  # passes · examples · width, in each update
    assert ours["train/divergence"] != own["train/divergence"]
    assert functional.dropout(ONES, 0.5).count_nonzero() and not taken[6:]


def test_a_resume_takes_the_same_masks(tmp_path):
    whole = go(tmp_path / "whole", 16)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "part", 16, progress=interrupt_at(4))
    assert go(tmp_path / "part", 16) == whole


def test_unset_it_is_no_part_of_what_was_asked():
    assert "dropout_bits" not in ToySettings().model_dump(exclude_none=True)
    assert ToySettings(dropout_bits=16).model_dump(exclude_none=True)["dropout_bits"] == 16


def test_another_number_of_bits_is_refused(small):
    with pytest.raises(SettingsError, match="setting dropout_bits = 8: Input should be 16"):
        _ = spec_of(small, "images", dropout_bits=8).plan
    with pytest.raises(ValueError, match="bits = 8: give 16, or None"), dropout_from_bits(8):
        pass
