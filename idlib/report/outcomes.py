"""The rules of the verdicts on the claims C1–C8, by task.

A rule is a pure function of records. What differs between tasks (smoothings, the metric of a gain
and its better side) is data, so that a claim is judged by one rule on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from idlib.records import Record
from idlib.report.claims import CLAIMS, Claim
from idlib.report.comparisons import Comparison, Contrast, Runs, difference, student_minus_base
from idlib.report.conditions import METHOD_NAMES, Condition, role
from idlib.report.designs import DESIGNS, Design
from idlib.report.metrics import NLL, SENSITIVITY, STD
from idlib.report.statistics import Outcome, combine, why_not_judged
from idlib.report.text import counted

EXCESS = "excess gain, "


@dataclass(frozen=True)
class Verdict:
    """What the records of one task and profile say about one claim.

    Args:
        claim: the claim.
        task: the task.
        outcome: what they say.
        reason: why nothing is judged, if so.
        finding: what was measured, in words, with intervals; empty if nothing was.
        comparisons: all that was compared; those that are primary make the outcome.
        n_seeds: of the primary comparison that has fewest.
        profile: the records'.
    """

    claim: Claim
    task: str
    outcome: Outcome
    reason: str
    finding: str
    comparisons: tuple[Comparison, ...]
    n_seeds: int
    profile: str

    @property
    def primary(self) -> tuple[Comparison, ...]:
        """The comparisons that the outcome is made from."""
        return tuple(comparison for comparison in self.comparisons if comparison.primary)

    @property
    def basis(self) -> str:
        """Number of seeds, and profile."""
        return f"{counted(self.n_seeds, 'seed')}, profile {self.profile}"

    @property
    def explanation(self) -> str:
        """All but the outcome: the reason, what was measured, and what it rests on."""
        reason = f"({self.reason}) " if self.reason else ""
        return (
            f"{reason}{self.finding} ({self.basis})" if self.finding else f"{reason}({self.basis})"
        )

    @property
    def sentence(self) -> str:
        """The outcome and its explanation."""
        outcome = self.outcome.capitalize()
        if not self.finding:
            return f"{outcome} {self.explanation}."
        reason = f" ({self.reason})" if self.reason else ""
        return f"{outcome}{reason}: {self.finding} ({self.basis})."


def verdicts(records: Iterable[Record], task: str) -> dict[str, Verdict]:
    """Judge the claims on one task, from its records of one profile.

    A missing condition, too few seeds or too small a profile give "not judged" with the reason;
    what was measured still stands in the comparisons. Records of other tasks are left out.

    Raises:
        ValueError: a task without rules, records of several profiles, or two records for one
            condition and seed.
    """
    if task not in DESIGNS:
        raise ValueError(f"no claim is judged on {task!r}; choose one of {', '.join(DESIGNS)}")
    design = DESIGNS[task]
    runs = Runs([record for record in records if record.asked.task == task], task)
    return {name: RULES[name](runs, design) for name in CLAIMS if name in design.rules}


Rule = Callable[[Runs, Design], Verdict]


def _gain(claim: str) -> Rule:
    """C1, C2, C3 and C7: intra-distillation against its baseline, in the task's quality."""

    def rule(runs: Runs, design: Design) -> Verdict:
        others = [("baseline", s) for s in runs.report.smoothings]
        return _against(runs, design, claim, others)

    return rule


def _c4(runs: Runs, design: Design) -> Verdict:
    smoothings = runs.report.smoothings
    contrasts = [
        difference(
            f"intra-distillation − baseline, {role(0)}, s = {s:g}",
            Condition("id", 0, s),
            Condition("baseline", 0, s),
        )
        for s in smoothings
    ]
    contrasts += [student_minus_base("baseline", 1, s) for s in smoothings]
    compared = [
        runs.compare(contrast, metric.key, "below", primary=metric is STD)
        for metric in SENSITIVITY
        for contrast in contrasts
    ]
    compared += [runs.compare(contrast, "train/nll") for contrast in contrasts]
    return _verdict(runs, design, "C4", "the std of sensitivity changes", "by", "for ", compared)


def _c5(runs: Runs, design: Design) -> Verdict:
    compared: list[Comparison] = []
    failed: list[Comparison] = []
    for round_ in (1, 2):
        for s in runs.report.smoothings:
            pair = [Condition(method, round_, s) for method in ("baseline", "id")]
            if round_ > 1 and not any(condition in runs.by_condition for condition in pair):
                continue
            baseline = student_minus_base("baseline", round_, s)
            id_ = student_minus_base("id", round_, s)
            # gain = base model − student, so gain_id − ½ gain_baseline changes both signs
            excess = Contrast(
                f"{EXCESS}{Condition('id', round_, s).label}",
                tuple((-w, c) for w, c in id_.terms) + tuple((w / 2, c) for w, c in baseline.terms),
            )
            condition = runs.compare(baseline, NLL.key, "below")
            # Without the first student's records the claim as a whole cannot be judged.
            unknown = condition.outcome == "not judged" and round_ == 1
            primary = condition.outcome == "supported" or unknown
            held = runs.compare(excess, NLL.key, "below", primary)
            if not held.primary and held.outcome != "not judged":
                why = "the baseline student is not shown to beat its base model here"
                held = replace(held, outcome="not judged", reason=why)
                failed.append(condition)
            compared += [held, condition, runs.compare(id_, NLL.key)]
            compared += [runs.compare(c, key) for key in design.context for c in (baseline, id_)]
    reason = ""
    if not any(comparison.primary for comparison in compared):
        shown = "; ".join(f"{comparison.label}: {comparison.in_words()}" for comparison in failed)
        reason = (
            "no baseline student is shown to beat its base model, so there is nothing to hold: "
            f"{shown}"
        )
    subject = (
        "what distillation takes off the test NLL after intra-distillation, minus half of what it "
        "takes off the baseline's,"
    )
    return _verdict(runs, design, "C5", subject, "is", "for the ", compared, reason)


