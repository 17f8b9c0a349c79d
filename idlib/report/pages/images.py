"""What the page of images says beside its tables."""

from __future__ import annotations

from idlib.report.results import Results


def causes_beside(results: Results) -> str:
    """What C8 compares, in accuracy and in NLL after a temperature, as a list in Markdown."""
    told: dict[str, list[str]] = {}
    for c in results.compared["C8"].comparisons:
        if not c.main and c.interval is not None:
            told.setdefault(c.label, []).append(f"{c.metric.name} {c.in_words()}")
    if not told:
        return "There are no controls among the records to compare with."
    head = (
        "C8 is judged in NLL alone. The same contrasts in what is not registered and decides "
        f"nothing, intra-distillation minus the control ({results.label}):"
    )
    return "\n".join([head, "", *(f"- {label}: {', '.join(of)}" for label, of in told.items())])


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
