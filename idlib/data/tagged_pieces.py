"""Tagged text in the word pieces of an encoder: batches, and tags from what is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from idlib.data.tagged_text import TaggedText
from idlib.metrics import spans

NO_PIECE = -1

Batch = dict[str, Tensor]


class TaggedPieces(Dataset):
    """Tagged items of one split of one language, their word pieces, and batches of them.

    The text is cut as the encoder's own was, with no regard to tokens, and a token's piece is the
    first one that holds a character of it. It may be that of several tokens (of Japanese or
    Chinese signs, or of punctuation): it is labelled as the first of them, and what is predicted
    for it goes on over the others, ``B-`` as ``I-``. A token without a piece, because
    normalisation takes it away or because it lies beyond ``max_length``, is predicted ``O``.

    Args:
        text: the items.
        names: all tags; a tag's place here is its class.
        tokenizer: a fast one.
        max_length: at most so many pieces an item, the special ones included.

    Attributes:
        ids: of each item, the same for its translations.
        input_ids: pieces of each item, special ones included.
        lengths: how many these are.
        texts: of each item.
        tokens: of each item.
        tags: gold tags of each item's tokens.
        cut: number of tokens beyond ``max_length``.
        lost: number of tokens that have no piece for another reason.
        missed: number of gold spans that the right tags at all pieces do not give, because they
            begin or end inside a piece, or have no piece.
    """

    def __init__(self, text: TaggedText, names: Sequence[str], tokenizer: Any, max_length: int):
        self.ids, self.tokens, self.tags = text.ids, text.tokens, text.tags
        self.texts = text.texts()
        encoded = tokenizer(self.texts, truncation=True, max_length=max_length)
        self._names, self._pad = tuple(names), tokenizer.pad_token_id or 0  # the mask hides it
        self.input_ids: list[list[int]] = encoded["input_ids"]
        self.lengths: list[int] = [len(ids) for ids in self.input_ids]
        # The mark of a word's start stands alone where no piece begins with it; it is no part of
        # the word, and at the start of a text its offsets are those of the word's first sign.
        used = {piece for ids in self.input_ids for piece in ids}
        blank = {piece for piece in used if not tokenizer.decode([piece]).strip()}
        self._pieces: list[list[int]] = []  # of each item's tokens
        self.cut = self.lost = self.missed = 0
        for tokens, spaces, cuts in zip(text.tokens, text.spaces, encoded.encodings, strict=True):
            sizes = (len(token) + bool(space) for token, space in zip(tokens, spaces, strict=True))
            starts = list(accumulate(sizes, initial=0))[:-1]
            places = zip(cuts.ids, cuts.offsets, strict=True)
            offsets = [(0, 0) if piece in blank else place for piece, place in places]
            self._pieces.append(first_pieces(tokens, starts, offsets))
            end = max(stop for _, stop in cuts.offsets)
            without = [s for s, p in zip(starts, self._pieces[-1], strict=True) if p == NO_PIECE]
            beyond = sum(start >= end for start in without) if cuts.overflowing else 0
            self.cut, self.lost = self.cut + beyond, self.lost + len(without) - beyond
        for index, gold in enumerate(self.tags):
            best = {piece: gold[token] for piece, token in self._labelled(index).items()}
            found = spans.count(gold, self._spread(index, best))
            self.missed += found.gold - found.correct

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """What a tagger takes and should give, padded at the end.

        Returns:
            ``input_ids`` int64 [B, L]; ``attention_mask`` int64 [B, L], 1 where there is a piece;
            ``labels`` int64 [B, L], classes; ``label_mask`` bool [B, L], True at the pieces that
            are the first of a token.
        """
        rows = torch.as_tensor(indices, dtype=torch.int64).tolist()
        shape = len(rows), max((self.lengths[i] for i in rows), default=0)
        input_ids = torch.full(shape, self._pad, dtype=torch.int64)
        attention_mask, labels = torch.zeros(2, *shape, dtype=torch.int64)
        label_mask = torch.zeros(shape, dtype=torch.bool)
        for b, i in enumerate(rows):
            input_ids[b, : self.lengths[i]] = torch.tensor(self.input_ids[i], dtype=torch.int64)
            attention_mask[b, : self.lengths[i]] = 1
            for piece, token in self._labelled(i).items():
                labels[b, piece] = self._names.index(self.tags[i][token])
                label_mask[b, piece] = True
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": labels,
            "label_mask": label_mask,
        }

    __getitems__ = batch

    def __getitem__(self, index: int) -> Batch:
        """The batch of one item without its first dimension."""
        return {name: value[0] for name, value in self.batch([index]).items()}

    def decode(self, indices: Sequence[int], predicted: Tensor) -> list[list[str]]:
        """A tag for each token of these items.

        Args:
            indices: of a batch.
            predicted: classes int64 [B, L] of its pieces.
        """
        found = []
        for index, classes in zip(indices, predicted.tolist(), strict=True):
            found.append(self._spread(index, dict(enumerate(self._names[c] for c in classes))))
        return found

    def _spread(self, index: int, tags: Mapping[int, str]) -> list[str]:
        """From the tags of an item's pieces to those of its tokens."""
        first = self._labelled(index)
        own = [tags.get(piece, spans.OUTSIDE) for piece in self._pieces[index]]  # NO_PIECE: O
        places = enumerate(zip(self._pieces[index], own, strict=True))
        return [
            tag if first.get(piece) == token else spans.continued(tag)
            for token, (piece, tag) in places
        ]

    def _labelled(self, index: int) -> dict[int, int]:
        """For each labelled piece of an item the first token that it is the piece of."""
        first: dict[int, int] = {}
        for token, piece in enumerate(self._pieces[index]):
            if piece != NO_PIECE:
                first.setdefault(piece, token)
        return first


def first_pieces(
    tokens: Sequence[str], starts: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> list[int]:
    """For each token the first piece that holds a character of it, or ``NO_PIECE``.

    Args:
        tokens: of a text.
        starts: the place of each token's first character in the text.
        offsets: the places of each piece's first character and of the one behind its last.

    >>> first_pieces(["ab", "c", "d"], [0, 2, 4], [(0, 0), (0, 1), (1, 3), (3, 4), (0, 0)])
    [1, 2, -1]
    """
    found, token = [NO_PIECE] * len(tokens), 0
    ends = [start + len(text) for start, text in zip(starts, tokens, strict=True)]
    for piece, (start, stop) in enumerate(offsets):
        if start == stop:  # a special piece
            continue
        while token < len(tokens) and ends[token] <= start:
            token += 1
        at = token
        while at < len(tokens) and starts[at] < stop:
            if found[at] == NO_PIECE and tokens[at]:
                found[at] = piece
            at += 1
    return found
