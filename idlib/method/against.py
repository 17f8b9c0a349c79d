"""What logits are compared with, and what each of their positions counts."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from idlib.method.choices import Divergence


class Against(NamedTuple):
    """What the logits of P positions are compared with, and what each position counts.

    Attributes:
        labels: int64 ``[P]``, each a counted class where the position counts.
        task_weight: what the task loss of a position that counts adds to the sum. The weights are
            numbers, or scalars on the device of the logits, so that nothing waits for it.
        divergence_weight: the same of its divergence.
        alpha: the divergence's weight in the total.
        divergence: ``x``, ``js`` or ``kl``.
        smoothing: label smoothing.
        mask: bool ``[P]``, True where a position counts; ``None`` counts all.
        class_mask: bool ``[C]`` or ``[P, C]``, True for classes that count; ``None`` counts all.
        taught: the teacher's probabilities ``[P, C]``, or ``None``.
        padded: whether the divergence of positions that do not count is added too.
    """

    labels: Tensor
    task_weight: float | Tensor
    divergence_weight: float | Tensor
    alpha: float | Tensor
    divergence: Divergence = "x"
    smoothing: float = 0.0
    mask: Tensor | None = None
    class_mask: Tensor | None = None
    taught: Tensor | None = None
    padded: bool = False

    def at(self, places: slice | Tensor, dtype: torch.dtype) -> Against:
        """At some of the positions, what the teacher says in the type of the computation."""
        per_position = self.class_mask is not None and self.class_mask.dim() > 1
        return self._replace(
            labels=self.labels[places],
            class_mask=self.class_mask[places] if per_position else self.class_mask,  # type: ignore[index]
            taught=None if self.taught is None else self.taught[places].to(dtype),
        )
