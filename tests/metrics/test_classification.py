"""GLUE's scores against their definitions, and their value where there is none by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from idlib.metrics.classification import of_classes, of_values


def made_up(classes: int, seed: int, agree: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that are the label with a probability, and labels of unequal classes."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes, size=97, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    other = random.integers(classes, size=97)
    return np.where(random.random(97) < agree, labels, other), labels


def f1(predicted: np.ndarray, labels: np.ndarray, positive: int) -> float:
    p, y = predicted == positive, labels == positive
    return 2 * (p & y).sum() / (p.sum() + y.sum())


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("agree", [0.0, 0.6, 1.0])
def test_scores_of_classes(classes, agree):
    predicted, labels = made_up(classes, seed=classes, agree=agree)
    scores = of_classes(predicted, labels, classes)
    assert scores["accuracy"] == (predicted == labels).mean()
    each = [f1(predicted, labels, one) for one in range(classes)]
    if classes == 2:
        assert scores.keys() == {"accuracy", "matthews", "f1"}
        assert scores["f1"] == pytest.approx(each[1])
        assert scores["matthews"] == pytest.approx(np.corrcoef(predicted, labels)[0, 1])
    else:
        assert scores.keys() == {"accuracy", "matthews", "f1_macro"}
        assert scores["f1_macro"] == pytest.approx(np.mean(each))
        # Gorodkin 2004: the covariance of indicator vectors over their standard deviations
        p, y = (np.equal.outer(side, range(classes)).astype(float) for side in (predicted, labels))
        p, y = p - p.mean(0), y - y.mean(0)
        expected = (p * y).sum() / np.sqrt((p * p).sum() * (y * y).sum())
        assert scores["matthews"] == pytest.approx(expected)
    assert (agree == 1.0) == (scores["accuracy"] == 1.0) == (scores["matthews"] > 1 - 1e-9)


@pytest.mark.parametrize(
    ("predicted", "labels", "f1"),
    [
        ([1, 1, 1, 1], [1, 0, 0, 1], 2 / 3),  # predictions of one class
        ([0, 0, 0, 0], [1, 0, 0, 1], 0),
        ([1, 0, 0, 1], [0, 0, 0, 0], 0),  # labels of one class
        ([0, 0, 0], [0, 0, 0], 0),  # neither predicted nor there: no F1 of the positive class
        ([1, 1, 1], [1, 1, 1], 1),
        ([1], [0], 0),
    ],
)
def test_one_class_says_nothing_about_the_labels(predicted, labels, f1):
    scores = of_classes(predicted, labels, 2)
    assert scores["matthews"] == 0 and scores["f1"] == pytest.approx(f1)
    assert scores["accuracy"] == np.mean(np.equal(predicted, labels))


def test_the_macro_average_counts_classes_that_are_only_predicted():
    """Class 2 is never there: its F1 of 0 weighs as much as the others'."""
    assert of_classes([0, 0, 1, 2], [0, 0, 1, 1], 3)["f1_macro"] == pytest.approx((1 + 2 / 3) / 3)


@pytest.mark.parametrize("noise", [0.0, 0.5, 20.0])
def test_correlations(noise):
    random = np.random.default_rng(1)
    values = random.integers(0, 26, 60) / 5  # with ties, as the similarities of STS-B have
    predicted = 1e3 + 2 * values + noise * random.normal(size=60)
    scores = of_values(predicted, values)
    ranks = rankdata(predicted), rankdata(values)
    assert scores["pearson"] == pytest.approx(np.corrcoef(predicted, values)[0, 1], abs=1e-9)
    assert scores["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-9)
    assert (noise == 0) == (scores["spearman"] > 1 - 1e-9)


def test_constant_values_correlate_with_nothing():
    """SciPy gives NaN and a warning; a record holds numbers, and a constant tells nothing."""
    for predicted, values in (([0.1] * 5, range(5)), (range(5), [0.1] * 5), ([2.0], [3.0])):
        assert of_values(predicted, values) == {"pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize("score", [lambda p, y: of_classes(p, y, 2), of_values])
def test_what_has_no_score_is_refused(score):
    for predicted, labels in (([1, 0], [1]), ([], []), ([[1, 0]], [[1, 0]]), ([1, 0], 1)):
        with pytest.raises(ValueError, match="equally many of both"):
            score(predicted, labels)
    with pytest.raises(ValueError, match="predictions are not finite: number 1 is nan"):
        score([1.0, float("nan")], [1.0, 0.0])
