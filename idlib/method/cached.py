"""Mode ``cached``: K passes that keep only their outputs, and run again in backward one by one.

The gradient of the loss with respect to a pass's outputs depends on all passes, but the way from
there to the parameters is each pass's own. So the passes run without a graph, the loss gives the
gradients of all their outputs, and backward runs each pass again from the state that the random
generators had, now with a graph, and sends its gradient through it. Only the last pass keeps its
graph from the start. The gradients are those of ``loop``; the memory is that of one pass, and of
the outputs of all.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from idlib.method.batch_norm import frozen_batch_norm
from idlib.method.modules import observed_modules
from idlib.method.projection import Head, Projected, check_alike, states_of, with_states
from idlib.method.random_state import RandomState
from idlib.method.targets import Forward, outputs_of


def cached_passes(forward: Forward, batch: Any, passes: int) -> dict[str, Head]:
    """Heads of K > 1 passes, states or logits ``[K, B, ...]``; backward runs the passes again.

    Raises:
        ValueError: passes whose heads differ in name, shape or projection.
    """
    replay = _Replay(forward, batch)
    kept: dict[str, Head] = {}
    with observed_modules(replay.see, forward), ExitStack() as after_the_first:
        for index in range(passes - 1):
            replay.states.append(RandomState.now())
            with _without_graph():
                _keep(kept, index, outputs_of(forward(batch)), passes)
            if not index:
                after_the_first.enter_context(frozen_batch_norm(forward))
        torch.clear_autocast_cache()  # of weights that were cast where nothing has a gradient
        with replay.synchronising(False):
            heads = outputs_of(forward(batch))
        _keep(kept, passes - 1, heads, passes)
    replay.last = _Root([states_of(head) for head in heads.values()])
    replay.shared = _trained_projections(heads)
    if not (replay.last.is_trained or replay.shared):
        return kept
    outputs = [*map(states_of, kept.values()), *(w.detach() for w in replay.shared)]
    outputs = list(_Replayed.apply(replay, outputs, *replay.leaves()))
    aliases = dict(zip(map(id, replay.shared), outputs[len(kept) :], strict=True))
    for (name, head), states in zip(kept.items(), outputs, strict=False):
        if isinstance(head, Projected):
            weight, bias = (aliases.get(id(tensor), tensor) for tensor in head[1:])
            kept[name] = Projected(states, weight, bias)  # type: ignore[arg-type]
        else:
            kept[name] = states
    return kept


# Unlike torch.compiler.disable, which is public, this imports no compiler.
cached_passes_not_compiled = torch._disable_dynamo(cached_passes)  # type: ignore[attr-defined]


@contextmanager
def _without_graph() -> Iterator[None]:
    """As ``no_grad``, without the warning of activation checkpointing that there is no graph."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "None of the inputs have requires_grad=True")
        yield


def _keep(kept: dict[str, Head], index: int, heads: dict[str, Head], passes: int) -> None:
    """Write the states or logits of a pass into those of all, which the first pass makes."""
    if not index:
        for name, head in heads.items():
            states = states_of(head)
            kept[name] = with_states(head, states.new_empty((passes, *states.shape)))
    check_alike({name: with_states(h, states_of(h)[0]) for name, h in kept.items()}, heads)
    for name, head in heads.items():
        states_of(kept[name])[index] = states_of(head).detach()


def _trained_projections(heads: dict[str, Head]) -> list[Tensor]:
    """Weights and biases that want a gradient, each once."""
    tensors = [t for head in heads.values() if isinstance(head, Projected) for t in head[1:]]
    trained = {id(t): t for t in tensors if t is not None and t.requires_grad}
    return list(trained.values())


