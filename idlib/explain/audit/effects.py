"""What each finding of the audit does to a number of ours, or why none can be had."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

import pandas as pd

from idlib.audit.findings import AUDIT
from idlib.explain.audit.measured import own_teacher_gradient
from idlib.explain.audit.runs import ALPHA
from idlib.explain.audit.sources import Sources, difference, since_lowest_loss, written
from idlib.method.schedules import adaptive_alpha
from idlib.metrics.names import LOSS, RULES, at
from idlib.records import Record
from idlib.report.metrics import NLL
from idlib.report.paired import Cells
from idlib.report.regime import turn
from idlib.report.statistics import t_interval
from idlib.report.tasks import report_of
from idlib.report.tasks.base import TaskReport
from idlib.report.tasks.translation import TRANSLATION
from idlib.report.text import NOTHING, counted

UPDATES = 4000  # N of the earlier report's images
LATE = 5 / 80  # of a student's epochs in which its code has no teacher (A8)
PAIR = "id", "baseline"
BLEU, F1_ENGLISH, F1_OTHERS = "test/bleu", "test/f1/en", "test/f1/others"


def effects(sources: Sources, of_page: Mapping[str, str]) -> dict[str, str]:
    """For each finding its effect on a number of ours, in words, or why none can be had.

    Args:
        sources: the records.
        of_page: what the page measures on its own models, by finding.
    """
    images, nll = report_of("images"), NLL.key
    last = {
        name: since_lowest_loss(sources.images, cell, nll)
        for name, cell in (("baseline", "baseline"), ("ID", "id"))
    }
    found = {
        "A1": "the smoothing that the second baseline lacks changes its test NLL by "
        + _told(images, nll, sources.images, "baseline smoothed", "baseline"),
        "A2": "comparing ID at s = 0.1 with the baseline at s = 0, instead of ID at s = 0, changes "
        "the test NLL of ID by " + _told(images, nll, sources.images, "id smoothed", "id"),
        "A3": _teacher_weight(),
        "A4": f"the first weight of the divergence is {_first_weight(10, 5):.2g} with the text's "
        f"values and {_first_weight(5, 10):.2g} with the code's (N = {UPDATES:,})",
        "A6": "none: the code stops, so that nothing was computed",
        "A7": "from lowest validation loss to the last epoch the test NLL of the teacher changes "
        "by "
        + " and ".join(
            f"{written(NLL, t_interval([*values.values()]) if values else None)} ({name})"
            for name, values in last.items()
        ),
        "A8": _chosen_late(sources.images),
        "A10": "a second round changes the test NLL of the baseline student by "
        + _second_round(sources.second_rounds),
        "A15": _memory(sources.translation),
        "A17": "none: it concerns the text alone",
        "A18": "ID minus baseline in F1 is "
        + _told(report_of("tagging"), F1_ENGLISH, sources.tagging, *PAIR)
        + " in English and "
        + _told(report_of("tagging"), F1_OTHERS, sources.tagging, *PAIR)
        + " in the others (tagging)",
        "A19": f"a teacher with the student's own probabilities adds a gradient of at most "
        f"{own_teacher_gradient():.0e}; a real one changes the test NLL of translation by "
        + _told(
            report_of("translation"),
            at(nll, LOSS),
            sources.translation,
            "baseline student",
            "baseline",
        ),
        "A20": _summed(sources.encoders),
        "A22": "ID minus baseline in SacreBLEU is " + _by_selection(sources),
    }
    return {finding.id: of_page.get(finding.id) or found[finding.id] for finding in AUDIT}


def table(found: Mapping[str, str], of_page: Collection[str], build: str) -> str:
    """Each finding's effect as a table in Markdown, and what it was read from.

    Args:
        found: of :func:`effects`.
        of_page: the findings that the page measures on its own models.
        build: profile and seed of these.
    """
    rows = [
        {
            "": f"**{one.id}**",
            "where": one.where,
            "effect on a number of ours": found[one.id],
            "from": build if one.id in of_page else "records, or a formula",
        }
        for one in AUDIT
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False))


def summary(found: Mapping[str, str]) -> str:
    """How many findings have an effect as a number, and how many cannot have one."""
    without = [name for name, effect in found.items() if effect.startswith("none")]
    if not without:
        return f"For all {len(found)} findings there is a number: of ours, or by their formula."
    return (
        f"For {len(found) - len(without)} of {len(found)} findings there is a number: of our "
        f"models, or where settings alone decide, by their formula. For {', '.join(without)} there "
        "is none, and the table says why."
    )


def _told(report: TaskReport, key: str, cells: Cells, cell: str, against: str) -> str:
    return written(report.metric(key), difference(cells, {cell: 1.0, against: -1.0}, key))


def _by_selection(sources: Sources) -> str:
    metric = report_of("translation").metric(BLEU)
    parts = []
    for rule in sources.rules:
        interval = difference(sources.translation, {"id": 1.0, "baseline": -1.0}, at(BLEU, rule))
        if interval is not None:
            parts.append(f"{written(metric, interval)} at the {RULES[rule]}")
    return ", ".join(parts) or NOTHING


def _teacher_weight() -> str:
    """Labels and teacher weigh 1 : 1 in the text and 1 : α in that student's code."""
    share, beside = ALPHA / (1 + ALPHA), 2 / (1 + ALPHA)
    return (
        f"the teacher has {100 * share:.0f} % of a student's target instead of 50 %, and beside "
        f"both the divergence weighs {beside:.2g} times what it should (from the formulas; no run "
        "of ours weighs its teacher so)"
    )


