"""The rules of the verdicts on the claims C1–C8, by task.

A rule is a pure function of records. What differs between tasks (smoothings, the metric that the
gain is told in and its better side) is data, so that a claim is judged by one rule on all of them.
Rules and margins are fixed here, before runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from idlib.records import Record
from idlib.report.comparisons import (
    Contrast,
    Line,
    Runs,
    difference,
    in_words,
    student_minus_teacher,
)
from idlib.report.designs import DESIGNS, Design
from idlib.report.names import (
    CELLS,
    METHOD_NAMES,
    METRICS,
    NLL,
    STD,
    STD_NORMALIZED,
    Cell,
)
from idlib.report.published import CLAIMS, Claim
from idlib.report.statistics import Outcome, combine, why_not_judged

EXCESS = "excess gain, "
BALANCE = (  # beside the std, the paper's measure
    "sensitivity/cv",
    STD_NORMALIZED,
    "sensitivity/gini",
    "sensitivity/std/last",
    "sensitivity/cv/last",
)


@dataclass(frozen=True)
class Verdict:
    """What the records of one task and profile say about one claim, with the lines that say it."""

    claim: Claim
    task: str
    verdict: Outcome
    sentence: str
    lines: tuple[Line, ...]
    n_seeds: int
    profile: str
    signatures: tuple[str, ...]
    reason: str = ""

    @property
    def primary(self) -> tuple[Line, ...]:
        """The lines that the verdict is made from."""
        return tuple(line for line in self.lines if line.primary)


def verdicts(records: Iterable[Record], task: str) -> dict[str, Verdict]:
    """Judge the claims on one task, from its records of one profile.

    A missing cell, too few seeds or too small a profile give "not judged" with the reason; what
    was measured still stands in the lines. Records of other tasks are left out.

    Raises:
        ValueError: a task without rules, records of several profiles, or two records for one cell
            and seed.
    """
    if task not in DESIGNS:
        raise ValueError(f"no claim is judged on {task!r}; choose one of {', '.join(DESIGNS)}")
    design = DESIGNS[task]
    runs = Runs([record for record in records if record.asked.task == task], task)
    return {name: RULES[name](runs, design) for name in CLAIMS if task in CLAIMS[name].rules}


def _gain(claim: str) -> Callable[[Runs, Design], Verdict]:
    """C1, C2, C3 and C7: intra-distillation against its baseline, in the task's quality."""

    def rule(runs: Runs, design: Design) -> Verdict:
        return _against(runs, design, claim, [("baseline", s) for s in design.smoothings])

    return rule


def _c4(runs: Runs, design: Design) -> Verdict:
    contrasts = [
        difference(
            f"intra-distillation − baseline, teacher, s = {s:g}",
            Cell("id", 0, s),
            Cell("baseline", 0, s),
        )
        for s in design.smoothings
    ] + [student_minus_teacher("baseline", 1, s) for s in design.smoothings]
    lines = [runs.line(contrast, STD, "below", primary=True) for contrast in contrasts]
    for metric in BALANCE:
        lines += [runs.line(contrast, metric, "below") for contrast in contrasts]
    lines += [runs.line(contrast, "train/nll", None) for contrast in contrasts]
    return _verdict(runs, "C4", "the std of sensitivity changes", "by", "for ", lines)


def _c5(runs: Runs, design: Design) -> Verdict:
    lines: list[Line] = []
    failed: list[Line] = []
    for round_ in (1, 2):
        for s in design.smoothings:
            pair = [Cell(method, round_, s) for method in ("baseline", "id")]
            if round_ > 1 and not any(cell in runs.cells for cell in pair):
                continue
            baseline = student_minus_teacher("baseline", round_, s)
            id_ = student_minus_teacher("id", round_, s)
            # gain = teacher − student, so gain_id − ½ gain_baseline changes both signs
            excess = Contrast(
                f"{EXCESS}{Cell('id', round_, s).label}",
                tuple((-w, c) for w, c in id_.terms) + tuple((w / 2, c) for w, c in baseline.terms),
            )
            condition = runs.line(baseline, NLL, "below")
            open_ = condition.verdict == "not judged" and round_ == 1  # a lack is the claim's lack
            primary = condition.verdict == "supported" or open_
            line = runs.line(excess, NLL, "below", primary)
            if not line.primary and line.verdict != "not judged":
                why = "the baseline student is not shown to beat its teacher here"
                line = replace(line, verdict="not judged", reason=why)
                failed.append(condition)
            lines += [line, condition, runs.line(id_, NLL, None)]
            lines += [runs.line(c, m, None) for m in design.context for c in (baseline, id_)]
    reason = ""
    if not any(line.primary for line in lines):
        told = "; ".join(f"{line.label}: {in_words(line)}" for line in failed)
        reason = (
            f"no baseline student is shown to beat its teacher, so there is nothing to hold: {told}"
        )
    subject = (
        "what distillation takes off the test NLL after intra-distillation, minus half of what it "
        "takes off the baseline's,"
    )
    return _verdict(runs, "C5", subject, "is", "for the ", lines, reason)


