"""What every task's page says about its records: which there are, the verdicts, what is glued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from idlib.records import Record
from idlib.report import outcomes
from idlib.report.comparisons import by_cell, signed
from idlib.report.names import literal


@dataclass(frozen=True)
class Page:
    """The records that a task's page rests on.

    Args:
        task: their task.
        profile: this build's.
        source: this build's.
        records: this build's, all of ``profile``.
        evidence: the committed records of a longer profile that the verdicts rest on; where there
            are none, this build's take their place.
    """

    task: str
    profile: str
    source: str
    records: Sequence[Record]
    evidence: Sequence[Record] = ()

    @property
    def judged(self) -> Sequence[Record]:
        """The records that the verdicts and the figures rest on."""
        return self.evidence or self.records

    @property
    def what(self) -> str:
        """Profile and number of seeds of what is judged."""
        return f"profile {self.judged[0].asked.profile}, {_counted(_seeds(self.judged), 'seed')}"

    @property
    def basis(self) -> str:
        """How many records are judged, and which."""
        kind = "committed records" if self.evidence else "records of this build"
        return f"{len(self.judged)} {kind} ({self.what})"

    @property
    def banner(self) -> str:
        """A warning at profile smoke, else nothing."""
        smoke = self.profile == "smoke"
        return "Built at profile smoke: the numbers of this build mean nothing. " if smoke else ""

    @property
    def introduction(self) -> str:
        """What was built, and what the verdicts rest on, in Markdown."""
        return (
            f"{self.banner}This build: profile `{self.profile}`, source {literal(self.source)}, "
            f"seeds {_seeds(self.records)}, {len(self.records)} runs. The verdicts and the figures "
            f"below rest on {self.basis}."
        )

    @cached_property
    def verdicts(self) -> dict[str, outcomes.Verdict]:
        """The verdicts of what is judged, by claim."""
        return outcomes.verdicts(self.judged, self.task)

    @cached_property
    def here(self) -> dict[str, outcomes.Verdict]:
        """The same rules on this build alone."""
        return outcomes.verdicts(self.records, self.task)

    def told(self, claim: str, metric: str) -> str:
        """The lines of a claim in one metric, each with its label, difference and outcome."""
        lines = [
            f"{line.label}: {signed(line.interval.mean, metric, unit=True)} ({line.verdict})"
            for line in self.verdicts[claim].lines
            if line.metric == metric and line.interval is not None
        ]
        return "; ".join(lines) or "nothing measured"

    def gain(self, claim: str) -> str:
        """What this build's first primary line of a claim says, with its unit."""
        lines = self.here[claim].primary
        if not lines or lines[0].interval is None:
            return "–"
        return signed(lines[0].interval.mean, lines[0].metric, unit=True)

    def past_lowest(self, methods: Sequence[str] = ("baseline",)) -> list[str]:
        """Where the validation NLL of teachers is lowest, and how far above that it ends.

        A line of what is judged for each method, smoothing and data set. A model whose lowest
        value is its last was not trained past the point where it overfits.
        """
        lines = []
        for cell, runs in by_cell(self.judged).items():
            if cell.round or cell.method not in methods:
                continue
            curves = [runs[seed].measured.curves for seed in sorted(runs)]
            steps = curves[0]["validation/step"]
            losses = [np.array(one["validation/nll"]) for one in curves]
            lowest = [steps[int(loss.argmin())] for loss in losses]
            past = sum(step < steps[-1] for step in lowest)
            rises = [loss[-1] - loss.min() for loss in losses]
            lines.append(
                f"{cell.full_label}: lowest at update {_range(lowest, ',.0f')} of "
                f"{steps[-1]:,.0f}, before the last with {past} of {_counted(losses, 'seed')}; at "
                f"the last {_range(rises, '.3f')} nats above it"
            )
        return lines

    def glued(self, beside: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Texts for other pages by key: banner, evidence, seeds, each verdict and its outcome.

        They are plain text, not Markdown; ``…_past_lowest`` joins the lines of that name.

        Args:
            beside: further keys, each with the claim and the metric that is told.
        """
        listed = ", ".join(map(str, _seeds(self.records)))
        seeds = f"seed{'s'[: len(_seeds(self.records)) > 1]} {listed}"
        texts = {
            f"{self.task}_banner": self.banner,
            f"{self.task}_evidence": self.basis,
            f"{self.task}_seeds": f"profile {self.profile}, {seeds}",
            f"{self.task}_past_lowest": "; ".join(self.past_lowest()),
        }
        for name, verdict in self.verdicts.items():
            texts[f"verdict_{name.lower()}"] = verdict.sentence
            texts[f"outcome_{name.lower()}"] = verdict.verdict
        return texts | {key: self.told(*what) for key, what in beside.items()}

    def sentences(self, here: bool = False) -> str:
        """The verdicts as a list in Markdown; ``here``: those of this build alone."""
        if here:
            return bullets(f"{name}: {v.sentence}" for name, v in self.here.items())
        told = self.verdicts.items()
        return "\n".join(f"- **{name}.** {literal(v.sentence)}" for name, v in told)


def bullets(lines: Iterable[str]) -> str:
    """Lines of plain text as a list in Markdown."""
    return "\n".join(f"- {literal(line)}" for line in lines)


def _seeds(records: Sequence[Record]) -> list[int]:
    return sorted({record.asked.seed for record in records})


def _range(values: Sequence[float], form: str) -> str:
    """The least and the largest value as text; one alone if they read the same."""
    low, high = (f"{value:{form}}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _counted(values: Sequence[object], what: str) -> str:
    return f"{len(values)} {what}{'' if len(values) == 1 else 's'}"
