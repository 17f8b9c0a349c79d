"""What each finding of the audit does to a number of ours, or why none can be had."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from idlib.audit.findings import AUDIT
from idlib.earlier import earlier
from idlib.explain.audit import ALPHA, AS_OURS, AS_PUBLISHED
from idlib.method.schedules import adaptive_alpha
from idlib.metrics.names import IN_WORDS, SELECTIONS, at
from idlib.protocol import Protocol
from idlib.records import Record
from idlib.report.cells import whole_or_earlier
from idlib.report.metrics import NLL, Metric
from idlib.report.paired import Cells
from idlib.report.statistics import Interval, t_interval
from idlib.report.tasks import report_of
from idlib.report.tasks.base import TaskReport
from idlib.report.text import NOTHING
from idlib.training.trainable import Batch

UPDATES = 4000  # N of the earlier report's images
ADAMW: dict[str, Any] = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 1e-3}  # facts, section 3
ACCUMULATED = 15  # passes whose gradients it adds up for one update (A9)
BLEU, F1_ENGLISH, F1_OTHERS = "test/bleu", "test/f1/en", "test/f1/others"


@dataclass(frozen=True)
class Sources:
    """The records that effects are read from, by cell and seed.

    Args:
        images, translation, tagging: of these tasks' studies.
        second_rounds: image records of a second round of self-distillation, and of the first.
    """

    images: Cells = field(default_factory=dict)
    translation: Cells = field(default_factory=dict)
    tagging: Cells = field(default_factory=dict)
    second_rounds: Sequence[Record] = ()


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
    rounds = earlier("images", "medium")
    return Sources(**found, second_rounds=rounds), kinds


def basis(kinds: Mapping[str, str]) -> str:
    """What the records of each study are, in words."""
    each = [f"{name}: {kind}" for name, kind in kinds.items()]
    return f"The records are, of {', '.join(each)}; of A10 earlier evidence."


def difference(cells: Cells, weights: Mapping[tuple[str, str], float]) -> Interval | None:
    """A weighted sum of metrics of cells, seed by seed; ``None`` where no seed has all.

    Args:
        cells: records by cell and seed.
        weights: by cell and key of the metric.
    """
    having = [
        {s for s, record in cells.get(cell, {}).items() if key in record.measured.metrics}
        for cell, key in weights
    ]
    seeds = sorted(set.intersection(*having)) if having else []
    values = [
        sum(w * cells[cell][seed].measured.metrics[key] for (cell, key), w in weights.items())
        for seed in seeds
    ]
    return t_interval(values) if values else None


def effects(sources: Sources, of_page: Mapping[str, str]) -> dict[str, str]:
    """For each finding its effect on a number of ours, in words, or why none can be had.

    Args:
        sources: the records.
        of_page: what the page measures on its own models, by finding.
    """
    images, nll = report_of("images"), NLL.key
    smoothed = {("baseline smoothed", nll): 1.0, ("baseline", nll): -1.0}
    last = {
        name: {(cell, at(nll, "last")): 1.0, (cell, at(nll, "loss")): -1.0}
        for name, cell in (("baseline", "baseline"), ("ID", "id"))
    }
    found = {
        "A1": "the smoothing that the second baseline lacks changes its test NLL by "
        + _told(images, nll, sources.images, smoothed),
        "A2": "comparing ID at s = 0.1 with the baseline at s = 0, instead of ID at s = 0, changes "
        "the test NLL of ID by "
        + _told(images, nll, sources.images, {("id smoothed", nll): 1.0, ("id", nll): -1.0}),
        "A3": "none: it concerns one student, and no run of ours weighs its teacher so",
        "A4": f"the first weight of the divergence is {_first_weight(10, 5):.2g} with the text's "
        f"values and {_first_weight(5, 10):.2g} with the code's (N = {UPDATES:,})",
        "A6": "none: the code stops, so that nothing was computed",
        "A7": "from lowest validation loss to the last epoch the test NLL of the teacher changes "
        "by "
        + " and ".join(f"{_told(images, nll, sources.images, w)} ({n})" for n, w in last.items()),
        "A8": "none: no run of ours leaves the teacher out of its last epochs",
        "A10": "a second round changes the test NLL of the baseline student by "
        + _second_round(sources.second_rounds),
        "A15": "none: a figure of another machine; {doc}`performance` has ours",
        "A16": "none: records keep no smoothed loss on validation; {doc}`translation` has the NLL "
        "in bits",
        "A17": "none: it concerns the text alone",
        "A18": "ID minus baseline in F1 is "
        + _told(report_of("tagging"), F1_ENGLISH, sources.tagging, _gain(F1_ENGLISH))
        + " in English and "
        + _told(report_of("tagging"), F1_OTHERS, sources.tagging, _gain(F1_OTHERS))
        + " in the others (tagging)",
        "A19": f"a teacher with the student's own probabilities adds a gradient of at most "
        f"{own_teacher_gradient():.0e}; a real one changes the test NLL of translation by "
        + _told(
            report_of("translation"),
            nll,
            sources.translation,
            {("baseline student", at(nll, "loss")): 1.0, ("baseline", at(nll, "loss")): -1.0},
        ),
        "A20": "the dose, α X over the cross-entropy, that the verdicts of tagging, answering and "
        "classification are of; {doc}`regime` has both",
        "A22": "ID minus baseline in SacreBLEU is " + _by_selection(sources.translation),
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


def of_models(
    reductions: pd.DataFrame, statistics: pd.DataFrame, orders: pd.DataFrame, scaled: float
) -> dict[str, str]:
    """The effects that the audit page measures on its own models, by finding.

    Args:
        reductions: of :func:`idlib.explain.audit.reductions`.
        statistics: of :func:`idlib.explain.audit.reestimated`.
        orders: of :func:`idlib.explain.audit.orders`.
        scaled: of :func:`scaled_gradients`.
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
    return (
        f"Of {len(found)} findings {len(found) - len(without)} have an effect on a number of ours; "
        f"for {', '.join(without)} none can be had, and the table says why."
    )


