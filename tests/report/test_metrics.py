"""How metrics are named and written."""

from __future__ import annotations

import pytest

from idlib.report.metrics import CV, GINI, NLL, STD, STD_NORMALIZED, Metric, percentage
from idlib.report.tasks import REPORTS, report_of

ACCURACY = percentage("test/accuracy", "test accuracy")


@pytest.mark.parametrize(
    ("metric", "value", "written", "difference"),
    [
        (NLL, 0.0451, "0.045", "+0.045 nats"),
        (NLL, -0.0451, "-0.045", "−0.045 nats"),
        (ACCURACY, 0.01234, "1.23", "+1.23 points"),
        (STD, -3.04e-4, "-0.304", "−0.304 × 10⁻³"),
        (STD_NORMALIZED, 2e-9, "2.00e-06", "+2.00e−06 × 10⁻³"),
        (CV, 0.5, "0.50", "+0.50"),
        (GINI, 0.5, "0.500", "+0.500"),
    ],
)
def test_values_and_differences_are_written_in_the_metrics_unit(metric, value, written, difference):
    assert metric.written(value) == written
    assert metric.difference(value, unit=True) == difference
    assert difference.startswith(metric.difference(value))


def test_an_interval_is_written_by_its_ends():
    assert ACCURACY.bounds(-0.01, 0.025) == "−1.00 to +2.50"


def test_a_title_is_the_name_with_its_unit():
    assert (NLL.title, GINI.title) == ("test NLL (nats)", "Gini coefficient of sensitivity")


def test_a_task_writes_its_own_metrics_those_of_all_and_those_by_language():
    tagging = report_of("tagging")
    assert tagging.metric("test/nll").title == "test NLL on English (nats)"
    assert report_of("images").metric("test/nll") is NLL
    for key, name in (
        ("test/f1/zh-CN", "F1 in zh-CN"),
        ("test/f1_parallel/de", "F1 on parallel items in de"),
    ):
        assert tagging.metric(key) == percentage(key, name)
    # a loss is no percentage, and exact match is no score of tagging
    for key in ("test/nll/de", "test/em/de", "something/else"):
        assert tagging.metric(key) == Metric(key, key)
    assert report_of("answering").metric("test/em/de").title == "exact match in de (points)"


@pytest.mark.parametrize("task", REPORTS)
def test_a_task_lists_every_metric_that_it_shows(task):
    report = report_of(task)
    keys = {*report.compared, *report.by_round, *report.curves}
    keys |= {key for key, _ in report.swept} | {*report.paper, *report.earlier_report}
    assert {key for key in keys if report.metric(key).name == key} == set()
    own = [metric.key for metric in report.metrics]
    assert len(own) == len(set(own))
