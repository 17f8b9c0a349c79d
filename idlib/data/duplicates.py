"""How alike two sets of texts are: near-duplicates, counted for the data card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from idlib.data.folding import fold

_ROWS = 1000  # texts compared at a time


def nearest(texts: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """The likeness of each text to the one of the others that is most like it.

    Likeness is the Jaccard index of the sets of word bigrams: what two folded texts have in common,
    over what either has. The ends of a text count as words, so that a text of one word has bigrams.

    Args:
        texts: those asked about, N.
        others: those they are compared with.

    Returns:
        Likeness in 0..1, float64 [N]; 0 where there is nothing to compare with, or no word.

    >>> nearest(["Press the key.", "Choose File"], ["press the Key", "Choose the file"]).tolist()
    [1.0, 0.4]
    """
    columns: dict[tuple[str, str], int] = {}
    ours, theirs = (_bigrams(t, columns) for t in (texts, others))
    width = len(columns)
    left, right = (_matrix(rows, width) for rows in (ours, theirs))
    sizes = np.asarray(right.sum(axis=1)).ravel()
    found = np.zeros(len(texts))
    for start in range(0, len(texts), _ROWS):
        part = left[start : start + _ROWS]
        common = (part @ right.T).tocoo()
        either = np.asarray(part.sum(axis=1)).ravel()[common.row] + sizes[common.col] - common.data
        np.maximum.at(found, start + common.row, common.data / either)
    return found


def _bigrams(texts: Sequence[str], columns: dict[tuple[str, str], int]) -> list[list[int]]:
    """The numbers of each text's bigrams; new bigrams get the next number."""
    rows = []
    for text in texts:
        words = fold(text).split()
        pairs = set(zip(["", *words], [*words, ""], strict=True)) if words else set()
        rows.append([columns.setdefault(pair, len(columns)) for pair in sorted(pairs)])
    return rows


def _matrix(rows: Sequence[Sequence[int]], width: int) -> sparse.csr_array:
    """One row a text, 1 for each of its bigrams, float64 [len(rows), width]."""
    indices = np.array([column for row in rows for column in row], dtype=np.int64)
    ends = np.cumsum([0, *(len(row) for row in rows)])
    return sparse.csr_array((np.ones(len(indices)), indices, ends), shape=(len(rows), width))
