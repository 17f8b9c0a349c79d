"""Image records that nobody ran, of a world in which C4, C5, C6 and C8 hold."""

from __future__ import annotations

import numpy as np
from made_up.records import NLL, STD, STD_NORMALIZED, made_up_record

from idlib.report import outcomes
from idlib.report.conditions import Condition

SEEDS = (1, 2, 3, 4, 5)
WOBBLE = {1: 0.004, 2: -0.003, 3: 0.001, 4: 0.0, 5: -0.002, 6: 0.003}

# Test NLL by cell: ID below, baseline students better than their teachers, ID students hardly.
WORLD = {
    Condition("baseline", 0, 0.0): 0.50,
    Condition("baseline", 1, 0.0): 0.46,
    Condition("baseline", 0, 0.1): 0.52,
    Condition("baseline", 1, 0.1): 0.47,
    Condition("id", 0, 0.0): 0.43,
    Condition("id", 1, 0.0): 0.429,
    Condition("id", 0, 0.1): 0.44,
    Condition("id", 1, 0.1): 0.438,
    Condition("passes", 0, 0.0): 0.48,
    Condition("compute", 0, 0.0): 0.49,
}


def record(cell, seed, nll, profile="medium", std=None, items=None, drop=(), **settings):
    std = nll / 1000 if std is None else std
    metrics = {
        NLL: nll,
        "test/accuracy": 1 - nll / 3,
        "test/nll/calibrated": nll - 0.01,
        "train/nll": nll / 2,
        STD: std,
        STD_NORMALIZED: 3 * std,
        "sensitivity/cv": 4.5 + std,
        "sensitivity/gini": 0.7 + std,
        "sensitivity/std/last": std / 2,
        "sensitivity/cv/last": 4.4 + std,
    }
    kept = {name: value for name, value in metrics.items() if name not in drop}
    curves = {} if items is None else {"test/nll/items": items}
    return made_up_record(cell, seed, profile, kept, curves, **settings)


def noise(cell, seed):
    """What no pairing takes off, small beside the differences of WORLD."""
    place = sorted(WORLD).index(cell) if cell in WORLD else 11
    return 0.0004 * np.sin(1 + 7 * seed + 3 * place)


def grid(world=WORLD, seeds=SEEDS, profile="medium", **more):
    return [
        record(cell, seed, nll + WOBBLE[seed] + noise(cell, seed), profile, **more)
        for cell, nll in world.items()
        for seed in seeds
    ]


def judged(records):
    return outcomes.verdicts(records, "images")


def line_of(verdict, label, metric=NLL):
    return next(c for c in verdict.comparisons if (c.label, c.metric.key) == (label, metric))
