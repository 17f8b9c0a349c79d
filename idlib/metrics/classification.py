"""GLUE's scores of predicted classes and values, by scikit-learn and SciPy.

Where a score has no value (no example of a class, predictions that are all the same) it is 0:
what tells nothing about the labels scores as chance does. SciPy gives NaN for such correlations,
which no average and no record can hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def of_classes(predicted: ArrayLike, labels: ArrayLike, classes: int) -> dict[str, float]:
    """Accuracy, Matthews correlation and F1 of predicted classes [N], for labels [N].

    The F1 is ``f1`` of class 1 where there are two classes, and where there are more ``f1_macro``,
    the mean of the F1 of all classes that are predicted or there.

    Raises:
        ValueError: the two are of different lengths, empty, not one-dimensional or not finite.

    >>> of_classes([1, 1, 0, 0], [1, 0, 1, 0], classes=2)
    {'accuracy': 0.5, 'matthews': 0.0, 'f1': 0.5}
    """
    from sklearn.metrics import accuracy_score, f1_score

    p, y = _checked(predicted, labels)
    name, average = ("f1", "binary") if classes == 2 else ("f1_macro", "macro")
    return {
        "accuracy": float(accuracy_score(y, p)),
        "matthews": 0.0 if _one_is_constant(p, y) else _matthews(p, y),
        name: float(f1_score(y, p, average=average, zero_division=0.0)),
    }


def of_values(predicted: ArrayLike, values: ArrayLike) -> dict[str, float]:
    """Pearson and Spearman correlation of predicted values [N] and values [N].

    Raises:
        ValueError: as :func:`of_classes`.

    >>> of_values([0.0, 1.0, 5.0, 2.0], [0, 1, 3, 2])["spearman"]
    1.0
    """
    from scipy.stats import pearsonr, spearmanr  # takes seconds to import, as scikit-learn does

    p, y = _checked(predicted, values)
    if _one_is_constant(p, y):
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(pearsonr(p, y).statistic),
        "spearman": float(spearmanr(p, y).statistic),
    }


def _matthews(p: NDArray[Any], y: NDArray[Any]) -> float:
    """Matthews correlation of any number of classes (Gorodkin 2004), from −1 to 1.

    The covariance of predictions and labels as indicator vectors, over their standard deviations.
    scikit-learn's differs in the last digit from what the committed records hold.
    """
    classes = np.union1d(p, y)
    a, b = (np.equal.outer(values, classes).astype(float) for values in (p, y))  # [N, C]
    a, b = a - a.mean(0), b - b.mean(0)
    return float(np.clip((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), -1, 1))


def _checked(predicted: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
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


def _one_is_constant(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return bool((a == a[0]).all() or (b == b[0]).all())