def _told(
    report: TaskReport, key: str, cells: Cells, weights: Mapping[tuple[str, str], float]
) -> str:
    return written(report.metric(key), difference(cells, weights))


def written(metric: Metric, interval: Interval | None) -> str:
    """A difference with its interval and number of seeds; a dash without records."""
    if interval is None:
        return NOTHING
    number = metric.difference(interval.mean, unit=True)
    if not interval.bounded:
        return f"{number} (1 seed)"
    bounds = metric.bounds(interval.low, interval.high)
    return f"{number} ({bounds}, {interval.n} seeds)"


def _gain(key: str) -> dict[tuple[str, str], float]:
    return {("id", key): 1.0, ("baseline", key): -1.0}


def _by_selection(cells: Cells) -> str:
    metric = report_of("translation").metric(BLEU)
    parts = []
    for rule in SELECTIONS:
        interval = difference(cells, _gain(at(BLEU, rule)))
        words = IN_WORDS[rule].removeprefix(", ") or "best validation SacreBLEU"
        if interval is not None:
            parts.append(f"{written(metric, interval)} at the {words}")
    return ", ".join(parts) or NOTHING


def _second_round(records: Sequence[Record]) -> str:
    by_round: dict[str, dict[int, Record]] = {}
    for record in records:
        settings = record.asked.settings
        if record.asked.method == "baseline" and settings["smoothing"] == 0:
            by_round.setdefault(str(settings["round"]), {})[record.asked.seed] = record
    interval = difference(by_round, {("2", NLL.key): 1.0, ("1", NLL.key): -1.0})
    return written(NLL, interval)


def _first_weight(p: float, q: float) -> float:
    return adaptive_alpha(1, UPDATES, ALPHA, p, q, allow_inverted=True)
