"""The rules that choose a checkpoint: whether the outcome depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from idlib.metrics.names import BEST, LAST, LOSS, RULES
from idlib.report.pages.regime.words import (
    PRACTICE,
    SIGNS,
    grouped,
    not_yet,
    seeds_of,
    unsigned,
)
from idlib.report.paired import Cells, Gain, Measure, StudyRecords, gain
from idlib.report.regime import FALL, PAIRS, SMOOTHINGS, coincide, pairs_label
from idlib.report.text import NOTHING, joined


class Setting(NamedTuple):
    """One setting of the page: its records, measure, and the two cells that are compared."""

    cells: Cells
    measure: Measure
    baseline: str
    ours: str


def settings(found: StudyRecords) -> dict[str, Setting]:
    """Every setting of the page, by its label."""
    bleu, nll, images = found.measure("C1"), found.measure("C6"), found.cells("images")
    each = {
        f"{pairs_label(study)}, {measure.metric.name}": Setting(
            found.cells(study), measure, "baseline", "id"
        )
        for measure in (bleu, FALL)
        for study in PAIRS
    }
    for (base, ours), smoothing in zip(SMOOTHINGS.items(), ("s = 0", "s = 0.1"), strict=True):
        each[f"images, {smoothing}, {nll.metric.name}"] = Setting(images, nll, base, ours)
    return each


def by_rule(found: StudyRecords) -> dict[str, dict[str, Gain]]:
    """The gain of intra-distillation by each rule of selection, for every setting of the page."""
    return {
        label: {rule: gain(one.cells, one.measure, one.ours, one.baseline, rule) for rule in RULES}
        for label, one in settings(found).items()
    }


def coinciding(found: StudyRecords) -> set[str]:
    """The settings in which the score and the loss choose the same checkpoint of every run."""
    each = settings(found).items()
    return {label for label, one in each if coincide(one.cells, (one.baseline, one.ours))}


def table(found: StudyRecords) -> pd.DataFrame:
    """The gain by each rule with its 95 % interval, beside δ and the number of seeds."""
    rows = {}
    for label, gains in by_rule(found).items():
        measure = gains[BEST].measure
        unit = measure.metric.unit
        rows[f"{label} ({unit})"] = {
            **{RULES[rule]: one.cell for rule, one in gains.items()},
            "δ": NOTHING if measure.delta is None else measure.metric.written(measure.delta),
            "seeds": seeds_of(*gains.values()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="gain in")


def apart(gains: Mapping[str, Gain]) -> Gain:
    """By how much the gain chosen by the loss is the larger one, seed by seed."""
    return gains[LOSS].minus(gains[BEST])


def depends(gains: Mapping[str, Gain]) -> bool | None:
    """Whether the gain is shown to depend on the rule; ``None`` with too few seeds to tell.

    By the paired difference of the two rules: that one interval holds zero and another does not is
    no difference between them.
    """
    sign = apart(gains).sign
    return None if sign == "unknown" else sign != "either"


def outcomes_by_rule(gains: Mapping[str, Gain], same: bool = False) -> str:
    """On which side of zero the gain is by each rule, in words.

    Args:
        gains: by rule.
        same: whether the score and the loss choose the same checkpoint, which counts once.
    """
    if same:
        both = f"{RULES[BEST]} and {RULES[LOSS]}, which choose the same checkpoint here"
        return grouped({both: gains[BEST].sign}, "by") + (
            f"; {SIGNS[gains[LAST].sign]} by {RULES[LAST]}"
        )
    if len({one.sign for one in gains.values()}) == 1:
        return f"{SIGNS[gains[BEST].sign]} by all three rules"
    return grouped({RULES[rule]: one.sign for rule, one in gains.items()}, "by")


def words(found: StudyRecords) -> str:
    """On which side of zero the gain is by each rule, for every setting, as a list in Markdown."""
    lines, same = [], coinciding(found)
    for label, gains in by_rule(found).items():
        if all(one.interval is None for one in gains.values()):
            continue
        line = f"- {label}: {outcomes_by_rule(gains, label in same)}."
        between = apart(gains)
        if between.sign in ("better", "worse"):
            more = "larger" if between.sign == "better" else "smaller"
            line += (
                f" Chosen by the loss the gain itself is {more} than chosen by the score, by "
                f"{unsigned(between)}."
            )
        elif between.sign == "either" and label not in same:
            line += (
                f" The gain chosen by the loss minus that by the score, {between.words}, is "
                f"{SIGNS[between.sign]}."
            )
        lines.append(line)
    return "\n".join(lines) or "There are no records of both arms yet."


def practice(found: StudyRecords) -> str:
    """What to do about selection, where the score and the loss choose different checkpoints."""
    same = coinciding(found)
    judged = {
        label.rpartition(", test")[0]: gains
        for label, gains in by_rule(found).items()
        if label not in same and gains[BEST].measure != FALL and depends(gains) is not None
    }
    if not judged:
        return not_yet("both arms, chosen by different rules")
    differ = [label for label, gains in judged.items() if depends(gains)]
    if not differ:
        each = joined(f"{apart(gains).words} on {label}" for label, gains in judged.items())
        return (
            f"{PRACTICE} name the rule that chose the checkpoints. Whether the gain depends on it "
            f"cannot be said: by the loss minus by the score it is {each}, not clear of zero."
        )
    signs = {label: judged[label][BEST].sign for label in differ}
    one = len(set(signs.values())) == 1
    by_score = f"{SIGNS[signs[differ[0]]]} there" if one else grouped(signs, "on")
    return (
        f"{PRACTICE} choose the checkpoint of both arms by the metric that you report, and name "
        f"the rule, since the gain depends on it on {joined(differ)}: chosen by that metric "
        f"the gain is {by_score}."
    )


def answer(found: StudyRecords) -> str:
    """What is gained by two of the rules in translation, and whether it depends on the rule."""
    name = f"{pairs_label('translation')}, {found.measure('C1').metric.name}"
    gains = by_rule(found)[name]
    if all(one.interval is None for one in gains.values()):
        return f"There are no records of both arms with {pairs_label('translation')} yet."
    first = (
        f"With {pairs_label('translation')} the gain in SacreBLEU is {gains[LOSS].words} where the "
        f"validation loss chooses the checkpoint, as in the published recipes, and "
        f"{gains[BEST].words} where validation SacreBLEU does."
    )
    if depends(gains) is None:
        return first
    between = apart(gains).words
    if not depends(gains):
        return (
            f"{first} Whether it depends on the rule cannot be said: the difference, {between}, is "
            "not clear of zero."
        )
    return (
        f"{first} It depends on the rule: the difference is {between}; the gain is "
        f"{outcomes_by_rule(gains)}."
    )
