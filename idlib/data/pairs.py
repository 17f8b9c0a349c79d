"""Sentence pairs in word pieces, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor
from torch.utils.data import Dataset

from idlib.data.vocabulary import EOS, PAD

Batch = dict[str, Tensor]


class Pairs(Dataset):
    """Sentence pairs, their pieces, and batches of them.

    Args:
        sources: texts.
        targets: their translations.
        source_ids: pieces of each source, ``EOS`` at the end, no ``BOS``.
        target_ids: pieces of each target, likewise.

    Attributes:
        lengths: pieces of the longer side of each pair, ``EOS`` included.

    >>> pairs = Pairs(["a b"], ["c d e"], [[5, 6, EOS]], [[7, 8, 9, EOS]])
    >>> pairs.batch([0])["decoder_input_ids"]
    tensor([[2, 7, 8, 9]])
    """

    def __init__(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        source_ids: Sequence[list[int]],
        target_ids: Sequence[list[int]],
    ):
        self.sources, self.targets = list(sources), list(targets)
        self.source_ids, self.target_ids = list(source_ids), list(target_ids)
        both = zip(self.source_ids, self.target_ids, strict=True)
        self.lengths: list[int] = [max(len(source), len(target)) for source, target in both]

    def __len__(self) -> int:
        return len(self.source_ids)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """What an encoder and a decoder take and should give, padded at the end with ``PAD``.

        Returns:
            ``input_ids`` int64 [B, S]; ``attention_mask`` int64 [B, S], 1 where there is a piece;
            ``labels`` int64 [B, T]; ``decoder_input_ids`` int64 [B, T], the labels moved one to
            the right after ``EOS``, with which fairseq starts decoding; ``label_mask`` bool [B, T].
        """
        rows = torch.as_tensor(indices, dtype=torch.int64).tolist()
        input_ids, source_mask = _padded([self.source_ids[i] for i in rows])
        labels, label_mask = _padded([self.target_ids[i] for i in rows])
        started = torch.full_like(labels, PAD)
        started[:, :1] = EOS
        started[:, 1:] = labels[:, :-1].masked_fill(~label_mask[:, 1:], PAD)
        return {
            "input_ids": input_ids,
            "attention_mask": source_mask.long(),
            "decoder_input_ids": started,
            "labels": labels,
            "label_mask": label_mask,
        }

    __getitems__ = batch

    def __getitem__(self, index: int) -> Batch:
        """The batch of one pair without its first dimension."""
        return {name: value[0] for name, value in self.batch([index]).items()}


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as int64 [B, L], and bool [B, L], where they have a value."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    mask = torch.arange(max(map(len, rows), default=0)) < lengths[:, None]  # [B, L]
    padded = torch.full(mask.shape, PAD, dtype=torch.int64)
    padded[mask] = torch.tensor(list(chain.from_iterable(rows)), dtype=torch.int64)
    return padded, mask
