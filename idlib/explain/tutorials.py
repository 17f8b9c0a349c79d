"""What the tutorials show beside the code that they are about: figures, tables, small models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from idlib.explain.style import fitted, white_grid
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target
from idlib.report.conditions import METHOD_NAMES
from idlib.report.figures.style import FONT_SCALE, PALETTE
from idlib.report.text import joined
from idlib.sensitivity.statistics import Sensitivity

TRAINED_ON = 300  # digits: so few that the model overfits
BASELINE, ID = METHOD_NAMES["baseline"], METHOD_NAMES["id"]
EDGES = np.linspace(-9, -1, 41)  # of the histogram, in log10
FIGURES = ("std", "cv", "gini")  # of balance: lower is more even
LAYERS = {"0": "input", "3": "hidden", "6": "output"}  # of the small models


class Digits(NamedTuple):
    """The digits of scikit-learn, and a small model of them trained by each method.

    Attributes:
        x: images ``[N, 64]`` from 0 to 1.
        y: labels ``[N]``.
        train: indices of the examples that are trained on.
        validation: of the others.
        models: by the method's name, in evaluation mode.
    """

    x: Tensor
    y: Tensor
    train: Tensor
    validation: Tensor
    models: dict[str, nn.Module]

    def validation_loss(self, model: nn.Module) -> float:
        """Mean cross-entropy of the examples that were not trained on, in nats."""
        return loss_of(model, self.x[self.validation], self.y[self.validation])


def digits(seed: int, updates: int, passes: int, alpha: float) -> Digits:
    """The models of the page on one's own loop, trained as it trains them."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, validation = torch.arange(len(x)).split([TRAINED_ON, len(x) - TRAINED_ON])
    objectives = {
        BASELINE: IntraDistillation(passes=1, alpha=0.0),
        ID: IntraDistillation(passes=passes, alpha=alpha),
    }
    models = {}
    for name, objective in objectives.items():
        torch.manual_seed(seed)
        model = network()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(updates):
            rows = train[torch.randint(len(train), (32,))]
            batch = {"x": x[rows], "y": y[rows]}
            forward = partial(_forward, model)
            parts = objective(forward, lambda b: Target(b["y"]), batch, step + 1, updates)
            parts.total.backward()
            optimizer.step()
            optimizer.zero_grad()
        models[name] = model.eval()
    return Digits(x, y, train, validation, models)


