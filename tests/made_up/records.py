"""Records that nobody ran, for tests of what is made from records."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from idlib.metrics import bleu
from idlib.records import Asked, Cost, Measured, Origin, Record
from idlib.report.conditions import Condition
from idlib.report.tasks import REPORTS

NLL, STD, STD_NORMALIZED = "test/nll", "sensitivity/std", "sensitivity/std_normalized"
BLEU, SCORE = "test/bleu", "test/score"
HARDER = 0.1  # made-up test items that not every language has score so much lower
PARALLEL_ITEMS = 24  # made-up test items that every language has
CLASSIFIED = {  # score by data set and method: better with intra-distillation on one, not on both
    "application": {"baseline": 0.80, "id": 0.86, "passes": 0.82, "compute": 0.79},
    "heading": {"baseline": 0.60, "id": 0.58, "passes": 0.57, "compute": 0.59},
}


def made_up_record(
    cell: Condition,
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
    cell: Condition,
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
    metrics, curves = _trained(cell, seed, nll, std, "translation")
    metrics |= {"test/bits": nll / np.log(2), "validation/bits": (nll + 0.01) / np.log(2)}
    metrics |= {BLEU: score, "validation/bleu": score + 1, "test/chrf": score + 20}
    metrics["test/length_ratio"] = 0.98
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


def made_up_tagging(
    cell: Condition,
    seed: int,
    f1: Mapping[str, float],
    nll: float,
    profile: str = "medium",
    std: float = 4e-4,
    drop: tuple[str, ...] = (),
    items: int = PARALLEL_ITEMS,
    **settings: object,
) -> Record:
    """A tagging record of this span F1 by language, on the items that every language has.

    Each language but English has as many items again, of which only English has the originals;
    on those F1 is lower by ``HARDER``. Without ``items`` there are no curves over items.
    """
    return _across_languages("tagging", cell, seed, f1, nll, profile, std, drop, items, settings)


def made_up_answering(
    cell: Condition,
    seed: int,
    f1: Mapping[str, float],
    nll: float,
    profile: str = "medium",
    std: float = 4e-4,
    drop: tuple[str, ...] = (),
    items: int = PARALLEL_ITEMS,
    **settings: object,
) -> Record:
    """An answering record, its F1 as for tagging but of single items, so without denominators.

    Exact match is half of F1; the first span, which needs no model, has an F1 of 0.05.
    """
    record = _across_languages("answering", cell, seed, f1, nll, profile, std, (), items, settings)
    metrics = record.measured.metrics
    metrics |= {
        name.replace("f1", "em"): value / 2
        for name, value in metrics.items()
        if name.startswith("test/f1/")
    }
    metrics |= dict.fromkeys((f"test/f1_first/{name}" for name in (*f1, "others")), 0.05)
    for name in drop:
        del metrics[name]
    return record


def made_up_classification(
    cell: Condition,
    seed: int,
    dataset: str | None,
    score: float,
    nll: float,
    profile: str = "medium",
    std: float = 4e-4,
    drop: tuple[str, ...] = (),
    items: int = 0,
    **settings: object,
) -> Record:
    """A classification record of one data set whose score is its accuracy.

    ``items`` adds as many test items, the first of which are right.
    """
    metrics, curves = _trained(cell, seed, nll, std, "classification")
    metrics |= {SCORE: score, "test/accuracy": score, "validation/score": score + 0.01}
    if items:
        right = [int(place < round(score * items)) for place in range(items)]
        curves["test/items/en"] = list(range(items))
        curves["test/nll/items"] = [nll * (0.5 + place % 2) for place in range(items)]
        curves |= {f"{name}/numerators": right for name in (SCORE, "test/accuracy")}
    kept = {name: value for name, value in metrics.items() if name not in drop}
    settings["dataset"] = dataset
    return made_up_record(
        cell, seed, profile, kept, curves, seconds=50.0, task="classification", **settings
    )


def made_up_classifications(
    scores: Mapping[str, Mapping[str, float]] = CLASSIFIED,
    seeds: tuple[int, ...] = (1, 2, 3),
    **more: object,
) -> list[Record]:
    """Teachers of these scores: a seed adds a hundredth of itself to all of them.

    With intra-distillation seed 1 has 0.001 less and seed 3 as much more, so that differences vary.
    """
    made = []
    for dataset, by_method in scores.items():
        for method, score in by_method.items():
            for seed in seeds:
                step = 0.001 * (seed - 2) * (method == "id")
                cell, value = Condition(method, 0, 0.0), score + seed / 100 + step
                made.append(
                    made_up_classification(cell, seed, dataset, value, 1.5 - score + step, **more)
                )
    return made


def _trained(
    cell: Condition, seed: int, nll: float, std: float, task: str
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Metrics and curves that a record of every task has."""
    metrics = {
        **{NLL: nll, "validation/nll": nll + 0.01, "train/nll": nll / 2, "selected/step": 20.0},
        **{STD: std, STD_NORMALIZED: 3 * std, "sensitivity/std/last": std / 2},
        **{"sensitivity/cv": 4.5 + std, "sensitivity/cv/last": 4.4 + std},
        **{"sensitivity/gini": 0.7 + std, "sensitivity/parameters": 1000.0},
    }
    for place, layer in enumerate(REPORTS[task].layers, start=1):
        metrics |= {f"sensitivity/std/{layer}": std / place, f"sensitivity/mean/{layer}": std / 4}
    ours = cell.method == "id"
    return metrics, {
        "validation/step": [10.0, 20.0, 30.0],
        "validation/nll": [nll + 1 + seed / 10, nll, nll + 0.1],
        "train/step": [10.0, 20.0, 30.0],
        "train/task": [3.0, 2.0, 1.0],
        "train/divergence": [0.1, 0.2, 0.1],
        "train/alpha": [0.0, 1.0, 5.0 * ours],
        "sensitivity/histogram/edges": np.linspace(-8, 0, 9).tolist(),
        "sensitivity/histogram/counts": [0, 0, 30 * ours, 30 - 30 * ours, 10, 0, 0, 0],
    }


