"""The tables of the report: our records beside the earlier report's and the paper's figures.

Tables for reading hold text: a mean with its standard deviation over seeds, or the one number
where there is one seed. The label of a row says how many seeds it has; a cell says so only where
it has fewer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from idlib.metrics.items import OTHERS, PARALLEL, TRAINED_ON, languages
from idlib.metrics.names import IN_WORDS, at
from idlib.records import Record
from idlib.report import times
from idlib.report.board import Board
from idlib.report.claims import PAPER, PUBLISHED, REPORT, caveat
from idlib.report.compared import Compared
from idlib.report.comparisons import Comparison, Runs, difference
from idlib.report.conditions import (
    METHOD_NAMES,
    Condition,
    by_condition,
    condition_of,
    task_of,
)
from idlib.report.designs import selection_of
from idlib.report.frame import frame_of, published, spread
from idlib.report.metrics import CV, GINI, STD, STD_NORMALIZED, Metric
from idlib.report.results import Results
from idlib.report.statistics import Interval
from idlib.report.tasks import report_of
from idlib.report.tasks.base import PublishedCost
from idlib.report.text import NOT_STATED, NOTHING

OVER_SEEDS, OVER_BOTH = "95 % interval over seeds", "over seeds and items"
BASELINE, ID = METHOD_NAMES["baseline"], METHOD_NAMES["id"]

Cells = dict[str, str]  # of a row, by column


# ---- by method


def methods(results: Results) -> pd.DataFrame:
    """The methods as base models at the controls' smoothing: what the divergence adds."""
    return _by_model(_base_models(results), [results.metric(k) for k in results.report.compared])


def gap(results: Results, kind: str = "test/f1") -> pd.DataFrame:
    """A score on English, its mean over the other languages, and the gap, by method."""
    english, others = (results.metric(f"{kind}/{which}") for which in (TRAINED_ON, OTHERS))
    data = _base_models(results)
    if {english.key, others.key} <= {*data}:
        data = data.assign(gap=data[english.key] - data[others.key])
    return _by_model(data, [english, others, Metric("gap", "gap", "points", 100.0, ".2f")])


def calibration(results: Results) -> pd.DataFrame:
    """Test NLL before and after a temperature fitted on validation, and accuracy, of all models."""
    keys = ("test/nll", "calibration/temperature", "test/nll/calibrated", "test/accuracy")
    data = frame_of(results)
    models = zip(data["method"], data["round"], data["smoothing"], strict=True)
    conditions = [Condition(*model) for model in models]
    methods = list(METHOD_NAMES)
    order = sorted(
        (c for c in set(conditions) if c.method in methods),
        key=lambda c: (methods.index(c.method), c.smoothing, c.round),
    )
    data = data.assign(model=[condition.full_label for condition in conditions])
    return _by_model(data, [results.metric(key) for key in keys], [c.full_label for c in order])


def cost(results: Results) -> pd.DataFrame:
    """Time beside the baseline's and peak memory of base models, beside the earlier report's.

    Of the models that the protocol's lines compare, at the first smoothing: the ratio is of pairs,
    and students, who ask a teacher at each update, are left out.
    """
    rows: dict[tuple[str, str], Cells] = {}
    first = results.report.smoothings[0]
    for label, records in results.by_label.items():
        runs = by_condition(records)
        for method, name in METHOD_NAMES.items():
            found: list[float] = []
            made: list[Record] = []
            for condition, by_seed in runs.items():
                if condition[:3] == (method, 0, first):
                    made += by_seed.values()
                    baseline = runs.get(condition._replace(method="baseline"), {})
                    found += times.ratios(by_seed, baseline)
            if made:
                peak = max(record.cost.peak_memory_bytes for record in made)
                rows[name, label] = {
                    "runs": str(len(made)),
                    **times.columns(found),
                    "peak memory, MB": f"{peak / 1e6:,.0f}",
                }
    stated = results.report.cost
    for method, one in stated.items():
        ratio = one.seconds / stated["baseline"].seconds
        rows[METHOD_NAMES[method], REPORT] = {
            "runs": NOT_STATED,
            times.TIME: f"{'about ' if one.about else ''}{ratio:.2f}",
            times.QUARTILES: NOT_STATED,
            "peak memory, MB": _memory(one),
        }
    names = list(METHOD_NAMES.values())
    return _indexed({row: rows[row] for row in sorted(rows, key=lambda row: names.index(row[0]))})


