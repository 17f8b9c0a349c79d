"""Running statistics of batch norm see the first of K passes only, however the model is run."""

from types import ModuleType

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from idlib.method.batch_norm import frozen_batch_norm
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target

K, B, D, C = 3, 5, 6, 4
X = torch.randn(B, D, generator=torch.Generator().manual_seed(1))
Y = torch.arange(B) % C
held_globals, python_module = {}, ModuleType("python_module")


class Net(nn.Module):
    """Two batch norms, the inner one inside what is checkpointed."""

    def __init__(self, reentrant: bool | None = None, norm=nn.BatchNorm1d, **kwargs) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Linear(D, D), norm(D, **kwargs))
        self.body = nn.Sequential(
            nn.Linear(D, D), norm(D, **kwargs), nn.Dropout(0.5), nn.Linear(D, D)
        )
        self.last, self.reentrant = nn.Linear(D, C), reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if self.reentrant is None:
            return self.last(self.body(x))
        return self.last(checkpoint(self.body, x, use_reentrant=self.reentrant))


def total(passes: int, forward, batch: torch.Tensor = X) -> torch.Tensor:
    objective = IntraDistillation(passes=passes, mode="loop")
    return objective(forward, lambda b: Target(Y), batch, 1, 1).total


def two_updates(passes: int, forward) -> None:
    for batch in (X, X + 1):
        total(passes, forward, batch).backward()


def two_updates_at_once(passes: int, forward) -> None:
    (total(passes, forward) + total(passes, forward, X + 1)).backward()


def backward_twice(passes: int, forward) -> None:
    loss = total(passes, forward)
    loss.backward(retain_graph=True)
    loss.backward()


def compiled_as_a_whole(passes: int, forward) -> None:
    step = torch.compile(lambda x: total(passes, lambda b: forward(b), x), backend="eager")
    for batch in (X, X + 1):
        step(batch).backward()


def assert_as_one_pass(net_of, forward_of=lambda net: net, train=two_updates) -> dict:
    """The buffers after training with K passes are those after one; they are returned."""
    once, thrice = net_of(), net_of()
    for net, passes in ((once, 1), (thrice, K)):
        torch.compiler.reset()
        torch.manual_seed(4)
        train(passes, forward_of(net))
    buffers = dict(once.named_buffers())
    assert any(buffer.any() for buffer in buffers.values())
    for name, buffer in thrice.named_buffers():
        assert torch.equal(buffer, buffers[name]), name
    return buffers


@pytest.mark.parametrize("momentum", [0.1, None])
def test_without_a_wrapper(momentum):
    assert_as_one_pass(lambda: Net(momentum=momentum))


class Renewed(nn.BatchNorm1d):
    """As written by hand: each pass makes new buffers, in place of changing those that are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.running_mean = 0.9 * self.running_mean + 0.1 * x.detach().mean(0)
        self.num_batches_tracked = self.num_batches_tracked + 1
        return (x - x.mean(0)) / x.std(0)


class OverInstances(nn.InstanceNorm1d):
    """Instance norm with running statistics, on rows taken as one instance."""

    def __init__(self, features: int) -> None:
        super().__init__(features, track_running_stats=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.mT.unsqueeze(0)).squeeze(0).mT


@pytest.mark.parametrize("norm", [Renewed, OverInstances])
@pytest.mark.parametrize("reentrant", [None, True, False])
def test_other_layers_with_running_statistics(norm, reentrant):
    assert_as_one_pass(lambda: Net(reentrant, norm))


def test_buffers_that_a_functional_call_brings():
    """The model's own stay as they are, and those of the call see the first pass."""

    def brought_after(passes: int) -> dict[str, torch.Tensor]:
        net = Net()
        own = {name: buffer.clone() for name, buffer in net.named_buffers()}
        brought = {name: buffer + 1 for name, buffer in own.items()}
        torch.manual_seed(4)
        two_updates(passes, lambda x: torch.func.functional_call(net, brought, x))
        assert all(torch.equal(own[name], buffer) for name, buffer in net.named_buffers())
        return brought

    once, thrice = brought_after(1), brought_after(K)
    assert once["body.1.num_batches_tracked"] == 3
    assert all(torch.equal(once[name], thrice[name]) for name in once)


@pytest.mark.parametrize("train", [two_updates, two_updates_at_once])
@pytest.mark.parametrize("reentrant", [True, False])
def test_under_activation_checkpointing(reentrant, train):
    """Backward runs every pass anew; of these, too, only the first counts."""
    assert_as_one_pass(lambda: Net(reentrant), train=train)


def test_where_backward_goes_through_the_passes_twice():
    buffers = assert_as_one_pass(lambda: Net(reentrant=False), train=backward_twice)
    assert buffers["body.1.num_batches_tracked"] == 3


@pytest.mark.parametrize(("outer", "inner"), [(True, False), (False, True), (False, False)])
def test_under_nested_activation_checkpointing(outer, inner):
    class Outer(Net):
        def forward(self, x):
            return checkpoint(super().forward, x.requires_grad_(), use_reentrant=outer)

    assert_as_one_pass(lambda: Outer(inner))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_changes_no_gradient(reentrant):
    plain, checkpointed = Net(), Net(reentrant)
    for net in (plain, checkpointed):
        torch.manual_seed(4)
        total(K, net).backward()
    for a, b in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


# Compiled code -------------------------------------------------------------------------------


class Trainer:
    """A forward that reaches its model through an object, as trainers do."""

    def __init__(self, net: nn.Module) -> None:
        self.net = torch.compile(net, backend="eager")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def named(net: nn.Module):
    held_globals["by_name"] = torch.compile(net, backend="eager")
    return lambda x: held_globals["by_name"](x)


def of_a_module(net: nn.Module):
    python_module.model = torch.compile(net, backend="eager")
    return lambda x: python_module.model(x)


def closure(net: nn.Module):
    compiled = torch.compile(net, backend="eager")
    return lambda x: compiled(x)


def in_place(net: nn.Module) -> nn.Module:
    net.compile(backend="eager")
    return net


def in_part(net: nn.Module) -> nn.Module:
    net.body.forward = torch.compile(net.body.forward, backend="eager")
    return net


COMPILED = {
    "module": lambda net: torch.compile(net, backend="eager"),
    "aot": lambda net: torch.compile(net, backend="aot_eager"),
    "function": lambda net: torch.compile(lambda x: net(x), backend="eager"),
    "method": lambda net: Trainer(net).forward,
    "closure": closure,
    "global": named,
    "python module": of_a_module,
    "in place": in_place,
    "in part": in_part,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("kind", COMPILED)
def test_in_compiled_code(kind):
    assert_as_one_pass(Net, COMPILED[kind])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_where_the_whole_step_is_compiled():
    buffers = assert_as_one_pass(Net, train=compiled_as_a_whole)
    assert buffers["body.1.num_batches_tracked"] == 2


def test_frozen_layers_normalise_by_the_batch_and_those_in_evaluation_mode_do_not():
    net, other = Net(), Net()
    for either in (net, other):
        either.first.eval()
        either.body[2].p = 0.0
    expected = other(X)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with pytest.raises(KeyError), frozen_batch_norm() as saved:
        torch.testing.assert_close(net(X), expected)
        raise KeyError  # they are put back after an error, too
    assert {id(buffer.layer) for buffer in saved} == {id(net.body[1])}
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())
    net(X)
    assert not torch.equal(before["body.1.running_mean"], net.body[1].running_mean)