class _Replay:
    """What it takes to run the passes again.

    Attributes:
        states: of the random generators before each pass but the last.
        last: the graph of the last pass, until backward goes through it.
        shared: weights and biases of projections.
    """

    def __init__(self, forward: Forward, batch: Any) -> None:
        self.forward, self.batch = forward, batch
        self.states: list[RandomState] = []
        self.last: _Root | None = None
        self.shared: list[Tensor] = []
        self._parameters: list[nn.Parameter] = []
        self._wrappers: list[tuple[DistributedDataParallel, bool]] = []
        devices = ["cpu", *(["cuda"] if torch.cuda.is_initialized() else [])]
        self._autocast = [
            (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
            for device in devices
        ]

    def see(self, module: nn.Module) -> None:
        """Note the parameters of what runs, and which wrapper synchronises their gradients."""
        self._parameters += [p for p in module.parameters(recurse=False) if p.requires_grad]
        if isinstance(module, DistributedDataParallel):
            self._wrappers.append((module, module.require_backward_grad_sync))

    def leaves(self) -> list[Tensor]:
        """What autograd takes the outputs to depend on.

        With the parameters, it comes to the replays, which say why they cannot be had, if it is
        asked for the gradients of some. A parameter with hooks is left out: they would be called
        an extra time, without a gradient.
        """
        plain = [p for p in self._parameters if type(p) is nn.Parameter and not p._backward_hooks]
        return [torch.zeros((), requires_grad=True), *plain]

    @contextmanager
    def synchronising(self, on: bool) -> Iterator[None]:
        """Gradients are synchronised in one replay only, and there if they were to be."""
        before = [module.require_backward_grad_sync for module, _ in self._wrappers]
        for module, asked in self._wrappers:
            module.require_backward_grad_sync = on and asked
        try:
            yield
        finally:
            for (module, _), value in zip(self._wrappers, before, strict=True):
                module.require_backward_grad_sync = value

    def backward(self, of_states: Sequence[Tensor], of_shared: Sequence[Tensor]) -> None:
        """Add the gradients of all passes to the parameters.

        Args:
            of_states: gradients of each head's states or logits, ``[K, B, ...]``.
            of_shared: those of the weights and biases of projections.
        """
        assert self.last is not None
        last, self.last = self.last, None
        before = RandomState.now()
        try:
            with frozen_batch_norm(self.forward):
                last.backward([gradient[-1] for gradient in of_states])
                for index, state in enumerate(self.states):
                    is_last = index == len(self.states) - 1
                    state.restore()
                    with self.synchronising(is_last):
                        root = self._run_again(self.shared if is_last else [])
                    gradients = [gradient[index] for gradient in of_states]
                    root.backward([*gradients, *(of_shared if is_last else [])])
        finally:
            before.restore()

    def _run_again(self, shared: Sequence[Tensor]) -> _Root:
        with torch.enable_grad(), ExitStack() as stack:
            for device, dtype, enabled in self._autocast:
                stack.enter_context(torch.autocast(device, dtype, enabled))
            heads = outputs_of(self.forward(self.batch))
            return _Root([*map(states_of, heads.values()), *shared])


class _Replayed(torch.autograd.Function):
    """Gives the outputs of passes, and runs the passes again where their gradient is asked for."""

    @staticmethod
    def forward(
        ctx: Any, replay: _Replay, outputs: list[Tensor], *leaves: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.replay, ctx.leaves = replay, len(leaves)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        instead = "take mode='loop' or 'stack' for that"
        if torch.is_grad_enabled():
            raise RuntimeError(f"mode 'cached' has no second derivatives: {instead}")
        if not torch.autograd._is_checkpoint_valid():
            raise RuntimeError(
                "mode 'cached' adds gradients to all parameters: call backward() without inputs; "
                f"torch.autograd.grad and backward(inputs=…) cannot be had, {instead}"
            )
        replay: _Replay = ctx.replay
        if replay.last is None:
            raise RuntimeError(
                "backward was called a second time, and mode 'cached' runs the passes again once: "
                f"call the objective again, or {instead}"
            )
        count = len(gradients) - len(replay.shared)
        replay.backward(gradients[:count], gradients[count:])
        leaves: int = ctx.leaves
        return (None,) * (2 + leaves)


class _Root:
    """The graph behind some tensors, which are not kept themselves."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._gradients: list[Tensor] = []
        self._scalar: Tensor = _Seed.apply(self._gradients, *tensors)

    @property
    def is_trained(self) -> bool:
        """Whether any of the tensors has a graph or is a parameter."""
        return self._scalar.requires_grad

    def backward(self, gradients: Sequence[Tensor]) -> None:
        """Go through the graph from these gradients of the tensors; it is gone then."""
        if self.is_trained:
            self._gradients.extend(gradients)
            self._scalar.backward()


class _Seed(torch.autograd.Function):
    """A number whose gradients with respect to tensors are put into a list later."""

    @staticmethod
    def forward(ctx: Any, gradients: list[Tensor], *tensors: Tensor) -> Tensor:
        ctx.gradients = gradients
        return tensors[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, _upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *ctx.gradients)
