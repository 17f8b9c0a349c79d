"""Records that nobody ran, for tests of what is made from records, and a world for each task.

In a world every claim that is looked at on the task holds, and its differences can be worked out by
hand: a seed has its own level, which pairing takes off, and intra-distillation has ``STEP`` of the
seed beside it, which is all that makes its differences vary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from idlib.metrics import bleu
from idlib.metrics.names import BEST, LOSS, at, parted
from idlib.records import Asked, Cost, Measured, Origin, Record
from idlib.report.compared import Compared, compare
from idlib.report.comparisons import Comparison
from idlib.report.conditions import Condition
from idlib.report.results import Results
from idlib.report.tasks import report_of

NLL, STD, BLEU, SCORE = "test/nll", "sensitivity/std", "test/bleu", "test/score"
F1_ENGLISH, F1_OTHERS, F1_PARALLEL = "test/f1/en", "test/f1/others", "test/f1_parallel/others"
GAIN = {  # the claim that is judged in the task's quality
    "images": "C6",
    "translation": "C1",
    "tagging": "C2",
    "answering": "C3",
    "classification": "C7",
}
TASKS = tuple(GAIN)


class Level(NamedTuple):
    """How good a model is: NLL, and quality between 0 and 1 (SacreBLEU / 100, F1, a score)."""

    nll: float
    quality: float


BASELINE = Level(2.5, 0.40)
WORLD = {  # by method and round
    ("baseline", 0): BASELINE,
    ("baseline", 1): Level(2.4, 0.42),
    ("id", 0): Level(2.3, 0.44),
    ("id", 1): Level(2.29, 0.445),
    ("passes", 0): Level(2.45, 0.41),
    ("compute", 0): Level(2.6, 0.39),
}
SEEDS = {"images": 5}  # of a world; three elsewhere
STEP = {1: -0.001, 2: 0.0, 3: 0.001, 4: -0.001, 5: 0.001}  # its standard deviation is 0.001
HALF = {  # half of its 95 % interval: Student's t with 2 and 4 degrees of freedom, from a table
    3: 4.302653 * 0.001 / 3**0.5,
    5: 2.776445 * 0.001 / 5**0.5,
}
# On the first data set intra-distillation gains three times the mean over both, on the other it
# loses as much as that mean.
DATASETS = {"application": 3.0, "heading": -1.0}
# F1 by language: where it starts, and how much of a gain arrives. The mean of the others is 0, 1.
LANGUAGES = {"en": (0.3, 0.5), "de": (0.1, 1.5), "ja": (-0.1, 0.5)}
HARDER = 0.1  # test items that not every language has score so much lower


def made_up_record(
    condition: Condition,
    seed: int,
    profile: str,
    metrics: dict[str, float],
    curves: dict[str, list[float]] | None = None,
    seconds: float = 1.0,
    peak_memory_bytes: int = 1,
    task: str = "images",
    **settings: object,
) -> Record:
    """A record of this condition and seed with these numbers."""
    asked = Asked(
        task=task,
        method=condition.method,
        profile=profile,
        source="embedded",
        seed=seed,
        settings={"round": condition.round, "smoothing": condition.smoothing, **settings},
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


def record(
    task: str,
    condition: Condition,
    seed: int = 1,
    level: Level = BASELINE,
    *,
    profile: str = "medium",
    items: int = 0,
    drop: tuple[str, ...] = (),
    seconds: float = 80.0,
    peak_memory_bytes: int = 2 * 10**9,
    metrics: Mapping[str, float] | None = None,
    curves: Mapping[str, list[float]] | None = None,
    **settings: object,
) -> Record:
    """A record of a task with all that the report reads, from how good the model is.

    Unless ``metrics`` says otherwise, the best validation score and the lowest validation loss are
    of one checkpoint.

    Args:
        task: its task.
        condition: its model; a data set goes into the settings.
        seed: its seed.
        level: its numbers.
        profile: its profile.
        items: number of test items that it keeps (in tagging and answering: that every language
            has); their scores are those of the metrics but for SacreBLEU, which only grows with
            the level.
        drop: names of metrics that it lacks.
        seconds: its cost, as is ``peak_memory_bytes``.
        metrics: further ones, or others, as are ``curves``.
        settings: its own.
    """
    every, lists = _of_all_tasks(task, condition, seed, level)
    own = {
        "images": _images,
        "translation": _translation,
        "tagging": _across_languages,
        "answering": _across_languages,
    }.get(task, _one_score)
    more = own(task, condition, level, items)
    every |= more[0]
    every |= {at(name, LOSS): value for name, value in every.items() if parted(name)[1] == BEST}
    every |= dict(metrics or {})
    lists |= more[1] | dict(curves or {})
    if condition.dataset:
        settings["dataset"] = condition.dataset
    return made_up_record(
        condition,
        seed,
        profile,
        {name: value for name, value in every.items() if name not in drop},
        lists,
        seconds,
        peak_memory_bytes,
        task,
        **settings,
    )


def world(
    task: str,
    changes: Mapping[Condition | tuple[str, int], Level | None] | None = None,
    seeds: Iterable[int] | None = None,
    **more: object,
) -> list[Record]:
    """Records of a task's world, ``SEEDS`` of them.

    Args:
        task: theirs.
        changes: other levels of all models of a method and round, or of a single condition; with
            ``None`` there are no such records.
        seeds: theirs.
        more: for :func:`record`.
    """
    smoothings = report_of(task).smoothings
    changes = changes or {}
    single = {key: level for key, level in changes.items() if isinstance(key, Condition)}
    models = WORLD | {key: level for key, level in changes.items() if key not in single}
    levels: dict[Condition, Level | None] = {}
    for (method, round_), level in models.items():
        for s in smoothings if method in ("baseline", "id") else smoothings[:1]:
            for dataset, share in DATASETS.items() if task == "classification" else [("", 1.0)]:
                # Where there are several, differences are larger by the amount of smoothing.
                larger = share * (1 + s - smoothings[0])
                levels[Condition(method, round_, s, dataset)] = level and Level(
                    *(
                        base + larger * (own - base)
                        for base, own in zip(BASELINE, level, strict=True)
                    )
                )
    return [
        record(task, condition, seed, at_seed(task, condition, level, seed), **more)
        for condition, level in (levels | single).items()
        if level is not None
        for seed in seeds or range(1, SEEDS.get(task, 3) + 1)
    ]


def at_seed(task: str, condition: Condition, level: Level, seed: int) -> Level:
    """A level with the seed's own, and with the step of intra-distillation, twice of a student."""
    step = (condition.method == "id") * (1 + condition.round) * STEP.get(seed, 0.0)
    step *= DATASETS.get(condition.dataset, 1.0)
    return Level(level.nll + seed / 100 + step, level.quality + seed / 100 + step)


