"""The audit page: the bugs of the earlier report's evaluation and training, on our own models.

What each bug computes stands in :mod:`idlib.audit.bugs`; here it is applied to the eight image
models, and put into tables, figures and sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor, nn

from idlib.audit.bugs import (
    EVALUATION_ORDER,
    MICRO_BATCH,
    Spread,
    comparisons_won,
    effective_images,
    published_divergence_reduction,
    rank_agreement,
    reestimate_statistics,
    smoothing_confound,
    without_divisor_bug,
)
from idlib.audit.findings import AUDIT, Derived, repeated_pairs
from idlib.experiments.specs import Spec
from idlib.explain.style import fitted, white_grid
from idlib.method.batch_norm import frozen_batch_norm
from idlib.records import Record
from idlib.report.conditions import Condition, role
from idlib.report.metrics import NLL, STD, STD_NORMALIZED
from idlib.report.tasks.images import IMAGES
from idlib.report.text import signed
from idlib.tasks.images import ImageTask
from idlib.training.trainable import Batch

PASSES = 3  # K of the earlier report
ALPHA = 5.0  # weight of the divergence in the earlier report

RIGHT, PUBLISHED = "right", "published"  # the evaluation without bugs, and with all of them
AS_PUBLISHED, AS_OURS = "as published, ID", "batches of 60, first pass only"
WAYS = {  # of keeping batch norm's statistics: images in a batch, updates for each batch
    AS_PUBLISHED: (MICRO_BATCH, PASSES),
    "as published, baseline": (MICRO_BATCH, 1),
    AS_OURS: (60, 1),
}
REMEMBERED = 50  # micro-batches; what came before them weighs less than 0.9 ** 50
BASE_MODELS = (Condition("baseline", 0, 0.0), Condition("id", 0, 0.0))  # estimated anew
ORDERS = 3  # random orders of an epoch


def findings_table() -> str:
    """The findings A1–A22 as a table in Markdown."""
    rows = [
        {
            "": f"**{finding.id}**",
            "where": finding.where,
            "the text says": finding.text,
            "the code does": finding.code,
            "consequence": finding.consequence,
        }
        for finding in AUDIT
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False))


def eight_models(
    profile: str, source: str, seeds: Sequence[int], examples: dict[str, int] | None = None
) -> dict[tuple[int, Condition], Spec]:
    """The runs of the report's eight image models, by seed and in the order of its evaluation."""
    specs = {}
    for seed in seeds:
        for condition in EVALUATION_ORDER:
            chosen = {
                "round": condition.round,
                "smoothing": condition.smoothing,
                "examples": examples,
            }
            specs[seed, condition] = Spec("images", condition.method, profile, source, seed, chosen)
    return specs


# --- sensitivity: A12, A13, A14 --------------------------------------------------------------


def measured_on(spec: Spec, batches: Sequence[Batch], divisor: float) -> str:
    """What the sensitivities are measured on, in Markdown.

    Args:
        spec: the run of one of the models.
        batches: of training images.
        divisor: what the published evaluation divides by for that number of images.
    """
    images = sum(len(batch["label"]) for batch in batches)
    return (
        f"Here: {images:,} training images in {len(batches)} batches of "
        f"{spec.plan.settings.sensitivity_batch}, published divisor {divisor:g}; seed {spec.seed}, "
        f"profile `{spec.profile}`, source `{spec.source}`."
    )


def spreads_table(spreads: Mapping[str, Mapping[str, Spread]], figure: str) -> pd.DataFrame:
    """One figure of each model under each bug, times a thousand as in the report.

    Args:
        spreads: of :func:`idlib.audit.bugs.sensitivity_with_bugs`.
        figure: ``std`` or ``std_normalized``.
    """
    return pd.DataFrame(
        {
            bug: {model: 1e3 * getattr(spread, figure) for model, spread in models.items()}
            for bug, models in spreads.items()
        }
    )


