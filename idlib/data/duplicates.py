"""How alike two sets of texts are: near-duplicates, counted for the data card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import MultiLabelBinarizer

from idlib.data.folding import fold

_ROWS = 1000  # texts compared at a time


def nearest(texts: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
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
    bigrams = [_bigrams(text) for text in (*texts, *others)]
    has = MultiLabelBinarizer(sparse_output=True).fit_transform(bigrams)  # 0 or 1 [N + M, bigrams]
    left, right = has[: len(texts)], has[len(texts) :]
    sizes = np.array([len(own) for own in bigrams])
    likeness = np.zeros(len(texts))
    for start in range(0, len(texts), _ROWS):
        common = (left[start : start + _ROWS] @ right.T).tocoo()
        rows, columns = start + common.row, len(texts) + common.col
        either = sizes[rows] + sizes[columns] - common.data
        np.maximum.at(likeness, rows, common.data / either)
    return likeness


def _bigrams(text: str) -> set[tuple[str, str]]:
    words = fold(text).split()
    return set(zip(["", *words], [*words, ""], strict=True)) if words else set()
