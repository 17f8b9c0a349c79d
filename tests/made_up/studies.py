"""Studies of the protocol that nobody ran, whose gains can be worked out by hand.

A seed has its own level, which pairing takes off; every cell but the baseline has ``STEP`` of the
seed beside its gain, which is all that makes its differences vary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_up.records import made_up_record

from idlib.metrics.names import SELECTIONS, at
from idlib.protocol import CHECKSUM, read
from idlib.records import Record
from idlib.report.conditions import Condition
from idlib.report.paired import Cells, Studies, StudyRecords

SEEDS = (11, 12, 13)
STEP = {11: -0.001, 12: 0.0, 13: 0.001}  # its standard deviation is 0.001
HALF = 4.302653 * 0.001 / 3**0.5  # of the 95 % interval of their mean: Student's t from a table


def write_protocol(path: Path, text: str) -> None:
    """A protocol, and its checksum beside it, as ``sha256sum`` writes it."""
    path.write_text(text)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    path.with_name(CHECKSUM).write_text(f"{checksum}  {path.name}\n")


def found(studies: Studies) -> StudyRecords:
    """Records of these studies beside the protocol of this version."""
    return StudyRecords(read(), studies)


def run(
    task: str,
    seed: int,
    metrics: Mapping[str, float],
    rise: float = 0.5,
    dose: float = 0.0,
    passes: int = 1,
    updates: float = 40.0,
    curves: Mapping[str, Sequence[float]] | None = None,
    **settings: float,
) -> Record:
    """A record of a task: its loss is lowest halfway, and α is 5 over the last three values."""
    every = {
        "validation/step": [10.0, 20.0, 30.0, 40.0],
        "validation/nll": [4.0, 3.0, 3.0 + rise / 2, 3.0 + rise],
        "train/step": list(np.linspace(updates / 4, updates, 4)),
        "train/task": [2.0] * 4,
        "train/divergence": [9.0, *[2.0 * dose / 5] * 3],
        "train/alpha": [1.0, *[5.0] * 3],
    }
    scored = {name: float(value) for name, value in metrics.items()}
    every |= {name: list(values) for name, values in (curves or {}).items()}
    return made_up_record(
        Condition("", 0, 0.0), seed, "medium", scored, every, task=task, passes=passes, **settings
    )


def by_rule(values: Mapping[str, float], seed: int, gain: float) -> dict[str, float]:
    """These metrics on test and validation, plus a gain, at the checkpoint of every rule."""
    return {
        at(f"{split}/{name}", rule): value + seed / 100 + gain
        for split in ("test", "validation")
        for name, value in values.items()
        for rule in SELECTIONS
    }


def translated(
    gains: Mapping[str, float | Mapping[str, float]],
    rise: float = 0.5,
    seeds: Sequence[int] = SEEDS,
    **more: Any,
) -> Cells:
    """A study of translation: gain in SacreBLEU over its baseline by cell, one of each rule or all.

    Args:
        gains: of every cell but the baseline.
        rise: of the baseline's validation loss.
        seeds: of all cells.
        more: of :func:`run`, for every cell but the baseline.
    """
    cells: dict[str, dict[int, Record]] = {"baseline": {}}
    for seed in seeds:
        plain = by_rule({"bleu": 20.0, "nll": 3.0}, seed, 0.0) | _chosen(20.0, 40.0)
        cells["baseline"][seed] = run("translation", seed, plain, rise, curves=_BLEU)
        for cell, gain in gains.items():
            metrics = by_rule({"bleu": 20.0, "nll": 3.0}, seed, 0.0) | _chosen(40.0, 40.0)
            for rule in SELECTIONS:
                ours = gain[rule] if isinstance(gain, Mapping) else gain
                for split in ("test", "validation"):
                    metrics[at(f"{split}/bleu", rule)] += ours + STEP[seed]
                    metrics[at(f"{split}/nll", rule)] -= 0.2 + STEP[seed]
            one = run("translation", seed, metrics, 0.0, 0.3, curves=_BLEU, **more)
            cells.setdefault(cell, {})[seed] = one
    return cells


def pictured(
    gains: Mapping[str, tuple[float, float, float]],
    doses: Mapping[str, float] | None = None,
    seeds: Sequence[int] = SEEDS,
    level: float = 0.0,
) -> Cells:
    """A study of images: by cell how much NLL, and that after a temperature, fall, accuracy rises.

    Args:
        gains: over a model of NLL 0.5 plus ``level``, 0.4 after a temperature, accuracy 0.8.
        doses: by cell; 0 of the others.
        seeds: of all cells.
        level: of the validation and test loss.
    """
    cells: dict[str, dict[int, Record]] = {}
    for cell, (nll, calibrated, accuracy) in gains.items():
        for seed in seeds:
            step = STEP[seed] if any((nll, calibrated, accuracy)) else 0.0
            metrics = _chosen(20.0, 20.0)
            for name, value in (
                ("nll", 0.5 + level - nll - step),
                ("nll/calibrated", 0.4 - calibrated - step),
                ("accuracy", 0.8 + accuracy + step),
            ):
                metrics |= by_rule({name: value}, seed, 0.0)
            accuracies = {"validation/accuracy": [0.5, 0.7, 0.8, 0.8]}
            dose = (doses or {}).get(cell, 0.0)
            passes, updates = (1, 120.0) if cell == "compute" else (1, 40.0)
            if cell in ("id", "passes"):
                passes = 3
            one = run("images", seed, metrics, 0.1, dose, passes, updates, curves=accuracies)
            cells.setdefault(cell, {})[seed] = one
    return cells


_BLEU = {"validation/bleu": [10.0, 20.0], "validation/bleu/step": [20.0, 40.0]}


def _chosen(by_loss: float, by_score: float) -> dict[str, float]:
    return {"selected/step": by_score, "selected/step@loss": by_loss, "selected/step@last": 40.0}
