"""Whether an encoder knows the pieces of a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from idlib.models.encoders.errors import EncoderError

UNKNOWN = 0.01  # share of unknown pieces above which text is refused


def check_coverage(tokenizer: Any, input_ids: Iterable[Sequence[int]], what: str) -> None:
    """Refuse text that an encoder does not know.

    Args:
        tokenizer: of the encoder.
        input_ids: the pieces of each text that it is to read; special ones are not counted.
        what: the text's name, for the message.

    Raises:
        EncoderError: if more than 1 % of the pieces are unknown.
    """
    counts = Counter(chain.from_iterable(input_ids))
    unknown = counts[tokenizer.unk_token_id]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    share = unknown / max(1, sum(n for piece, n in counts.items() if piece not in special))
    if share > UNKNOWN:
        raise EncoderError(
            f"{share:.1%} of the pieces of {what} are unknown to the encoder, and more than "
            f"{UNKNOWN:.0%} is too much to learn from; choose another encoder by its name "
            "(xlm-roberta-base knows a hundred languages), or leave this text out"
        )
