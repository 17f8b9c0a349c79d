"""Tables by language: what is carried from English to the others, and the gap between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from idlib.metrics.items import SOURCE, languages
from idlib.records import Record
from idlib.report.comparisons import Line, Runs, difference, signed
from idlib.report.names import (
    F1_ENGLISH,
    F1_OTHERS,
    F1_PARALLEL,
    METHOD_NAMES,
    SMOOTHINGS,
    Cell,
    written,
)
from idlib.report.tables.cells import (
    NOTHING,
    Group,
    Measure,
    bounds,
    by_measure,
    grouped,
    metric,
    summary,
)

_MEAN = "mean of the others"
_ITEMS = "95 % interval over items"


def language_table(
    records: Iterable[Record],
    task: str,
    score: str = "f1",
    untrained: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A score of the teachers of baseline and intra-distillation in every tested language.

    The intervals of the difference are over test items (bootstrap of the mean over seeds) and over
    seeds (Student's t); the former is left out where the records keep no items of the score. Below
    stand the means over the languages not trained on.

    Args:
        records: of one profile.
        task: theirs.
        score: ``f1`` or ``em``.
        untrained: further columns by their label: scores without a model, by their name in the
            records (``f1_first``).
    """
    groups = grouped(records, None, task)
    group = next(iter(groups.by_label.values()), Group({}, 0))
    runs, smoothing = Runs(group.records, task), SMOOTHINGS[task][0]
    pair = Cell("id", 0, smoothing), Cell("baseline", 0, smoothing)
    tested = languages(group.records[0].measured.curves) if group.records else []
    rows = {language: (f"test/{score}/{language}", language) for language in tested}
    if len(tested) > 1:
        rows[_MEAN] = f"test/{score}/others", "others"
    if any(F1_PARALLEL in r.measured.metrics for r in group.records) and score == "f1":
        rows[f"{_MEAN}, parallel items"] = F1_PARALLEL, ""
    made = {}
    for label, (name, language) in rows.items():
        line = runs.line(difference("", *pair), name, None)
        made[label] = {"items": _size(group, language), **_row(group, line, pair, name)}
        some = dict(list(group.cells.get(pair[1], {}).items())[:1])  # the same in every record
        made[label] |= {
            column: summary(some, metric(f"test/{rule}/{language}", 100.0), len(some), ".2f")
            for column, rule in (untrained or {}).items()
        }
    table = pd.DataFrame.from_dict(made, orient="index").rename_axis("language")
    kept = table.empty or (table[_ITEMS] != NOTHING).any()
    return table if kept else table.drop(columns=_ITEMS)


def gap_table(
    records: Iterable[Record], evidence: Iterable[Record] | None, task: str
) -> pd.DataFrame:
    """F1 on English, on the other languages, and the gap between them, by method (teachers)."""
    groups = grouped(records, evidence, task)
    smoothing = SMOOTHINGS[task][0]
    cells = {name: Cell(method, 0, smoothing) for method, name in METHOD_NAMES.items()}
    english, others = (
        ("test/f1_parallel/en", F1_PARALLEL) if task == "tagging" else (F1_ENGLISH, F1_OTHERS)
    )

    def gap(record: Record) -> float | None:
        metrics = record.measured.metrics
        both = english in metrics and others in metrics
        return 100 * (metrics[english] - metrics[others]) if both else None

    return by_measure(
        groups.by_label,
        cells,
        {
            written(english).name: (metric(english, 100.0), ".2f"),
            written(others).name: (metric(others, 100.0), ".2f"),
            "gap": (gap, ".2f"),
        },
    )


def _row(group: Group, line: Line, pair: tuple[Cell, Cell], name: str) -> dict[str, str]:
    how = written(name)
    measure: Measure = metric(name, how.scale)
    return {
        **{
            METHOD_NAMES[cell.method]: summary(
                group.cells.get(cell, {}), measure, group.n_seeds, how.form
            )
            for cell in reversed(pair)
        },
        "difference": NOTHING if line.interval is None else signed(line.interval.mean, name),
        _ITEMS: bounds(line.items, name),
        "95 % interval over seeds": bounds(line.interval, name),
    }


def _size(group: Group, language: str) -> str:
    """Number of test items of a language, of all but English, or of those all languages have."""
    curves = group.records[0].measured.curves if group.records else {}
    items = {name: curves[f"test/items/{name}"] for name in languages(curves)}
    if not language:
        return f"{len(set.intersection(*map(set, items.values()))):,}"
    wanted = [language] if language in items else [name for name in items if name != SOURCE]
    return f"{sum(len(items[name]) for name in wanted):,}"