def layers(results: Results) -> pd.DataFrame:
    """Sensitivity by layer of the judged base models, by method: std × 1000 and std/mean.

    At the checkpoint of which C4 is judged, where it is.
    """
    rule = selection_of(results.task, "C4")
    index = pd.Index(results.report.layers, name=f"layer{IN_WORDS[rule]}")
    columns: dict[tuple[str, str], list[str]] = {}
    for method, name in METHOD_NAMES.items():
        runs = [record.measured.metrics for record in results.base_models.get(method, ())]
        if not runs:
            continue
        for title, metric in (("std × 1000", STD), ("std / mean", CV)):
            columns[name, title] = [
                spread([_of_layer(run, metric, layer, rule) for run in runs], metric, len(runs))
                for layer in index
            ]
    names = ["model", "sensitivity"]
    labels = pd.MultiIndex.from_tuples(list(columns), names=names)
    return pd.DataFrame(columns, index=index, columns=labels)


# ---- by condition


def rounds(results: Results, keys: Sequence[str] | None = None) -> pd.DataFrame:
    """Baseline and intra-distillation by round of self-distillation and smoothing.

    A block for each metric, in the earlier report's shape; what it and the paper state stands
    below ours. ``keys`` are the task's metrics by round unless given.
    """
    ours = frame_of(results)
    data = pd.concat([part for part in (ours, published(results)) if len(part)] or [ours])
    data = data[data["method"].isin(["id", "baseline"])]
    where = sorted({(s, r) for r, s in zip(data["round"], data["smoothing"], strict=True)})
    rows: dict[tuple[str, str, str], Cells] = {}
    for metric in map(results.metric, results.report.by_round if keys is None else keys):
        for (model, origin), part in _parts(data, (ID, BASELINE)):
            stated = origin in PUBLISHED
            if stated and (metric.key not in part or part[metric.key].isna().all()):
                continue
            rows[metric.title, model, origin] = {
                Condition("", round_, s).label: _spread(
                    part[(part["round"] == round_) & (part["smoothing"] == s)],
                    metric,
                    NOT_STATED if stated else NOTHING,
                )
                for s, round_ in where
            }
    return _indexed(rows, ("measure", "model", "from"))


def balance(results: Results) -> pd.DataFrame:
    """Balance of sensitivity of all models, by round and smoothing.

    The paper's std, raw and normalised by each batch's loss, and two figures that do not change
    with the size of gradients.
    """
    return rounds(results, [metric.key for metric in (STD, STD_NORMALIZED, CV, GINI)])


# ---- intra-distillation against its baseline


