"""How many cases the properties held in, said at the end of a run of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

CASES = "cases"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Count the calls of a property that came to their end: no others, and none twice."""
    handle = getattr(getattr(item, "obj", None), "hypothesis", None)
    if handle is None:
        return (yield)
    held, inner = 0, handle.inner_test

    @functools.wraps(inner)
    def counted(*arguments: object, **named: object) -> None:
        nonlocal held
        inner(*arguments, **named)
        held += 1

    handle.inner_test = counted
    try:
        return (yield)
    finally:
        handle.inner_test = inner
        item.user_properties.append((CASES, held))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if CASES in dict(getattr(report, "user_properties", ()))
    ]
    cases = sum(dict(report.user_properties)[CASES] for report in reports)
    if reports:
        terminalreporter.write_line(f"{cases} cases of {len(reports)} properties held")
