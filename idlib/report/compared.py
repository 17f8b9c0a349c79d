"""What is compared for each claim on a task: pure functions of records, which judge nothing.

What differs between tasks (smoothings, the metric of a gain and its better side) is data, so that
a claim is looked at in one way on all of them. Which comparison decides a claim, in which runs and
by how much, stands in the protocol (:mod:`idlib.report.decisions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from idlib.metrics.names import LAST, at
from idlib.records import Record
from idlib.report.claims import CLAIMS, Claim
from idlib.report.comparisons import Comparison, Contrast, Runs, difference, student_minus_base
from idlib.report.conditions import METHOD_NAMES, Condition, role
from idlib.report.designs import DESIGNS, Design, selection_of
from idlib.report.metrics import CV, NLL, SENSITIVITY, STD

EXCESS = "excess gain, "


@dataclass(frozen=True)
class Compared:
    """What the records of one task and profile have to say about one claim.

    Args:
        claim: the claim.
        task: the task.
        comparisons: those in the metric that the claim speaks of come first.
    """

    claim: Claim
    task: str
    comparisons: tuple[Comparison, ...]

    @property
    def main(self) -> tuple[Comparison, ...]:
        """The comparisons in the metric that the claim speaks of."""
        return tuple(comparison for comparison in self.comparisons if comparison.main)


def compare(records: Iterable[Record], task: str) -> dict[str, Compared]:
    """All that is compared on one task, from its records of one profile, by claim.

    What is missing leaves its comparisons without an interval, and says so. Records of other
    tasks are left out.

    Raises:
        ValueError: a task without a design, records of several profiles, or two records for one
            condition and seed.
    """
    if task not in DESIGNS:
        raise ValueError(f"nothing is compared on {task!r}; choose one of {', '.join(DESIGNS)}")
    design = DESIGNS[task]
    runs = Runs([record for record in records if record.asked.task == task], task)
    return {
        name: Compared(CLAIMS[name], task, tuple(COMPARED[name](runs, design)))
        for name in CLAIMS
        if name in design.claims
    }


def _gain(runs: Runs, design: Design) -> list[Comparison]:
    """C1, C2, C3 and C7: intra-distillation against its baseline, in the task's quality."""
    return _against(runs, design, [("baseline", s) for s in runs.report.smoothings])


def _balance(runs: Runs, design: Design) -> list[Comparison]:
    """C4: at the checkpoint that the protocol judges, and beside it at the last update."""
    smoothings, rule = runs.report.smoothings, selection_of(runs.report.task, "C4")
    contrasts = [
        difference(
            f"intra-distillation − baseline, {role(0)}, s = {s:g}",
            Condition("id", 0, s),
            Condition("baseline", 0, s),
        )
        for s in smoothings
    ]
    contrasts += [student_minus_base("baseline", 1, s) for s in smoothings]
    main = at(STD.key, rule)
    keys = [at(metric.key, rule) for metric in SENSITIVITY]
    keys += [at(metric.key, LAST) for metric in (STD, CV)]
    compared = [
        runs.compare(contrast, key, "below", main=key == main)
        for key in keys
        for contrast in contrasts
    ]
    return compared + [runs.compare(contrast, at("train/nll", rule)) for contrast in contrasts]


def _rounds(runs: Runs, design: Design) -> list[Comparison]:
    """C5: the loss at the checkpoint that the protocol judges."""
    compared: list[Comparison] = []
    loss = at(NLL.key, selection_of(runs.report.task, "C5"))
    for round_, s in product((1, 2), runs.report.smoothings):
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
        compared += [
            runs.compare(excess, loss, "below", main=True),
            runs.compare(baseline, loss, "below"),
            runs.compare(id_, loss),
        ]
        compared += [runs.compare(c, key) for key in design.context for c in (baseline, id_)]
    return compared


def _beyond_language(runs: Runs, design: Design) -> list[Comparison]:
    each = [
        difference(Condition("id", *at).label, Condition("id", *at), Condition("baseline", *at))
        for at in ((round_, s) for s in runs.report.smoothings for round_ in (0, 1))
    ]
    return _in_all_metrics(runs, design, each)


def _causes(runs: Runs, design: Design) -> list[Comparison]:
    first = runs.report.smoothings[0]
    return _against(runs, design, [("passes", first), ("compute", first)])


COMPARED: dict[str, Callable[[Runs, Design], list[Comparison]]] = {
    "C1": _gain,
    "C2": _gain,
    "C3": _gain,
    "C4": _balance,
    "C5": _rounds,
    "C6": _beyond_language,
    "C7": _gain,
    "C8": _causes,
}


def _against(runs: Runs, design: Design, others: Sequence[tuple[str, float]]) -> list[Comparison]:
    """Intra-distillation minus each of these methods at a smoothing, all base models.

    Of several data sets each stands by itself.
    """
    datasets = sorted({condition.dataset for condition in runs.by_condition}) or [""]
    contrasts = []
    for (method, s), dataset in product(others, datasets):
        label = f"against {METHOD_NAMES[method]}"
        if method == "baseline":
            label = f"against the baseline, s = {s:g}"
        contrast = difference(
            f"{label}, {dataset}", Condition("id", 0, s, dataset), Condition(method, 0, s, dataset)
        )
        contrasts.append(contrast if len(datasets) > 1 else replace(contrast, label=label))
    return _in_all_metrics(runs, design, contrasts)


def _in_all_metrics(runs: Runs, design: Design, contrasts: Sequence[Contrast]) -> list[Comparison]:
    """Contrasts in the task's quality, then in what stands beside."""
    compared = [runs.compare(c, design.quality, design.better, main=True) for c in contrasts]
    for key, better in design.beside:
        compared += [runs.compare(contrast, key, better) for contrast in contrasts]
    return compared
