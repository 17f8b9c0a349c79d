"""What the page of performance shows: results of ``idlib bench``, read from their files.

A headline is the first case of a suite on a machine; the others show how it moves with the sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from idlib.costs import ArmCost, CaseCosts, Costs, StoredCosts, read_all
from idlib.report.text import NOTHING, counted, literal

MIB = 2**20
SUITES = {  # in words; what a suite's times and peaks are compared with
    "loss": ("the loss alone", "published"),
    "kernel": ("the loss by its kernel", "id-plain"),
    "sizes": ("the loss alone at other sizes", "published"),
    "malloc": ("the loss alone, freed memory given back to the system", "published"),
    "projection": ("the loss with the projection", "published"),
    "step": ("a whole update of a Transformer", "baseline"),
    "compiled": ("the same with the body compiled", "baseline"),
    "tasks": ("a whole update of a task", "baseline"),
    "sensitivity": ("sensitivity of all parameters", "backward"),
}
SAID = {  # arms of each suite: a sentence tells of the first there; what else they stand beside
    "loss": (("id", "id-plain"), "floor"),
    "kernel": (("kernel",), "floor"),
    "sizes": (("id", "id-plain"), "floor"),
    "malloc": (("id", "id-plain"), None),
    "projection": (("id-projection", "id", "id-plain"), "floor"),
    "step": (("id", "published", "rdrop", "id-plain", "id-bits", "id-cached"), "floor"),
    "compiled": (("id-graphs", "id-compiled", "id"), "floor"),
    "tasks": (("id", "published", "id-plain", "id-cached", "id-bits"), "floor"),
    "sensitivity": (("sensitivity",), None),
}


class Measured(NamedTuple):
    """A case and the results that it is of."""

    costs: Costs
    case: CaseCosts

    @property
    def machine(self) -> str:
        """Of a GPU its name, else the processor's."""
        return self.costs.origin.device


def load(folder: str) -> list[StoredCosts]:
    """All results of a folder.

    Raises:
        CostsError: one of its files is no result; the message names it.
    """
    return read_all(Path(folder))


def machines(stored: Sequence[StoredCosts]) -> pd.DataFrame:
    """A row for each file: what was measured where, when, and with what."""
    columns = ["file", "machine", "cores", "threads", "torch", "turns", "cases", "commit", "date"]
    rows = [
        (
            path.name,
            costs.origin.device,
            costs.cores,
            costs.threads,
            costs.origin.versions.get("torch", NOTHING),
            costs.repeats,
            len(costs.cases),
            costs.origin.commit or NOTHING,
            costs.origin.created[:10],
        )
        for costs, path in stored
    ]
    return pd.DataFrame(rows, columns=columns)


def cases(stored: Sequence[StoredCosts], suite: str) -> list[Measured]:
    """All cases of a suite in which something was measured."""
    return [
        Measured(costs, case)
        for costs, _ in stored
        for case in costs.cases
        if case.suite == suite and any(arm.seconds for arm in case.arms)
    ]


def headlines(stored: Sequence[StoredCosts], suite: str) -> list[Measured]:
    """The first case of a suite on each machine."""
    first: dict[str, Measured] = {}
    for measured in cases(stored, suite):
        first.setdefault(measured.machine, measured)
    return list(first.values())


def headline_table(stored: Sequence[StoredCosts], suite: str) -> pd.DataFrame:
    """Each machine's headline: time and memory of every arm, and how they compare."""
    return _table(headlines(stored, suite), suite, every_arm=True)


def cases_table(stored: Sequence[StoredCosts], suite: str) -> pd.DataFrame:
    """Every case of a suite, of its arms those that the sentences tell of."""
    return _table(cases(stored, suite), suite, every_arm=False)


def _table(shown: Sequence[Measured], suite: str, every_arm: bool) -> pd.DataFrame:
    reference, (told, other) = SUITES[suite][1], SAID[suite]
    rows = []
    machine = ""
    for measured in shown:
        case, named = measured.case, False
        for arm in case.arms:
            if arm.seconds is None or not (every_arm or arm.arm in told):
                continue
            ratio = arm.ratios.get(reference)
            row = {  # what a row shares with the one above is said there
                "machine": "" if measured.machine == machine else measured.machine,
                "case": "" if named else case.case,
                "arm": arm.title,
                "seconds": f"{arm.seconds.median:.3g}",
                f"time ÷ {reference}": "1" if arm.arm == reference else _median(arm, reference),
                "quartiles": f"{_ratio(ratio.lower)}–{_ratio(ratio.upper)}" if ratio else NOTHING,
            }
            if other is not None:
                row[f"time ÷ {other}"] = "1" if arm.arm == other else _median(arm, other)
            memory = case.memory_ratio(arm.arm, reference)
            peak = arm.peak_bytes
            row["peak, MiB"] = NOTHING if peak is None else f"{peak / MIB:,.0f}"
            row[f"peak ÷ {reference}"] = NOTHING if memory is None else _ratio(memory)
            if any(one.utilisation for one in case.arms):
                used = arm.utilisation
                row["utilisation"] = NOTHING if used is None else f"{used:.0%}"
            rows.append(row)
            machine, named = measured.machine, True
    table = pd.DataFrame(rows).fillna(NOTHING)
    # The sentences tell the sizes of a headline, and there is one for each machine.
    return table.drop(columns="case", errors="ignore") if every_arm else table


