"""Which modules run while a function from batch to logits runs, where no model is at hand."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook


@contextmanager
def observed_modules(
    callback: Callable[[nn.Module], object], forward: Callable[..., Any] | None = None
) -> Iterator[None]:
    """Call ``callback`` with each module that runs inside the block, and its parts, before it does.

    Args:
        callback: takes a module; no module comes twice.
        forward: what will be called. Compiled code calls no hooks, and warns of them: where
            ``forward`` holds any, ``callback`` gets all modules that it holds, on entry.
    """
    seen: set[int] = set()

    def observe(module: nn.Module, _inputs: object = None) -> None:
        # Never in a trace: what is observed there would become a part of the compiled code.
        if torch.compiler.is_compiling() or id(module) in seen:
            return
        for part in module.modules():
            if id(part) not in seen:
                seen.add(id(part))
                callback(part)

    held, compiled = _held_by(forward)
    if compiled:
        for module in held:
            observe(module)
        yield
        return
    hook = register_module_forward_pre_hook(observe)
    try:
        yield
    finally:
        hook.remove()


_COMPILED = "_torchdynamo_orig_callable"  # names what torch.compile made a function from
_MOST_OBJECTS = 1000  # looked at, so that a batch or a data set held by forward costs nothing


def _held_by(forward: Any) -> tuple[list[nn.Module], bool]:
    """The modules that a callable is, closes over or names, and whether any code is compiled."""
    modules: list[nn.Module] = []
    compiled = False
    seen: set[int] = set()
    queue = deque([forward])
    while queue and len(seen) < _MOST_OBJECTS:
        item = queue.popleft()
        kind = type(item)  # isinstance would ask the item's own __class__
        if id(item) in seen or issubclass(kind, (type, ModuleType, Tensor)):
            continue
        seen.add(id(item))
        if issubclass(kind, nn.Module):
            modules.append(item)
            compiled = compiled or any(map(_is_compiled, item.modules()))
        elif issubclass(kind, FunctionType):
            compiled = compiled or hasattr(item, _COMPILED)
            queue.extend(_references(item))
        elif not issubclass(kind, (list, tuple, set, dict)) or len(item) < _MOST_OBJECTS:
            queue.extend(gc.get_referents(item))
    return modules, compiled


def _is_compiled(module: nn.Module) -> bool:
    return bool(module._compiled_call_impl) or hasattr(module.forward, _COMPILED)


def _references(function: FunctionType) -> list[Any]:
    """What a function closes over, its defaults, and the globals that its code names."""
    if hasattr(function, _COMPILED):
        return [getattr(function, _COMPILED)]
    if (function.__module__ or "").split(".")[0] == "torch":
        return []
    inner = [part for part in function.__code__.co_consts if isinstance(part, CodeType)]
    names = {name for code in (function.__code__, *inner) for name in code.co_names}
    named = [function.__globals__.get(name) for name in names]
    python_modules = [item for item in named if isinstance(item, ModuleType)]
    named += [vars(module).get(name) for module in python_modules for name in names]
    return [*(function.__closure__ or ()), function.__defaults__, function.__kwdefaults__, *named]