def chosen_late(records: Sequence[Record], share: float = LATE) -> int:
    """How many runs have their lowest validation loss in the last ``share`` of their updates."""
    return sum(turn(record).share > 1 - share for record in records)


def _chosen_late(cells: Cells) -> str:
    """The phase without a teacher (A8) tells on a student that is chosen in it."""
    students = [
        record
        for cell, by_seed in cells.items()
        if cell.endswith("student")
        for record in by_seed.values()
        if "validation/nll" in record.measured.curves
    ]
    if not students:
        return NOTHING
    return (
        f"{chosen_late(students)} of our {counted(len(students), 'student')} of images are chosen "
        f"in the last {100 * LATE:.3g} % of their updates, the part that it concerns"
    )


def _memory(cells: Cells) -> str:
    """Memory of ID over that of its baseline: as printed, in the report's logs, and ours."""
    ours, base = (TRANSLATION.cost[method] for method in ("id", "baseline"))
    told = f"ID over baseline in peak memory is {ours.gpu_gb / base.gpu_gb:.1f} as printed"
    if ours.logged_gb and base.logged_gb:
        told += f", {ours.logged_gb / base.logged_gb:.1f} by the report's logs"
    both = sorted(set(cells.get("id", {})) & set(cells.get("baseline", {})))
    if not both:
        return told
    ratios = [
        cells["id"][seed].cost.peak_memory_bytes / cells["baseline"][seed].cost.peak_memory_bytes
        for seed in both
    ]
    return f"{told}, {fmean(ratios):.1f} in our runs of translation ({counted(len(both), 'seed')})"


def summed_positions(record: Record) -> int:
    """What a sum over a batch multiplies α by, beside a mean: positions, windows' ends, or rows.

    Args:
        record: of a task on the pretrained encoder. Tagging sums over all positions of its rows,
            answering over the two ends of a span in each window, classification over rows.
    """
    settings = record.asked.settings
    each = {"tagging": int(settings["max_length"]), "answering": 2}.get(record.asked.task, 1)
    return int(settings["batch_size"]) * each


def _summed(records: Mapping[str, Record]) -> str:
    if not records:
        return NOTHING
    each = ", ".join(f"{summed_positions(record):,} ({task})" for task, record in records.items())
    return (
        f"summed over a full batch of ours, α would weigh this many times more: {each}; what both "
        "doses gain is on {doc}`regime`"
    )


def _second_round(records: Sequence[Record]) -> str:
    by_round: dict[str, dict[int, Record]] = {}
    for record in records:
        settings = record.asked.settings
        if record.asked.method == "baseline" and settings["smoothing"] == 0:
            by_round.setdefault(str(settings["round"]), {})[record.asked.seed] = record
    interval = difference(by_round, {"2": 1.0, "1": -1.0}, NLL.key)
    return written(NLL, interval)


def _first_weight(p: float, q: float) -> float:
    return adaptive_alpha(1, UPDATES, ALPHA, p, q, allow_inverted=True)
