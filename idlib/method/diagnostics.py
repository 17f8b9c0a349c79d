"""Warnings of passes that cannot do what they are run for, each with its remedy."""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

PARTS = 32  # of a batch, that passes are compared in

BATCH_NORM = (
    "mode 'stack' runs the K passes as one batch, so that they share the statistics of batch norm "
    "({layer}): use mode='loop', where each pass has its own"
)
EVALUATION = (
    "the K passes are equal, since the model is in evaluation mode: call model.train() before, or "
    "ask for passes=1"
)
NO_DROPOUT = (
    "the K passes are equal, since no dropout is active: there is nothing to distil. Give the "
    "model a dropout rate above 0 and call model.train(), or ask for passes=1"
)


class Diagnostics:
    """Gives each warning once.

    The passes are checked in the first call, and again when the model has changed between
    training and evaluation mode; every other call only asks one module for its mode.
    """

    def __init__(self) -> None:
        self._leaves: list[weakref.ref[nn.Module]] | None = None  # modules without parts that ran
        self._was_training = False
        self._given: set[str] = set()

    def __reduce__(self) -> tuple[type[Diagnostics], tuple[()]]:
        return Diagnostics, ()  # references to modules cannot be pickled; a copy checks again

    def is_due(self) -> bool:
        """Whether the next passes are to be checked."""
        if torch.compiler.is_compiling():
            return False
        if self._leaves is None:
            return True
        return bool(self._leaves) and self._is_training() != self._was_training

    def check(self, logits: Mapping[str, Tensor], modules: Sequence[nn.Module], mode: str) -> None:
        """Warn of what is wrong with these passes, at the line that called the objective.

        Args:
            logits: of the passes by head, ``[K, B, ..., C]``, or the states that make them.
            modules: those that ran.
            mode: ``stack``, ``loop`` or ``cached``.
        """
        leaves = [module for module in modules if next(module.children(), None) is None]
        self._leaves = [weakref.ref(module) for module in leaves]
        self._was_training = self._is_training()
        training = [module for module in modules if module.training]
        norms = [module for module in training if isinstance(module, _BatchNorm)]
        if norms and mode == "stack":
            self._warn(BATCH_NORM, layer=type(norms[0]).__name__)
        if not _are_equal(logits, modules):
            return
        if leaves and not self._was_training:
            self._warn(EVALUATION)
        elif not any(isinstance(module, _DropoutNd) and module.p > 0 for module in training):
            self._warn(NO_DROPOUT)

    def _is_training(self) -> bool:
        modules = (reference() for reference in self._leaves or ())
        return any(module.training for module in modules if module is not None)

    def _warn(self, message: str, **names: str) -> None:
        if message not in self._given:
            self._given.add(message)
            warnings.warn(message.format(**names), stacklevel=4)


def _are_equal(logits: Mapping[str, Tensor], modules: Sequence[nn.Module]) -> bool:
    """Whether the passes agree in half of their digits.

    The rows of a stacked batch may be computed in another order, so that equal passes differ by
    rounding, of the coarsest precision at work; dropout moves logits by far more.
    """
    parameters = (p for module in modules for p in module.parameters(recurse=False))
    at_work = {parameter.dtype for parameter in parameters if parameter.is_floating_point()}
    for z in logits.values():
        if not z.is_floating_point() or not z.numel():
            return False
        z, device = z.detach(), z.device.type
        dtypes = at_work | {z.dtype}
        if torch.is_autocast_enabled(device):
            dtypes.add(torch.get_autocast_dtype(device))
        parts = z.chunk(PARTS, 1)  # nothing of the size of the logits is made to look at them
        spread = torch.stack([(part.amax(0) - part.amin(0)).amax() for part in parts]).amax()
        largest = torch.maximum(z.amax(), -z.amin())
        if not spread <= math.sqrt(max(torch.finfo(dtype).eps for dtype in dtypes)) * largest:
            return False
    return True
