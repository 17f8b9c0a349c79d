"""Overlapping windows of a question and its context, and where in the text each token stands.

They are those of a fast tokenizer's ``stride``, but which characters the last token of a window
stands for depends on the one behind it, so that the whole context is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedTokenizerFast

Offsets = list[tuple[int, int]]


@dataclass(frozen=True)
class Encoded:
    """A question and its context in tokens, as an encoder takes them.

    Attributes:
        ids: tokens of the whole, the special ones included.
        types: their token types, where the tokenizer has them.
        first: the context's tokens are ``ids[first:last]``.
        last: see ``first``.
        offsets: characters of the context that each of its tokens stands for, as in a slice.
    """

    ids: list[int]
    types: list[int] | None
    first: int
    last: int
    offsets: Offsets

    def room(self, max_length: int) -> int:
        """Tokens of the context that fit into ``max_length`` beside all else."""
        return max_length - len(self.ids) + self.last - self.first

    def tokens_of(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last token of the context that touch its characters ``start:end``.

        A token can stand for more than these characters (part of a word was asked for) and
        several tokens can stand for the same character (a ligature). None where no token does.
        """
        touching = [i for i, (b, e) in enumerate(self.offsets) if b < end and e > start]
        return (touching[0], touching[-1]) if touching else None


@dataclass(frozen=True)
class Window:
    """What an encoder reads at once of a question and a part of its context.

    Attributes:
        item: index of the question.
        ids: its tokens, the special ones included.
        types: their token types, where the tokenizer has them.
        first: position of the first token of the context.
        offsets: characters of the context that each token of it stands for.
        start: position of the answer's first token; 0, the first special token, where the window
            does not hold the whole answer.
        end: position of its last token, likewise.
    """

    item: int
    ids: list[int]
    types: list[int] | None
    first: int
    offsets: Offsets
    start: int
    end: int

    @property
    def holds_answer(self) -> bool:
        """Whether the whole answer lies in this window."""
        return self.end > 0

    def characters(self, start: int, end: int) -> tuple[int, int]:
        """The context's characters between two positions of the window, both included."""
        return self.offsets[start - self.first][0], self.offsets[end - self.first][1]


def encode(
    tokenizer: PreTrainedTokenizerFast, questions: Sequence[str], contexts: Sequence[str]
) -> list[Encoded]:
    """Questions and their contexts in tokens, whatever their length.

    A character that normalisation takes away or joins to the one before it (a combining mark, a
    soft hyphen) has no token of its own; it belongs to the token before it, so that a text cut
    out between two tokens keeps it.

    Args:
        tokenizer: a fast tokenizer of transformers; only those know the characters of a token.
        questions: as many as contexts.
        contexts: one for each question.
    """
    if not questions:
        return []
    encoding = tokenizer(
        list(questions),
        list(contexts),
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,  # windows keep to the encoder's length, the whole need not
    )
    types = encoding.get("token_type_ids")
    encoded = []
    for i, ids in enumerate(encoding["input_ids"]):
        places = [place for place, part in enumerate(encoding.sequence_ids(i)) if part == 1]
        first, last = (places[0], places[-1] + 1) if places else (len(ids), len(ids))
        offsets = _whole(contexts[i], encoding["offset_mapping"][i][first:last])
        encoded.append(Encoded(ids, None if types is None else types[i], first, last, offsets))
    return encoded


def cut(
    encoded: Encoded, item: int, span: tuple[int, int], max_length: int, stride: int
) -> Iterator[Window]:
    """The windows of one question, each with the whole question and a part of the context.

    Args:
        encoded: of which :meth:`Encoded.room` is greater than ``stride``.
        item: index of the question.
        span: characters ``start:end`` of the answer in the context.
        max_length: limit of a window in tokens, the special ones and the question included.
        stride: tokens of the context that two windows after each other share.
    """
    room, length = encoded.room(max_length), len(encoded.offsets)
    answer = encoded.tokens_of(*span)

    def part(row: list[int], begin: int) -> list[int]:
        end = min(encoded.first + begin + room, encoded.last)
        return row[: encoded.first] + row[encoded.first + begin : end] + row[encoded.last :]

    for begin in range(0, max(1, length - stride), room - stride):
        offsets = encoded.offsets[begin : begin + room]
        start = end = 0
        if answer and begin <= answer[0] and answer[1] < begin + len(offsets):
            start, end = (encoded.first + token - begin for token in answer)
        ids = part(encoded.ids, begin)
        types = None if encoded.types is None else part(encoded.types, begin)
        yield Window(item, ids, types, encoded.first, offsets, start, end)


def _whole(text: str, offsets: Sequence[tuple[int, int]]) -> Offsets:
    """Offsets of tokens, each up to the next token or white space."""
    whole = []
    for place, (begin, end) in enumerate(offsets):
        following = offsets[place + 1][0] if place + 1 < len(offsets) else len(text)
        while end < following and not text[end].isspace():
            end += 1
        whole.append((begin, end))
    return whole
