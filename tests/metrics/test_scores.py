"""The scores of classification equal scikit-learn's and scipy's, and have a value everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from idlib.metrics import classification


def made_up(classes: int, seed: int, agree: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that are the label with a probability, and labels of unequal classes."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes, size=97, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    other = random.integers(classes, size=97)
    return np.where(random.random(97) < agree, labels, other), labels


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("agree", [0.0, 0.6, 1.0])
def test_scores_of_classes_are_those_of_scikit_learn(classes, agree):
    for seed in range(5):
        predicted, labels = made_up(classes, seed, agree)
        expected = {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "matthews": metrics.matthews_corrcoef(labels, predicted),
        }
        if classes == 2:
            expected["f1"] = metrics.f1_score(labels, predicted)
        else:
            expected["f1_macro"] = metrics.f1_score(labels, predicted, average="macro")
        found = classification.of_classes(predicted, labels, classes)
        assert found == pytest.approx(expected, abs=1e-12)
        assert (agree == 1.0) == (found["accuracy"] == 1.0)


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [
        ([1, 1, 1, 1], [1, 0, 0, 1]),  # predictions of one class
        ([0, 0, 0, 0], [1, 0, 0, 1]),
        ([1, 0, 0, 1], [0, 0, 0, 0]),  # labels of one class
        ([0, 0, 0], [0, 0, 0]),  # neither predicted nor there: no F1 of the positive class
        ([1, 1, 1], [1, 1, 1]),
        ([1], [0]),
    ],
)
@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn's
def test_one_class_scores_as_scikit_learn_says(predicted, labels):
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "f1": metrics.f1_score(labels, predicted, zero_division=0.0),
        "matthews": metrics.matthews_corrcoef(labels, predicted),
    }
    assert expected["matthews"] == 0
    assert classification.of_classes(predicted, labels, 2) == pytest.approx(expected)
    macro = metrics.f1_score(labels, predicted, average="macro", zero_division=0.0)
    assert classification.f1_macro(predicted, labels) == pytest.approx(macro)


def test_the_macro_average_counts_classes_that_are_only_predicted():
    """Class 2 is never there: its F1 of 0 weighs as much as the others'."""
    predicted, labels = [0, 0, 1, 2], [0, 0, 1, 1]
    assert classification.f1_macro(predicted, labels) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert classification.f1_macro(predicted, labels) == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro")
    )


@pytest.mark.parametrize("noise", [0.0, 0.5, 20.0])
def test_correlations_are_those_of_scipy(noise):
    random = np.random.default_rng(1)
    for _ in range(5):
        values = random.integers(0, 26, 60) / 5  # with ties, as the similarities of STS-B have
        predicted = 1e3 + 2 * values + noise * random.normal(size=60)
        found = classification.of_values(predicted, values)
        assert found["pearson"] == pytest.approx(stats.pearsonr(predicted, values)[0], abs=1e-9)
        assert found["spearman"] == pytest.approx(stats.spearmanr(predicted, values)[0], abs=1e-9)
        assert (noise == 0) == (found["spearman"] > 1 - 1e-9)


def test_correlations_ignore_scale_and_ranks_ignore_shape():
    random = np.random.default_rng(2)
    a, b = random.normal(size=(2, 40))
    assert classification.pearson(3 * a - 7, b) == pytest.approx(classification.pearson(a, b))
    assert classification.pearson(-a, b) == pytest.approx(-classification.pearson(a, b))
    assert classification.spearman(np.exp(a), b**3) == pytest.approx(classification.spearman(a, b))
    assert abs(classification.pearson(np.exp(a), b**3) - classification.pearson(a, b)) > 1e-2


def test_of_two_classes_matthews_is_their_pearson_correlation():
    predicted, labels = made_up(2, seed=3)
    assert classification.matthews(predicted, labels) == pytest.approx(
        classification.pearson(predicted, labels)
    )


@pytest.mark.parametrize("score", [classification.pearson, classification.spearman])
def test_constant_values_correlate_with_nothing(score):
    """scipy gives NaN and a warning; a record holds numbers, and a constant tells nothing."""
    for predicted, values in (([0.1] * 5, range(5)), (range(5), [0.1] * 5), ([2.0], [3.0])):
        assert score(predicted, values) == 0.0


SCORES = (
    classification.accuracy,
    classification.f1,
    classification.f1_macro,
    classification.matthews,
    classification.pearson,
    classification.spearman,
)


@pytest.mark.parametrize("score", SCORES)
def test_what_has_no_score_is_refused(score):
    for predicted, labels in (([1, 0], [1]), ([], []), ([[1, 0]], [[1, 0]]), ([1, 0], 1)):
        with pytest.raises(ValueError, match="equally many of both"):
            score(predicted, labels)
    with pytest.raises(ValueError, match="predictions are not finite: number 1 is nan"):
        score([1.0, float("nan")], [1.0, 0.0])
