"""Corpus scores of translations by SacreBLEU, and the paired bootstrap from what records keep.

A record keeps SacreBLEU's sufficient statistics of each sentence instead of the sentences: from
them the score of any resample of the test set follows exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sacrebleu.metrics import BLEU, CHRF

ORDER = 4  # of the longest n-gram, BLEU's own
# n-grams of the hypothesis need no place: a sentence of m tokens has max(0, m − n + 1).
STATISTICS = ("length", "reference_length", *(f"correct{n}" for n in range(1, ORDER + 1)))
BOOTSTRAP_SEED = 12345  # SacreBLEU's


class Scores(NamedTuple):
    """Scores of a corpus: SacreBLEU and chrF++ (0–100), and how long hypotheses are.

    ``length_ratio`` is the tokens of the hypotheses over those of the references.
    """

    bleu: float
    chrf: float
    length_ratio: float


class Bootstrap(NamedTuple):
    """A difference in SacreBLEU, its 95 % interval over resampled sentences, and p."""

    difference: float
    low: float
    high: float
    p_value: float


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


def sentence_statistics(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
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


def from_statistics(statistics: ArrayLike) -> float:
    """SacreBLEU (0–100) of the sentences whose statistics [N, 6] these are.

    >>> statistics = sentence_statistics(["a cat sat on it"], ["a cat sat on a mat"])
    >>> round(from_statistics(statistics), 2) == round(score(["a cat sat on it"],
    ...     ["a cat sat on a mat"]).bleu, 2)
    True
    """
    return _bleu(_with_totals(_checked(statistics)).sum(axis=0))


def paired_bootstrap(
    a: Sequence[ArrayLike],
    b: Sequence[ArrayLike],
    resamples: int = 1000,
    seed: int = BOOTSTRAP_SEED,
) -> Bootstrap:
    """SacreBLEU of ``a`` minus ``b``, each a list over seeds of statistics [N, 6] of one test set.

    A resample draws the same sentences for every system; systems of several seeds enter by the
    mean of their scores. With one system a side this is the paired bootstrap test of SacreBLEU
    (Koehn 2004), with its draws and its p: how often a resampled difference, taken about its
    mean, exceeds the one found. The interval is the percentiles' of the signed difference.

    Raises:
        ValueError: a side without systems, or systems of different test sets.
    """
    sides = [[_checked(system) for system in side] for side in (a, b)]
    if not all(sides):
        raise ValueError("a paired bootstrap needs at least one system on each side")
    references = sides[0][0][:, 1]
    if not all(np.array_equal(system[:, 1], references) for side in sides for system in side):
        raise ValueError("the systems were not scored on the same test set")
    size = len(references)
    drawn = np.random.default_rng(seed).choice(size, size=(resamples, size), replace=True)
    weights = np.stack([np.bincount(row, minlength=size) for row in drawn])  # [resamples, N]
    means = [
        np.mean([_each_bleu(weights @ _with_totals(system)) for system in side], axis=0)
        for side in sides
    ]
    found = [np.mean([from_statistics(system) for system in side]) for side in sides]
    difference, resampled = float(found[0] - found[1]), means[0] - means[1]
    about_mean = np.abs(resampled) - np.abs(resampled).mean()
    exceeding = int((about_mean > abs(difference)).sum())
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Bootstrap(difference, float(low), float(high), (exceeding + 1) / (resamples + 1))


def as_curves(statistics: np.ndarray, prefix: str = "test/bleu") -> dict[str, list[float]]:
    """Statistics [N, 6] as a record's curves, one a column."""
    columns = zip(STATISTICS, statistics.T, strict=True)
    return {f"{prefix}/{name}": column.tolist() for name, column in columns}


def items_of(curves: Mapping[str, Sequence[float]], prefix: str = "test/bleu") -> np.ndarray:
    """Statistics [N, 6] from a record's curves; [0, 6] where it has none."""
    columns = [curves.get(f"{prefix}/{name}", ()) for name in STATISTICS]
    return np.array(columns, dtype=np.int64).reshape(len(STATISTICS), -1).T


def _bleu(sums: np.ndarray) -> float:
    """Score of summed statistics: length, reference length, correct 1–4, total 1–4."""
    found = BLEU.compute_bleu(
        correct=sums[2 : 2 + ORDER].tolist(),
        total=sums[2 + ORDER :].tolist(),
        sys_len=int(sums[0]),
        ref_len=int(sums[1]),
        smooth_method="exp",  # the default of corpus_score
    )
    return found.score


def _each_bleu(rows: np.ndarray) -> np.ndarray:
    return np.array([_bleu(row) for row in rows])


def _with_totals(statistics: np.ndarray) -> np.ndarray:
    """[N, 10]: the statistics and the number of n-grams of each hypothesis."""
    totals = np.maximum(0, statistics[:, :1] - np.arange(ORDER))
    return np.concatenate([statistics, totals], axis=1)


def _checked(statistics: ArrayLike) -> np.ndarray:
    found = np.asarray(statistics, dtype=np.int64)
    if found.ndim != 2 or found.shape[1] != len(STATISTICS) or not len(found):
        raise ValueError(
            f"statistics of at least one sentence are [N, {len(STATISTICS)}], not of shape "
            f"{list(found.shape)}"
        )
    return found


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if not hypotheses:
        raise ValueError("there are no hypotheses to score")
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
