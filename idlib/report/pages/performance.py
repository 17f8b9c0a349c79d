"""What the page of performance shows: results of ``idlib bench``, read from their files.

A headline is the first case of a suite on a machine; the others show how it moves with the sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from idlib.costs import ArmCost, CaseCosts, Costs, StoredCosts, read_all
from idlib.report.text import NOTHING, counted, joined, literal, span

MIB = 2**20
ABOUT = 0.2  # K times are "about" as many as are measured, if no further off than this part
BUSY = 0.5  # of what a large product of matrices reaches: from here on a GPU has little time left
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
    "tasks": (("id", "baseline", "published", "id-plain", "id-cached", "id-bits"), "floor"),
    "sensitivity": (("sensitivity",), None),
}
UPDATES = ("step", "compiled", "tasks")  # whose "floor" is K times the baseline, and no bound
BESIDE = {"id-plain": "autograd", "backward": "backward passes"}  # arms at the head of a column
TODAY = {  # what arms are called now, by what files call them that were measured before
    "floor: K × the baseline's forward and backward": "K × the baseline's forward and backward",
    "ID, passes replayed": "ID, one pass at a time in memory",
    "ID, passes replayed, projection and loss together": (
        "ID, one pass at a time in memory, projection and loss together"
    ),
    "baseline, dropout from bulk bits": "baseline, quicker dropout masks",
    "ID, dropout from bulk bits": "ID, quicker dropout masks",
}
SIZES = {  # in words; of another the name stands behind the number
    "passes": "K = {}",
    "positions": "{:,} positions",
    "classes": "{:,} classes",
    "layers": "{0} + {0} layers",
    "width": "width {:,}",
    "ffn": "inner width {:,}",
    "sentences": "{:,} sentences",
    "tokens": "{:,} tokens each",
    "vocabulary": "{:,} subwords",
}
MODES = {"stack": "passes stacked", "loop": "passes in turn"}
NETWORKS = {("images", "paper"): "ResNet-50"}  # of a task at a profile
# Commits at which sensitivity copied its values from a GPU to the processor and sorted them there.
SORTED_THERE = ("1462b794435b",)


class Measured(NamedTuple):
    """A case and the results that it is of."""

    costs: Costs
    case: CaseCosts

    @property
    def machine(self) -> str:
        """Of a GPU its name, else the processor's."""
        return self.costs.origin.device


class Price(NamedTuple):
    """What an update costs in the baseline's: time, peak memory, at which K, and where."""

    ratio: float
    memory: float | None
    passes: int
    where: str


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
    apart = _apart(shown)
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
                "case": "" if named else sizes(case, apart),
                "arm": title(arm),
                "seconds": f"{arm.seconds.median:.3g}",
                f"time ÷ {beside(suite, reference)}": _time(arm, reference),
                "quartiles": f"{_ratio(ratio.lower)}–{_ratio(ratio.upper)}" if ratio else NOTHING,
            }
            if other is not None:
                row[f"time ÷ {beside(suite, other)}"] = _time(arm, other)
            memory = case.memory_ratio(arm.arm, reference)
            peak = arm.peak_bytes
            row["peak, MiB"] = NOTHING if peak is None else f"{peak / MIB:,.0f}"
            row[f"peak ÷ {beside(suite, reference)}"] = (
                NOTHING if memory is None else _ratio(memory)
            )
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
    """What an update of intra-distillation costs, in the baseline's; plain text.

    Of each machine its first case, and of a GPU also the one whose baseline makes most use of it:
    where that is little, K passes take less than K times as long.
    """
    prices = sorted(_prices(stored), key=lambda one: -one.ratio)
    if not prices:
        return "What an update costs has not been measured."
    dearest, *others = prices
    takes = [f"{dearest.ratio:.1f} times the baseline's time {dearest.where}"]
    takes += [f"{one.ratio:.1f} times {one.where}" for one in others]
    about_k = abs(dearest.ratio / dearest.passes - 1) < ABOUT
    text = f"{'About K times: an' if about_k else 'An'} update with K = {dearest.passes} takes "
    text += joined(takes)
    if memory := [one.memory for one in prices if one.memory is not None]:
        text += f", and {span(memory, '.1f')} times the memory"
    return f"{text}."


def added(stored: Sequence[StoredCosts]) -> str:
    """What sensitivity adds to the passes that it is made of, in seconds, as a list in Markdown."""
    lines = []
    for measured in headlines(stored, "sensitivity"):
        passes, whole = (measured.case.arm(name) for name in ("backward", "sensitivity"))
        if not (passes and passes.seconds and whole and whole.seconds):
            continue
        more = whole.seconds.median - passes.seconds.median
        batches = measured.case.about.get("batches")
        of = f" of {batches} batches" if batches else ""
        lines.append(
            f"- On {literal(measured.machine)} it adds {more:.3g} s to the "
            f"{passes.seconds.median:.3g} s that the backward passes{of} take."
        )
        costs = measured.costs
        if costs.device_type == "cuda" and costs.origin.commit in SORTED_THERE:
            lines[-1] += (
                " That was with code that copied all values to the processor and sorted them "
                "there. They are sorted on the GPU now, which has not been measured."
            )
    return "\n".join(lines)


