"""Whether the baseline has converged, so that there is something to regularise."""

from __future__ import annotations

import pandas as pd

from idlib.report.pages.regime.words import PRACTICE, not_yet, seeds_of
from idlib.report.paired import Gain, StudyRecords, gain
from idlib.report.regime import ROOM
from idlib.report.text import joined

UNDERFITS, NOT_CLEAR, NOT_KNOWN = "more than δ: underfits", "not clear of δ", "not known"


def more_updates(found: StudyRecords) -> dict[str, Gain]:
    """What K times the updates add to the baseline, by study."""
    return {
        study: gain(found.cells(study), found.measure(line), "compute")
        for study, line in ROOM.items()
    }


def reading(one: Gain) -> str:
    """What a gain from more updates says of the regime.

    Raises:
        ValueError: a measure without δ.
    """
    interval, delta = one.interval, one.measure.delta
    if delta is None:
        raise ValueError(f"{one.measure.metric.key} has no δ to be read against")
    if interval is None or one.sign == "unknown":
        return NOT_KNOWN
    if interval.high < delta:
        return "less than δ"
    return UNDERFITS if interval.low > delta else NOT_CLEAR


def underfits(found: StudyRecords, study: str) -> str:
    """That K times the updates gain a baseline more than δ, without a full stop; else empty."""
    one = more_updates(found).get(study)
    if one is None or reading(one) != UNDERFITS:
        return ""
    return (
        f"The baseline gains {one.words} from K times the updates alone, more than δ: by this "
        "score it underfits, and a regulariser cannot be judged well on it"
    )


def table(found: StudyRecords) -> pd.DataFrame:
    """K times the updates over the baseline, beside δ, and what that says of the regime."""
    rows = {
        study: {
            "gain": one.cell,
            "δ": one.measure.metric.written(one.measure.delta or 0.0),
            "unit": one.measure.metric.title,
            "seeds": seeds_of(one),
            "it gains": reading(one),
        }
        for study, one in more_updates(found).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="study")


def practice(found: StudyRecords) -> str:
    """In which studies a regulariser can be judged."""
    groups: dict[str, list[str]] = {}
    for study, one in more_updates(found).items():
        groups.setdefault(reading(one), []).append(study)
    groups.pop(NOT_KNOWN, None)
    if not groups:
        return not_yet("a longer baseline")
    words = {
        "less than δ": "it holds on",
        UNDERFITS: "the baseline underfits on",
        NOT_CLEAR: "the interval reaches past δ, so that it is not clear, on",
    }
    said = [f"{text} {joined(groups[name])}" for name, text in words.items() if name in groups]
    return (
        f"{PRACTICE} judge a regulariser only where K times the updates alone gain less than δ, "
        f"the smallest effect of interest: {', and '.join(said)}."
    )
