"""The rules of the verdicts on the claims C1–C8.

A rule is a pure function of records. Every comparison is a weighted sum of cells (method, round,
smoothing) taken seed by seed, so a claim about averages (C6) or about differences of differences
(C5) is judged as directly as one about two models. Rules and margins are fixed here, before runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from idlib.published import (
    CELLS,
    CLAIMS,
    METHOD_NAMES,
    METRICS,
    NLL,
    REPORT_IMAGES,
    ROLES,
    SMOOTHINGS,
    STD,
    STD_NORMALIZED,
    Cell,
    Claim,
    Metric,
)
from idlib.records import Record
from idlib.statistics import (
    Claimed,
    Interval,
    Outcome,
    bootstrap_items,
    combine,
    judge,
    p_value,
    t_interval,
    why_not_judged,
)

EXCESS = "excess gain, "


@dataclass(frozen=True)
class Contrast:
    """A named weighted sum of cells, taken seed by seed."""

    label: str
    terms: tuple[tuple[float, Cell], ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells it needs."""
        return tuple(cell for _, cell in self.terms)


@dataclass(frozen=True)
class Line:
    """One comparison: its interval over seeds, and what it says.

    ``claimed`` is the side of zero that the claim names, ``None`` where the line is context only.
    ``items`` is the bootstrap over test items of the mean over seeds, ``report`` the same sum
    over the earlier report's table; each ``None`` where there is none. A ``primary`` line takes
    part in the claim's verdict. Values are in the metric's own unit, unscaled.
    """

    label: str
    metric: str
    claimed: Claimed | None
    interval: Interval | None
    p_value: float | None
    verdict: Outcome | Literal["context"]
    reason: str = ""
    primary: bool = False
    items: Interval | None = None
    report: float | None = None
    seeds: tuple[int, ...] = ()
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the records of one profile say about one claim, with the lines that say it."""

    claim: Claim
    verdict: Outcome
    sentence: str
    lines: tuple[Line, ...]
    n_seeds: int
    profile: str
    signatures: tuple[str, ...]
    reason: str = ""

    @property
    def primary(self) -> tuple[Line, ...]:
        """The lines that the verdict is made from."""
        return tuple(line for line in self.lines if line.primary)


def by_cell(records: Iterable[Record]) -> dict[Cell, dict[int, Record]]:
    """Sort image records into cells and seeds, in an order that the input's order leaves alone.

    Raises:
        ValueError: two different records for the same cell and seed.
    """
    cells: dict[Cell, dict[int, Record]] = {}
    ordered = sorted(
        (r for r in records if r.asked.task == "images"),
        key=lambda r: (cell_of(r), r.asked.seed, r.signature),
    )
    for record in ordered:
        known = cells.setdefault(cell_of(record), {}).setdefault(record.asked.seed, record)
        if known.signature != record.signature:
            raise ValueError(
                f"two records for {cell_of(record).full_label}, seed {record.asked.seed}: "
                f"{known.signature} and {record.signature}; pass records of one grid"
            )
    return cells


def cell_of(record: Record) -> Cell:
    """The cell of an image record, from its method and settings."""
    settings = record.asked.settings
    return Cell(
        record.asked.method, int(settings.get("round", 0)), float(settings.get("smoothing", 0.0))
    )


def images_verdicts(records: Iterable[Record]) -> dict[str, Verdict]:
    """Judge C4, C5, C6 and C8 from the image records of one profile.

    A missing cell, too few seeds or too small a profile give "not judged" with the reason; what
    was measured still stands in the lines. Records of other tasks are left out.

    Raises:
        ValueError: records of several profiles, or two records for one cell and seed.
    """
    chosen = [record for record in records if record.asked.task == "images"]
    profiles = sorted({record.asked.profile for record in chosen})
    if len(profiles) > 1:
        raise ValueError(f"records of one profile are judged at a time, not of {profiles}")
    runs = _Runs(chosen, profiles[0] if profiles else "none")
    return {"C4": _c4(runs), "C5": _c5(runs), "C6": _c6(runs), "C8": _c8(runs)}


class _Runs:
    """The records of one profile by cell, and the one way a line is made from them."""

    def __init__(self, records: Sequence[Record], profile: str) -> None:
        self.cells = by_cell(records)
        self.profile = profile

    def line(
        self,
        contrast: Contrast,
        metric: str,
        claimed: Claimed | None = "below",
        primary: bool = False,
    ) -> Line:
        found = [
            {s: r for s, r in self.cells.get(cell, {}).items() if metric in r.measured.metrics}
            for cell in contrast.cells
        ]
        seeds = tuple(sorted(set.intersection(*(set(having) for having in found))))
        report = _report(contrast, metric)
        if not seeds:
            return Line(
                contrast.label,
                metric,
                claimed,
                None,
                None,
                "not judged",
                reason=self._lack(contrast, metric),
                primary=primary,
                report=report,
            )
        weights = [weight for weight, _ in contrast.terms]
        values = [
            math.fsum(
                weight * having[seed].measured.metrics[metric]
                for weight, having in zip(weights, found, strict=True)
            )
            for seed in seeds
        ]
        interval = t_interval(values)
        reason = why_not_judged("images", self.profile, len(seeds)) if claimed else ""
        outcome = judge(interval, claimed) if claimed else "context"
        return Line(
            contrast.label,
            metric,
            claimed,
            interval,
            p_value(values),
            "not judged" if reason else outcome,
            reason=reason,
            primary=primary,
            items=_items(weights, found, seeds) if metric == NLL else None,
            report=report,
            seeds=seeds,
            signatures=tuple(sorted({having[s].signature for having in found for s in seeds})),
        )

    def _lack(self, contrast: Contrast, metric: str) -> str:
        """Name what a contrast that no seed has would need."""
        if not self.cells:
            return "no image records"
        cells = [cell for cell in contrast.cells if cell not in self.cells]
        if cells:
            return "no record of " + ", nor of ".join(cell.full_label for cell in cells)
        cells = [
            cell
            for cell in contrast.cells
            if not any(metric in r.measured.metrics for r in self.cells[cell].values())
        ]
        if cells:
            return f"no {metric} of " + ", nor of ".join(cell.full_label for cell in cells)
        return f"no seed that all records of {contrast.label} have"

    def verdict(
        self,
        claim: str,
        subject: str,
        verb: str,
        link: str,
        lines: Sequence[Line],
        reason: str = "",
    ) -> Verdict:
        """Join the primary lines into a verdict and its sentence.

        The sentence reads "subject, then for each line: verb, number, link, label". ``reason``
        says why there is nothing to judge, if so.
        """
        primary = [line for line in lines if line.primary]
        outcome = "not judged" if reason else combine([line.verdict for line in primary])
        lacking = [line.reason for line in primary if line.interval is None]
        reason = reason or "; ".join(dict.fromkeys(lacking))
        n_seeds = min((len(line.seeds) for line in primary or lines), default=0)
        if outcome == "not judged" and not reason:
            reason = why_not_judged("images", self.profile, n_seeds)
        measured = [line for line in primary if line.interval is not None]
        several = len({line.verdict for line in measured}) > 1
        parts = "; ".join(
            f"{verb} {_number(line, line.verdict if several else '')} {link}"
            f"{line.label.removeprefix(EXCESS)}"
            for line in measured
        )
        where = f"({n_seeds} seed{'' if n_seeds == 1 else 's'}, profile {self.profile})"
        body = f"{subject} {parts} {where}" if measured else where
        head = outcome.capitalize() + (f" ({reason})" if reason else "")
        return Verdict(
            CLAIMS[claim],
            outcome,
            f"{head}{': ' if measured else ' '}{body}.",
            tuple(lines),
            n_seeds,
            self.profile,
            tuple(sorted({s for line in lines for s in line.signatures})),
            reason,
        )


def _difference(label: str, a: Cell, b: Cell) -> Contrast:
    return Contrast(label, ((1.0, a), (-1.0, b)))


def _c4(runs: _Runs) -> Verdict:
    contrasts = [
        _difference(
            f"intra-distillation − baseline, teacher, s = {s:g}",
            Cell("id", 0, s),
            Cell("baseline", 0, s),
        )
        for s in SMOOTHINGS
    ] + [_student_minus_teacher("baseline", 1, s) for s in SMOOTHINGS]
    lines = [runs.line(contrast, STD, primary=True) for contrast in contrasts]
    for metric in (
        "sensitivity/cv",
        STD_NORMALIZED,
        "sensitivity/gini",
        "sensitivity/std/last",
        "sensitivity/cv/last",
    ):
        lines += [runs.line(contrast, metric) for contrast in contrasts]
    lines += [runs.line(contrast, "train/nll", claimed=None) for contrast in contrasts]
    return runs.verdict("C4", "the std of sensitivity changes", "by", "for ", lines)


def _c5(runs: _Runs) -> Verdict:
    lines: list[Line] = []
    failed: list[Line] = []
    for round_ in (1, 2):
        for s in SMOOTHINGS:
            pair = [Cell(method, round_, s) for method in ("baseline", "id")]
            if round_ > 1 and not any(cell in runs.cells for cell in pair):
                continue
            baseline = _student_minus_teacher("baseline", round_, s)
            id_ = _student_minus_teacher("id", round_, s)
            # gain = teacher − student, so gain_id − ½ gain_baseline changes both signs
            excess = Contrast(
                f"{EXCESS}{Cell('id', round_, s).label}",
                tuple((-w, c) for w, c in id_.terms) + tuple((w / 2, c) for w, c in baseline.terms),
            )
            condition = runs.line(baseline, NLL)
            open_ = condition.verdict == "not judged" and round_ == 1  # a lack is the claim's lack
            line = runs.line(excess, NLL, primary=condition.verdict == "supported" or open_)
            if not line.primary and line.verdict != "not judged":
                why = "the baseline student does not beat its teacher here"
                line = replace(line, verdict="not judged", reason=why)
                failed.append(condition)
            lines += [line, condition, runs.line(id_, NLL, claimed=None)]
    reason = ""
    if not any(line.primary for line in lines):
        reason = "no baseline student beats its teacher, so there is nothing to hold: " + "; ".join(
            f"{line.label}: {_number(line)}" for line in failed
        )
    subject = (
        "what distillation takes off the test NLL after intra-distillation, minus half of what it "
        "takes off the baseline's,"
    )
    return runs.verdict("C5", subject, "is", "for the ", lines, reason)


def _c6(runs: _Runs) -> Verdict:
    pairs = [(Cell("id", *cell), Cell("baseline", *cell)) for cell in CELLS]
    each = [_difference(a.label, a, b) for a, b in pairs]
    weight = 1 / len(pairs)
    mean = Contrast(
        "mean of the four pairs",
        tuple(term for a, b in pairs for term in ((weight, a), (-weight, b))),
    )
    lines = [runs.line(mean, NLL, primary=True)] + [runs.line(c, NLL) for c in each]
    lines += [runs.line(c, "test/accuracy", "above") for c in (mean, *each)]
    lines += [runs.line(c, "test/nll/calibrated") for c in (mean, *each)]
    return runs.verdict("C6", "intra-distillation changes the test NLL", "by", "as the ", lines)


def _c8(runs: _Runs) -> Verdict:
    contrasts = [
        _difference(f"against {METHOD_NAMES[m]}", Cell("id", 0, 0.0), Cell(m, 0, 0.0))
        for m in ("passes", "compute")
    ]
    lines = [runs.line(contrast, NLL, primary=True) for contrast in contrasts]
    lines += [runs.line(contrast, "test/accuracy", "above") for contrast in contrasts]
    lines += [runs.line(contrast, "test/nll/calibrated") for contrast in contrasts]
    return runs.verdict("C8", "intra-distillation changes the test NLL", "by", "", lines)


def _student_minus_teacher(method: str, round_: int, s: float) -> Contrast:
    label = f"{METHOD_NAMES[method]}, {ROLES[round_]} − teacher, s = {s:g}"
    return _difference(label, Cell(method, round_, s), Cell(method, 0, s))


def _items(weights: list[float], found: list[dict], seeds: tuple[int, ...]) -> Interval | None:
    """Bootstrap over test items of the mean over seeds; one generator seed for every line."""
    name = "test/nll/items"
    curves = [[having[s].measured.curves.get(name, []) for s in seeds] for having in found]
    lengths = {len(curve) for row in curves for curve in row}
    if len(lengths) > 1 or 0 in lengths:
        return None
    means = np.array(curves).mean(axis=1)  # [cells, items]
    return bootstrap_items(np.array(weights) @ means, np.random.default_rng(0))


def _report(contrast: Contrast, metric: str) -> float | None:
    table = REPORT_IMAGES.get(metric, {})
    if not all(cell in table for cell in contrast.cells):
        return None
    return math.fsum(weight * table[cell] for weight, cell in contrast.terms)


def signed(value: float, metric: str, unit: bool = False) -> str:
    """Write a difference in a metric with its sign, scaled as the metric is written.

    >>> signed(-0.0451, "test/nll", unit=True)
    '−0.045 nats'
    """
    how = METRICS.get(metric, Metric(metric, ""))
    text = f"{value * how.scale:+{how.form}}".replace("-", "−")
    return f"{text} {how.unit}".strip() if unit else text


def _number(line: Line, outcome: str = "") -> str:
    interval = line.interval
    number = signed(interval.mean, line.metric, unit=True)
    if not interval.bounded:
        return number
    low, high = signed(interval.low, line.metric), signed(interval.high, line.metric)
    return f"{number} (95 % interval {low} to {high}{outcome and f'; {outcome}'})"
