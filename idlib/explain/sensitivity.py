"""The sensitivity page: does the first order rank sets of parameters as the exact definition does?

``prepare`` settles what is measured before a model is trained, ``measure`` takes both figures of a
trained model, and the rest shows the rows that come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from torch import Tensor, nn
from tqdm.auto import tqdm

from idlib.experiments.specs import Spec
from idlib.explain.style import fitted, white_grid
from idlib.report.conditions import METHOD_NAMES
from idlib.report.figures.style import PALETTE
from idlib.report.text import signed
from idlib.sensitivity.exact import exact_sensitivity
from idlib.sensitivity.first_order import group_sensitivity
from idlib.sensitivity.parameter_sets import Groups, channel_groups, random_groups
from idlib.tasks.base import Task

CHANNELS, RANDOM = "output channels", "random sets"
STEPS = 20  # of the progress bar of one kind of sets


class Sizes(NamedTuple):
    """How much is measured: output channels, random sets, and the batches of the mean."""

    channels: int
    random_sets: int
    batches: int


@dataclass(frozen=True)
class Prepared:
    """What the figures of one model are taken on.

    Attributes:
        task: of the model.
        model: how the model's method is called.
        batches: training batches.
        sets: sets of parameters, by their kind.
    """

    task: Task[Any, Any]
    model: str
    batches: list[dict[str, Tensor]]
    sets: dict[str, Groups]


def sizes(
    profile: str,
    channels: int | None = None,
    random_sets: int | None = None,
    batches: int | None = None,
) -> Sizes:
    """What was asked for, and the profile's sizes where that is None."""
    default = Sizes(10, 5, 1) if profile == "smoke" else Sizes(70, 30, 2)
    return Sizes(
        default.channels if channels is None else channels,
        default.random_sets if random_sets is None else random_sets,
        default.batches if batches is None else batches,
    )


def prepare(spec: Spec, size: Sizes, set_size: int) -> Prepared:
    """The batches and sets of a run's model, which need not be trained yet.

    Output channels lie at even distances over all of the model's weights; random sets are drawn by
    the run's seed, ``set_size`` parameters each.

    Raises:
        ValueError: the model has fewer parameters than the random sets need.
    """
    task = spec.plan.task
    model = task.model()
    every = list(channel_groups(model).items())
    places = np.linspace(0, len(every) - 1, min(size.channels, len(every))).astype(int)
    sets: dict[str, Groups] = {
        CHANNELS: dict(every[place] for place in places),
        RANDOM: random_groups(model, size.random_sets, set_size, spec.seed),
    }
    batches = list(islice(task.sensitivity_batches(), size.batches))
    return Prepared(task, METHOD_NAMES[spec.method], batches, sets)


def measure(prepared: Prepared, model: nn.Module) -> pd.DataFrame:
    """Both figures of every set, in nats: a row a set, with its task, model, kind and layer."""
    task, batches = prepared.task, prepared.batches
    rows = []
    for kind, groups in prepared.sets.items():
        first_order = group_sensitivity(model, groups, batches, task.loss)
        exact = _exact(prepared, kind, model)
        for group in groups:
            rows.append(
                {
                    "task": task.name,
                    "model": prepared.model,
                    "sets": kind,
                    "layer": _layer(task, group),
                    "exact": exact[group],
                    "first order": first_order[group],
                }
            )
    return pd.DataFrame(rows)


def touched(table: pd.DataFrame) -> pd.DataFrame:
    """The rows without sets that no batch depends on, whose two figures are both 0."""
    return table[(table["exact"] != 0) | (table["first order"] != 0)]


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """How the two figures of :func:`measure` agree, for each task, kind of sets and model.

    Medians are in nats; the factor is first order over exact, with the middle half of the sets
    beside its median.
    """
    factor = (table["first order"] / table["exact"]).replace([np.inf, -np.inf], np.nan)
    rows = []
    for (task, kind, model), part in table.groupby(["task", "sets", "model"], sort=False):
        low, high = factor[part.index].quantile([0.25, 0.75])
        rows.append(
            {
                "task": task,
                "sets": kind,
                "model": model,
                "number": len(part),
                "median exact": part["exact"].median(),
                "median first order": part["first order"].median(),
                "rank correlation": spearmanr(part["exact"], part["first order"]).statistic,
                "median factor": factor[part.index].median(),
                "middle half": f"{low:.2f} to {high:.2f}",
            }
        )
    return pd.DataFrame(rows)


def correlation(value: float) -> str:
    """A rank correlation for a table."""
    return signed(value, ".2f")


def agreement_figure(table: pd.DataFrame) -> Figure:
    """First order against exact, a point a set where both are above 0; on the line they agree."""
    with white_grid():
        grid = sns.relplot(
            table[(table["exact"] > 0) & (table["first order"] > 0)],
            x="exact",
            y="first order",
            hue="model",
            style="model",
            row="task",
            col="sets",
            palette=PALETTE,
            s=22,
            alpha=0.7,
            linewidth=0,
            height=3,
        )
        grid.set(xscale="log", yscale="log").set_titles("{row_name}, {col_name}")
        grid.set_axis_labels("exact |ΔL| (nats)", "first order (nats)")
        middle = table["exact"].median()
        for axes in grid.axes.flat:
            axes.axline((middle, middle), (2 * middle, 2 * middle), color="black", linewidth=0.8)
        return fitted(grid, columns=4)


def within_layers(table: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of the two figures within each layer, output channels only.

    Returns:
        A row for each task and layer, in the order of the network, and a column for each model.
    """
    channels = table[table["sets"] == CHANNELS]
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for (task, layer, model), part in channels.groupby(["task", "layer", "model"], sort=False):
        ranks = part[["exact", "first order"]].rank()
        row = rows.setdefault((str(task), str(layer)), {})
        row[str(model)] = ranks["exact"].corr(ranks["first order"])
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["task", "layer"])
    return found.rename_axis("model", axis="columns")


def glued(table: pd.DataFrame, found: pd.DataFrame, of: Spec) -> dict[str, str]:
    """Texts for the page's prose by key: what models, how many sets, how the two agree.

    Args:
        table: of :func:`measure`.
        found: its :func:`agreement`.
        of: one of the models, which are all of one profile, source and seed.
    """
    lowest, highest = found["rank correlation"].min(), found["rank correlation"].max()
    return {
        "sensitivity_rank_correlation": f"{lowest:.2f} to {highest:.2f}",
        "sensitivity_models": f"profile {of.profile}, source {of.source}, seed {of.seed}",
        "sensitivity_sets": f"{len(table):,}",
    }


def _exact(prepared: Prepared, kind: str, model: nn.Module) -> dict[str, float]:
    """Exact sensitivity of the sets of a kind, with a progress bar: it takes a pass a set."""
    groups, task = prepared.sets[kind], prepared.task
    found: dict[str, float] = {}
    parts = np.array_split(np.array(list(groups)), min(STEPS, len(groups)))
    for part in tqdm(parts, desc=f"{task.name}, {prepared.model}, {kind}"):
        here = {str(group): groups[str(group)] for group in part}
        found |= exact_sensitivity(model, here, prepared.batches, task.loss)
    return found


def _layer(task: Task[Any, Any], group: str) -> str:
    """The layer of a channel, named ``parameter[index]``; a random set is in all of them."""
    parameter, bracket, _ = group.partition("[")
    return task.layer(parameter) if bracket else "all"