def failures(stored: Sequence[StoredCosts]) -> str:
    """What could not be measured, and why, as a list in Markdown."""
    lines = [
        f"- {literal(costs.origin.device)}, {case.suite}, {literal(sizes(case))}: "
        f"{literal(title(arm))}: {literal(arm.failed)}"
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


def sizes(case: CaseCosts, names: Collection[str] | None = None) -> str:
    """The sizes of a case in words, or those of them that are named; its name if it tells none."""
    words = [
        _size(name, value) for name, value in case.about.items() if names is None or name in names
    ]
    if not case.memory_kept:
        words.append("freed memory given back")
    return ", ".join(words) or case.case


def title(arm: ArmCost) -> str:
    """What an arm is called now, whenever it was measured."""
    return TODAY.get(arm.title, arm.title)


def beside(suite: str, arm: str) -> str:
    """An arm that others stand beside, for the head of a column.

    >>> beside("loss", "floor"), beside("step", "floor"), beside("kernel", "id-plain")
    ('floor', '(K × baseline)', 'autograd')
    """
    if arm == "floor" and suite in UPDATES:
        return "(K × baseline)"
    return BESIDE.get(arm, arm)


def _prices(stored: Sequence[StoredCosts]) -> list[Price]:
    """Of each machine the first case with ID beside the baseline, and the busiest at its K."""
    by_machine: dict[str, list[tuple[Measured, Price]]] = {}
    for measured in (*cases(stored, "step"), *cases(stored, "tasks")):
        case, passes = measured.case, measured.case.about.get("passes")
        arm = case.arm("id")
        if arm is not None and "baseline" in arm.ratios and isinstance(passes, int):
            memory = case.memory_ratio("id", "baseline")
            price = Price(arm.ratios["baseline"].median, memory, passes, _where(measured))
            by_machine.setdefault(measured.machine, []).append((measured, price))
    found: list[Price] = []
    for there in by_machine.values():
        first = there[0][1]
        alike = [pair for pair in there if pair[1].passes == first.passes]
        _, busiest = max(alike, key=lambda pair: _used(pair[0].case) or 0.0)  # the first on a CPU
        found += [first] if busiest is first else [first, busiest]
    return found


def _where(measured: Measured) -> str:
    """The machine of a case, and what of a GPU its baseline uses."""
    costs, case = measured
    if costs.device_type == "cpu":
        return f"on a CPU ({measured.machine})"
    used = _used(case)
    if used is None:
        return f"on a GPU ({measured.machine})"
    does = "keeps busy" if used >= BUSY else "uses little"
    named = f"{measured.machine}, {_network(case)}, {100 * used:.0f} % utilisation"
    return f"on a GPU that the baseline {does} ({named})"


def _network(case: CaseCosts) -> str:
    """What is updated in a case, in a word or two."""
    if case.suite == "step":
        return "Transformer"
    task, profile = (str(case.about.get(name, NOTHING)) for name in ("task", "profile"))
    return NETWORKS.get((task, profile), f"{task} at profile {profile}")


def _used(case: CaseCosts) -> float | None:
    """The utilisation of a GPU in the baseline's updates."""
    arm = case.arm("baseline")
    return arm.utilisation if arm else None


def _apart(shown: Sequence[Measured]) -> set[str] | None:
    """The sizes in which some cases differ; ``None``, for all, where they differ in none."""
    names = {name for measured in shown for name in measured.case.about}
    abouts = [measured.case.about for measured in shown]
    return {n for n in names if len({about.get(n) for about in abouts}) > 1} or None


def _size(name: str, value: int | str) -> str:
    if isinstance(value, str):
        return f"profile {value}" if name == "profile" else MODES.get(value, value)
    return SIZES[name].format(value) if name in SIZES else f"{value:,} {name}"


def _said(case: CaseCosts, arm: ArmCost, reference: str, other: str | None) -> str:
    ratio = arm.ratios[reference]
    text = (
        f"{title(arm)} takes {_ratio(ratio.median)} times the time "
        f"(quartiles {_ratio(ratio.lower)} to {_ratio(ratio.upper)})"
    )
    memory = case.memory_ratio(arm.arm, reference)
    if memory is not None:
        text += f" and {_ratio(memory)} times the memory"
    if other is not None and other in arm.ratios:
        than = "of K × the baseline's" if case.suite in UPDATES else "times the floor"
        text += f"; the time is {_ratio(arm.ratios[other].median)} {than}"
    if (used := _used(case)) is not None:
        text += f"; the baseline's utilisation is {100 * used:.0f} %"
    return text


def _ratio(value: float) -> str:
    """Two decimals; of a small ratio two digits.

    >>> _ratio(1.5), _ratio(0.0214)
    ('1.50', '0.021')
    """
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _title(case: CaseCosts, name: str) -> str:
    return next((title(arm) for arm in case.arms if arm.arm == name), name)


def _time(arm: ArmCost, reference: str) -> str:
    if arm.arm == reference:
        return "1"
    return _ratio(arm.ratios[reference].median) if reference in arm.ratios else NOTHING