def _across_languages(
    task: str,
    cell: Condition,
    seed: int,
    f1: Mapping[str, float],
    nll: float,
    profile: str,
    std: float,
    drop: tuple[str, ...],
    items: int,
    settings: dict[str, object],
) -> Record:
    """A record of a task that is trained on English and tested on the languages of ``f1``.

    An item and its translations are as hard or as easy as each other: every other item scores
    higher and the next one lower by the same, which is more with intra-distillation.
    """
    metrics, curves = _trained(cell, seed, nll, std, task)
    curves["validation/f1"] = [0.2, f1["en"] + 0.01, f1["en"]]
    metrics |= {"validation/f1": f1["en"] + 0.01, "test/nll/others": 2 * nll}
    others = [name for name in f1 if name != "en"]
    lower = {name: f1[name] - HARDER / 2 for name in others}  # half of the items are harder
    lower["en"] = f1["en"] - HARDER * len(others) / (len(others) + 1)
    for kind, scores in (("f1", lower), ("f1_parallel", f1)):
        metrics |= {f"test/{kind}/{name}": scores[name] for name in f1}
        metrics[f"test/{kind}/others"] = float(np.mean([scores[name] for name in others]))
    ease = 0.05 if cell.method == "id" else 0.03
    for place, name in enumerate(f1 if items else (), start=0):
        first = items * place
        own = range(items, items * len(f1)) if name == "en" else range(first, first + items)
        numbers = np.array([*range(items), *own])
        share = f1[name] - HARDER * (numbers >= items) + ease * (-1.0) ** numbers
        parts = 8 + 2 * (numbers // 2 % 3) if task == "tagging" else np.ones_like(numbers)
        curves[f"test/items/{name}"] = numbers.tolist()
        curves[f"test/f1/{name}/numerators"] = (share * parts).round(4).tolist()
        if task == "tagging":
            curves[f"test/f1/{name}/denominators"] = parts.tolist()
    if items:
        english = len(curves["test/items/en"])
        curves["test/nll/items"] = [nll * (0.5 + place % 2) for place in range(english)]
    kept = {name: value for name, value in metrics.items() if name not in drop}
    return made_up_record(cell, seed, profile, kept, curves, seconds=80.0, task=task, **settings)
