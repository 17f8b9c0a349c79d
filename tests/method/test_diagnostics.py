"""Warnings of passes that cannot do what they are for: once each, and only where they are right.

Pytest makes warnings errors here, so a call outside ``pytest.warns`` shows that there is none.
"""

import copy
import dataclasses
import pickle

import pytest
import torch
from torch import nn

from idlib.method.objective import IntraDistillation
from idlib.method.passes import MODES
from idlib.method.targets import Target

K, B, D, C = 3, 5, 32, 4
X = torch.randn(B, D, generator=torch.Generator().manual_seed(1))
LOOP = "mode='loop'"
EVALUATION = r"evaluation mode.*model\.train\(\)"
NO_DROPOUT = "no dropout is active.*rate"

modes = pytest.mark.parametrize("mode", MODES)


def model(dropout: float = 0.5, norm: type[nn.Module] = nn.Identity) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, D), norm(D), nn.Dropout(dropout), nn.Linear(D, C))


def call(objective: IntraDistillation, forward, x: torch.Tensor = X) -> torch.Tensor:
    return objective(forward, lambda b: Target(torch.arange(B) % C), x, 1, 1).divergence


def test_batch_norm_in_a_stack_once():
    objective, net = IntraDistillation(passes=K), model(norm=nn.BatchNorm1d)
    with pytest.warns(UserWarning, match=f"BatchNorm1d.*{LOOP}") as found:
        call(objective, net)
    assert len(found) == 1 and found[0].filename == __file__
    call(objective, net)
    with pytest.warns(UserWarning, match=LOOP):
        call(IntraDistillation(passes=K), net)


def test_no_word_where_batch_norm_is_run_in_a_loop_or_does_not_train():
    net = model(norm=nn.BatchNorm1d)
    call(IntraDistillation(passes=K, mode="loop"), net)
    call(IntraDistillation(passes=1), net)
    net[1].eval()
    call(IntraDistillation(passes=K), net)


@modes
def test_evaluation_mode_once(mode):
    objective, net = IntraDistillation(passes=K, mode=mode), model(norm=nn.BatchNorm1d).eval()
    with pytest.warns(UserWarning, match=EVALUATION) as found:
        call(objective, net)
    assert len(found) == 1 and found[0].filename == __file__
    call(objective, net)


@modes
def test_evaluation_mode_that_was_forgotten_after_training(mode):
    objective, net = IntraDistillation(passes=K, mode=mode), model()
    assert call(objective, net) > 0
    net.eval()
    with pytest.warns(UserWarning, match=EVALUATION):
        call(objective, net)
    net.train()
    assert call(objective, net) > 0
    net.eval()
    call(objective, net)


def test_a_model_that_first_evaluates_is_looked_at_again_in_training():
    objective, net = IntraDistillation(passes=K), model(norm=nn.BatchNorm1d).eval()
    with pytest.warns(UserWarning, match=EVALUATION):
        call(objective, net)
    with pytest.warns(UserWarning, match=LOOP):
        call(objective, net.train())


@modes
@pytest.mark.parametrize(
    "forward",
    [model(dropout=0.0), nn.Linear(D, C), lambda x: x[:, :C]],
    ids=["rate 0", "none", "no module"],
)
def test_no_active_dropout_once(mode, forward):
    objective = IntraDistillation(passes=K, mode=mode)
    with pytest.warns(UserWarning, match=NO_DROPOUT) as found:
        assert call(objective, forward).item() == pytest.approx(0, abs=1e-9)
    assert len(found) == 1
    call(objective, forward)
    call(IntraDistillation(passes=1, mode=mode), forward)


@modes
def test_dropout_that_is_no_module_is_dropout(mode):
    net = model(dropout=0.0)
    call(IntraDistillation(passes=K, mode=mode), lambda x: net(nn.functional.dropout(x, 0.1)))
    attention = nn.MultiheadAttention(D, 4, dropout=0.1, batch_first=True)
    head = nn.Linear(D, C)
    call(
        IntraDistillation(passes=K, mode=mode),
        lambda x: head(attention(*[x.expand(8, *x.shape).transpose(0, 1)] * 3)[0]).mean(1),
    )


@modes
def test_a_head_that_starts_at_zero_does_not_hide_active_dropout(mode):
    net = model()
    nn.init.zeros_(net[3].weight)
    assert call(IntraDistillation(passes=K, mode=mode), net) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_is_no_difference_between_passes(dtype):
    """A stacked batch may be summed in another order, so that equal passes differ a little."""
    net, z = model().eval().to(dtype), torch.randn(B, C, dtype=dtype)
    noise = 1 + torch.finfo(dtype).eps * torch.randint(-2, 3, (K * B, C))

    def forward(x):
        net(x)
        return (z.repeat(K, 1) * noise.to(dtype)).float()

    with pytest.warns(UserWarning, match=EVALUATION):
        call(IntraDistillation(passes=K), forward, X.to(dtype))


def test_rounding_of_autocast_is_none_either():
    net, z = model(), torch.randn(B, C)
    noise = 1 + torch.finfo(torch.bfloat16).eps * torch.randint(-2, 3, (K * B, C))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        call(IntraDistillation(passes=K), net)
        net.eval()
        with pytest.warns(UserWarning, match=EVALUATION):
            call(IntraDistillation(passes=K), lambda x: 0 * net(x).float() + z.repeat(K, 1) * noise)


def test_a_wrapper_that_still_trains_hides_no_model_in_evaluation_mode():
    """As after ``unwrap_model(model).eval()``, where a wrapper keeps its own mode."""
    wrapper = nn.Sequential(model())
    wrapper[0].eval()
    with pytest.warns(UserWarning, match=EVALUATION):
        call(IntraDistillation(passes=K), wrapper)


@pytest.mark.slow
def test_compiled_models_are_looked_at_too():
    torch.compiler.reset()
    net = model(norm=nn.BatchNorm1d)
    compiled = torch.compile(net, backend="eager")
    objective = IntraDistillation(passes=K)
    with pytest.warns(UserWarning, match=LOOP):
        call(objective, compiled)
    call(IntraDistillation(passes=K, mode="loop"), compiled)
    net.eval()
    with pytest.warns(UserWarning, match=EVALUATION):
        call(objective, compiled)


def test_errors_come_before_warnings():
    with pytest.raises(ValueError, match="do not fit"):
        IntraDistillation(passes=K)(
            model(dropout=0.0), lambda b: Target(torch.zeros(2).long()), X, 1, 1
        )


def test_what_was_seen_is_no_part_of_the_objective():
    objective, net = IntraDistillation(passes=K), model(dropout=0.0)
    with pytest.warns(UserWarning, match=NO_DROPOUT):
        call(objective, net)
    fresh = IntraDistillation(passes=K)
    assert objective == fresh and hash(objective) == hash(fresh) and repr(objective) == repr(fresh)
    assert dataclasses.asdict(objective) == dataclasses.asdict(fresh)
    for same in (
        pickle.loads(pickle.dumps(objective)),
        copy.deepcopy(objective),
        dataclasses.replace(objective),
    ):
        assert same == objective
        with pytest.warns(UserWarning, match=NO_DROPOUT):
            call(same, net)
