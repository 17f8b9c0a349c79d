"""How much the divergence weighs: on images, and on the pretrained encoder."""

from __future__ import annotations

import numpy as np
import pandas as pd

from idlib.report.pages.regime.words import PRACTICE, SIGNS, grouped, not_yet, seeds_of
from idlib.report.paired import FEWEST, Gain, StudyRecords, gain
from idlib.report.regime import DOSES, ENCODER, GRID, IMAGE_LINES, IMAGES, mean_dose, tuned
from idlib.report.text import NOTHING, joined


def grid_table(found: StudyRecords, line: str) -> pd.DataFrame:
    """The mean over seeds of images at each smoothing (rows) and α (columns), with seeds."""
    measure, cells = found.measure(line), found.cells(*IMAGES)
    table: dict[str, dict[str, str]] = {}
    for (s, alpha), (_, cell) in GRID.items():
        values = [
            record.measured.metrics[measure.metric.key]
            for record in cells.get(cell, {}).values()
            if measure.metric.key in record.measured.metrics
        ]
        text = f"{measure.metric.written(float(np.mean(values)))}" if values else NOTHING
        said = f"{text} (n = {len(values)})" if values else NOTHING
        table.setdefault(f"s = {s:g}", {})[f"α = {alpha:g}"] = said
    return pd.DataFrame.from_dict(table, orient="index").rename_axis(columns=measure.metric.title)


def table(found: StudyRecords) -> pd.DataFrame:
    """Images: measured dose and gain over the baseline of the same smoothing, in each metric."""
    cells = found.cells(*IMAGES)
    measures = [found.measure(line) for line in IMAGE_LINES]
    shown = {(0.0, "K passes with α = 0"): "passes"}
    shown |= {(s, f"α = {alpha:g}"): cell for (s, alpha), (_, cell) in GRID.items() if alpha}
    rows = {}
    for (s, name), cell in sorted(shown.items(), key=lambda item: item[0][0]):
        gains = [gain(cells, measure, cell, GRID[s, 0.0][1]) for measure in measures]
        rows[f"s = {s:g}, {name}"] = {
            "dose": f"{mean_dose(cells[cell]):.2f}" if cells.get(cell) else NOTHING,
            **{one.measure.metric.title: one.cell for one in gains},
            "seeds": seeds_of(*gains),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="gain in")


def encoder_table(found: StudyRecords) -> pd.DataFrame:
    """The tasks on the pretrained encoder: measured dose and gain at each dose."""
    rows = {}
    for study, line in ENCODER.items():
        cells, measure = found.cells(study), found.measure(line)
        for cell, name in DOSES.items():
            one = gain(cells, measure, cell)
            rows[study, name] = {
                "dose": f"{mean_dose(cells[cell]):.2g}" if cells.get(cell) else NOTHING,
                "gain": one.cell,
                "δ": measure.metric.written(measure.delta or 0.0),
                "unit": measure.metric.title,
                "seeds": seeds_of(one),
            }
    index = pd.MultiIndex.from_tuples(rows, names=["study", "dose is"])
    return pd.DataFrame(list(rows.values()), index=index)


def encoder_words(found: StudyRecords) -> str:
    """On which tasks of the encoder which dose gains, as a list in Markdown."""
    lines = []
    for study, line in ENCODER.items():
        cells, measure = found.cells(study), found.measure(line)
        gains = {name: gain(cells, measure, cell) for cell, name in DOSES.items()}
        signs = {name: one.sign for name, one in gains.items() if one.interval is not None}
        said = f"the gain is {grouped(signs, 'with')}" if signs else "no records yet"
        lines.append(f"- {study}: {said}.")
    return "\n".join(lines)


def practice(found: StudyRecords) -> str:
    """What to do about the dose, from the images without smoothing and what is lost there.

    Where several α have records, validation chooses the one whose gain on test is told.
    """
    at_alpha = _of_alpha(found)
    known = [alpha for alpha, gains in at_alpha.items() if gains[0].sign != "unknown"]
    cells = {GRID[0.0, alpha][1]: alpha for alpha in known}
    best = tuned(found.cells(*IMAGES), list(cells), found.measure("C6")) if known else None
    if best is None:
        return not_yet("images at some α")
    nll, calibrated, accuracy = at_alpha[cells[best.cell]]
    tried = joined(f"{alpha:g}" for alpha in known)
    alone = f"the only one with {FEWEST} seeds"
    how = f"which validation chose of {tried}" if len(known) > 1 else alone
    delta = f"{nll.measure.metric.written(nll.measure.delta or 0.0)} {nll.measure.metric.unit}"
    alpha = f"α = {cells[best.cell]:g}, {how}"
    gained = f"gains {nll.words} in test NLL, where δ is {delta}"
    if nll.sign == "worse":
        return (
            f"{PRACTICE} do not expect a lower loss of intra-distillation on images like these: "
            f"{alpha}, {gained}."
        )
    if nll.sign == "either":
        return (
            f"{PRACTICE} nothing can be said of images without label smoothing: {alpha}, {gained}, "
            f"{SIGNS[nll.sign]}."
        )
    if calibrated.sign == "worse":
        return (
            f"{PRACTICE} fit a temperature on validation instead: without label smoothing {alpha}, "
            f"{gained}, but after a temperature {calibrated.words}."
        )
    if accuracy.sign == "worse":
        tail = f"but expect to lose accuracy, {accuracy.words}"
    elif calibrated.sign != "better":
        tail = (
            f"but fit a temperature first, after which what is left, {calibrated.words}, is "
            f"{SIGNS[calibrated.sign]}"
        )
    else:
        tail = f"where accuracy, {accuracy.words}, is {SIGNS[accuracy.sign]}"
    return f"{PRACTICE} without label smoothing {alpha}, {gained}, {tail}."


def _of_alpha(found: StudyRecords, s: float = 0.0) -> dict[float, list[Gain]]:
    """The gains of images at each α, at one smoothing: NLL, after temperature, accuracy."""
    cells, measures = found.cells(*IMAGES), [found.measure(line) for line in IMAGE_LINES]
    return {
        alpha: [gain(cells, measure, cell, GRID[s, 0.0][1]) for measure in measures]
        for (smoothing, alpha), (_, cell) in GRID.items()
        if smoothing == s and alpha
    }


def answer(found: StudyRecords) -> str:
    """What each dose gains on images, without and beside label smoothing."""
    plain, smoothed = _of_alpha(found), _of_alpha(found, 0.1)
    if all(gains[0].interval is None for gains in plain.values()):
        return "There are no records of images with intra-distillation yet."
    each = [f"{g[0].words} at α = {alpha:g}" for alpha, g in plain.items() if g[0].interval]
    text = f"On images the gain in test NLL is {joined(each)}."
    far = max(alpha for alpha, gains in plain.items() if gains[0].interval)
    _, calibrated, accuracy = plain[far]
    text += f" At α = {far:g} the gain in accuracy is {accuracy.words}, in NLL after a "
    text += f"temperature {calibrated.words}."
    beside = [f"{g[0].words} at α = {alpha:g}" for alpha, g in smoothed.items() if g[0].interval]
    return (
        f"{text} Beside label smoothing of 0.1 the gain in NLL is {joined(beside)}."
        if beside
        else text
    )
