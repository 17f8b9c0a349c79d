"""What the page of images says beside its tables."""

from __future__ import annotations

from idlib.report.results import Results


def gains_after_temperature(results: Results) -> str:
    """C6's differences in test loss before and after a temperature, as a list in Markdown."""
    compared = results.compared["C6"].comparisons
    found = {(c.label, c.metric.key): c for c in compared if c.interval is not None}
    lines = []
    for (label, key), before in found.items():
        after = found.get((label, "test/nll/calibrated"))
        if key == "test/nll" and before.interval and after and after.interval:
            first = before.metric.difference(before.interval.mean, unit=True)
            second = after.metric.difference(after.interval.mean, unit=True)
            lines.append(f"- {label}: {first}, and after temperature {second}")
    return "\n".join(lines)
