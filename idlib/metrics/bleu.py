"""Corpus scores of translations by SacreBLEU, and how they follow from what records keep.

A record keeps SacreBLEU's sufficient statistics of each sentence instead of the sentences: from
them the score of any resample of the test set follows exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from idlib.metrics.items import ItemScore

ORDER = 4  # of the longest n-gram, BLEU's own
# n-grams of the hypothesis need no place: a sentence of m tokens has max(0, m − n + 1).
STATISTICS = ("length", "reference_length", *(f"correct{n}" for n in range(1, ORDER + 1)))


class Scores(NamedTuple):
    """Scores of a corpus: SacreBLEU and chrF++ (0–100), and how long hypotheses are.

    ``length_ratio`` is the tokens of the hypotheses over those of the references.
    """

    bleu: float
    chrf: float
    length_ratio: float


def score(hypotheses: Sequence[str], references: Sequence[str]) -> Scores:
    """SacreBLEU with its default signature, and chrF++, of detokenised text.

    Raises:
        ValueError: no hypotheses, or not as many references.
    """
    _check(hypotheses, references)
    bleu = BLEU(force=True).corpus_score(hypotheses, [references])
    chrf = CHRF(word_order=2).corpus_score(hypotheses, [references])
    return Scores(bleu.score, chrf.score, bleu.sys_len / bleu.ref_len if bleu.ref_len else 0.0)


def signature() -> str:
    """SacreBLEU's signature of :func:`score`'s BLEU: version, tokenisation, smoothing."""
    bleu = BLEU()
    bleu.corpus_score(["a"], [["a"]])  # it tells the signature only of a score
    return str(bleu.get_signature())


def brevity_penalty(length_ratio: float) -> float:
    """The factor of BLEU for short output: exp(1 − 1/r) for r < 1, else 1 (Papineni et al. 2002).

    >>> brevity_penalty(1.2), round(brevity_penalty(0.9), 4)
    (1.0, 0.8948)
    """
    return math.exp(min(0.0, 1 - 1 / length_ratio)) if length_ratio > 0 else 0.0


def sentence_statistics(hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.int64]:
    """The statistics of each sentence that BLEU is a function of, int64 [N, 6].

    Columns are :data:`STATISTICS`: tokens of hypothesis and reference, matched 1- to 4-grams.

    Raises:
        ValueError: no hypotheses, or not as many references.
    """
    _check(hypotheses, references)
    bleu = BLEU(effective_order=True, force=True)
    scores = (
        bleu.sentence_score(text, [other])
        for text, other in zip(hypotheses, references, strict=True)
    )
    return np.array([[s.sys_len, s.ref_len, *s.counts] for s in scores], dtype=np.int64)


def as_curves(statistics: NDArray[np.int64], prefix: str = "test/bleu") -> dict[str, list[float]]:
    """Statistics [N, 6] as a record's curves, one a column."""
    columns = zip(STATISTICS, statistics.T, strict=True)
    return {f"{prefix}/{name}": column.tolist() for name, column in columns}


def _with_totals(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns [6, N] and the numbers of n-grams of each hypothesis, [10, N]."""
    return np.concatenate([columns, np.maximum(0, columns[0] - np.arange(ORDER)[:, None])])


def _of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """SacreBLEU (0–100) of each column of sums: lengths, correct 1–4, total 1–4 [10, R]."""
    scores = [
        BLEU.compute_bleu(
            correct=column[2 : 2 + ORDER],
            total=column[2 + ORDER :],
            sys_len=column[0],
            ref_len=column[1],
            smooth_method="exp",  # the default of corpus_score
        ).score
        for column in sums.astype(np.int64).T.tolist()
    ]
    return np.array(scores)


ITEMS = ItemScore(STATISTICS, _of_sums, _with_totals)


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if not hypotheses:
        raise ValueError("there are no hypotheses to score")
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