def swept(
    epochs: int,
    train: int | None,
    seed: int,
    gain: float,
    task: str = "translation",
    **settings: object,
) -> list[Record]:
    """Base models of a sweep: a gain in nats, and a tenth of it in quality.

    ``train`` examples were trained on, or the whole training split.
    """
    settings |= {"epochs": epochs, "examples": {"train": train} if train else {}}
    pair = {"baseline": Level(2.5, 0.2), "id": Level(2.5 - gain, 0.2 + gain / 10)}
    smoothing = report_of(task).smoothings[0]
    return [
        record(task, Condition(method, 0, smoothing), seed, level, **settings)
        for method, level in pair.items()
    ]


def results(task: str, records: Iterable[Record], evidence: Iterable[Record] = ()) -> Results:
    """The results of records that are all of one profile, and of a longer one."""
    given = list(records)
    profile = given[0].asked.profile if given else "smoke"
    return Results(task, profile, "embedded", given, list(evidence))


def compared_in(task: str, *arguments: object, **more: object) -> dict[str, Compared]:
    """What is compared of a task's world, changed as :func:`world` says."""
    return compare(world(task, *arguments, **more), task)


def line_of(found: Compared, label: str, key: str = NLL) -> Comparison:
    """The one comparison of this label in this metric."""
    (line,) = (c for c in found.comparisons if (c.label, c.metric.key) == (label, key))
    return line


def statistics(score: float, sentences: int) -> np.ndarray:
    """Statistics [sentences, 6] of hypotheses with a share ``score`` of their n-grams right."""
    length = 8 + np.arange(sentences) % 5
    right = [np.round((length - n) * score) for n in range(bleu.ORDER)]
    return np.stack([length, length, *right], axis=1).astype(np.int64)


Parts = tuple[dict[str, float], dict[str, list[float]]]  # metrics and curves