def factors(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """By what factor each bug moves each model's figure: a row for each of them.

    Args:
        tables: of :func:`spreads_table`, by the name of their figure.
    """
    parts = []
    for name, table in tables.items():
        ratios = table.div(table[RIGHT], axis=0).drop(columns=RIGHT).rename_axis("model")
        long = ratios.melt(ignore_index=False, var_name="evaluation", value_name="factor")
        parts.append(long.reset_index().assign(figure=name))
    return pd.concat(parts)


def factors_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """The factors of :func:`factors`, a panel for each figure and a line for each model."""
    with white_grid():
        grid = sns.relplot(
            factors(tables),
            x="factor",
            y="model",
            hue="evaluation",
            style="evaluation",
            col="figure",
            palette="colorblind",
            s=70,
            height=3.6,
        )
        grid.set(xscale="log").set_titles("{col_name} sensitivity")
        grid.set_axis_labels("std / right std", "")
        for axes in grid.axes.flat:
            axes.axvline(1, color="grey", linewidth=0.8)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        return fitted(grid, columns=3)


def orders(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How each evaluation orders the eight models, beside the right one.

    Args:
        tables: of :func:`spreads_table`, by the name of their figure, the models in the order of
            :data:`idlib.audit.bugs.EVALUATION_ORDER`.
    """
    rows = {}
    for name, table in tables.items():
        for bug in table:
            agreed = rank_agreement(list(table[bug]), list(table[RIGHT]))
            won = comparisons_won(dict(zip(EVALUATION_ORDER, table[bug], strict=True)))
            rows[name, bug] = {
                "Kendall": agreed["kendall"],
                "Spearman": agreed["spearman"],
                "pairs reversed": agreed["reversed"],
                "ID lower, of 4": won["id"],
                "student lower, of 4": won["student"],
            }
    return pd.DataFrame(rows).T


def orders_sentence(found: pd.DataFrame) -> str:
    """What the published evaluation makes of the order, from :func:`orders`."""
    sentences = []
    for name in found.index.get_level_values(0).unique():
        right, published = found.loc[(name, RIGHT)], found.loc[(name, PUBLISHED)]
        sentences.append(
            f"By the {name} figure, the published evaluation turns "
            f"{published['pairs reversed']:.0f} of 28 pairs of our models round. It finds ID lower "
            f"in {published['ID lower, of 4']:.0f} of 4 pairs where {right['ID lower, of 4']:.0f} "
            f"is right, and students lower in {published['student lower, of 4']:.0f} where "
            f"{right['student lower, of 4']:.0f} is right."
        )
    return " ".join(sentences)


def without_divisor(printed: Iterable[Derived]) -> pd.DataFrame:
    """The report's numbers of sensitivity as printed, and with the divisor corrected (A14)."""
    printed_numbers = {
        one.what.removeprefix("images, "): float(one.printed)
        for one in printed
        if "std" in one.what
    }
    corrected = {what: without_divisor_bug(number) for what, number in printed_numbers.items()}
    return pd.DataFrame({"as printed": printed_numbers, "A14 corrected": corrected})


# --- batch norm: A11 -------------------------------------------------------------------------


def images_remembered() -> pd.DataFrame:
    """How many images batch norm's running statistics rest on, kept in each of the ways."""
    counts = {way: effective_images(size, updates) for way, (size, updates) in WAYS.items()}
    return pd.DataFrame({"effective images": counts})


def reestimated(
    models: Mapping[str, nn.Module], task: ImageTask, count: int = ORDERS
) -> pd.DataFrame:
    """The test NLL of two base models with their statistics estimated anew in each of the ways.

    Args:
        models: by full label, the two base models among them.
        task: theirs.
        count: in how many random orders of an epoch.

    Returns:
        ``nll``, in nats, by ``weights``, ``statistics`` and ``order``; last of each model the one
        with the statistics ``as trained``.
    """
    rows = []
    for condition in BASE_MODELS:
        model = models[condition.full_label]
        for order in range(count):
            for way in WAYS:
                nll = _reestimated_nll(model, task, way, order)
                rows.append((condition.full_label, way, order, nll))
        rows.append((condition.full_label, "as trained", 0, task.evaluate(model, "test")["nll"]))
    return pd.DataFrame(rows, columns=["weights", "statistics", "order", "nll"])


def by_way(statistics: pd.DataFrame) -> pd.DataFrame:
    """Mean and range over the orders of the NLL of :func:`reestimated`."""
    grouped = statistics.groupby(["weights", "statistics"], sort=False)["nll"]
    table = grouped.agg(["mean", "min", "max"])
    return table.set_axis([f"test NLL, {name}" for name in table.columns], axis="columns")


def statistics_sentence(statistics: pd.DataFrame) -> str:
    """What the published way of keeping the statistics costs, from :func:`reestimated`."""
    grouped = statistics.groupby(["weights", "statistics"], sort=False)["nll"]
    means = grouped.mean().unstack()
    moved = means[AS_PUBLISHED] - means[AS_OURS]
    changes = " and ".join(f"{change:+.4f} nats ({name})" for name, change in moved.items())
    spread = (grouped.max() - grouped.min()).unstack().max()
    return (
        "On the same weights, running statistics kept as in the published ID training, instead of "
        f"from batches of 60 and the first pass only, move the test NLL by {changes}, in the mean "
        f"over {statistics['order'].nunique()} orders. From one order to another it varies by up "
        f"to {spread[AS_PUBLISHED]:.4f} nats kept the first way and {spread[AS_OURS]:.4f} the "
        "second, which is how our training keeps them."
    )


# --- the loss: A4, A5 ------------------------------------------------------------------------


def reductions(
    models: Mapping[str, nn.Module], task: ImageTask, batch: Batch, seed: int
) -> pd.DataFrame:
    """What summing the divergence over micro-batches (A5) makes of α, for each ID model.

    The logits are those of K passes over one batch, dropout active.

    Args:
        models: by full label.
        task: theirs.
        batch: of which the images that fill micro-batches are used, as the published code needs.
        seed: of the dropout masks, the same for each model.
    """
    whole = len(batch["label"]) // MICRO_BATCH * MICRO_BATCH
    part = {name: value[:whole] for name, value in batch.items()}
    rows = {}
    for condition in EVALUATION_ORDER:
        if condition.method == "id":
            torch.manual_seed(seed)
            logits = _passes(models[condition.full_label], task, part)
            found = published_divergence_reduction(logits, ALPHA)
            rows[condition.full_label] = {
                f"X, summed over {MICRO_BATCH}": found["published"],
                "X, averaged": found["right"],
                "ratio": found["ratio"],
                f"effective α for α = {ALPHA:g}": found["effective_alpha"],
            }
    return pd.DataFrame(rows).T


def first_weights_sentence(weights: pd.DataFrame) -> str:
    """The adaptive weight at the first update, with the values of the text and of the code.

    Args:
        weights: of :func:`idlib.explain.method.adaptive_weights`, the text's column first.
    """
    text, code = weights.iloc[0]
    return (
        f"At the first update the values of the text give a weight of {text:,.0f}, those of "
        f"the code {code:.1e}."
    )


# --- label smoothing: A1, A2 -----------------------------------------------------------------


def confound(records: Iterable[Record]) -> pd.DataFrame:
    """The comparisons of :func:`idlib.audit.bugs.smoothing_confound`, a row for each role."""
    table = pd.DataFrame(smoothing_confound(records))
    table["model"] = table.pop("round").map(role)
    return table.set_index("model")


def written_gains(table: pd.DataFrame) -> pd.DataFrame:
    """The gains of :func:`confound` with their signs."""
    gains = table.drop(columns="seeds").map(lambda gain: signed(gain, "+.3f"))
    return gains.assign(seeds=table["seeds"])


def confound_sentence(table: pd.DataFrame) -> str:
    """What the comparison as published gives ID, and what the matched ones do."""
    row = table.loc[role(0)]
    ours = {name: signed(row[name], "+.3f") for name in row.index if name != "seeds"}
    return (
        "For our base models the comparison as published gives ID a gain of "
        f"{ours['as compared']} nats. Matched, it is {ours['matched, s = 0']} at s = 0 and "
        f"{ours['matched, s = 0.1']} at s = 0.1. Smoothing alone gives the baseline "
        f"{ours['smoothing alone']}. Seeds in these means: {row['seeds']:.0f}. "
        f"Whether a gain is more than chance is judged on {{doc}}`images`."
    )


def repeats() -> pd.DataFrame:
    """The report's figures of the models that its code trains alike, in the units of the tables."""
    columns = {}
    for metric in (NLL, STD, STD_NORMALIZED):
        pairs = repeated_pairs(IMAGES.earlier_report[metric.key])
        for place, run in enumerate(("one run", "the other")):
            columns[metric.title, run] = {
                model: metric.scale * pair[place] for model, pair in pairs.items()
            }
    return pd.DataFrame(columns)


def repeats_sentence(printed: Iterable[Derived]) -> str:
    """How far such models lie apart, beside the report's mean gain of ID."""
    gain = next(figure.computed for figure in printed if "mean gain" in figure.what)
    losses = repeated_pairs(IMAGES.earlier_report[NLL.key])
    apart = {model: abs(one - other) for model, (one, other) in losses.items()}
    stds = repeated_pairs(IMAGES.earlier_report[STD.key])
    ratios = {model: max(pair) / min(pair) for model, pair in stds.items()}
    farthest, largest = max(apart, key=apart.__getitem__), max(ratios, key=ratios.__getitem__)
    return (
        f"The two runs of the {farthest} lie {apart[farthest]:.3f} nats apart, where the mean gain "
        f"of ID is {gain:.3f}. The raw std of sensitivity differs between two such runs by a "
        f"factor of up to {ratios[largest]:.1f} ({largest}). With one seed for each model such "
        "differences cannot be told from an effect."
    )


# --- arithmetic: A21 -------------------------------------------------------------------------


def arithmetic_table(printed: Sequence[Derived]) -> str:
    """The report's derived figures as printed and computed again, as a table in Markdown."""
    table = pd.DataFrame(
        {
            "printed": [figure.printed for figure in printed],
            "computed again": [figure.rounded for figure in printed],
            "agrees": ["yes" if figure.agrees else "**no**" for figure in printed],
        },
        index=pd.Index([figure.what for figure in printed], name="figure"),
    )
    return str(table.to_markdown(disable_numparse=True))


def arithmetic_sentence(printed: Sequence[Derived]) -> str:
    """How many of the derived figures agree."""
    agreeing = sum(figure.agrees for figure in printed)
    return f"{agreeing} of {len(printed)} agree; none of the others changes a conclusion."


# --- helpers ---------------------------------------------------------------------------------


def _reestimated_nll(model: nn.Module, task: ImageTask, way: str, order: int) -> float:
    """Test NLL of a copy of the model, its statistics from one epoch in a random order."""
    size, updates = WAYS[way]
    epoch = task.epoch(torch.Generator().manual_seed(order))
    if size == MICRO_BATCH:
        epoch = _micro_batches(epoch)[-REMEMBERED:]
    refreshed = reestimate_statistics(
        model, task.batches(epoch), task.loss, updates_per_batch=updates, seed=order
    )
    return task.evaluate(refreshed, "test")["nll"]


def _micro_batches(epoch: Sequence[Sequence[int]]) -> list[list[int]]:
    """The batches of an epoch in parts of at most four images."""
    return [
        list(batch[start : start + MICRO_BATCH])
        for batch in epoch
        for start in range(0, len(batch), MICRO_BATCH)
    ]


def _passes(model: nn.Module, task: ImageTask, batch: Batch) -> Tensor:
    """Logits [K, B, C] with dropout; the model is left in evaluation mode, its statistics as is."""
    device = next(model.parameters()).device
    part = {name: value.to(device) for name, value in batch.items()}
    model.train()
    with torch.no_grad(), frozen_batch_norm():
        logits = torch.stack([task.forward(model)(part) for _ in range(PASSES)])
    model.eval()
    return logits
