"""The board: what the protocol's lines decide, in words and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape

import pandas as pd

from idlib import protocol as protocols
from idlib.metrics.items import items_of
from idlib.metrics.names import RULES, at
from idlib.protocol import Line, Protocol
from idlib.report.bootstrap import bootstrap
from idlib.report.claims import PAPER, REPORT, caveat, is_void
from idlib.report.conditions import Condition
from idlib.report.decisions import DECIDED, Decision, Outcome, by_selection, decide
from idlib.report.links import to_records
from idlib.report.metrics import Metric
from idlib.report.paired import Studies
from idlib.report.statistics import Interval
from idlib.report.tasks import report_of
from idlib.report.tasks.base import Figures, TaskReport
from idlib.report.text import NOTHING, counted, joined


@dataclass(frozen=True)
class Board:
    """The protocol's lines, and what the records of its runs decide about each.

    Args:
        records: of the registered runs, by study, cell and seed; those that may count.
        protocol: the lines and rules; by default those of this version.
        task: whose lines are shown; those of all tasks if empty. They are always decided together.
    """

    records: Studies = field(default_factory=dict)
    protocol: Protocol = field(default_factory=protocols.read)
    task: str = ""

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """What is decided about each line that is shown, by its name."""
        return {name: one for name, one in self._all.items() if self._shows(one.line)}

    @cached_property
    def _all(self) -> dict[str, Decision]:
        return decide(self.protocol, self.records)

    @cached_property
    def under_each_rule(self) -> dict[str, dict[str, Decision]]:
        """Each line's decision under each rule of selection, by line and rule."""
        found = by_selection(self.protocol, self.records)
        return {name: rules for name, rules in found.items() if name in self.decisions}

    def of_task(self, task: str) -> Board:
        """The same board, of which the lines of one task are shown."""
        return replace(self, task=task)

    def _shows(self, line: Line) -> bool:
        return self.task in ("", self.protocol.studies[line.study].task)

    @property
    def _open(self) -> int:
        """How many primary lines of all tasks are not judged yet."""
        every = self._all.values()
        return sum(one.line.primary and one.outcome == "not judged" for one in every)

    # ---- one line

    def metric(self, line: Line) -> Metric:
        """How the line's metric is written."""
        return report_of(self.protocol.studies[line.study].task).metric(
            at(line.metric, line.selection)
        )

    def written(self, line: Line, value: float, unit: bool = True) -> str:
        """A difference of the line's, or the ratio that it stands for."""
        if line.scale == "log":
            return f"× {math.exp(value):.2f}"
        return self.metric(line).difference(value, unit=unit)

    def delta(self, line: Line) -> str:
        """The smallest effect of interest, in the unit of the line's effects."""
        if line.scale == "log":
            return f"× {math.exp(line.delta):.2f}"
        metric = self.metric(line)
        return f"{metric.written(line.delta)} {metric.unit}".strip()

    def effect(self, decision: Decision) -> str:
        """The mean over seeds with its interval; empty where nothing was measured."""
        interval, line = decision.interval, decision.line
        if interval is None:
            return ""
        mean = self.written(line, interval.mean)
        if not interval.bounded:
            return mean
        low, high = (self.written(line, value, unit=False) for value in interval[1:3])
        return f"{mean} (95 % interval {low} to {high})"

    def linked(self, name: str, words: str) -> str:
        """Words in HTML that lead to the records of a line; as they are where it has none."""
        line = self.decisions[name].line
        if self.decisions[name].interval is None:
            return escape(words)
        return to_records(words, line.study, line.contrast)

    def cell(self, name: str) -> str:
        """A line's effect for a table, in HTML: the interval under the mean, linked to records."""
        mean, _, interval = self.effect(self.decisions[name]).partition(" (95 % interval ")
        if not mean:
            return NOTHING
        below = f"<br>{interval.rstrip(')')}" if interval else ""
        return f"{self.linked(name, mean)}{below}"

    def over_items(self, name: str) -> Interval | None:
        """The interval of the bootstrap crossed over seeds and test items.

        ``None`` where the records keep no items of the metric at the line's checkpoint.
        """
        decision = self.decisions[name]
        line = decision.line
        if line.scale == "log" or not decision.seeds:
            return None
        metric, cells = self.metric(line), self.records[line.study]
        systems = [
            [
                items_of(cells[cell][seed].measured.curves, metric.key, metric.items)
                for seed in decision.seeds
            ]
            for cell in line.contrast
        ]
        return bootstrap([*line.contrast.values()], systems, metric.items)

    def remarks(self, name: str) -> str:
        """What must be said beside a line's outcome; empty if nothing."""
        decision = self.decisions[name]
        notes = [decision.size, decision.reason]
        if decision.interim:
            to_come = decision.to_come and f"{counted(decision.to_come, 'seed')} to come"
            why = to_come or f"{decision.line.needs} may change"
            notes.insert(0, f"interim, {why}")
        if decision.outcome == "undecided" and (needed := decision.seeds_needed):
            notes.append(f"about {counted(needed, 'seed')} would decide it at this mean and spread")
        if decision.outcome == "undecided" and decision.line.primary and (open_ := self._open):
            counts = "counts" if open_ == 1 else "count"
            notes.append(f"{counted(open_, 'line')} not judged yet {counts} as p = 1 beside it")
        if others := self.otherwise(name):
            notes.append(others)
        return ", ".join(note for note in notes if note)

    def otherwise(self, name: str) -> str:
        """Outcomes and effects under the other rules of selection where they differ; else empty."""
        line, own = self.decisions[name].line, self.decisions[name].outcome
        different = [
            f"{found.outcome} at the {RULES[rule]} ({self.written(line, found.interval.mean)})"
            for rule, found in self.under_each_rule[name].items()
            if rule != line.selection
            and found.outcome not in (own, "not judged")
            and found.interval is not None
        ]
        return "" if own == "not judged" else ", ".join(different)

    # ---- all that are shown

    @property
    def primary(self) -> dict[str, Decision]:
        """The primary lines that are shown."""
        return {name: one for name, one in self.decisions.items() if one.line.primary}

    @property
    def decided(self) -> int:
        """How many primary lines are decided: supported, contradicted, or no effect."""
        return sum(one.outcome in DECIDED for one in self.primary.values())

    @property
    def summary(self) -> str:
        """How many primary lines have each outcome, in words."""
        outcomes = [one.outcome for one in self.primary.values()]
        each = [f"{outcomes.count(name)} {name}" for name in DECIDED if name in outcomes]
        rest = [f"{outcomes.count(name)} {name}" for name in OPEN if name in outcomes]
        interim = sum(one.interim for one in self.primary.values())
        said = (
            f"Of {counted(len(outcomes), 'primary line')} {self.decided} "
            f"{'is' if self.decided == 1 else 'are'} decided"
            f"{f' ({joined(each)})' if each else ''}."
        )
        said += f" The others: {joined(rest)}." if rest else ""
        open_ = f" {counted(interim, 'outcome')} may still change: seeds are to come."
        return f"{said}{open_ if interim else ''}"

    def table(self) -> pd.DataFrame:
        """A row for each line that is shown, with the interval under the mean, in HTML.

        The outcome stands beside the line, where a narrow screen has it too.
        """
        rows = []
        for name, one in self.decisions.items():
            rows.append(
                {
                    "line": name if one.line.primary else f"{name} (secondary)",
                    "outcome": one.outcome,
                    "effect": self.cell(name),
                    "δ": self.delta(one.line),
                    "compared": in_words(one.line),
                    "seeds": f"{len(one.seeds)} of {one.registered}",
                    "remarks": self.remarks(name),
                }
            )
        return pd.DataFrame(rows)

    def undecided(self) -> pd.DataFrame:
        """The primary lines that are not decided: why, and the seeds that it would take."""
        rows = []
        for name, one in self.primary.items():
            if one.outcome in DECIDED:
                continue
            needed = one.seeds_needed if one.outcome == "undecided" else None
            row = (name, one.outcome, one.reason or _OPEN, str(needed) if needed else NOTHING)
            rows.append(row)
        return pd.DataFrame(rows, columns=["line", "outcome", "why", "seeds it would take"])

    def published(self, name: str) -> Iterator[tuple[str, float]]:
        """What the paper and the earlier report state of a line's contrast, by source.

        Only where they state the metric itself for every cell, and the figures are not void;
        unscaled, as in records.
        """
        line = self.decisions[name].line
        report, conditions = self._report(line), self._conditions(line)
        sources: tuple[tuple[str, Figures], ...] = (
            (PAPER, report.paper),
            (REPORT, report.earlier_report),
        )
        for source, figures in sources:
            stated = figures.get(line.metric, {})
            if source == REPORT and is_void(line.claim, _smoothed(conditions)):
                continue
            if not {*conditions.values()} <= stated.keys():
                continue
            values = {cell: stated[condition] for cell, condition in conditions.items()}
            if line.scale == "log":
                values = {cell: math.log(value) for cell, value in values.items()}
            yield source, math.fsum(w * values[cell] for cell, w in line.contrast.items())

    def caveat(self, name: str) -> str:
        """What must be said beside the earlier report's figure of a line; empty if nothing."""
        line = self.decisions[name].line
        return caveat(line.claim, _smoothed(self._conditions(line)))

    def _report(self, line: Line) -> TaskReport:
        return report_of(self.protocol.studies[line.study].task)

    def _conditions(self, line: Line) -> dict[str, Condition]:
        """The conditions of a line's cells."""
        cells = self.protocol.studies[line.study].cells
        first = self._report(line).smoothings[0]
        return {
            cell: Condition(
                cells[cell].method,
                cells[cell].settings.get("round", 0),
                cells[cell].settings.get("smoothing", first),
            )
            for cell in line.contrast
        }


def _smoothed(conditions: Mapping[str, Condition]) -> bool:
    return any(condition.smoothing > 0 for condition in conditions.values())


def in_words(line: Line) -> str:
    """What a line compares, as it is shown: of logarithms the ratio that they stand for.

    >>> from idlib.protocol import Line
    >>> in_words(Line.model_construct(words="a over b, std, as the logarithm of their ratio"))
    'a over b, std, as their ratio (judged by its logarithm)'
    """
    return line.words.replace(
        "as the logarithm of their ratio", "as their ratio (judged by its logarithm)"
    )


_OPEN = "neither zero nor an effect of δ is ruled out, over all lines"
OPEN: tuple[Outcome, ...] = ("undecided", "not applicable", "not judged")
ORDER: tuple[Outcome, ...] = (*DECIDED, *OPEN)
