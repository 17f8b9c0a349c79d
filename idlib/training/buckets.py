"""Batches of text in a few shapes, so that compiled code and recorded updates fit many of them.

What is added never counts: positions are hidden by the batch's own masks, rows by a mask of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from idlib.method.targets import Target, as_heads
from idlib.training.trainable import Batch

ROWS = "rows_that_count"  # bool [B], in batches of texts
Targets = Callable[[Batch], "Target | Mapping[str, Target]"]


def in_bucket(batch: Batch) -> Batch:
    """A batch of texts in the shape of its bucket, and which of its rows count (``ROWS``).

    Every tensor ``[B, L]`` of integers is filled with zeros up to the length of the bucket of the
    longest of them: a token that the attention mask hides, a position that no mask counts. Rows
    are filled with copies of the last one. A batch of anything else stays as it is.

    >>> batch = in_bucket({"input_ids": torch.ones(3, 5, dtype=torch.int64)})
    >>> batch["input_ids"].shape, batch["rows_that_count"].sum()
    (torch.Size([3, 8]), tensor(3))
    """
    texts = {name for name, value in batch.items() if value.dim() == 2 and not _is_real(value)}
    if not texts or any(value.dim() > 2 for value in batch.values()):
        return batch
    rows = len(batch[next(iter(texts))])
    length = bucket(max(batch[name].shape[1] for name in texts), 8)
    filled = {}
    for name, value in batch.items():
        if name in texts:
            value = pad(value, (0, length - value.shape[1]))
        filled[name] = torch.cat([value, value[-1:].expand(bucket(rows) - rows, *value.shape[1:])])
    return {**filled, ROWS: torch.arange(bucket(rows)) < rows}


def bucket(size: int, step: int = 1) -> int:
    """The least multiple of ``step``, in at most three leading bits, that is not below ``size``.

    So no bucket is more than a fifth too large, but for what ``step`` adds, and there are four
    from one power of two to the next.

    >>> sorted({bucket(size) for size in range(1, 33)})
    [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32]
    >>> sorted({bucket(size, 8) for size in range(1, 129)})
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128]
    """
    units = -(-size // step)
    coarse = 1 << max(0, (units - 1).bit_length() - 3)
    return -(-units // coarse) * coarse * step


def of_rows_that_count(targets: Targets) -> Targets:
    """The targets of a batch, without the rows that its bucket has added."""

    def counted(batch: Batch) -> Target | Mapping[str, Target]:
        if ROWS not in batch:
            return targets(batch)
        return {name: _at(batch[ROWS], t) for name, t in as_heads(targets(batch)).items()}

    return counted


def _at(rows: Tensor, target: Target) -> Target:
    mask = rows.view(-1, *[1] * (target.labels.dim() - 1)).expand(target.labels.shape)
    return replace(target, mask=mask if target.mask is None else mask & target.mask)


def _is_real(value: Tensor) -> bool:
    return value.is_floating_point()
