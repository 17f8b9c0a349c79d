"""Intervals against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from idlib.report.statistics import p_value, t_interval

VALUES = [-0.041, -0.052, -0.013, -0.044, -0.038]


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_interval_and_p_are_those_of_scipys_test(level):
    test = stats.ttest_1samp(VALUES, 0)
    interval = t_interval(VALUES, level)
    assert interval[1:3] == pytest.approx(tuple(test.confidence_interval(level)), rel=1e-12)
    assert interval.mean == pytest.approx(np.mean(VALUES)) and interval.n == 5
    assert p_value(VALUES) == pytest.approx(test.pvalue, rel=1e-9)
    assert t_interval(VALUES) == t_interval(VALUES, 0.95)


def test_t_interval_by_hand():
    # mean 2, s = 1, standard error 1/sqrt(3); the table's t for 2 degrees of freedom is 4.303
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.high - interval.mean == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)


def test_one_value_has_no_interval_and_no_p():
    interval = t_interval([0.3])
    assert not interval.bounded and interval.mean == 0.3 and interval.n == 1
    assert math.isnan(p_value([0.3]))


def test_equal_values_have_an_interval_of_no_width():
    assert t_interval([-1.0, -1.0]) == (-1.0, -1.0, -1.0, 2)
    assert (p_value([-1.0, -1.0]), p_value([0.0, 0.0])) == (0.0, 1.0)
    nearly = t_interval([27.3 - 24.1, 27.4 - 24.2, 27.5 - 24.3])  # of which scipy's test warns
    assert nearly[:3] == pytest.approx((3.2, 3.2, 3.2))


@pytest.mark.parametrize("function", [t_interval, p_value])
@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf], [[1.0]]])
def test_bad_values_are_refused(function, bad):
    with pytest.raises(ValueError, match="value"):
        function(bad)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_bad_level_is_refused(level):
    with pytest.raises(ValueError, match=f"level is {level}"):
        t_interval(VALUES, level)
