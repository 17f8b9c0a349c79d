"""What the page of dose, selection and regime says: tables, sentences, and what to do.

Each sentence for practice follows from the signs of the intervals that it speaks of. One that
holds zero is said to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from idlib.metrics.names import BEST, LOSS, RULES, SELECTIONS
from idlib.report.paired import FEWEST, Gain, Sign, StudyRecords, gain
from idlib.report.regime import (
    DOSES,
    DROPOUTS,
    ENCODER,
    FALL,
    GRID,
    IMAGE_LINES,
    IMAGES,
    LINES,
    PAIRS,
    RIVAL_LINES,
    ROOM,
    SMOOTHINGS,
    Point,
    mean_dose,
    overfit,
    pairs_label,
    rivals,
    slopes,
    tuned,
)
from idlib.report.statistics import Interval
from idlib.report.text import NOTHING, counted

PRACTICE = "**For practice:**"
SIGNS: dict[Sign, str] = {  # what the interval of a gain is
    "better": "above zero",
    "worse": "below zero",
    "either": "not clear of zero",
    "unknown": f"not known, of fewer than {FEWEST} seeds,",
}
SIZES, ON_ENCODER = tuple(PAIRS), tuple(ENCODER)
STUDIES = (*SIZES, *IMAGES, *ON_ENCODER)
STEP = 0.1  # nats of rise, by which slopes are told


def standing(found: StudyRecords) -> str:
    """How many of the runs behind the page are made."""
    registered = [run for run in found.protocol.runs(*STUDIES) if run.cell in _cells(found)]
    made = sum(run.seed in found.cells(run.study).get(run.cell, {}) for run in registered)
    head = f"{made:,} of the {counted(len(registered), 'run')} behind this page are made"
    return f"{head}." if made == len(registered) else f"{head}. What is missing may change it."


def missing(found: StudyRecords, *studies: str) -> str:
    """Which runs of a section are not made, and how to make them."""
    return found.missing(studies, _cells(found)) or "All runs of this section are made."


def _cells(found: StudyRecords) -> set[str]:
    """The cells that the page reads: base models alone."""
    cells = {cell for study in STUDIES for cell in found.protocol.studies[study].cells}
    return {cell for cell in cells if not cell.endswith("student")}


def answers(found: StudyRecords) -> str:
    """The three answers of the page, as a list in Markdown."""
    return "\n".join(
        [
            f"- **Selection.** {_selected(found)}",
            f"- **Dose.** {_dosed(found)}",
            f"- **Regime.** {_where(found)}",
        ]
    )


# ---- selection


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


def selection_table(found: StudyRecords) -> pd.DataFrame:
    """The gain by each rule with its 95 % interval, beside δ and the number of seeds."""
    rows = {}
    for label, gains in by_rule(found).items():
        measure = gains[BEST].measure
        unit = measure.metric.unit
        rows[f"{label} ({unit})"] = {
            **{RULES[rule]: one.cell for rule, one in gains.items()},
            "δ": NOTHING if measure.delta is None else measure.metric.written(measure.delta),
            "seeds": _seeds(*gains.values()),
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
    return _grouped({RULES[rule]: one.sign for rule, one in gains.items()}, "by")


def selection_words(found: StudyRecords) -> str:
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
                f"{_unsigned(apart)}."
            )
        lines.append(line)
    return "\n".join(lines) or "There are no records of both arms yet."


def selection_practice(found: StudyRecords) -> str:
    """What to do about selection."""
    judged = {
        label.rpartition(", test")[0]: gains
        for label, gains in by_rule(found).items()
        if gains[BEST].measure != FALL and depends(gains) is not None
    }
    if not judged:
        return _not_yet("both arms")
    differ = [label for label, gains in judged.items() if depends(gains)]
    if not differ:
        outcomes = _grouped({label: gains[BEST].sign for label, gains in judged.items()}, "on")
        return (
            f"{PRACTICE} any of the three rules will do, for the outcome is the same by each of "
            f"them: the gain is {outcomes}."
        )
    signs = {label: judged[label][BEST].sign for label in differ}
    one = len(set(signs.values())) == 1
    by_score = f"{SIGNS[signs[differ[0]]]} there" if one else _grouped(signs, "on")
    return (
        f"{PRACTICE} choose the checkpoint of both arms by the metric that you report, and name "
        f"the rule, since the outcome depends on it on {_listed(differ)}: chosen by that metric "
        f"the gain is {by_score}."
    )


def _selected(found: StudyRecords) -> str:
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


# ---- dose


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


def dose_table(found: StudyRecords) -> pd.DataFrame:
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
            "seeds": _seeds(*gains),
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
                "seeds": _seeds(one),
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
        said = f"the gain is {_grouped(signs, 'with')}" if signs else "no records yet"
        lines.append(f"- {study}: {said}.")
    return "\n".join(lines)


def dose_practice(found: StudyRecords) -> str:
    """What to do about the dose, from the images without smoothing and what is lost there."""
    at_alpha = _of_alpha(found)
    known = {alpha: gains for alpha, gains in at_alpha.items() if gains[0].sign != "unknown"}
    if not known:
        return _not_yet("images at some α")
    best = max(known, key=lambda alpha: known[alpha][0].interval.mean)  # type: ignore[union-attr]
    nll, calibrated, accuracy = known[best]
    if nll.sign != "better":
        said = "the interval holds zero" if nll.sign == "either" else "it is worse"
        return (
            f"{PRACTICE} do not expect a lower loss of intra-distillation on images like these: "
            f"at the best α tried, {best:g}, the gain in test NLL is {nll.words}, so {said}."
        )
    if calibrated.sign == "worse":
        return (
            f"{PRACTICE} fit a temperature on validation instead: without label smoothing the gain "
            f"in test NLL at the best α tried, {best:g}, is {nll.words}, but after a temperature "
            f"{calibrated.words}."
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
    return (
        f"{PRACTICE} without label smoothing α = {best:g} is the best of those tried, with a gain "
        f"in test NLL of {nll.words}, {tail}."
    )


def _of_alpha(found: StudyRecords, s: float = 0.0) -> dict[float, list[Gain]]:
    """The gains of images at each α, at one smoothing: NLL, after temperature, accuracy."""
    cells, measures = found.cells(*IMAGES), [found.measure(line) for line in IMAGE_LINES]
    return {
        alpha: [gain(cells, measure, cell, GRID[s, 0.0][1]) for measure in measures]
        for (smoothing, alpha), (_, cell) in GRID.items()
        if smoothing == s and alpha
    }


def _dosed(found: StudyRecords) -> str:
    plain, smoothed = _of_alpha(found), _of_alpha(found, 0.1)
    if all(gains[0].interval is None for gains in plain.values()):
        return "There are no records of images with intra-distillation yet."
    each = [f"{g[0].words} at α = {alpha:g}" for alpha, g in plain.items() if g[0].interval]
    text = f"On images the gain in test NLL is {_listed(each)}."
    far = max(alpha for alpha, gains in plain.items() if gains[0].interval)
    _, calibrated, accuracy = plain[far]
    text += f" At α = {far:g} the gain in accuracy is {accuracy.words}, in NLL after a "
    text += f"temperature {calibrated.words}."
    beside = [f"{g[0].words} at α = {alpha:g}" for alpha, g in smoothed.items() if g[0].interval]
    return (
        f"{text} Beside label smoothing of 0.1 the gain in NLL is {_listed(beside)}."
        if beside
        else text
    )


# ---- regime


def points_of(found: StudyRecords, rule: str) -> dict[str, dict[int, Point]]:
    """How far each seed's baseline overfits and what it gains, by study; those with records."""
    measure = found.measure("C1")
    points = {study: overfit(found.cells(study), measure, rule) for study in PAIRS}
    return {study: by_seed for study, by_seed in points.items() if by_seed}


