"""What each finding of the audit does to a number of ours, or why none can be had."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from idlib.audit.findings import AUDIT
from idlib.earlier import earlier
from idlib.explain.audit import ALPHA, AS_OURS, AS_PUBLISHED
from idlib.method.losses import cross_entropy
from idlib.method.schedules import adaptive_alpha
from idlib.metrics.names import LAST, LOSS, RULES, SELECTIONS, at
from idlib.protocol import Protocol
from idlib.records import Record
from idlib.report.cells import REGISTERED, whole_or_earlier
from idlib.report.decisions import weighted
from idlib.report.metrics import NLL, Metric
from idlib.report.paired import Cells
from idlib.report.regime import turn
from idlib.report.statistics import Interval, t_interval
from idlib.report.tasks import report_of
from idlib.report.tasks.base import TaskReport
from idlib.report.tasks.translation import TRANSLATION
from idlib.report.text import NOTHING, counted, signed
from idlib.tasks.images import ImageTask
from idlib.training.trainable import Batch

UPDATES = 4000  # N of the earlier report's images
ADAMW: dict[str, Any] = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 1e-3}  # facts, section 3
LATE = 5 / 80  # of a student's epochs in which its code has no teacher (A8)
ACCUMULATED = 15  # passes whose gradients it adds up for one update (A9)
PAIR = "id", "baseline"
BLEU, F1_ENGLISH, F1_OTHERS = "test/bleu", "test/f1/en", "test/f1/others"


@dataclass(frozen=True)
class Sources:
    """The records that effects are read from, by cell and seed.

    Args:
        images, translation, tagging: of these tasks' studies.
        second_rounds: image records of a second round of self-distillation, and of the first.
        encoders: a record of each task on the pretrained encoder, by task.
        rules: of selection, which the records of translation tell apart.
    """

    images: Cells = field(default_factory=dict)
    translation: Cells = field(default_factory=dict)
    tagging: Cells = field(default_factory=dict)
    second_rounds: Sequence[Record] = ()
    encoders: Mapping[str, Record] = field(default_factory=dict)
    rules: Sequence[str] = SELECTIONS


def read_sources(
    protocol: Protocol, records: Mapping[str, Cells]
) -> tuple[Sources, dict[str, str]]:
    """The registered records of the studies, or earlier ones where these are too few.

    Args:
        protocol: whose studies they are.
        records: registered ones, by study.

    Returns:
        The sources, and for each study what its records are.
    """
    found, kinds = {}, {}
    for name in ("images", "translation", "tagging"):
        study = protocol.studies[name]
        before = earlier(study.task, study.profile)
        found[name], kinds[name] = whole_or_earlier(protocol, name, records.get(name, {}), before)
    # Earlier runs of translation were chosen by their loss, and that checkpoint alone translated.
    rules = SELECTIONS if kinds["translation"] == REGISTERED else (LOSS,)
    rounds = earlier("images", "medium")
    encoders = {
        task: next(iter(earlier(task, profile)))
        for task, profile in (
            ("tagging", "large"),
            ("answering", "medium"),
            ("classification", "medium"),
        )
    }
    return Sources(**found, second_rounds=rounds, encoders=encoders, rules=rules), kinds


def basis(kinds: Mapping[str, str]) -> str:
    """What the records of each study are, in words."""
    each = [f"{name}: {kind}" for name, kind in kinds.items()]
    return f"The records are, of {', '.join(each)}; of A10 earlier evidence."


def difference(cells: Cells, contrast: Mapping[str, float], key: str) -> Interval | None:
    """A weighted sum of cells in one metric, seed by seed; ``None`` where no seed has all.

    Args:
        cells: records by cell and seed.
        contrast: weight of each cell.
        key: of the metric.
    """
    values = weighted(contrast, key, cells).by_seed
    return t_interval([*values.values()]) if values else None


def since_lowest_loss(cells: Cells, cell: str, key: str) -> dict[int, float]:
    """By how much a metric of the last update exceeds that of the lowest validation loss, by seed.

    Args:
        cells: records by cell and seed.
        cell: whose runs.
        key: of the metric.
    """
    metrics = {seed: record.measured.metrics for seed, record in cells.get(cell, {}).items()}
    last, loss = at(key, LAST), at(key, LOSS)
    return {s: one[last] - one[loss] for s, one in metrics.items() if {last, loss} <= one.keys()}


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


def own_teacher_gradient(classes: int = 12, seed: int = 0) -> float:
    """The largest gradient of cross-entropy to a teacher with the student's own probabilities.

    The teacher is a constant, as in the published code: the gradient is p − p.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(64, classes, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = logits.detach().softmax(-1)
    loss = -(teacher * logits.log_softmax(-1)).sum(-1).mean()
    (gradient,) = torch.autograd.grad(loss, logits)
    return float(gradient.abs().max())


def scaled_gradients(
    model: nn.Module, batches: Sequence[Batch], loss: Callable[[nn.Module, Batch], Tensor]
) -> float:
    """How far AdamW goes elsewhere with all gradients times 15 (A9), for an update a batch.

    Args:
        model: where both start; it is left as it is.
        batches: of training data.
        loss: of a model on a batch.

    Returns:
        The distance between the two ends, over the way that the unscaled one has gone.
    """
    ends = []
    for factor in (1.0, float(ACCUMULATED)):
        trained = copy.deepcopy(model).eval()  # no dropout: the same gradients for both
        optimizer = torch.optim.AdamW(trained.parameters(), **ADAMW)
        for batch in batches:
            optimizer.zero_grad()
            (factor * loss(trained, batch)).backward()
            optimizer.step()
        ends.append(_flat(trained))
    start = _flat(model)
    return float((ends[1] - ends[0]).norm() / (ends[0] - start).norm())


def _flat(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def smoothed_gap(
    base: nn.Module, ours: nn.Module, task: ImageTask, smoothing: float = 0.1
) -> tuple[float, float]:
    """How far two models lie apart on validation, in bits: by their smoothed loss, by their NLL.

    Args:
        base, ours: models; the first minus the second.
        task: theirs.
        smoothing: of the loss that is printed for an NLL (A16).
    """
    losses = []
    for model in (base, ours):
        sums, count = torch.zeros(2, dtype=torch.float64), 0
        with torch.no_grad():
            for _, batch, predicted in task.predictions(model, "validation"):
                labels, logits = batch["label"], predicted.double()
                smoothed = cross_entropy(logits, labels, smoothing=smoothing)
                plain = cross_entropy(logits, labels)
                sums += torch.stack([smoothed.sum(), plain.sum()]).cpu()
                count += len(labels)
        losses.append(sums / count / math.log(2))
    smoothed_bits, plain_bits = (losses[0] - losses[1]).tolist()
    return smoothed_bits, plain_bits


def of_models(
    reductions: pd.DataFrame,
    statistics: pd.DataFrame,
    orders: pd.DataFrame,
    scaled: float,
    gap: tuple[float, float],
) -> dict[str, str]:
    """The effects that the audit page measures on its own models, by finding.

    Args:
        reductions: of :func:`idlib.explain.audit.reductions`.
        statistics: of :func:`idlib.explain.audit.reestimated`.
        orders: of :func:`idlib.explain.audit.orders`.
        scaled: of :func:`scaled_gradients`.
        gap: of :func:`smoothed_gap`, between the base models trained with label smoothing.
    """
    effective = next(name for name in map(str, reductions) if name.startswith("effective"))
    means = statistics.groupby(["weights", "statistics"], sort=False)["nll"].mean().unstack()
    moved = means[AS_PUBLISHED] - means[AS_OURS]
    each = ", ".join(
        f"{NLL.difference(change, unit=True)} ({name})" for name, change in moved.items()
    )
    found = {
        "A5": f"{effective} is {reductions[effective].mean():.1f}",
        "A9": f"15 times the gradients move AdamW's first updates by {100 * scaled:.2g} % of their "
        "way",
        "A16": f"our two image base models at s = 0.1, baseline minus ID, lie {_signed(gap[0])} "
        f"bits apart by the smoothed loss and {_signed(gap[1])} by the NLL on validation",
        "A11": f"statistics kept as published move the test NLL by {each}",
    }
    for finding in ("A12", "A13", "A14"):
        turned = {
            figure: orders.loc[(figure, bug), "pairs reversed"]
            for figure, bug in orders.index
            if str(bug).startswith(finding)
        }
        told = " and ".join(f"{count:.0f} ({figure})" for figure, count in turned.items())
        found[finding] = f"of 28 pairs of our models it turns round {told}"
    return found


def table(found: Mapping[str, str]) -> str:
    """Each finding's effect as a table in Markdown."""
    rows = [
        {"": f"**{one.id}**", "where": one.where, "effect on a number of ours": found[one.id]}
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


def _signed(bits: float) -> str:
    return signed(bits, "+.3f")


def _told(report: TaskReport, key: str, cells: Cells, cell: str, against: str) -> str:
    return written(report.metric(key), difference(cells, {cell: 1.0, against: -1.0}, key))


def written(metric: Metric, interval: Interval | None) -> str:
    """A difference with its interval and number of seeds; a dash without records."""
    if interval is None:
        return NOTHING
    number = metric.difference(interval.mean, unit=True)
    if not interval.bounded:
        return f"{number} (1 seed)"
    bounds = metric.bounds(interval.low, interval.high)
    return f"{number} ({bounds}, {interval.n} seeds)"


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
