"""The tables of the report: our records beside the earlier report's and the paper's figures.

Tables for reading hold text: a mean with its standard deviation over seeds, or the one number
where there is one seed. The label of a row says how many seeds it has; a cell says so only where
it has fewer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from idlib.metrics.items import TRAINED_ON, languages
from idlib.records import Record
from idlib.report.comparisons import Comparison, Runs, difference
from idlib.report.conditions import METHOD_NAMES, Condition, condition_of, task_of
from idlib.report.frame import PUBLISHED, REPORT, frame_of, published, spread
from idlib.report.metrics import CV, GINI, STD, STD_NORMALIZED, Metric
from idlib.report.outcomes import Verdict
from idlib.report.results import Results
from idlib.report.statistics import Interval
from idlib.report.tasks import report_of
from idlib.report.tasks.base import PublishedCost
from idlib.report.text import NOT_STATED, NOTHING

OVER_SEEDS, OVER_ITEMS = "95 % interval over seeds", "95 % interval over items"
P_SEEDS = "p over seeds"
GAINS = {"validation/nll": -1, "validation/bleu": 1}  # the sign that makes a gain positive


# ---- by method


def methods(results: Results) -> pd.DataFrame:
    """The methods as base models at the controls' smoothing: what the divergence adds."""
    return _by_model(_base_models(results), [results.metric(k) for k in results.report.compared])


def gap(results: Results) -> pd.DataFrame:
    """F1 on English, on the other languages, and the gap between them, by method."""
    kind = "f1_parallel" if "f1_parallel" in results.report.by_language else "f1"
    english, others = (results.metric(f"test/{kind}/{which}") for which in ("en", "others"))
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
    data = data.assign(model=[condition.full_label for condition in conditions])
    order = [condition.full_label for condition in sorted(set(conditions), key=_method_first)]
    return _by_model(data, [results.metric(key) for key in keys], order)


