"""What else could be had for the price of K passes, tuned dropout among it."""

from __future__ import annotations

import pandas as pd

from idlib.report.pages.regime.words import PRACTICE, grouped, not_yet, seeds_of, unsigned
from idlib.report.paired import FEWEST, StudyRecords
from idlib.report.regime import DROPOUTS, IMAGES, LINES, RIVAL_LINES, rivals, tuned
from idlib.report.text import NOTHING, counted, joined


def table(found: StudyRecords, line: str) -> pd.DataFrame:
    """Each rival's price, gain over the baseline, and what intra-distillation gains over it."""
    measure = found.measure(line)
    rows = {
        one.name: {
            "price": f"{one.price:.2g} ×" if one.price else NOTHING,
            "over the baseline": one.gain.cell,
            "intra-distillation over it": one.behind.cell if one.behind else NOTHING,
            "seeds": seeds_of(one.gain),
        }
        for one in rivals(found, line)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=measure.title)


def words(found: StudyRecords) -> str:
    """Which of the ways beat the baseline, and which beat intra-distillation, as a list."""
    lines = []
    for line in RIVAL_LINES:
        ways = rivals(found, line)
        known = {one.name: one.gain.sign for one in ways if one.gain.sign != "unknown"}
        where = f"- {found.protocol.lines[line].study}, {found.measure(line).metric.name}:"
        if not known:
            lines.append(f"{where} nothing has {FEWEST} seeds yet.")
            continue
        ahead = [one.name for one in ways if one.behind is not None and one.behind.sign == "worse"]
        past = f" Better than intra-distillation: {joined(ahead)}." if ahead else ""
        lines.append(f"{where} the gain over the baseline is {grouped(known, 'with')}.{past}")
    return "\n".join(lines)


def practice(found: StudyRecords) -> str:
    """What to do about rivals: whether dropout, tuned on validation, would have done."""
    said, signs = [], []
    for task, line in LINES.items():
        *_, best = rivals(found, line)
        behind = best.behind
        if behind is None or behind.sign == "unknown":
            said.append(f"on {task} dropout is not tuned yet")
            continue
        signs.append(behind.sign)
        how = {
            "better": f"intra-distillation is better than that by {behind.words}",
            "worse": f"that is better than intra-distillation by {unsigned(behind)}",
            "either": f"the gain over that, {behind.words}, is not clear of zero",
        }[behind.sign]
        said.append(f"on {task} {how}")
    if not signs:
        return not_yet("every dropout")
    if set(signs) == {"better"}:
        head = "tuning dropout on validation does not replace intra-distillation"
    elif "better" in signs:
        head = "tune dropout on validation first, then try intra-distillation"
    else:
        head = "tune dropout on validation before paying for K passes"
    return f"{PRACTICE} {head}: {', and '.join(said)}."


def tuned_words(found: StudyRecords) -> str:
    """Which dropout validation chose, as a list in Markdown."""
    lines = []
    for task, line in LINES.items():
        cells = found.cells(*(IMAGES if task == "images" else (task,)))
        best = tuned(cells, list(DROPOUTS[task]), found.measure(line))
        if best is None:
            lines.append(f"- {task}: dropout is not tuned yet.")
            continue
        tried = joined([f"{value:g}" for value in DROPOUTS[task].values()])
        own = ", the baseline's own" if best.cell == "baseline" else ""
        lines.append(
            f"- {task}: of {tried} validation chose {DROPOUTS[task][best.cell]:g}{own} "
            f"({counted(len(best.seeds), 'seed')})."
        )
    return "\n".join(lines)
