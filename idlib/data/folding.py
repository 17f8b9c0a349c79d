"""The one rule by which two texts of the embedded corpus count as the same."""

from __future__ import annotations

import re
import unicodedata

_NOT_LETTERS = re.compile(r"[\W\d_]+")


def fold(text: str) -> str:
    """A text without case, digits and punctuation: NFKC, case folded, single spaces for the rest.

    >>> fold("Choose Format - Page…, tab 2!")
    'choose format page tab'
    >>> fold("Straße") == fold("STRASSE")
    True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = unicodedata.normalize("NFKC", folded)  # case folding can leave marks uncomposed
    return _NOT_LETTERS.sub(" ", folded).strip()
