"""A model that torch.compile has compiled, and what to do where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

BACKEND = "inductor"  # torch's own


class CompileError(RuntimeError):
    """The model cannot be compiled here."""


def compiled(model: nn.Module) -> nn.Module:
    """The model with its weights, compiled for the shapes that it is called with.

    The first shape gets code of its own, all others share code whose sizes are variables.
    """
    fast: nn.Module = torch.compile(model, backend=BACKEND)  # type: ignore[assignment]  # it is one where model is
    return fast


@contextmanager
def compile_errors_explained() -> Iterator[None]:
    """Turn the compiler's errors into a :class:`CompileError` that names the remedy."""
    try:
        yield
    except RuntimeError as error:
        from torch._dynamo.exc import TorchDynamoException  # which imports the compiler

        if not isinstance(error, TorchDynamoException):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CompileError(
            f"the model cannot be compiled ({type(error).__name__}: {reason}). torch.compile needs "
            "a C++ compiler (g++) on a CPU and Triton on a GPU: install it, or leave out the "
            "setting compile"
        ) from error
