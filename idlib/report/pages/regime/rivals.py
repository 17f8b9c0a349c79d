"""What else could be had for the price of K passes, tuned dropout among it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isclose

import numpy as np
import pandas as pd

from idlib.records import Record
from idlib.report.pages.regime.words import PRACTICE, grouped, not_yet, seeds_of
from idlib.report.paired import FEWEST, Cells, Gain, StudyRecords
from idlib.report.regime import (
    DROPOUTS,
    IMAGES,
    LINES,
    RIVAL_LINES,
    RIVALS,
    Rival,
    mean_dose,
    rivals,
    tuned,
)
from idlib.report.text import NOTHING, counted, joined

LENGTHS = "test/length_ratio"  # of hypotheses over references, which translation alone has
R_DROP = "r-drop"


def cells_of(found: StudyRecords, task: str) -> Cells:
    """The records of a task, by cell."""
    return found.cells(*(IMAGES if task == "images" else (task,)))


def table(found: StudyRecords, line: str) -> pd.DataFrame:
    """Each rival's price and dose, gain over the baseline, and what ID gains over it."""
    measure, task = found.measure(line), found.protocol.lines[line].study
    cells, rows = cells_of(found, task), {}
    for one in rivals(found, line):
        records = list(cells.get(one.cell or "", {}).values())
        row = {"price": _price(one), **_weighed(records)}
        if task == "translation":
            row["hypotheses / references"] = _lengths(records)
        rows[one.name] = row | {
            "over the baseline": "the same runs" if one.kept else one.gain.cell,
            "intra-distillation over it": one.behind.cell if one.behind else NOTHING,
            "seeds": seeds_of(one.gain),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=measure.title)


def _price(one: Rival) -> str:
    return f"{one.price:.2g} ×" if one.price else NOTHING


def _weighed(records: Sequence[Record]) -> dict[str, str]:
    """α and the measured dose of runs that make several passes."""
    settings = records[0].asked.settings if records else {}
    if settings.get("passes", 1) == 1:
        return {"α": NOTHING, "dose": NOTHING}
    alpha = settings.get("alpha")
    dose = mean_dose(dict(enumerate(records)))
    return {"α": NOTHING if alpha is None else f"{alpha:g}", "dose": f"{dose:.2f}"}


def _lengths(records: Iterable[Record]) -> str:
    known = [r.measured.metrics[LENGTHS] for r in records if LENGTHS in r.measured.metrics]
    return f"{np.mean(known):.3f}" if known else NOTHING


def words(found: StudyRecords) -> str:
    """Which of the ways beat the baseline, and which beat intra-distillation, as a list."""
    lines = []
    for line in RIVAL_LINES:
        ways = rivals(found, line)
        known = {one.name: one.gain.sign for one in ways if one.known}
        where = f"- {found.protocol.lines[line].study}, {found.measure(line).metric.name}:"
        if not known:
            lines.append(f"{where} nothing has {FEWEST} seeds yet.")
            continue
        ahead = [
            f"{one.name} at {_price(one)}"
            for one in ways
            if one.known and one.behind is not None and one.behind.sign == "worse"
        ]
        past = f" Better than intra-distillation: {'; '.join(ahead)}." if ahead else ""
        lines.append(f"{where} the gain over the baseline is {grouped(known, 'with')}.{past}")
    return "\n".join(lines)


def alpha_words(found: StudyRecords) -> str:
    """With which α R-Drop is compared, and which others were tried, as a list in Markdown."""
    lines = []
    for task in RIVALS:
        cells = cells_of(found, task)
        r_drop = _alphas({R_DROP: cells.get(R_DROP, {})})
        if not r_drop:
            lines.append(f"- {task}: there is no record of R-Drop yet.")
            continue
        others = _alphas({name: runs for name, runs in cells.items() if name != R_DROP}) - r_drop
        tried = (
            f"α = {joined(f'{alpha:g}' for alpha in sorted(others))} was tried with "
            "intra-distillation alone"
            if others
            else "no other α was tried"
        )
        of_r_drop = joined(f"{alpha:g}" for alpha in sorted(r_drop))
        lines.append(f"- {task}: R-Drop has α = {of_r_drop}, which was not tuned for it; {tried}.")
    return "\n".join(lines)