def regime_table(found: StudyRecords) -> pd.DataFrame:
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
            "seeds": _seeds(*gains.values()),
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


def regime_words(found: StudyRecords) -> str:
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
        lines.append(
            f"- {RULES[rule]}: {text} of gain for each {STEP:g} nats more of rise, over "
            f"{sizes} numbers of pairs and {counted(fitted.n, 'seed')} that have them all."
        )
    return "\n".join(lines) or "There are not two numbers of pairs with records yet."


def regime_practice(found: StudyRecords) -> str:
    """What to do about the regime, chosen by validation SacreBLEU."""
    measure, points = found.measure("C1"), points_of(found, BEST)
    gains = {study: gain(found.cells(study), measure, "id") for study in points}
    known = {study: one.sign for study, one in gains.items() if one.sign != "unknown"}
    if len(known) < 2:
        return _not_yet("two numbers of pairs")
    rise = {study: _mean(list(points[study].values()), 0) for study in known}
    good = [study for study, sign in known.items() if sign == "better"]
    rest = [study for study in known if study not in good]
    outcomes = _grouped({pairs_label(study): sign for study, sign in known.items()}, "with")
    if not good:
        rule = "that a model overfits is no reason to use intra-distillation"
    elif not rest:
        rule = "how far the model overfits does not decide whether to use intra-distillation"
    elif min(rise[study] for study in good) > max(rise[study] for study in rest):
        least = min(rise[study] for study in good)
        rule = (
            "use intra-distillation where the baseline's validation loss rises after its lowest by "
            f"{least:.2f} nats or more"
        )
    else:
        rule = "do not go by how far the model overfits"
    return (
        f"{PRACTICE} {rule}: with the checkpoint of best validation SacreBLEU the gain is "
        f"{outcomes}."
    )