def cost(results: Results) -> pd.DataFrame:
    """Seconds and peak memory of a run by method, beside the earlier report's on its GPU.

    Medians over the base models and students of a method, since wall seconds also count what else
    the machine did; "× baseline" is the ratio of medians.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for origin, data in frame_of(results).groupby("from", sort=False):
        seconds = data.groupby("model")["seconds"].median()
        for model, runs in data.groupby("model"):
            rows[str(model), str(origin)] = {
                "runs": str(len(runs)),
                "seconds a run": f"{seconds[model]:,.0f}",
                "× baseline": _ratio(seconds[model], seconds.get(METHOD_NAMES["baseline"])),
                "peak memory, MB": f"{runs['peak_memory_mb'].max():,.0f}",
            }
    stated = results.report.cost
    for method, model_cost in stated.items():
        about = "about " if model_cost.about else ""
        rows[METHOD_NAMES[method], REPORT] = {
            "runs": NOT_STATED,
            "seconds a run": f"{about}{model_cost.seconds:,.{0 if about else 1}f}",
            "× baseline": _ratio(model_cost.seconds, stated["baseline"].seconds),
            "peak memory, MB": _memory(model_cost),
        }
    places = {name: place for place, name in enumerate(METHOD_NAMES.values())}
    ordered = sorted(rows, key=lambda row: places.get(row[0], len(places)))
    return _indexed({row: rows[row] for row in ordered})


def layers(results: Results) -> pd.DataFrame:
    """Sensitivity by layer of the judged base models, by method: std × 1000 and std/mean."""
    index = pd.Index(results.report.layers, name="layer")
    columns: dict[tuple[str, str], list[str]] = {}
    for method, name in METHOD_NAMES.items():
        runs = [record.measured.metrics for record in results.base_models.get(method, ())]
        if runs:
            stds, ratios = _by_layer(runs, results.report.layers)
            columns[name, "std × 1000"] = [spread(row, STD, len(runs)) for row in stds]
            columns[name, "std / mean"] = [spread(row, CV, len(runs)) for row in ratios]
    names = ["model", "sensitivity"]
    if not columns:
        return pd.DataFrame(index=index, columns=pd.MultiIndex.from_tuples([], names=names))
    return pd.DataFrame(columns, index=index).rename_axis(columns=names)


# ---- by condition


def rounds(results: Results, keys: Sequence[str] | None = None) -> pd.DataFrame:
    """Baseline and intra-distillation by round of self-distillation and smoothing.

    A block for each metric, in the earlier report's shape; what it and the paper state stands
    below ours. ``keys`` are the task's metrics by round unless given.
    """
    parts = [part for part in (frame_of(results), published(results)) if len(part)]
    data = pd.concat(parts or [frame_of(results)], ignore_index=True)
    data = data[data["method"].isin(["id", "baseline"])]
    where = sorted({(s, r) for r, s in zip(data["round"], data["smoothing"], strict=True)})
    blocks = {}
    for metric in (results.metric(key) for key in keys or results.report.by_round):
        rows: dict[tuple[str, str], dict[str, str]] = {}
        for method in ("id", "baseline"):
            for origin, part in data[data["method"] == method].groupby("from", sort=False):
                if (
                    origin in PUBLISHED
                    and part.get(metric.key, pd.Series(dtype=float)).isna().all()
                ):
                    continue
                rows[METHOD_NAMES[method], str(origin)] = {
                    Condition("", round_, s).label: _cell(part, round_, s, metric, str(origin))
                    for s, round_ in where
                }
        blocks[metric.title] = _indexed(rows)
    shown = {title: block for title, block in blocks.items() if len(block)}
    return pd.concat(shown or blocks, names=["measure"])


def balance(results: Results) -> pd.DataFrame:
    """Balance of sensitivity of all models, by round and smoothing: the paper's std, raw and
    normalised by each batch's loss, and two figures that do not change with the size of gradients.
    """
    return rounds(results, [metric.key for metric in (STD, STD_NORMALIZED, CV, GINI)])


# ---- intra-distillation against its baseline


def score(results: Results, key: str) -> pd.DataFrame:
    """A score of baseline and intra-distillation, both base models, and their difference.

    The interval over items is the bootstrap's, of the mean over seeds; the interval over seeds is
    Student's t. What the paper and the earlier report state of this score stands below.
    """
    pair, metric = _pair(results), results.metric(key)
    rows: dict[str, dict[str, str]] = {}
    for origin, records in _by_origin(results).items():
        rows[origin] = _against(Runs(records, results.task), pair, metric)
    for origin, stated in (
        (REPORT, results.report.earlier_report),
        (PUBLISHED[1], results.report.paper),
    ):
        values = [stated.get(key, {}).get(condition) for condition in pair]
        texts = [NOT_STATED if value is None else metric.written(value) for value in values]
        rows[origin] = {
            METHOD_NAMES["baseline"]: texts[1],
            METHOD_NAMES["id"]: texts[0],
            "difference": NOT_STATED
            if values[0] is None or values[1] is None
            else metric.difference(values[0] - values[1]),
            OVER_ITEMS: NOT_STATED,
            OVER_SEEDS: NOT_STATED,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("from")


def by_language(
    results: Results, kind: str = "f1", untrained: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """A score of the judged base models in every tested language, and its difference.

    Below stand the means over the languages not trained on. The interval over items is left out
    where the records keep no items of the score.

    Args:
        results: of a task that is tested in several languages.
        kind: ``f1`` or ``em``.
        untrained: further columns by their label: scores without a model, by their name in the
            records (``f1_first``).
    """
    judged = results.judged
    curves = judged[0].measured.curves if judged else {}
    items = {name: set(curves[f"test/items/{name}"]) for name in languages(curves)}
    others = [name for name in items if name != TRAINED_ON]
    rows = {name: (f"test/{kind}/{name}", len(numbers)) for name, numbers in items.items()}
    if len(items) > 1:
        size = sum(len(items[name]) for name in others)
        rows["mean of the others"] = f"test/{kind}/others", size
    parallel = f"test/{kind}_parallel/others"
    if any(parallel in record.measured.metrics for record in judged):
        size = len(set.intersection(*items.values()))
        rows["mean of the others, parallel items"] = parallel, size
    runs, pair = Runs(judged, results.task), _pair(results)
    rules = untrained or {}
    made = {}
    for label, (key, size) in rows.items():
        made[label] = {"items": f"{size:,}", **_against(runs, pair, results.metric(key))}
        baselines = runs.by_condition.get(pair[1], {}).values()
        for column, name in rules.items():  # the same in every record
            rule_key = key.replace(f"test/{kind}/", f"test/{name}/")
            value = next((r.measured.metrics.get(rule_key) for r in baselines), None)
            made[label][column] = NOTHING if value is None else results.metric(key).written(value)
    table = pd.DataFrame.from_dict(made, orient="index").rename_axis("language")
    kept = table.empty or (table[OVER_ITEMS] != NOTHING).any()
    return table if kept else table.drop(columns=OVER_ITEMS)


def verdict(judged: Verdict) -> pd.DataFrame:
    """The comparisons of a verdict: outcome, difference, intervals, p, the earlier report's.

    A comparison gives its reason where that is not the verdict's own. The p is over seeds
    (Student's t).
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for c in judged.comparisons:
        reason = f" ({c.reason})" if c.reason not in ("", judged.reason) else ""
        bounded = c.interval is not None and c.interval.bounded
        earlier = c.earlier_report
        rows[c.metric.title, c.label] = {
            "verdict": c.outcome + reason,  # first: a page may be narrower than the table
            "difference": _difference(c),
            OVER_SEEDS: _bounds(c.interval, c.metric),
            OVER_ITEMS: _bounds(c.items, c.metric),
            P_SEEDS: f"{c.p_value:.2g}" if bounded else NOTHING,
            REPORT: NOT_STATED if earlier is None else c.metric.difference(earlier),
        }
    return _indexed(rows, ("metric", "comparison"))


def gains(records: Iterable[Record]) -> pd.DataFrame:
    """What intra-distillation gains on validation at each number of epochs and of examples.

    One row for each setting and seed that has both base models at the task's first smoothing, for
    validation NLL and for SacreBLEU: ``metric, epochs, train, seed, gain``, the gain positive
    where intra-distillation is better. ``train`` is infinite where a run took the whole training
    split; :func:`size` writes it.

    Raises:
        ValueError: records of several tasks, or two records for one setting, method and seed.
    """
    given = list(records)
    task = task_of(given)
    pairs: dict[tuple[Any, float, int], dict[str, Record]] = {}
    for record in given:
        settings, condition = record.asked.settings, condition_of(record)
        if condition.round or condition.smoothing != report_of(task or "").smoothings[0]:
            continue
        train = settings.get("examples", {}).get("train", math.inf)
        at = (settings.get("epochs"), train, record.asked.seed)
        known = pairs.setdefault(at, {}).setdefault(condition.method, record)
        if known.signature != record.signature:
            raise ValueError(
                f"two records for {condition.full_label}, {settings.get('epochs')} epochs of "
                f"{size(train)} training examples, seed {record.asked.seed}"
            )
    rows = []
    for at, pair in pairs.items():
        for key, sign in GAINS.items():
            values = [
                pair[method].measured.metrics.get(key) if method in pair else None
                for method in ("id", "baseline")
            ]
            if values[0] is not None and values[1] is not None:
                rows.append((key, *at, sign * (values[0] - values[1])))
    table = pd.DataFrame(rows, columns=["metric", "epochs", "train", "seed", "gain"])
    return table.sort_values(["metric", "epochs", "train", "seed"]).reset_index(drop=True)


def size(train: float) -> str:
    """A number of training examples as text: ``all`` where a run took the whole split."""
    return "all" if math.isinf(train) else f"{train:,.0f}"


def settings(results: Results) -> pd.DataFrame:
    """The settings that decide the size of a run, of this build and of the evidence."""
    columns: dict[str, dict[str, object]] = {}
    for name, records in (("this build", results.records), ("evidence", results.evidence)):
        found = [r for r in records if r.asked.method == "id" and condition_of(r).round == 0]
        if found:
            updates = int(found[-1].measured.curves["train/step"][-1])
            columns[name] = {**found[-1].asked.settings, "updates": updates}
    table = pd.DataFrame(columns, dtype=object).reindex([*results.report.settings, "updates"])
    return table.fillna(NOTHING)


# ---- parts


def _by_model(
    data: pd.DataFrame,
    metrics: Sequence[Metric],
    order: Sequence[str] = tuple(METHOD_NAMES.values()),
) -> pd.DataFrame:
    """Rows model × from, the models in this order; columns metrics."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for model in order:
        for origin, part in data[data["model"] == model].groupby("from", sort=False):
            rows[model, str(origin)] = {metric.title: _spread(part, metric) for metric in metrics}
    return _indexed(rows, columns=[metric.title for metric in metrics])


def _base_models(results: Results) -> pd.DataFrame:
    data = frame_of(results)
    return data[(data["round"] == 0) & (data["smoothing"] == results.report.smoothings[0])]


def _spread(part: pd.DataFrame, metric: Metric) -> str:
    values = part.sort_values("seed").get(metric.key)
    return (
        NOTHING if values is None else spread(values.tolist(), metric, int(part["seeds"].iloc[0]))
    )


def _cell(part: pd.DataFrame, round_: int, smoothing: float, metric: Metric, origin: str) -> str:
    here = part[(part["round"] == round_) & (part["smoothing"] == smoothing)]
    text = NOTHING if here.empty else _spread(here, metric)
    return NOT_STATED if text == NOTHING and origin in PUBLISHED else text


def _pair(results: Results) -> tuple[Condition, Condition]:
    s = results.report.smoothings[0]
    return Condition("id", 0, s), Condition("baseline", 0, s)


def _against(runs: Runs, pair: tuple[Condition, Condition], metric: Metric) -> dict[str, str]:
    """Baseline, intra-distillation, and their difference with its intervals."""
    compared = runs.compare(difference("", *pair), metric.key)
    seeds = len({seed for by_seed in runs.by_condition.values() for seed in by_seed})
    texts = []
    for condition in pair:
        by_seed = runs.by_condition.get(condition, {})
        values = [by_seed[s].measured.metrics.get(metric.key, math.nan) for s in sorted(by_seed)]
        texts.append(spread(values, metric, seeds))
    return {
        METHOD_NAMES["baseline"]: texts[1],
        METHOD_NAMES["id"]: texts[0],
        "difference": _difference(compared),
        OVER_ITEMS: _bounds(compared.items, metric),
        OVER_SEEDS: _bounds(compared.interval, metric),
    }


def _by_layer(
    runs: Sequence[Mapping[str, float]], names: Sequence[str]
) -> tuple[list[list[float]], list[list[float]]]:
    """Std, and std over mean, of each layer [layers][runs]; NaN where a record lacks one."""
    stds = [[run.get(f"sensitivity/std/{name}", math.nan) for run in runs] for name in names]
    means = [[run.get(f"sensitivity/mean/{name}") or math.nan for run in runs] for name in names]
    return stds, (np.array(stds) / np.array(means)).tolist()


def _indexed(
    rows: Mapping[tuple[str, str], dict[str, str]],
    names: tuple[str, str] = ("model", "from"),
    columns: list[str] | None = None,
) -> pd.DataFrame:
    """A table of these rows; without any it is empty, with the columns where they are named."""
    index = pd.MultiIndex.from_tuples(list(rows) or [("", "")], names=names)
    table = pd.DataFrame(list(rows.values()) or [{}], index=index, columns=columns)
    return table if rows else table.iloc[:0]


def _difference(compared: Comparison) -> str:
    interval = compared.interval
    return NOTHING if interval is None else compared.metric.difference(interval.mean)


def _bounds(interval: Interval | None, metric: Metric) -> str:
    if interval is None or not interval.bounded:
        return NOTHING
    return f"{metric.difference(interval.low)} to {metric.difference(interval.high)}"


def _ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else NOTHING


def _memory(stated: PublishedCost) -> str:
    logs = "" if stated.logged_gb is None else f"; its logs: at most {1000 * stated.logged_gb:,.0f}"
    return f"{1000 * stated.gpu_gb:,.0f} (GPU{logs})"


def _every(results: Results) -> list[Record]:
    return [*results.records, *results.evidence]


def _by_origin(results: Results) -> dict[str, list[Record]]:
    """The records of this build and of the evidence by the label of their rows."""
    data = frame_of(results)
    by_signature = {record.signature: record for record in _every(results)}
    return {
        str(origin): [by_signature[signature] for signature in part["signature"]]
        for origin, part in data.groupby("from", sort=False)
    }


def _method_first(condition: Condition) -> tuple[int, float, int]:
    order = list(METHOD_NAMES)
    known = order.index(condition.method) if condition.method in order else len(order)
    return known, condition.smoothing, condition.round
