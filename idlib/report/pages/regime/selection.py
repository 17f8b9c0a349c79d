"""The rules that choose a checkpoint: whether the outcome depends on them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from idlib.metrics.names import BEST, LOSS, RULES, SELECTIONS
from idlib.report.pages.regime.words import (
    PRACTICE,
    SIGNS,
    grouped,
    not_yet,
    seeds_of,
    unsigned,
)
from idlib.report.paired import Gain, StudyRecords, gain
from idlib.report.regime import FALL, PAIRS, SMOOTHINGS, pairs_label
from idlib.report.text import NOTHING, joined


def by_rule(found: StudyRecords) -> dict[str, dict[str, Gain]]:
    """The gain of intra-distillation by each rule of selection, for every setting of the page."""
    bleu, nll, images = found.measure("C1"), found.measure("C6"), found.cells("images")
    settings = {
        f"{pairs_label(study)}, {measure.metric.name}": (found.cells(study), measure, "baseline")
        for measure in (bleu, FALL)
        for study in PAIRS
    }
    for base, smoothing in zip(SMOOTHINGS, ("s = 0", "s = 0.1"), strict=True):
        settings[f"images, {smoothing}, {nll.metric.name}"] = (images, nll, base)
    return {
        label: {rule: gain(cells, measure, SMOOTHINGS[base], base, rule) for rule in SELECTIONS}
        for label, (cells, measure, base) in settings.items()
    }


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


def depends(gains: Mapping[str, Gain]) -> bool | None:
    """Whether the rules give different outcomes; ``None`` where one of them has no interval."""
    signs = {one.sign for one in gains.values()}
    return None if "unknown" in signs else len(signs) > 1


def outcomes_by_rule(gains: Mapping[str, Gain]) -> str:
    """On which side of zero the gain is by each rule, in words."""
    if len({one.sign for one in gains.values()}) == 1:
        return f"{SIGNS[gains[BEST].sign]} by all three rules"
    return grouped({RULES[rule]: one.sign for rule, one in gains.items()}, "by")


def words(found: StudyRecords) -> str:
    """Whether the outcome depends on the rule, for every setting, as a list in Markdown."""
    lines = []
    for label, gains in by_rule(found).items():
        if all(one.interval is None for one in gains.values()):
            continue
        line = f"- {label}: {outcomes_by_rule(gains)}."
        apart = gains[LOSS].minus(gains[BEST])
        if apart.sign in ("better", "worse"):
            more = "larger" if apart.sign == "better" else "smaller"
            line += (
                f" Chosen by the loss the gain itself is {more} than chosen by the score, by "
                f"{unsigned(apart)}."
            )
        lines.append(line)
    return "\n".join(lines) or "There are no records of both arms yet."


def practice(found: StudyRecords) -> str:
    """What to do about selection."""
    judged = {
        label.rpartition(", test")[0]: gains
        for label, gains in by_rule(found).items()
        if gains[BEST].measure != FALL and depends(gains) is not None
    }
    if not judged:
        return not_yet("both arms")
    differ = [label for label, gains in judged.items() if depends(gains)]
    if not differ:
        outcomes = grouped({label: gains[BEST].sign for label, gains in judged.items()}, "on")
        return (
            f"{PRACTICE} any of the three rules will do, for the outcome is the same by each of "
            f"them: the gain is {outcomes}."
        )
    signs = {label: judged[label][BEST].sign for label in differ}
    one = len(set(signs.values())) == 1
    by_score = f"{SIGNS[signs[differ[0]]]} there" if one else grouped(signs, "on")
    return (
        f"{PRACTICE} choose the checkpoint of both arms by the metric that you report, and name "
        f"the rule, since the outcome depends on it on {joined(differ)}: chosen by that metric "
        f"the gain is {by_score}."
    )


def answer(found: StudyRecords) -> str:
    """What is gained by two of the rules in translation, and whether the outcome depends on it."""
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
    how = "depends on" if depends(gains) else "does not depend on"
    return f"{first} The outcome {how} the rule: the gain is {outcomes_by_rule(gains)}."
