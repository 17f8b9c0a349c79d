"""All models of a study against all: ranks, differences, and how often one seed would mislead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from idlib.explain.audit.sources import difference, written
from idlib.explain.style import closed, white_grid
from idlib.report.conditions import Condition, cell_name
from idlib.report.figures.style import WIDTH, nothing
from idlib.report.metrics import NLL, Metric
from idlib.report.paired import Cells
from idlib.report.statistics import t_interval
from idlib.report.tasks.images import IMAGES
from idlib.report.text import NOTHING, counted, signed

RESAMPLES, SEED = 2000, 2022
REVERSALS = (("id", "baseline student"), ("id smoothed", "baseline smoothed student"))


def values(cells: Cells, key: str = NLL.key) -> pd.DataFrame:
    """A metric by seed (rows) and cell (columns), of the seeds that every cell has.

    Cells without records have no column; seeds whose runs were made on different kinds of
    processors take no part.
    """
    there = {cell: by_seed for cell, by_seed in cells.items() if by_seed}
    shared = sorted(set.intersection(*map(set, there.values()))) if there else []
    alike = [s for s in shared if len({one[s].origin.device for one in there.values()}) == 1]
    rows = [[by_seed[s].measured.metrics[key] for by_seed in there.values()] for s in alike]
    return pd.DataFrame(rows, index=alike, columns=list(there), dtype=float)


def ranks(found: pd.DataFrame) -> pd.DataFrame:
    """Mean rank of each cell over seeds, 1 for the lowest value, with a bootstrap over seeds.

    Args:
        found: of :func:`values`.

    Returns:
        ``rank`` with the bounds ``low`` and ``high`` of its 95 % percentile interval, by cell,
        best first. A single seed has no bounds.
    """
    if found.empty:
        return pd.DataFrame(columns=["rank", "low", "high"], dtype=float)
    each = found.rank(axis=1).to_numpy()
    rng = np.random.default_rng(SEED)
    drawn = each[rng.integers(len(each), size=(RESAMPLES, len(each)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    if len(each) == 1:  # which says nothing about the next
        low = high = np.full(each.shape[1], np.nan)
    table = pd.DataFrame({"rank": each.mean(axis=0), "low": low, "high": high}, index=found.columns)
    return table.sort_values("rank")


def ranks_written(found: pd.DataFrame) -> pd.DataFrame:
    """Mean ranks with their intervals, and the mean of the metric, best first."""
    table = ranks(found)
    return pd.DataFrame(
        {
            "mean rank": table["rank"].map("{:.1f}".format),
            "95 % interval": [
                NOTHING if np.isnan(low) else f"{low:.1f} to {high:.1f}"
                for low, high in table[["low", "high"]].to_numpy()
            ],
            "test NLL": found.mean().reindex(table.index).map("{:.3f}".format),
        }
    )


def differences_figure(found: pd.DataFrame) -> Figure:
    """Row minus column, seed by seed, in thousandths; in brackets where the interval holds 0.

    Args:
        found: of :func:`values`; cells are in the order of their ranks.
    """
    order = list(ranks(found).index)
    if len(order) < 2:
        return nothing()
    means = np.full((len(order), len(order)), np.nan)
    texts = np.full(means.shape, "", dtype=object)
    for row, column in combinations(range(len(order)), 2):
        interval = t_interval((found[order[column]] - found[order[row]]).to_numpy())
        means[column, row] = 1000 * interval.mean
        number = signed(round(1000 * interval.mean) + 0.0, ".0f")
        open_ = not interval.bounded or interval.low <= 0 <= interval.high
        texts[column, row] = f"({number})" if open_ else number
    with white_grid():
        size = min(1.6 + 0.55 * len(order), WIDTH)
        figure = Figure(figsize=(size, 0.8 * size), layout="constrained")
        ax = figure.subplots()
        sns.heatmap(
            pd.DataFrame(means, order, order).iloc[1:, :-1],  # nothing is compared with itself
            annot=texts[1:, :-1],
            fmt="",
            cmap="Blues",
            linewidths=0.5,
            square=True,
            cbar=False,
            annot_kws={"size": 9},
            ax=ax,
        )
        ax.set(xlabel="", ylabel="")
        ax.set_xticks(ax.get_xticks(), order[:-1], rotation=40, ha="right", rotation_mode="anchor")
        ax.grid(visible=False)
    return closed(figure)


def pairs_written(found: pd.DataFrame, metric: Metric = NLL) -> pd.DataFrame:
    """Every pair of cells, its difference seed by seed, and how many seeds have it reversed.

    Args:
        found: of :func:`values`.
        metric: whose values they are.

    Returns:
        A row for each pair, the worse of the two first, largest difference first.
    """
    rows = []
    for better, worse in combinations(found.mean().sort_values().index, 2):
        apart = found[worse] - found[better]
        rows.append(
            {
                "compared": f"{worse} minus {better}",
                metric.title: written(metric, t_interval(apart.to_numpy())),
                "seeds reversed": f"{int((apart < 0).sum())} of {len(apart)}",
                "size": apart.mean(),
            }
        )
    table = pd.DataFrame(rows, columns=["compared", metric.title, "seeds reversed", "size"])
    return table.sort_values("size", ascending=False, ignore_index=True).drop(columns="size")


def one_seed(found: pd.DataFrame) -> str:
    """How often a single seed would have told the order of two cells wrongly.

    The right order is that of the means over seeds.
    """
    if found.empty:
        return "There is no seed that every way to train has."
    wrong, pairs = [], list(combinations(found.columns, 2))
    for first, second in pairs:
        apart = found[first] - found[second]
        wrong.append(float((np.sign(apart) != np.sign(apart.mean())).mean()))
    often = sum(share >= 0.2 for share in wrong)
    return (
        f"Over {counted(len(found), 'seed')} and {counted(len(pairs), 'pair')} of ways to train, a "
        f"single seed tells the order of the means wrongly in {100 * np.mean(wrong):.0f} % of the "
        f"cases; for {counted(often, 'pair')} in a fifth of them or more."
    )


REPORTED = {  # our cells of the report's eight models
    "id": ("id", "id smoothed", "id student", "id smoothed student"),
    "baseline": (
        *("baseline", "baseline smoothed", "baseline student"),
        "baseline smoothed student",
    ),
}


def order_of_report(cells: Cells, key: str = NLL.key) -> dict[str, int]:
    """The report has every ID model before every baseline one: what ours make of these pairs.

    Args:
        cells: by name and seed.
        key: of a metric that is better below.

    Returns:
        The number of pairs whose 95 % interval over seeds has ID ``better`` or ``worse``, holds
        zero (``open``), and that have none (``unknown``); 16 in all.
    """
    counts = {"better": 0, "worse": 0, "open": 0, "unknown": 0}
    for ours in REPORTED["id"]:
        for base in REPORTED["baseline"]:
            interval = difference(cells, {ours: 1.0, base: -1.0}, key)
            if interval is None or not interval.bounded:
                counts["unknown"] += 1
            elif interval.low <= 0 <= interval.high:
                counts["open"] += 1
            else:
                counts["better" if interval.high < 0 else "worse"] += 1
    return counts


def stated() -> dict[tuple[str, str], float]:
    """The same differences in the earlier report's table of test NLL."""
    table = IMAGES.earlier_report[NLL.key]
    return {
        pair: table[Condition("id", 0, s)] - table[Condition("baseline", 1, s)]
        for pair, s in zip(REVERSALS, IMAGES.smoothings, strict=True)
    }


def reversals(
    cells: Cells, metrics: Sequence[Metric], stated: dict[tuple[str, str], float] | None = None
) -> pd.DataFrame:
    """ID base models minus baseline students, in each metric and at each smoothing that is there.

    Args:
        cells: by name and seed.
        metrics: to compare in.
        stated: the earlier report's difference, by the pair.
    """
    rows = []
    for ours, student in REVERSALS:
        if not cells.get(ours) or not cells.get(student):
            continue
        for metric in metrics:
            interval = difference(cells, {ours: 1.0, student: -1.0}, metric.key)
            printed = (stated or {}).get((ours, student)) if metric.key == NLL.key else None
            rows.append(
                {
                    "compared": f"{cell_name(ours)} minus {cell_name(student)}",
                    "metric": metric.title,
                    "ours": written(metric, interval),
                    "earlier report": NOTHING if printed is None else metric.difference(printed),
                }
            )
    return pd.DataFrame(rows, columns=["compared", "metric", "ours", "earlier report"])
