"""The modules that run in the K passes, and the running statistics of batch norm among them.

The objective knows a function from batch to logits and no model. Which modules run is seen while
they run; of compiled code, which calls no hooks, the modules that the function holds are taken.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

Kept = list[tuple[nn.Module, str, Tensor, Tensor]]
"""Running statistics, each as its layer, its name, the buffer, and a copy of the value."""


@contextmanager
def frozen_batch_norm(forward: Callable | None = None) -> Iterator[Kept]:
    """Batch norm normalises by the batch as ever, but leaves its running statistics as they were.

    Without this, K passes would move the running statistics K times a batch (audit A11). It
    holds for every layer with running statistics that runs inside the block, in whatever model.
    The layers run as they always do, so that compiled code and activation checkpointing see no
    difference; what they moved is put back at the end.

    Args:
        forward: what will be called, so that the layers of compiled code are found too.

    Yields:
        the running statistics that will be put back, filled as the layers run.
    """
    kept: Kept = []
    try:
        with modules_at_work(lambda module: kept.extend(_statistics(module)), forward):
            yield kept
    finally:
        _put_back(kept)


def keep_in_backward(passes: Sequence[Mapping[str, Tensor]], kept: Kept) -> None:
    """Leave running statistics alone where activation checkpointing runs passes anew.

    That happens in backward, which goes through the passes from the last to the first: autograd
    takes what was computed last first. So what runs between the gradients of the last pass and
    those of the first belongs to the passes that must not count.

    Args:
        passes: the outputs of each pass by head, in the order in which they ran.
        kept: from :func:`frozen_batch_norm`, the layers that ran.
    """
    layers = list(dict.fromkeys(module for module, *_ in kept))
    held: Kept = []

    def hold(_gradient: Tensor) -> None:
        if not held:
            held.extend(part for layer in layers for part in _statistics(layer))

    def release(_gradient: Tensor) -> None:
        _put_back(held)
        held.clear()

    for index, heads in enumerate(passes if layers else ()):
        for z in heads.values():
            if z.requires_grad:
                z.register_hook(hold if index else release)


def _statistics(module: nn.Module) -> Kept:
    if not module.training:
        return []
    buffers = module.named_buffers(recurse=False)
    return [(module, n, b, b.detach().clone()) for n, b in buffers if n in STATISTICS]


def _put_back(kept: Kept) -> None:
    for module, name, buffer, value in kept:
        # Through .data: autograd holds the buffers of each pass, whose backward does not read
        # them, and would take a counted change for a mistake.
        buffer.data.copy_(value)
        if not type(module).__module__.startswith("torch."):
            setattr(module, name, buffer)  # a layer from elsewhere may have made a new one


@contextmanager
def modules_at_work(
    seen: Callable[[nn.Module], None], forward: Callable | None = None
) -> Iterator[None]:
    """Call ``seen`` with each module that runs inside the block and each part of it, before.

    Args:
        seen: takes a module; no module comes twice.
        forward: what will be called. Where it holds compiled code, ``seen`` gets all modules that
            it holds, on entry, and no hook is set: compiled code calls none, and warns of them.
    """
    known: set[int] = set()

    def note(module: nn.Module, _inputs: Any = None) -> None:
        # Never in a trace: what is noted there would become a part of the compiled code.
        if torch.compiler.is_compiling() or id(module) in known:
            return
        for part in module.modules():
            if id(part) not in known:
                known.add(id(part))
                seen(part)

    held, compiled = _held_by(forward)
    if compiled:
        for module in held:
            note(module)
        yield
        return
    hook = register_module_forward_pre_hook(note)
    try:
        yield
    finally:
        hook.remove()


_COMPILED = "_torchdynamo_orig_callable"  # what torch.compile made a function from
_REACH = 1000  # objects looked at, so that a batch or a data set held by forward costs nothing


def _held_by(forward: Any) -> tuple[list[nn.Module], bool]:
    """The modules that a callable is, closes over or names, and whether any code is compiled."""
    found: list[nn.Module] = []
    compiled, known, todo = False, set(), deque([forward])
    while todo and len(known) < _REACH:
        thing = todo.popleft()
        kind = type(thing)
        if id(thing) in known or issubclass(kind, (type, ModuleType, Tensor)):
            continue
        known.add(id(thing))
        if issubclass(kind, nn.Module):
            found.append(thing)
            compiled = compiled or any(map(_is_compiled, thing.modules()))
        elif issubclass(kind, FunctionType):
            compiled = compiled or hasattr(thing, _COMPILED)
            todo.extend(_parts(thing))
        elif not issubclass(kind, (list, tuple, set, dict)) or len(thing) < _REACH:
            todo.extend(gc.get_referents(thing))
    return found, compiled


def _is_compiled(module: nn.Module) -> bool:
    return bool(module._compiled_call_impl) or hasattr(module.forward, _COMPILED)


def _parts(function: FunctionType) -> list[Any]:
    """What a function closes over, its defaults, and the globals that its code names."""
    if hasattr(function, _COMPILED):
        return [getattr(function, _COMPILED)]
    if (function.__module__ or "").split(".")[0] == "torch":
        return []
    inner = [part for part in function.__code__.co_consts if isinstance(part, CodeType)]
    names = {name for code in (function.__code__, *inner) for name in code.co_names}
    named = [function.__globals__.get(name) for name in names]
    modules = [thing for thing in named if isinstance(thing, ModuleType)]
    named += [vars(module).get(name) for module in modules for name in names]
    return [*(function.__closure__ or ()), function.__defaults__, function.__kwdefaults__, *named]
