"""How well predictions fit: accuracy, F1, Matthews correlation, Pearson and Spearman.

All are fractions or correlations of whole predictions and labels, as GLUE gives them. Where a
score has no value (no example of a class, predictions that are all the same) it is 0: what tells
nothing about the labels scores as chance does. scikit-learn does so for F1 and Matthews; scipy
gives NaN for the correlations, which no average and no record can hold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def accuracy(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Share of predictions [N] that are the label [N].

    >>> accuracy([0, 1, 1, 0], [0, 1, 0, 0])
    0.75
    """
    p, y = _both(predicted, labels)
    return float((p == y).mean())


def f1(predicted: ArrayLike, labels: ArrayLike, positive: int = 1) -> float:
    """F1 of one class: 2 TP / (2 TP + FP + FN), and 0 where it is neither predicted nor there.

    >>> f1([1, 1, 0, 0], [1, 0, 1, 0])
    0.5
    """
    p, y = (values == positive for values in _both(predicted, labels))
    there = p.sum() + y.sum()
    return float(2 * (p & y).sum() / there) if there else 0.0


def f1_macro(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Mean of the F1 of all classes that are predicted or there; each class weighs the same."""
    p, y = _both(predicted, labels)
    return float(np.mean([f1(p, y, label) for label in np.union1d(p, y)]))


def matthews(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Matthews correlation of any number of classes (Gorodkin 2004), from −1 to 1.

    The covariance of predictions and labels as indicator vectors, over their standard deviations;
    0 where either is one class throughout.

    >>> matthews([1, 0, 1, 0], [1, 0, 1, 0]), matthews([1, 1, 1, 1], [1, 0, 1, 0])
    (1.0, 0.0)
    """
    p, y = _both(predicted, labels)
    classes = np.union1d(p, y)
    indicators = (np.equal.outer(values, classes).astype(float) for values in (p, y))  # [N, C]
    return _correlation(*indicators)


def pearson(predicted: ArrayLike, values: ArrayLike) -> float:
    """Pearson correlation of predictions [N] and values [N]; 0 where either is constant."""
    return _correlation(*(side[:, None].astype(float) for side in _both(predicted, values)))


def spearman(predicted: ArrayLike, values: ArrayLike) -> float:
    """Pearson correlation of the ranks, equal values at their mean rank; 0 where one is constant.

    >>> spearman([0.1, 0.2, 5.0], [1, 2, 3])
    1.0
    """
    return pearson(*(rankdata(side) for side in _both(predicted, values)))


def of_classes(predicted: ArrayLike, labels: ArrayLike, classes: int) -> dict[str, float]:
    """All scores of predicted classes: ``accuracy``, ``matthews``, and an F1.

    The F1 is ``f1`` of class 1 where there are two classes, and ``f1_macro`` where there are more.
    """
    found = {"accuracy": accuracy(predicted, labels), "matthews": matthews(predicted, labels)}
    if classes == 2:
        return {**found, "f1": f1(predicted, labels)}
    return {**found, "f1_macro": f1_macro(predicted, labels)}


def of_values(predicted: ArrayLike, values: ArrayLike) -> dict[str, float]:
    """All scores of predicted values: ``pearson`` and ``spearman``."""
    return {"pearson": pearson(predicted, values), "spearman": spearman(predicted, values)}


def _both(predicted: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays [N].

    Raises:
        ValueError: they are of different lengths, empty, not one-dimensional or not finite.
    """
    p, y = np.asarray(predicted), np.asarray(labels)
    if p.ndim != 1 or p.shape != y.shape or not len(p):
        raise ValueError(
            f"predictions of shape {p.shape} and labels of shape {y.shape}: there must be equally "
            "many of both, in one dimension, and at least one"
        )
    for name, values in (("predictions", p), ("labels", y)):
        if not np.isfinite(values).all():
            place = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"{name} are not finite: number {place} is {values[place]}")
    return p, y


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Covariance of two samples of vectors [N, C] over their standard deviations, or 0."""
    if (a == a[0]).all() or (b == b[0]).all():
        return 0.0
    a, b = a - a.mean(0), b - b.mean(0)
    norms = np.sqrt((a * a).sum() * (b * b).sum())
    return float(np.clip((a * b).sum() / norms, -1, 1)) if norms else 0.0