def _of_all_tasks(task: str, condition: Condition, seed: int, level: Level) -> Parts:
    nll, std, ours = level.nll, level.nll / 1000, condition.method == "id"
    metrics = {
        **{NLL: nll, "validation/nll": nll + 0.01, "train/nll": nll / 2, "selected/step": 20.0},
        **{STD: std, "sensitivity/std_normalized": 3 * std, "sensitivity/std@last": std / 2},
        **{"sensitivity/cv": 4.5 + std, "sensitivity/cv@last": 4.4 + std},
        **{"sensitivity/gini": 0.7 + std, "sensitivity/parameters": 1000.0},
    }
    for place, layer in enumerate(report_of(task).layers, start=1):
        metrics |= {f"sensitivity/std/{layer}": std / place, f"sensitivity/mean/{layer}": std / 4}
    return metrics, {
        "validation/step": [10.0, 20.0, 30.0],
        "validation/nll": [nll + 1 + seed / 10, nll, nll + 0.1],
        "train/step": [10.0, 20.0, 30.0],
        "train/task": [3.0, 2.0, 1.0],
        "train/divergence": [0.1, 0.2, 0.1],
        "train/alpha": [0.0, 1.0, 5.0 * ours],
        "sensitivity/histogram/edges": np.linspace(-8, 0, 9).tolist(),
        "sensitivity/histogram/counts": [0, 0, 30.0 * ours, 30.0 - 30 * ours, 10.0, 0, 0, 0],
    }


def _losses(level: Level, items: int) -> list[float]:
    return [level.nll * (0.5 + place % 2) for place in range(items)]  # items: an even number


def _images(task: str, condition: Condition, level: Level, items: int) -> Parts:
    metrics = {"test/accuracy": level.quality, "test/nll/calibrated": 0.5 + level.nll / 2}
    metrics["calibration/temperature"] = 1.25
    curves = {"validation/accuracy": [0.3, 0.6, level.quality]}
    return metrics, curves | ({"test/nll/items": _losses(level, items)} if items else {})


def _translation(task: str, condition: Condition, level: Level, items: int) -> Parts:
    score = 100 * level.quality
    metrics = {BLEU: score, "validation/bleu": score + 1, "test/chrf": score / 2 + 20}
    metrics |= {"test/bits": level.nll / np.log(2), "test/length_ratio": 0.98}
    if not items:
        return metrics, {}
    kept = bleu.as_curves(statistics(level.quality, items))
    return metrics, kept | {"test/nll/items": _losses(level, items)}


def _one_score(task: str, condition: Condition, level: Level, items: int) -> Parts:
    score = level.quality
    metrics = {SCORE: score, "test/accuracy": score, "validation/score": score + 0.01}
    if not items:
        return metrics, {}
    right = np.clip(score * items - np.arange(items), 0, 1).tolist()  # the first of them
    curves = {f"{name}/numerators": right for name in (SCORE, "test/accuracy")}
    curves["test/items/en"] = list(range(items))
    return metrics, curves | {"test/nll/items": _losses(level, items)}


def _across_languages(task: str, condition: Condition, level: Level, items: int) -> Parts:
    """A task that is trained on English and tested in other languages too.

    Each other language has as many items again, of which only English has the originals; on those
    F1 is lower by ``HARDER``. An item and its translations are as hard or as easy as each other:
    every other item scores higher and the next one lower by the same, which is more with
    intra-distillation. Exact match is half of F1; the first line, which needs no model, has an F1
    of 0.05.
    """
    gain = level.quality - BASELINE.quality
    f1 = {name: 0.4 + at + share * gain for name, (at, share) in LANGUAGES.items()}
    others = [name for name in f1 if name != "en"]
    lower = {name: f1[name] - HARDER / 2 for name in others}  # half of the items are harder
    lower["en"] = f1["en"] - HARDER * len(others) / (len(others) + 1)
    metrics = {"validation/f1": f1["en"] + 0.01, "test/nll/others": 2 * level.nll}
    for kind, scores in (("f1", lower), ("f1_parallel", f1)):
        metrics |= {f"test/{kind}/{name}": scores[name] for name in f1}
        metrics[f"test/{kind}/others"] = float(np.mean([scores[name] for name in others]))
    if task == "answering":
        metrics |= {f"test/em/{name}": metrics[f"test/f1/{name}"] / 2 for name in (*f1, "others")}
        metrics |= {f"test/f1_first/{name}": 0.05 for name in (*f1, "others")}
    curves = {"validation/f1": [0.2, f1["en"] + 0.01, f1["en"]]}
    if not items:
        return metrics, curves
    ease = 0.05 if condition.method == "id" else 0.03
    for place, name in enumerate(f1):
        start = items * place
        own = range(items, items * len(f1)) if name == "en" else range(start, start + items)
        numbers = np.array([*range(items), *own])
        share = f1[name] - HARDER * (numbers >= items) + ease * (-1.0) ** numbers
        parts = 8 + 2 * (numbers // 2 % 3) if task == "tagging" else np.ones(len(numbers))
        curves[f"test/items/{name}"] = numbers.tolist()
        curves[f"test/f1/{name}/numerators"] = (share * parts).tolist()
        if task == "tagging":
            curves[f"test/f1/{name}/denominators"] = parts.tolist()
    return metrics, curves | {"test/nll/items": _losses(level, len(curves["test/items/en"]))}
