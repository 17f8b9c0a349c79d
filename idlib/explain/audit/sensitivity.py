"""What the published evaluation makes of the sensitivities (A12, A13, A14)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from idlib.audit.bugs import (
    EVALUATION_ORDER,
    Spread,
    comparisons_won,
    rank_agreement,
    without_divisor_bug,
)
from idlib.audit.findings import Derived
from idlib.experiments.specs import Spec
from idlib.explain.style import fitted, white_grid
from idlib.training.trainable import Batch

RIGHT, PUBLISHED = "right", "published"  # the evaluation without bugs, and with all of them


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