def _where(found: StudyRecords) -> str:
    measure, points = found.measure("C1"), points_of(found, BEST)
    if not points:
        return "There are no records of both arms yet."
    text = "The baseline overfits by as much as its validation loss rises after its lowest."
    for study in dict.fromkeys((next(iter(points)), next(reversed(points)))):
        rise = _mean(list(points[study].values()), 0)
        one = gain(found.cells(study), measure, "id")
        text += f" With {pairs_label(study)} that is {rise:.2f} nats, and the gain {one.words}."
    return f"{text} The checkpoints are those of best validation SacreBLEU."


# ---- rivals


def rivals_table(found: StudyRecords, line: str) -> pd.DataFrame:
    """Each rival's price, gain over the baseline, and what intra-distillation gains over it."""
    measure = found.measure(line)
    rows = {
        one.name: {
            "price": f"{one.price:.2g} ×" if one.price else NOTHING,
            "over the baseline": one.gain.cell,
            "intra-distillation over it": one.behind.cell if one.behind else NOTHING,
            "seeds": _seeds(one.gain),
        }
        for one in rivals(found, line)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=measure.title)


def rivals_words(found: StudyRecords) -> str:
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
        past = f" Better than intra-distillation: {_listed(ahead)}." if ahead else ""
        lines.append(f"{where} the gain over the baseline is {_grouped(known, 'with')}.{past}")
    return "\n".join(lines)


def rivals_practice(found: StudyRecords) -> str:
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
            "worse": f"that is better than intra-distillation by {_unsigned(behind)}",
            "either": f"the gain over that, {behind.words}, is not clear of zero",
        }[behind.sign]
        said.append(f"on {task} {how}")
    if not signs:
        return _not_yet("every dropout")
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
        tried = _listed([f"{value:g}" for value in DROPOUTS[task].values()])
        own = ", the baseline's own" if best.cell == "baseline" else ""
        lines.append(
            f"- {task}: of {tried} validation chose {DROPOUTS[task][best.cell]:g}{own} "
            f"({counted(len(best.seeds), 'seed')})."
        )
    return "\n".join(lines)


# ---- whether there is something to regularise


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
        return "not known"
    if interval.high < delta:
        return "less than δ"
    return "more than δ: underfits" if interval.low > delta else "not clear"


def room_table(found: StudyRecords) -> pd.DataFrame:
    """K times the updates over the baseline, beside δ, and what that says of the regime."""
    rows = {
        study: {
            "gain": one.cell,
            "δ": one.measure.metric.written(one.measure.delta or 0.0),
            "unit": one.measure.metric.title,
            "seeds": _seeds(one),
            "it gains": reading(one),
        }
        for study, one in more_updates(found).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="study")


def room_practice(found: StudyRecords) -> str:
    """In which studies a regulariser can be judged."""
    groups: dict[str, list[str]] = {}
    for study, one in more_updates(found).items():
        groups.setdefault(reading(one), []).append(study)
    groups.pop("not known", None)
    if not groups:
        return _not_yet("a longer baseline")
    words = {
        "less than δ": "it holds on",
        "more than δ: underfits": "the baseline underfits on",
        "not clear": "the interval reaches past δ, so that it is not clear, on",
    }
    said = [f"{text} {_listed(groups[name])}" for name, text in words.items() if name in groups]
    return (
        f"{PRACTICE} judge a regulariser only where K times the updates alone gain less than δ, "
        f"the smallest effect of interest: {', and '.join(said)}."
    )


# ---- parts


def _not_yet(what: str) -> str:
    return f"{PRACTICE} nothing can be said before there are {FEWEST} seeds of {what}."


def _grouped(signs: Mapping[str, Sign], word: str) -> str:
    """Names by the sign of their gain, each after a preposition.

    >>> _grouped({"a": "better", "b": "either", "c": "better"}, "with")
    'above zero with a and c, not clear of zero with b'
    """
    groups: dict[Sign, list[str]] = {}
    for name, sign in signs.items():
        groups.setdefault(sign, []).append(name)
    return ", ".join(f"{SIGNS[sign]} {word} {_listed(names)}" for sign, names in groups.items())


def _listed(parts: Sequence[str]) -> str:
    """Parts as a list in a sentence.

    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _seeds(*gains: Gain) -> str:
    """The number of seeds; a range where gains differ in it."""
    numbers = [one.interval.n if one.interval else 0 for one in gains]
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}–{high}"


def _unsigned(one: Gain) -> str:
    """The size of a gain with its interval, whatever its side."""
    turned = dict(one.values)
    if one.interval is not None and one.interval.mean < 0:
        turned = {seed: -value for seed, value in turned.items()}
    return Gain(one.measure, turned).words.removeprefix("+")


def _mean(points: Sequence[Point], place: int) -> float:
    return float(np.mean([point[place] for point in points]))