def score(results: Results, key: str) -> pd.DataFrame:
    """A score of baseline and intra-distillation, both base models, and their difference.

    The interval over seeds is Student's t; that over seeds and items is the crossed bootstrap's.
    What the paper and the earlier report state of this score stands below.
    """
    pair, metric = _pair(results), results.metric(key)
    rows = {
        label: _against(Runs(records, results.task), pair, metric)
        for label, records in results.by_label.items()
    }
    for origin, figures in (
        (REPORT, results.report.earlier_report),
        (PAPER, results.report.paper),
    ):
        ours, baseline = (figures.get(key, {}).get(condition) for condition in pair)
        rows[origin] = {
            BASELINE: NOT_STATED if baseline is None else metric.written(baseline),
            ID: NOT_STATED if ours is None else metric.written(ours),
            "difference": NOT_STATED
            if ours is None or baseline is None
            else metric.difference(ours - baseline),
            OVER_BOTH: NOT_STATED,
            OVER_SEEDS: NOT_STATED,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("from")


def by_language(
    results: Results, kind: str = "f1", untrained: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """A score of the judged base models in every tested language, and its difference.

    Below stand the means over the languages not trained on. The interval over seeds and items is
    left out where the records keep no items of the score.

    Args:
        results: of a task that is tested in several languages.
        kind: ``f1`` or ``em``.
        untrained: further columns by their label: scores without a model, by their name in the
            records (``f1_first``).
    """
    runs, pair = Runs(results.judged, results.task), _pair(results)
    baselines = [record.measured.metrics for record in runs.by_condition.get(pair[1], {}).values()]
    rows: dict[str, Cells] = {}
    for label, part, n_items in _tested(results, kind):
        metric = results.metric(f"test/{kind}{part}")
        row = {"items": f"{n_items:,}", **_against(runs, pair, metric)}
        for column, name in (untrained or {}).items():  # the same in every record
            values = [run[f"test/{name}{part}"] for run in baselines if f"test/{name}{part}" in run]
            row[column] = metric.written(values[0]) if values else NOTHING
        rows[label] = row
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("language")
    if table.empty or (table[OVER_BOTH] != NOTHING).any():
        return table
    return table.drop(columns=OVER_BOTH)


def lines(board: Board) -> Styler:
    """The protocol's lines that a board shows: what each compares, its outcome and effect."""
    return unbroken(board.table(), "outcome", "effect", "δ", "seeds")


def unbroken(table: pd.DataFrame, *columns: str) -> Styler:
    """A table without its index, whose cells in these columns are never broken into lines."""
    shown = table.style.hide(axis="index")
    names = [name for name in columns if name in table]
    return shown.set_td_classes(table[names].map(lambda _: "nowrap"))


def compared(found: Compared) -> pd.DataFrame:
    """The comparisons of a claim: difference, intervals, and the earlier report's difference.

    One without a difference says why in its place. Beside the earlier report's difference stands
    what the audit says of it.
    """
    rows: dict[tuple[str, str], Cells] = {}
    for c in found.comparisons:
        earlier = c.earlier_report
        smoothed = any(condition.smoothing > 0 for condition in c.conditions)
        said = caveat(found.claim.id, smoothed)
        rows[c.metric.title, c.label] = {
            "difference": c.reason or _difference(c),
            OVER_SEEDS: _bounds(c.interval, c.metric),
            OVER_BOTH: _bounds(c.items, c.metric),
            REPORT: NOT_STATED
            if earlier is None
            else ", ".join(filter(None, (c.metric.difference(earlier), said))),
        }
    return _indexed(rows, ("metric", "comparison"))


def of_build(results: Results) -> pd.DataFrame:
    """The main comparisons of each claim in the records of this build alone."""
    rows = {
        (claim, c.label): {"in this build": c.in_words()}
        for claim, found in results.compared_of_build.items()
        for c in found.main
    }
    return _indexed(rows, ("claim", "comparison"))


def gains(records: Iterable[Record]) -> pd.DataFrame:
    """What intra-distillation gains on validation at each number of epochs and of examples.

    One row for each setting and seed that has both base models at the task's first smoothing, in
    each of the metrics that its report names for a sweep: ``metric, epochs, train, seed, gain``,
    the gain positive where intra-distillation is better. ``train`` is infinite where a run took
    the whole training split; :func:`size` writes it.

    Raises:
        ValueError: records of several tasks, or two records for one setting, method and seed.
    """
    given = list(records)
    task = task_of(given)
    columns = ["metric", "epochs", "train", "seed", "gain"]
    if task is None:
        return pd.DataFrame(columns=columns)
    report = report_of(task)
    pairs: dict[tuple[Any, float, int], dict[str, Record]] = {}
    for record in given:
        asked, condition = record.asked.settings, condition_of(record)
        if condition.round or condition.smoothing != report.smoothings[0]:
            continue
        train = asked.get("examples", {}).get("train", math.inf)
        at = (asked.get("epochs"), train, record.asked.seed)
        known = pairs.setdefault(at, {}).setdefault(condition.method, record)
        if known.signature != record.signature:
            raise ValueError(
                f"two records for {condition.full_label}, {asked.get('epochs')} epochs of "
                f"{size(train)} training examples, seed {record.asked.seed}"
            )
    rows = []
    for at, pair in pairs.items():
        ours, baseline = (
            pair[method].measured.metrics if method in pair else {} for method in ("id", "baseline")
        )
        for key, better in report.swept:
            if key in ours and key in baseline:
                sign = 1 if better == "above" else -1
                rows.append((key, *at, sign * (ours[key] - baseline[key])))
    return pd.DataFrame(rows, columns=columns).sort_values(columns[:4]).reset_index(drop=True)


def size(train: float) -> str:
    """A number of training examples as text: ``all`` where a run took the whole split."""
    return "all" if math.isinf(train) else f"{train:,.0f}"


def settings(results: Results) -> pd.DataFrame:
    """The settings that decide the size of a run, of this build and of the evidence."""
    names = [*results.report.settings, "updates"]
    columns: dict[str, list[object]] = {}
    for label, records in (("this build", results.records), ("evidence", results.evidence)):
        runs = [r for r in records if r.asked.method == "id" and condition_of(r).round == 0]
        if runs:
            updates = int(runs[-1].measured.curves["train/step"][-1])
            values = {**runs[-1].asked.settings, "updates": updates}
            if not values.get("examples", True):
                values["examples"] = "all"  # of every split
            known = [values.get(name) for name in names]
            columns[label] = [NOTHING if value is None else value for value in known]
    return pd.DataFrame(columns, index=names, dtype=object)


# ---- parts


def _base_models(results: Results) -> pd.DataFrame:
    data = frame_of(results)
    return data[(data["round"] == 0) & (data["smoothing"] == results.report.smoothings[0])]


def _parts(
    data: pd.DataFrame, models: Iterable[str]
) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The rows of each of these models, this build's before the evidence's: model, from, rows."""
    for model in models:
        for origin, part in data[data["model"] == model].groupby("from", sort=False):
            yield (model, str(origin)), part


def _by_model(
    data: pd.DataFrame, metrics: Sequence[Metric], models: Iterable[str] = METHOD_NAMES.values()
) -> pd.DataFrame:
    """Rows model × from, the models in this order; columns metrics."""
    rows = {
        row: {metric.title: _spread(part, metric) for metric in metrics}
        for row, part in _parts(data, models)
    }
    return _indexed(rows, columns=[metric.title for metric in metrics])


def _spread(part: pd.DataFrame, metric: Metric, nothing: str = NOTHING) -> str:
    """Mean and spread over the seeds of these rows, or ``nothing``."""
    if part.empty or metric.key not in part or part[metric.key].isna().all():
        return nothing
    return spread(part[metric.key].tolist(), metric, int(part["seeds"].iloc[0]))


def _of_layer(metrics: Mapping[str, float], metric: Metric, layer: str, rule: str) -> float:
    """Std of sensitivity of a layer, or std over mean; NaN where a record lacks it."""
    std, mean = (metrics.get(at(f"sensitivity/{name}/{layer}", rule)) for name in ("std", "mean"))
    if std is None:
        return math.nan
    return std if metric is STD else std / (mean or math.nan)


def _tested(results: Results, kind: str) -> Iterator[tuple[str, str, int]]:
    """The rows by language: label, the end of the metric's key, and the number of items."""
    curves = results.judged[0].measured.curves if results.judged else {}
    items = {name: set(curves[f"test/items/{name}"]) for name in languages(curves)}
    for name, numbers in items.items():
        yield name, f"/{name}", len(numbers)
    if len(items) > 1:
        size = sum(len(numbers) for name, numbers in items.items() if name != TRAINED_ON)
        yield "mean of the others", f"/{OTHERS}", size
    parallel = f"{PARALLEL}/{OTHERS}"
    if any(f"test/{kind}{parallel}" in record.measured.metrics for record in results.judged):
        size = len(set.intersection(*items.values()))
        yield "mean of the others, parallel items", parallel, size


def _pair(results: Results) -> tuple[Condition, Condition]:
    s = results.report.smoothings[0]
    return Condition("id", 0, s), Condition("baseline", 0, s)


def _against(runs: Runs, pair: tuple[Condition, Condition], metric: Metric) -> Cells:
    """Baseline, intra-distillation, and their difference with its intervals."""
    compared = runs.compare(difference("", *pair), metric.key)
    seeds = len({seed for by_seed in runs.by_condition.values() for seed in by_seed})
    ours, baseline = (
        [
            record.measured.metrics.get(metric.key, math.nan)
            for record in runs.by_condition.get(condition, {}).values()
        ]
        for condition in pair
    )
    return {
        BASELINE: spread(baseline, metric, seeds),
        ID: spread(ours, metric, seeds),
        "difference": _difference(compared),
        OVER_BOTH: _bounds(compared.items, metric),
        OVER_SEEDS: _bounds(compared.interval, metric),
    }


def _indexed(
    rows: Mapping[Any, Cells],
    names: tuple[str, ...] = ("model", "from"),
    columns: list[str] | None = None,
) -> pd.DataFrame:
    """A table of rows by tuples of these names; without any it is empty."""
    index = pd.MultiIndex.from_tuples(list(rows), names=names)
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)


def _difference(compared: Comparison) -> str:
    interval = compared.interval
    return NOTHING if interval is None else compared.metric.difference(interval.mean)


def _bounds(interval: Interval | None, metric: Metric) -> str:
    if interval is None or not interval.bounded:
        return NOTHING
    return metric.bounds(interval.low, interval.high)


def _memory(stated: PublishedCost) -> str:
    logs = "" if stated.logged_gb is None else f"; its logs: at most {1000 * stated.logged_gb:,.0f}"
    return f"{1000 * stated.gpu_gb:,.0f} (GPU{logs})"