def _c6(runs: Runs, design: Design) -> Verdict:
    pairs = [(Cell("id", *cell), Cell("baseline", *cell)) for cell in CELLS]
    each = [difference(a.label, a, b) for a, b in pairs]
    weight = 1 / len(pairs)
    mean = Contrast(
        "mean of the four pairs",
        tuple(term for a, b in pairs for term in ((weight, a), (-weight, b))),
    )
    lines = _gains(runs, design, (mean, *each), primary=(mean,))
    return _verdict(runs, "C6", _changes(design.quality), "by", "as the ", lines)


def _c8(runs: Runs, design: Design) -> Verdict:
    controls = [(method, design.smoothings[0]) for method in ("passes", "compute")]
    return _against(runs, design, "C8", controls)


RULES: dict[str, Callable[[Runs, Design], Verdict]] = {
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
    """Intra-distillation minus each of these methods at a smoothing, both as teachers.

    Of several data sets the mean decides, and each stands in lines of its own.
    """
    datasets = sorted({cell.dataset for cell in runs.cells}) or [""]
    primary, single = [], []
    for method, s in others:
        named = METHOD_NAMES[method]
        label = f"against {'the ' * (method == 'baseline')}{named}"
        label += f", s = {s:g}" if method == "baseline" else ""
        each = [
            difference(
                f"{label}, {dataset}", Cell("id", 0, s, dataset), Cell(method, 0, s, dataset)
            )
            for dataset in datasets
        ]
        weight = 1 / len(each)
        mean = tuple((weight * w, cell) for contrast in each for w, cell in contrast.terms)
        over = f", mean of {' and '.join(datasets)}" if len(each) > 1 else ""
        primary.append(Contrast(label + over, mean))
        single += each if len(each) > 1 else []
    lines = _gains(runs, design, [*primary, *single], primary)
    return _verdict(runs, claim, _changes(design.quality), "by", "", lines)


def _gains(
    runs: Runs,
    design: Design,
    contrasts: Sequence[Contrast],
    primary: Sequence[Contrast] | None = None,
) -> list[Line]:
    """Contrasts in the task's quality (those of ``primary`` decide), then in what stands beside."""
    primary = contrasts if primary is None else primary
    lines = [runs.line(c, design.quality, design.better, c in primary) for c in contrasts]
    for metric, better in design.beside:
        lines += [runs.line(contrast, metric, better) for contrast in contrasts]
    return lines


def _changes(metric: str) -> str:
    return f"intra-distillation changes the {METRICS[metric].name}"


def _verdict(
    runs: Runs,
    claim: str,
    subject: str,
    verb: str,
    link: str,
    lines: Sequence[Line],
    reason: str = "",
) -> Verdict:
    """Join the primary lines into a verdict and its sentence.

    The sentence reads "subject, then for each line: verb, number, link, label". ``reason`` says
    why there is nothing to judge, if so.
    """
    primary = [line for line in lines if line.primary]
    outcome = "not judged" if reason else combine([line.verdict for line in primary])
    lacking = [line.reason for line in primary if line.interval is None]
    reason = reason or "; ".join(dict.fromkeys(lacking))
    n_seeds = min((len(line.seeds) for line in primary or lines), default=0)
    if outcome == "not judged" and not reason:
        reason = why_not_judged(runs.task, runs.profile, n_seeds)
    measured = [line for line in primary if line.interval is not None]
    several = len({line.verdict for line in measured}) > 1
    parts = "; ".join(
        f"{verb} {in_words(line, line.verdict if several else '')} {link}"
        f"{line.label.removeprefix(EXCESS)}"
        for line in measured
    )
    where = f"({n_seeds} seed{'' if n_seeds == 1 else 's'}, profile {runs.profile})"
    body = f"{subject} {parts} {where}" if measured else where
    head = outcome.capitalize() + (f" ({reason})" if reason else "")
    return Verdict(
        CLAIMS[claim],
        runs.task,
        outcome,
        f"{head}{': ' if measured else ' '}{body}.",
        tuple(lines),
        n_seeds,
        runs.profile,
        tuple(sorted({s for line in lines for s in line.signatures})),
        reason,
    )
