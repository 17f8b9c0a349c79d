"""Runs of a study whose kinds of parameters and curves of pruning can be worked out by hand.

Norms are a tenth of a hundred parameters. Of the baseline they have mean 9 and std 3, weights mean
1 and std 1; so the mean of all is 1.8 and their variance 7.56, of which 0.9 is within norms, 0.9
within weights, 5.184 norms from the mean and 0.576 weights from it.
"""

from __future__ import annotations

import math

from made_up.records import STEP, made_up_record

from idlib.metrics.names import SELECTIONS, at
from idlib.records import Record
from idlib.report.conditions import Condition
from idlib.report.kinds import Moments

KINDS = {"norm": Moments(10, 9.0, 3.0), "weight": Moments(90, 1.0, 1.0)}
STD, MEAN = math.sqrt(7.56), 1.8
SHARES = [0.2, 0.4, 0.6, 0.8, 0.9]
ADDED = {"sensitivity": [0.0, 0.0, 0.5, 1.0, 2.0], "magnitude": [0.0, 0.0, 0.0, 1.0, 1.0]}
# Areas by trapezoids from share 0, and up to 0.6, over their widths.
AREA = {"sensitivity": 0.35 / 0.9, "magnitude": 0.2 / 0.9}
LIGHT = {"sensitivity": 0.05 / 0.6, "magnitude": 0.0}
# cell: how large sensitivities are, how much pruning adds, training loss, test loss
WORLD = {
    "baseline": (1.0, 1.0, 0.4, 1.0),
    "id": (0.5, 0.5, 2.0, 0.9),
    "passes": (0.9, 1.0, 0.4, 1.0),
    "compute": (0.8, 1.5, 0.2, 1.1),
    "baseline student": (0.9, 1.0, 0.4, 1.0),
}
LAST = 1 / 4  # of the selected checkpoint's training loss that of the last update is
ELASTICITY = 0.5  # std moves with the root of the training loss along a run


def run(cell: str, seed: int = 11, task: str = "images", drop: tuple[str, ...] = ()) -> Record:
    """A run; its seed moves all that is compared by ``STEP`` of it, of the baseline nothing.

    Args:
        cell: of :data:`WORLD`.
        seed: 11 to 15.
        task: of the record.
        drop: beginnings of names that it lacks.
    """
    size, loss, train, nll = WORLD[cell]
    step = 0.0 if cell == "baseline" else STEP[seed - 10]
    metrics, level = {}, (seed - 10) / 100
    for selection in SELECTIONS:
        last = selection == "last"
        scale = size * math.exp(step) * (LAST**ELASTICITY if last else 1.0)
        found = {
            **{f"kinds/parameters/{kind}": one.parameters for kind, one in KINDS.items()},
            **{f"kinds/mean/{kind}": scale * one.mean for kind, one in KINDS.items()},
            **{f"kinds/std/{kind}": scale * one.std for kind, one in KINDS.items()},
            "sensitivity/std": scale * STD,
            "sensitivity/cv": STD / MEAN + step,
            "sensitivity/gini": 0.7 + step,
            "sensitivity/std_normalized": scale * STD / train,
            "train/nll": train * (LAST if last else 1.0),
            "selected/step": 20.0 if last else 10.0,
            "test/nll": nll + level + step,
            "test/accuracy": 0.9 - level - step,
        }
        metrics |= {at(name, selection): value for name, value in found.items()}
    whole = metrics["test/nll@loss"]
    curves = {"pruned/shares": SHARES}
    for rank, added in ADDED.items():
        curves[f"pruned/{rank}/nll"] = [whole + (loss + step) * value for value in added]
    condition = Condition(cell.split()[0], int("student" in cell), 0.0)
    return made_up_record(
        condition,
        seed,
        "medium",
        {name: value for name, value in metrics.items() if not name.startswith(drop)},
        {} if "pruned" in drop else curves,
        task=task,
    )


def study(*cells: str, seeds: int = 5, task: str = "images") -> dict[str, dict[int, Record]]:
    """Some cells of the world, or all, at so many seeds."""
    named = cells or WORLD
    return {cell: {s: run(cell, s, task) for s in range(11, 11 + seeds)} for cell in named}