def sentences(stored: Sequence[StoredCosts], suite: str) -> str:
    """What each machine's headline says, as a list in Markdown."""
    name, reference = SUITES[suite]
    told, other = SAID[suite]
    lines = []
    for measured in headlines(stored, suite):
        case = measured.case
        arms = [arm for arm in map(case.arm, told) if arm is not None and reference in arm.ratios]
        if arms:
            said = _said(case, arms[0], reference, other)
            place = f"On {literal(measured.machine)}, {name} ({literal(sizes(case))})"
            lines.append(f"- {place}, beside {_title(case, reference)}: {said}.")
    return "\n".join(lines) or f"Nothing of {name} has been measured."


def price(stored: Sequence[StoredCosts]) -> str:
    """What an update of intra-distillation costs in baselines' updates, by machine; plain text."""
    found = [
        (measured.machine, arm.ratios["baseline"].median)
        for measured in headlines(stored, "step")
        if (arm := measured.case.arm("id")) is not None and "baseline" in arm.ratios
    ]
    if not found:
        return "What an update costs has not been measured."
    each = [f"{_ratio(ratio)} times as long on {machine}" for machine, ratio in found]
    return f"With three passes an update takes {' and '.join(each)} as one of the baseline."


def failures(stored: Sequence[StoredCosts]) -> str:
    """What could not be measured, and why, as a list in Markdown."""
    lines = [
        f"- {literal(costs.origin.device)}, {case.suite}, {literal(sizes(case))}: "
        f"{literal(arm.title)}: {literal(arm.failed)}"
        for costs, _ in stored
        for case in costs.cases
        for arm in case.arms
        if arm.failed is not None
    ]
    return "\n".join(lines) or "Every arm was measured."


def spread(stored: Sequence[StoredCosts]) -> str:
    """How far the quartiles of the ratios lie apart, over all arms of all cases."""
    widths = sorted(
        (ratio.upper - ratio.lower) / ratio.median
        for costs, _ in stored
        for case in costs.cases
        for arm in case.arms
        for name, ratio in arm.ratios.items()
        if name == SUITES[case.suite][1] and ratio.median
    )
    if not widths:
        return "There is no ratio yet."
    middle, worst = widths[len(widths) // 2], widths[int(0.95 * (len(widths) - 1))]
    return (
        f"Over {counted(len(widths), 'ratio')} the quartiles lie {middle:.0%} of the median apart "
        f"in the middle case, and {worst:.0%} or less in 95 of 100."
    )


def sizes(case: CaseCosts) -> str:
    """The sizes of a case in words; its name where it tells none."""
    words = [f"{value} {name}" for name, value in case.about.items() if isinstance(value, int)]
    words += [value for value in case.about.values() if isinstance(value, str)]
    if not case.memory_kept:
        words.append("freed memory given back")
    return ", ".join(words) or case.case


def _said(case: CaseCosts, arm: ArmCost, reference: str, other: str | None) -> str:
    ratio = arm.ratios[reference]
    text = (
        f"{arm.title} takes {_ratio(ratio.median)} of the time "
        f"(quartiles {_ratio(ratio.lower)} to {_ratio(ratio.upper)})"
    )
    memory = case.memory_ratio(arm.arm, reference)
    if memory is not None:
        text += f" and {_ratio(memory)} of the memory"
    if other is not None and other in arm.ratios:
        text += f", {_ratio(arm.ratios[other].median)} times the floor"
    return text


def _ratio(value: float) -> str:
    """Two decimals; of a small ratio two digits.

    >>> _ratio(1.5), _ratio(0.0214)
    ('1.50', '0.021')
    """
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _title(case: CaseCosts, name: str) -> str:
    return next((arm.title for arm in case.arms if arm.arm == name), name)


def _median(arm: ArmCost, reference: str) -> str:
    return _ratio(arm.ratios[reference].median) if reference in arm.ratios else NOTHING
