"""Tagged text in the subwords of an encoder: batches, and tags from what is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from idlib.data.batching import Batch, mask, padded
from idlib.metrics import spans

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedTokenizerFast

NO_SUBWORD = -1


@dataclass(frozen=True)
class TaggedItem:
    """A text in tokens (words, or characters), each of them tagged.

    Attributes:
        id: translations of one item have the same.
        tokens: at least one.
        spaces: for each token, whether a space follows it.
        tags: for each token its tag, ``O``, ``B-…`` or ``I-…``.
    """

    id: str
    tokens: list[str]
    spaces: list[bool]
    tags: list[str]

    @property
    def starts(self) -> list[int]:
        """The place of each token's first character in the text."""
        pairs = zip(self.tokens[:-1], self.spaces[:-1], strict=True)
        sizes = (len(token) + bool(space) for token, space in pairs)
        return list(accumulate(sizes, initial=0))

    @property
    def text(self) -> str:
        """The text that tokens and spaces make; no space stands after the last token."""
        pairs = zip(self.tokens, [*self.spaces[:-1], False], strict=True)
        return "".join(f"{token} " if space else token for token, space in pairs)


class TaggedSubwords:
    """Tagged items of one split of one language, their subwords, and batches of them.

    The text is cut as the encoder's own was, with no regard to tokens, and a token's subword is the
    first one that holds a character of it. It may be that of several tokens (of Japanese or
    Chinese characters, or of punctuation): it is labelled as the first of them, and what is
    predicted for it goes on over the others, ``B-`` as ``I-``. A token without a subword, because
    normalisation takes it away or because it lies beyond ``max_length``, is predicted ``O``.

    Args:
        items: in the order of their source.
        names: all tags; a tag's place here is its class.
        tokenizer: a fast one.
        max_length: limit of an item in subwords, the special tokens included.

    Attributes:
        ids: of each item, the same for its translations.
        input_ids: subwords of each item, special tokens included.
        lengths: how many these are.
        texts: of each item.
        tokens: of each item.
        tags: gold tags of each item's tokens.
        cut: number of tokens beyond ``max_length``.
        lost: number of tokens that have no subword for another reason.
        missed: number of gold spans that the right tags at all subwords do not give, because they
            begin or end inside a subword, or have no subword.
    """

    def __init__(
        self,
        items: Sequence[TaggedItem],
        names: Sequence[str],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
    ) -> None:
        self.ids = [item.id for item in items]
        self.tokens = [item.tokens for item in items]
        self.tags = [item.tags for item in items]
        self.texts = [item.text for item in items]
        encoded = tokenizer(self.texts, truncation=True, max_length=max_length)
        self._names, self._pad = tuple(names), tokenizer.pad_token_id or 0  # the mask hides it
        self.input_ids: list[list[int]] = encoded["input_ids"]
        self.lengths = [len(ids) for ids in self.input_ids]
        # The mark of a word's start stands alone where no subword begins with it; it is no part of
        # the word, and at the start of a text its offsets are those of the word's first character.
        used = {subword for ids in self.input_ids for subword in ids}
        blank = {subword for subword in used if not str(tokenizer.decode([subword])).strip()}
        self._subwords: list[list[int]] = []  # of each item's tokens: positions in input_ids
        self.cut = self.lost = self.missed = 0
        for item, encoding in zip(items, encoded.encodings, strict=True):
            places = zip(encoding.ids, encoding.offsets, strict=True)
            offsets = [(0, 0) if subword in blank else place for subword, place in places]
            positions = first_subwords(item.tokens, item.starts, offsets)
            self._subwords.append(positions)
            end = max(stop for _, stop in encoding.offsets)
            pairs = zip(item.starts, positions, strict=True)
            without = [start for start, position in pairs if position == NO_SUBWORD]
            beyond = sum(start >= end for start in without) if encoding.overflowing else 0
            self.cut, self.lost = self.cut + beyond, self.lost + len(without) - beyond
        for index, gold in enumerate(self.tags):
            right = {position: gold[token] for position, token in self._labelled(index).items()}
            counts = spans.count(gold, self._spread(index, right))
            self.missed += counts.gold - counts.correct

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """What a tagger takes and should give, padded at the end.

        Returns:
            ``input_ids`` int64 [B, L]; ``attention_mask`` int64 [B, L], 1 where there is a token;
            ``labels`` int64 [B, L], classes; ``label_mask`` bool [B, L], True at the subwords that
            are the first of a token.
        """
        input_ids = padded([self.input_ids[i] for i in indices], self._pad)
        labels, label_mask = torch.zeros_like(input_ids), torch.zeros_like(input_ids).bool()
        for row, i in enumerate(indices):
            for position, token in self._labelled(i).items():
                labels[row, position] = self._names.index(self.tags[i][token])
                label_mask[row, position] = True
        return {
            "input_ids": input_ids,
            "attention_mask": mask([self.lengths[i] for i in indices]).long(),
            "labels": labels,
            "label_mask": label_mask,
        }

    def decode(self, indices: Sequence[int], predicted: Tensor) -> list[list[str]]:
        """A tag for each token of these items.

        Args:
            indices: of a batch.
            predicted: classes int64 [B, L] of its subwords.
        """
        return [
            self._spread(index, {place: self._names[c] for place, c in enumerate(classes)})
            for index, classes in zip(indices, predicted.tolist(), strict=True)
        ]

    def _spread(self, index: int, tags: Mapping[int, str]) -> list[str]:
        """From the tags of an item's subwords, by position, to those of its tokens."""
        first, spread = self._labelled(index), []
        for token, position in enumerate(self._subwords[index]):
            tag = tags.get(position, spans.OUTSIDE)  # O for NO_SUBWORD
            spread.append(tag if first.get(position) == token else spans.continued(tag))
        return spread

    def _labelled(self, index: int) -> dict[int, int]:
        """For each labelled position of an item the first token whose subword stands there."""
        first: dict[int, int] = {}
        for token, position in enumerate(self._subwords[index]):
            if position != NO_SUBWORD:
                first.setdefault(position, token)
        return first


def first_subwords(
    tokens: Sequence[str], starts: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> list[int]:
    """For each token the position of the first subword that holds a character of it.

    ``NO_SUBWORD`` where none does.

    Args:
        tokens: of a text.
        starts: the place of each token's first character in the text.
        offsets: the places of each subword's first character and of the one behind its last.

    >>> first_subwords(["ab", "c", "d"], [0, 2, 4], [(0, 0), (0, 1), (1, 3), (3, 4), (0, 0)])
    [1, 2, -1]
    """
    positions, token = [NO_SUBWORD] * len(tokens), 0
    ends = [start + len(text) for start, text in zip(starts, tokens, strict=True)]
    for position, (start, stop) in enumerate(offsets):
        if start == stop:  # a special token
            continue
        while token < len(tokens) and ends[token] <= start:
            token += 1
        at = token
        while at < len(tokens) and starts[at] < stop:
            if positions[at] == NO_SUBWORD and tokens[at]:
                positions[at] = position
            at += 1
    return positions