def _forward(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    logits: Tensor = model(batch["x"])
    return logits


def network() -> nn.Module:
    """Two hidden layers with dropout."""
    layers: list[nn.Module] = []
    for inputs in (64, 256):
        layers += [nn.Linear(inputs, 256), nn.ReLU(), nn.Dropout(0.3)]
    return nn.Sequential(*layers, nn.Linear(256, 10))


@torch.no_grad()
def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Mean cross-entropy in nats, by one pass in evaluation mode; the model trains on."""
    loss = functional.cross_entropy(model.eval()(x), y).item()
    model.train()
    return loss


def validation_figure(seen: Sequence[tuple[str, int, float, float]]) -> Figure:
    """Validation loss and divergence over updates, a line for each model.

    Args:
        seen: name of the model, update, validation loss, divergence.
    """
    loss, divergence = "validation loss (nats)", "divergence (nats)"
    wide = pd.DataFrame(seen, columns=["model", "update", loss, divergence])
    data = wide.melt(["model", "update"], var_name="figure")
    of_baseline = (data["model"] == BASELINE) & (data["figure"] == divergence)
    with white_grid(FONT_SCALE):
        grid = sns.relplot(
            data[~of_baseline],
            x="update",
            y="value",
            hue="model",
            style="model",
            palette=PALETTE,
            col="figure",
            kind="line",
            height=2.6,
            facet_kws={"sharey": False},
        )
        grid.set_titles("{col_name}").set_ylabels("").set(ylim=(0, None))
        return fitted(grid, 2)


def balance_table(measured: Mapping[str, Sensitivity]) -> pd.DataFrame:
    """The figures of balance of each model, beside the loss that they were measured at."""
    columns = ("count", "loss", "mean", "std", "cv", "gini")
    rows = [[getattr(one, column) for column in columns] for one in measured.values()]
    table = pd.DataFrame(rows, index=pd.Index(measured, name="model"), columns=columns)
    written = {"count": "{:,}", "loss": "{:.4f}", "cv": "{:.2f}", "gini": "{:.3f}"}
    for column in columns:
        table[column] = table[column].map(written.get(column, "{:.2e}").format)
    return table


def evenness(measured: Mapping[str, Sensitivity]) -> str:
    """Which of the two models is the more even one, by each figure of balance, in Markdown."""
    base, ours = measured[BASELINE], measured[ID]
    sides: dict[str, list[str]] = {"higher": [], "lower": [], "same": []}
    for name in FIGURES:
        one, other = getattr(ours, name), getattr(base, name)
        sides["higher" if one > other else "lower" if one < other else "same"].append(f"`{name}`")
    told = joined(f"the {side} {joined(names)}" for side, names in sides.items() if names)
    if len(sides["higher"]) == len(FIGURES):
        means = "by all of them its parameters contribute less evenly than the baseline's"
    elif len(sides["lower"]) == len(FIGURES):
        means = "by all of them its parameters contribute more evenly than the baseline's"
    else:
        means = "they do not agree on which of the two is the more even one"
    return (
        f"With this seed {ID} has {told}: {means}. One seed of one small model tells nothing about "
        "the method; {doc}`balance` asks it of many."
    )


def by_layer(measured: Mapping[str, Sensitivity]) -> pd.DataFrame:
    """Mean and standard deviation of sensitivity in each layer of the small models."""
    rows: dict[tuple[str, int], dict[tuple[str, str], str]] = {}
    for name, one in measured.items():
        for layer in one.by_layer():
            row = rows.setdefault((LAYERS[layer.layer], layer.count), {})
            row |= {(name, "mean"): f"{layer.mean:.2e}", (name, "std"): f"{layer.std:.2e}"}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["layer", "parameters"])


def histogram_figure(measured: Mapping[str, Sensitivity]) -> Figure:
    """Shares of the parameters by the logarithm of their sensitivity."""
    x, y = "log10 of sensitivity", "share of the parameters (%)"
    data = pd.DataFrame(
        [
            (name, edge, 100 * count / one.count)
            for name, one in measured.items()
            for edge, count in zip(EDGES[:-1], one.histogram(EDGES.tolist()), strict=True)
        ],
        columns=["model", x, y],
    )
    with white_grid(FONT_SCALE):
        grid = sns.relplot(
            data, x=x, y=y, hue="model", style="model", palette=PALETTE, kind="line", height=2.8
        )
        return fitted(grid, 2)


def pruning_figure(
    shares: Sequence[float], curves: Sequence[tuple[str, str, list[float]]]
) -> Figure:
    """The loss without each share of the weights, a panel for each way to rank them.

    Args:
        shares: of the weights that are set to zero.
        curves: name of the model, what ranks its weights, and a loss for each share.
    """
    x, y = "share of the weights removed", "validation loss (nats)"
    data = pd.DataFrame(
        [
            (name, f"ranked by {rank}", share, loss)
            for name, rank, losses in curves
            for share, loss in zip(shares, losses, strict=True)
        ],
        columns=["model", "rank", x, y],
    )
    with white_grid(FONT_SCALE):
        grid = sns.relplot(
            data,
            x=x,
            y=y,
            hue="model",
            style="model",
            palette=PALETTE,
            markers=True,
            col="rank",
            kind="line",
            height=2.6,
        )
        grid.set_titles("{col_name}").set(ylim=(0, None))
        return fitted(grid, 2)


def side_by_side(estimate: Mapping[str, float], exact: Mapping[str, float]) -> pd.DataFrame:
    """First-order estimate and exact change of the loss of each group, in nats."""
    rows = [(f"{estimate[name]:.2e}", f"{exact[name]:.2e}") for name in exact]
    columns = ["estimate (nats)", "exact (nats)"]
    return pd.DataFrame(rows, index=pd.Index(exact, name="group"), columns=columns)
