"""Temperature scaling: one number, fitted on validation, that divides all logits.

It cannot change which class wins, so what remains of a gain in NLL after it is not calibration
(Guo et al. 2017).
"""

from __future__ import annotations

import math

from torch import Tensor

from idlib.method.losses import cross_entropy

LOG_BOUNDS = (math.log(0.01), math.log(100.0))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature of least mean cross-entropy of ``logits / T``.

    Args:
        logits: ``[N, C]``.
        labels: ``[N]`` int64.

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 0, 0, 1])
        >>> logits = torch.tensor([[9.0, 0.0]]).repeat(4, 1)  # says 99.99 %, is right 75 %
        >>> round(fit_temperature(logits, labels), 2)  # 9 / log(3)
        8.19
    """
    from scipy.optimize import minimize_scalar  # takes seconds to import, and is needed last

    wide = logits.double()

    def nll(log_temperature: float) -> float:
        return cross_entropy(wide / math.exp(log_temperature), labels).mean().item()

    least = minimize_scalar(nll, bounds=LOG_BOUNDS, method="bounded", options={"xatol": 1e-6})
    return math.exp(least.x)
