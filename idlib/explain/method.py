"""The method page: the adaptive weight, and what rounding does to ways of writing the divergence.

X is the X-divergence of K passes with logits z_i, p_i = softmax(z_i) and d_i = z_i − mean z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Generator, Tensor

from idlib.explain.style import closed, fitted, white_grid
from idlib.method.losses import x_divergence
from idlib.method.schedules import adaptive_alpha
from idlib.report.figures.style import WIDTH

PASSES = 3  # K, as in the paper's experiments
POSITIONS, CLASSES = 2000, 37  # classes of Oxford-IIIT Pet, the earlier report's images
NOISES = (1e-3, 1e-4)  # by how much the passes of a trained network differ
SITUATIONS = ((1, 0), (15, 0), (1, 100))  # scale of the logits; offset from one pass to the next
COARSE_NOISES = (0.0, 0.01, 0.1, 1.0)  # around the spacing of bfloat16's numbers
APART = 1e-3  # a constant of each pass is so much larger than that of the pass before


def adaptive_weights(
    updates: Sequence[int],
    total_steps: int,
    alpha: float,
    pairs: Mapping[str, tuple[float, float]],
) -> pd.DataFrame:
    """The adaptive weight α(n) at each update n: a column for each pair (p, q), by its name.

    Pairs with p above q, which a training refuses, are evaluated too.
    """
    return pd.DataFrame(
        {
            name: [
                adaptive_alpha(n, total_steps, alpha, p, q, allow_inverted=True) for n in updates
            ]
            for name, (p, q) in pairs.items()
        },
        index=pd.Index(updates, name="update n"),
    )


def weights_figure(
    weights: pd.DataFrame, level: float | None = None, logarithmic: bool = False
) -> Figure:
    """The columns of :func:`adaptive_weights` as lines, and a grey line at ``level``."""
    with white_grid():
        figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
        sns.lineplot(weights, ax=axes)
        if level is not None:
            axes.axhline(level, color="grey", linewidth=0.8)
        axes.set(ylabel="α(n)", xlim=(0, weights.index[-1]))
        if logarithmic:
            axes.set_yscale("log")
        return closed(figure)


def four_forms(logits: Tensor) -> dict[str, Tensor]:
    """X written in four ways that are equal on paper, in the precision of the logits.

    Args:
        logits: [K, N, C].

    Returns:
        X at each position [N], in nats, by the name of the form.
    """
    p = logits.softmax(-1)
    mean = p.mean(0)
    d = logits - logits.mean(0)
    summands = {
        "probabilities and logs": (p - mean) * (p.log() - mean.log()),
        "times log p alone": (p - mean) * logits.log_softmax(-1),
        "centred once": (p - mean) * d,
    }
    forms = {name: summand.sum(-1).mean(0) for name, summand in summands.items()}
    return {**forms, "centred twice (idlib)": x_divergence(logits)}


def rounding_errors(
    generator: Generator, positions: int = POSITIONS, classes: int = CLASSES
) -> pd.DataFrame:
    """What float32 makes of the four forms, compared with X in float64 of the same logits.

    Returns:
        A row for each noise between the passes, situation of the logits and form. It has the
        relative ``error of the mean`` over the positions, and the share of positions where the
        value is ``negative``, which X never is.
    """
    rows = []
    for noise in NOISES:
        for scale, offset in SITUATIONS:
            base = scale * torch.randn(1, positions, classes, generator=generator)
            jitter = noise * torch.randn(PASSES, positions, classes, generator=generator)
            logits = base + jitter + offset * torch.arange(float(PASSES))[:, None, None]
            exact = x_divergence(logits.double()).mean()
            offsets = f", offsets {offset}" if offset else ""
            for form, values in four_forms(logits).items():
                error = (values.double().mean() / exact - 1).abs()
                rows.append(
                    {
                        "noise": f"{noise:.0e}",
                        "logits": f"scale {scale}{offsets}",
                        "form": form,
                        "error of the mean": float(error),
                        "negative": float((values < 0).double().mean()),
                    }
                )
    return pd.DataFrame(rows)


def by_form(errors: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column of :func:`rounding_errors` as a table, the forms side by side."""
    return errors.pivot(index=["logits", "noise"], columns="form", values=column)


def rounding_figure(errors: pd.DataFrame) -> Figure:
    """The relative errors of :func:`rounding_errors`, a panel for each noise."""
    with white_grid():
        grid = sns.catplot(
            errors,
            x="error of the mean",
            y="logits",
            hue="form",
            col="noise",
            kind="strip",
            jitter=False,
            dodge=True,
            s=9,
            height=3,
            log_scale=(True, False),
        )
        grid.set_titles("passes differ by {col_name}")
        grid.set_axis_labels("relative error of mean X", "")
        return fitted(grid, columns=2)


def bfloat16_floor(
    generator: Generator, positions: int = POSITIONS, classes: int = CLASSES
) -> pd.DataFrame:
    """Mean X of logits rounded to bfloat16, by how much the passes differ before the rounding.

    Each pass gets a constant of its own before it is rounded, on which X of exact logits does not
    depend: without it, equal passes would be rounded to equal numbers.

    Returns:
        Mean X, in nats, of the exact logits and of the rounded ones, both in float64; of the
        rounded ones as ``idlib`` computes it; and with the softmax taken in bfloat16.
    """
    rows = []
    for noise in COARSE_NOISES:
        shape = positions, classes
        exact = 4 * torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        jitter = torch.randn(PASSES, *shape, generator=generator, dtype=torch.float64)
        exact = exact + noise * jitter
        rounded = (exact + APART * torch.arange(PASSES)[:, None, None]).bfloat16()
        rows.append(
            {
                "passes differ by": noise,
                "X of the exact logits": float(x_divergence(exact).mean()),
                "X of the rounded logits": float(x_divergence(rounded.double()).mean()),
                "idlib, given bfloat16": float(x_divergence(rounded).mean()),
                "softmax in bfloat16": float(_softmax_in_its_precision(rounded).mean()),
            }
        )
    return pd.DataFrame(rows).set_index("passes differ by")


def _softmax_in_its_precision(logits: Tensor) -> Tensor:
    """X at each position, of probabilities in the logits' precision and all else in float64."""
    p = logits.softmax(-1)
    d = logits.double() - logits.double().mean(0)
    return ((p - p.mean(0)).double() * d).sum(-1).mean(0)
