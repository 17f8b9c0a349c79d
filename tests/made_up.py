"""Records that nobody ran, for tests of what is made from records."""

from __future__ import annotations

import numpy as np

from idlib import bleu
from idlib.published import BLEU, LAYERS, NLL, STD, STD_NORMALIZED, Cell
from idlib.records import Asked, Cost, Measured, Origin, Record


def made_up_record(
    cell: Cell,
    seed: int,
    profile: str,
    metrics: dict[str, float],
    curves: dict[str, list[float]] | None = None,
    seconds: float = 1.0,
    peak_memory_bytes: int = 1,
    task: str = "images",
    **settings: object,
) -> Record:
    """A record of this cell and seed with these numbers."""
    asked = Asked(
        task=task,
        method=cell.method,
        profile=profile,
        source="embedded",
        seed=seed,
        settings={"round": cell.round, "smoothing": cell.smoothing, **settings},
        data={},
        precision="fp32",
        device_type="cpu",
        threads=1,
        revision=1,
    )
    return Record(
        signature=asked.signature,
        asked=asked,
        measured=Measured(metrics=metrics, curves=curves or {}),
        cost=Cost(seconds=seconds, peak_memory_bytes=peak_memory_bytes),
        origin=Origin(versions={}, commit=None, device="cpu", created="2022-01-01T00:00:00"),
    )


def made_up_translation(
    cell: Cell,
    seed: int,
    score: float,
    nll: float,
    profile: str = "medium",
    std: float = 4e-4,
    drop: tuple[str, ...] = (),
    sentences: int = 0,
    **settings: object,
) -> Record:
    """A translation record of this SacreBLEU and test NLL, with all that hangs on them.

    ``sentences`` adds the statistics of as many test sentences, whose hypotheses are the better
    the higher ``score`` is. ``drop`` names metrics that the record lacks.
    """
    metrics = {
        **{NLL: nll, "test/bits": nll / np.log(2)},
        **{"validation/nll": nll + 0.01, "validation/bits": (nll + 0.01) / np.log(2)},
        **{BLEU: score, "validation/bleu": score + 1, "test/chrf": score + 20},
        **{"test/length_ratio": 0.98, "train/nll": nll / 2, "selected/step": 20.0},
        **{STD: std, STD_NORMALIZED: 3 * std, "sensitivity/std/last": std / 2},
        **{"sensitivity/cv": 4.5 + std, "sensitivity/cv/last": 4.4 + std},
        **{"sensitivity/gini": 0.7 + std, "sensitivity/parameters": 1000.0},
    }
    for place, layer in enumerate(LAYERS["translation"], start=1):
        metrics |= {f"sensitivity/std/{layer}": std / place, f"sensitivity/mean/{layer}": std / 4}
    ours = cell.method == "id"
    edges = np.linspace(-8, 0, 9)
    curves = {
        "validation/step": [10.0, 20.0, 30.0],
        "validation/nll": [nll + 1 + seed / 10, nll, nll + 0.1],
        "train/step": [10.0, 20.0, 30.0],
        "train/task": [3.0, 2.0, 1.0],
        "train/divergence": [0.1, 0.2, 0.1],
        "train/alpha": [0.0, 1.0, 5.0 * ours],
        "sensitivity/histogram/edges": edges.tolist(),
        "sensitivity/histogram/counts": [0, 0, 30 * ours, 30 - 30 * ours, 10, 0, 0, 0],
    }
    if sentences:
        curves |= bleu.as_curves(made_up_statistics(score, sentences))
        curves["test/nll/items"] = [nll / 2, 3 * nll / 2]
    kept = {name: value for name, value in metrics.items() if name not in drop}
    return made_up_record(
        cell, seed, profile, kept, curves, seconds=100.0, task="translation", **settings
    )


def made_up_statistics(score: float, sentences: int) -> np.ndarray:
    """Statistics [sentences, 6] of hypotheses with a share ``score`` (%) of their n-grams right."""
    length = 8 + np.arange(sentences) % 5
    right = [np.round((length - n) * score / 100) for n in range(bleu.ORDER)]
    return np.stack([length, length, *right], axis=1).astype(np.int64)