def _c6(runs: Runs, design: Design) -> Verdict:
    where = [(round_, s) for s in runs.report.smoothings for round_ in (0, 1)]
    each = [
        difference(Condition("id", *at).label, Condition("id", *at), Condition("baseline", *at))
        for at in where
    ]
    mean = _mean(f"mean of the {len(each)} pairs", each)
    compared = _in_all_metrics(runs, design, [mean, *each], primary=[mean])
    return _verdict(runs, design, "C6", _changes(runs, design), "by", "as the ", compared)


def _c8(runs: Runs, design: Design) -> Verdict:
    first = runs.report.smoothings[0]
    return _against(runs, design, "C8", [("passes", first), ("compute", first)])


RULES: dict[str, Rule] = {
    "C1": _gain("C1"),
    "C2": _gain("C2"),
    "C3": _gain("C3"),
    "C4": _c4,
    "C5": _c5,
    "C6": _c6,
    "C7": _gain("C7"),
    "C8": _c8,
}


def _against(
    runs: Runs, design: Design, claim: str, others: Sequence[tuple[str, float]]
) -> Verdict:
    """Intra-distillation minus each of these methods at a smoothing, all base models.

    Of several data sets the mean decides, and each stands in comparisons of its own.
    """
    datasets = sorted({condition.dataset for condition in runs.by_condition}) or [""]
    primary, single = [], []
    for method, s in others:
        label = f"against {METHOD_NAMES[method]}"
        if method == "baseline":
            label = f"against the baseline, s = {s:g}"
        each = [
            difference(
                f"{label}, {dataset}",
                Condition("id", 0, s, dataset),
                Condition(method, 0, s, dataset),
            )
            for dataset in datasets
        ]
        if len(each) == 1:
            primary.append(replace(each[0], label=label))
        else:
            primary.append(_mean(f"{label}, mean of {' and '.join(datasets)}", each))
            single += each
    compared = _in_all_metrics(runs, design, [*primary, *single], primary)
    return _verdict(runs, design, claim, _changes(runs, design), "by", "", compared)


def _mean(label: str, contrasts: Sequence[Contrast]) -> Contrast:
    share = 1 / len(contrasts)
    return Contrast(label, tuple((share * w, c) for each in contrasts for w, c in each.terms))


def _in_all_metrics(
    runs: Runs, design: Design, contrasts: Sequence[Contrast], primary: Sequence[Contrast]
) -> list[Comparison]:
    """Contrasts in the task's quality (those of ``primary`` decide), then in what stands beside."""
    compared = [runs.compare(c, design.quality, design.better, c in primary) for c in contrasts]
    for key, better in design.beside:
        compared += [runs.compare(contrast, key, better) for contrast in contrasts]
    return compared


def _changes(runs: Runs, design: Design) -> str:
    return f"intra-distillation changes the {runs.report.metric(design.quality).name}"


def _verdict(
    runs: Runs,
    design: Design,
    claim: str,
    subject: str,
    verb: str,
    link: str,
    compared: Sequence[Comparison],
    reason: str = "",
) -> Verdict:
    """Join the primary comparisons into a verdict.

    What was measured reads "subject, then for each comparison: verb, number, link, label".
    ``reason`` says why there is nothing to judge, if so.
    """
    primary = [comparison for comparison in compared if comparison.primary]
    outcomes = [comparison.outcome for comparison in primary if comparison.outcome != "context"]
    outcome = combine(outcomes)
    lacking = [comparison.reason for comparison in primary if comparison.interval is None]
    reason = reason or "; ".join(dict.fromkeys(lacking))
    n_seeds = min((len(comparison.seeds) for comparison in primary or compared), default=0)
    if outcome == "not judged" and not reason:
        reason = why_not_judged(runs.profile, n_seeds, design.seeds)
    measured = [comparison for comparison in primary if comparison.interval is not None]
    several = len({comparison.outcome for comparison in measured}) > 1
    parts = [
        f"{verb} {comparison.in_words(outcome=several)} {link}"
        f"{comparison.label.removeprefix(EXCESS)}"
        for comparison in measured
    ]
    finding = f"{subject} {'; '.join(parts)}" if parts else ""
    return Verdict(
        CLAIMS[claim],
        runs.report.task,
        outcome,
        reason,
        finding,
        tuple(compared),
        n_seeds,
        runs.profile,
    )