def _alphas(cells: Cells) -> set[float]:
    """Every α above zero that runs of these cells were asked for."""
    asked = [r.asked.settings.get("alpha") for runs in cells.values() for r in runs.values()]
    return {float(alpha) for alpha in asked if alpha}


def practice(found: StudyRecords) -> str:
    """What to do about rivals: whether what costs as much as intra-distillation gained more."""
    same = {task: _same_price(rivals(found, line)) for task, line in LINES.items()}
    told = {task: _of_task(found, task, ways) for task, ways in same.items()}
    signs = {one.behind.sign for ways in same.values() for one in ways if one.behind is not None}
    if not signs and not any(_tuned(rivals(found, line)[-1]) for line in LINES.values()):
        return not_yet("anything that costs as much as intra-distillation")
    if "worse" in signs:
        head = "before paying for K passes, try what gained more for the same price"
    elif signs == {"better"}:
        head = "what costs as much did not replace intra-distillation"
    else:
        head = "compare intra-distillation with what costs as much"
    return f"{PRACTICE} {head}. {' '.join(told.values())}"


def _same_price(ways: Sequence[Rival]) -> list[Rival]:
    """Those that cost as much as intra-distillation and have been compared with it."""
    (own,) = (one.price for one in ways if one.behind is None)
    return [
        one
        for one in ways
        if one.behind is not None
        and one.known
        and one.behind.sign != "unknown"
        and own is not None
        and one.price is not None
        and isclose(one.price, own, rel_tol=0.05)  # updates are whole numbers
    ]


def _of_task(found: StudyRecords, task: str, ways: Sequence[Rival]) -> str:
    """How what costs as much compares on one task, as a sentence."""
    parts = []
    for sign, how in (
        ("worse", "{} gained more than intra-distillation"),
        ("better", "intra-distillation gained more than {}"),
        ("either", "the difference from {} is not clear of zero"),
    ):
        named = [
            f"{one.name} ({one.behind.mean if sign == 'either' else f'by {_size(one.behind)}'})"
            for one in ways
            if one.behind is not None and one.behind.sign == sign
        ]
        if named:
            parts.append(how.format(joined(named)))
    tuning = rivals(found, LINES[task])[-1]
    if not _tuned(tuning):
        parts.append("dropout is not tuned yet")
    elif tuning.kept:
        parts.append("validation kept the baseline's own dropout, so that tuning bought nothing")
    name = found.measure(LINES[task]).metric.name
    return f"On {task}, in {name}: {'; '.join(parts)}." if parts else ""


def _size(one: Gain) -> str:
    """The mean without its sign; its interval stands in the table."""
    return one.mean.removeprefix("+").removeprefix("−")


def _tuned(tuning: Rival) -> bool:
    """Whether enough seeds have every setting of dropout to say which validation chose."""
    interval = tuning.gain.interval
    return interval is not None and interval.n >= FEWEST


def tuned_words(found: StudyRecords) -> str:
    """Which dropout validation chose, as a list in Markdown."""
    lines = []
    for task, line in LINES.items():
        best = tuned(cells_of(found, task), list(DROPOUTS[task]), found.measure(line))
        if best is None:
            lines.append(f"- {task}: dropout is not tuned yet.")
            continue
        if len(best.seeds) < FEWEST:
            seeds = counted(len(best.seeds), "seed")
            lines.append(f"- {task}: dropout is not tuned yet: {seeds} of every rate.")
            continue
        tried = joined([f"{value:g}" for value in DROPOUTS[task].values()])
        seeds, chosen = counted(len(best.seeds), "seed"), f"{DROPOUTS[task][best.cell]:g}"
        lines.append(
            f"- {task}: of {tried} validation kept the baseline's own, {chosen}, so that tuning "
            f"bought nothing ({seeds})."
            if best.cell == "baseline"
            else f"- {task}: of {tried} validation chose {chosen} ({seeds})."
        )
    return "\n".join(lines)
