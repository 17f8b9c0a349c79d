"""How far the baseline overfits, and whether the gain goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from idlib.metrics.names import BEST, RULES, SELECTIONS
from idlib.report.pages.regime.words import PRACTICE, SIGNS, grouped, not_yet, seeds_of
from idlib.report.paired import Sign, StudyRecords, gain
from idlib.report.regime import PAIRS, Point, overfit, pairs_label, slopes
from idlib.report.statistics import Interval
from idlib.report.text import NOTHING, counted

STEP = 0.1  # nats of rise, by which slopes are told


def points_of(found: StudyRecords, rule: str) -> dict[str, dict[int, Point]]:
    """How far each seed's baseline overfits and what it gains, by study; those with records."""
    measure = found.measure("C1")
    points = {study: overfit(found.cells(study), measure, rule) for study in PAIRS}
    return {study: by_seed for study, by_seed in points.items() if by_seed}


def table(found: StudyRecords) -> pd.DataFrame:
    """By sentence pairs: how far the baseline overfits, and the gain by each rule."""
    measure = found.measure("C1")
    rows = {}
    for study in PAIRS:
        gains = {r: gain(found.cells(study), measure, "id", selection=r) for r in SELECTIONS}
        known = list(overfit(found.cells(study), measure).values())
        rows[pairs_label(study)] = {
            "rise (nats)": f"{_mean(known, 0):.2f}" if known else NOTHING,
            "turns at": f"{_mean(known, 1):.0%}" if known else NOTHING,
            **{RULES[rule]: one.cell for rule, one in gains.items()},
            "seeds": seeds_of(*gains.values()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(
        columns=f"gain in {measure.metric.title}"
    )


def slope(found: StudyRecords, rule: str) -> Interval | None:
    """Points of SacreBLEU that a tenth of a nat more of rise goes with, over seeds."""
    points = [
        {seed: (point.rise / STEP, point.gain) for seed, point in by_seed.items()}
        for by_seed in points_of(found, rule).values()
    ]
    return slopes(points)


def words(found: StudyRecords) -> str:
    """How the gain goes with the baseline's rise, by each rule, as a list in Markdown."""
    metric = found.measure("C1").metric
    lines = []
    for rule in SELECTIONS:
        fitted = slope(found, rule)
        sizes = len(points_of(found, rule))
        if fitted is None:
            continue
        text = f"{metric.difference(fitted.mean, unit=True)}"
        if fitted.bounded:
            text += f" ({metric.bounds(fitted.low, fitted.high)})"
            if fitted.low <= 0 <= fitted.high:
                text += f", {SIGNS['either']},"
        lines.append(
            f"- {RULES[rule]}: {text} of gain for each {STEP:g} nats more of rise, over "
            f"{sizes} numbers of pairs and {counted(fitted.n, 'seed')} that have them all."
        )
    return "\n".join(lines) or "There are not two numbers of pairs with records yet."


def practice(found: StudyRecords) -> str:
    """What to do about the regime, chosen by validation SacreBLEU."""
    measure, points = found.measure("C1"), points_of(found, BEST)
    gains = {study: gain(found.cells(study), measure, "id") for study in points}
    known = {study: one.sign for study, one in gains.items() if one.sign != "unknown"}
    if len(known) < 2:
        return not_yet("two numbers of pairs")
    rise = {study: _mean(list(points[study].values()), 0) for study in known}
    outcomes = grouped({pairs_label(study): sign for study, sign in known.items()}, "with")
    return (
        f"{PRACTICE} {_rule(known, rise)}: with the checkpoint of best validation SacreBLEU the "
        f"gain is {outcomes}."
    )


def _rule(known: Mapping[str, Sign], rise: Mapping[str, float]) -> str:
    """What clear gains and losses say of how far a model overfits; one that is not clear, nothing.

    Args:
        known: side of zero of the gain, by study.
        rise: of the baseline's validation loss, in nats, by study.
    """
    good, bad, unclear = (
        [rise[study] for study, sign in known.items() if sign == which]
        for which in ("better", "worse", "either")
    )
    if good and bad and min(good) > max(bad):
        return (
            "use intra-distillation where the baseline's validation loss rises after its lowest by "
            f"{min(good):.2f} nats or more, and not where it rises by {max(bad):.2f} nats or less"
        )
    if good and bad:
        return "do not go by how far the model overfits"
    if unclear:
        return "whether it matters how far the model overfits cannot be said"
    if bad:
        return "that a model overfits is no reason to use intra-distillation"
    return (
        "how far the model overfits did not decide whether intra-distillation gained, from "
        f"{min(good):.2f} to {max(good):.2f} nats of rise"
    )


def answer(found: StudyRecords) -> str:
    """How far the baseline overfits, and what is gained, where it does most and least."""
    measure, points = found.measure("C1"), points_of(found, BEST)
    if not points:
        return "There are no records of both arms yet."
    text = "The baseline overfits by as much as its validation loss rises after its lowest."
    for study in dict.fromkeys((next(iter(points)), next(reversed(points)))):
        rise = _mean(list(points[study].values()), 0)
        one = gain(found.cells(study), measure, "id")
        text += f" With {pairs_label(study)} that is {rise:.2f} nats, and the gain {one.words}."
    return f"{text} The checkpoints are those of best validation SacreBLEU."


def _mean(points: Sequence[Point], place: int) -> float:
    return float(np.mean([point[place] for point in points]))
