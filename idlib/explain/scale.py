"""The page of scale: what the runs of a profile would take on more machines, from measured rates.

Only updates are counted: what one takes on a GPU times how many there are. Rates are those of
``idlib bench``; where none was measured there is no figure.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from idlib.costs import COMMITTED_COSTS, CaseCosts, read_all
from idlib.experiments.grid import grid
from idlib.experiments.specs import Spec
from idlib.report.conditions import METHOD_NAMES
from idlib.tasks import TASKS, task_class
from idlib.training.settings import resolve

ARMS = {"baseline": "baseline", "id": "id", "passes": "id", "compute": "baseline"}
NOTHING = "–"


class Rate(NamedTuple):
    """Seconds of an update on a GPU by method, and what they were measured on."""

    seconds: Mapping[str, float]
    device: str
    case: str


class Chain(NamedTuple):
    """Runs that wait for each other: a base model and the rounds that it teaches."""

    task: str
    method: str
    runs: int
    updates: int  # of all of them together


def rates(profile: str, folder: Path = COMMITTED_COSTS) -> dict[str, Rate]:
    """The rate of each task whose updates at a profile were measured on a GPU.

    Where a task's own updates were not, an update of the paper's translation is that of a made-up
    batch of as many tokens, on the same Transformer.

    Args:
        profile: of the runs.
        folder: of the results of ``idlib bench``; it need not exist.

    Raises:
        idlib.costs.CostsError: a file of results that cannot be read.
    """
    found: dict[str, Rate] = {}
    there = [stored.costs for stored in read_all(folder)]
    on_gpus = [(each, case) for each in there if each.device_type == "cuda" for case in each.cases]
    for costs, case in sorted(on_gpus, key=lambda pair: pair[1].suite != "tasks"):
        task, seconds = _task_of(case, profile), {}
        for method, name in ARMS.items():
            arm = case.arm(name)
            if arm is not None and arm.seconds is not None:
                seconds[method] = arm.seconds.median
        if task is not None and len(seconds) == len(ARMS):
            found.setdefault(task, Rate(seconds, costs.origin.device, case.case))
    return found


def chains(
    task: str, profile: str, source: str | None = None, *, seeds: int, rounds: int
) -> list[Chain]:
    """What the grid of a task is made of, at a profile, for so many seeds."""
    updates: dict[str | None, int] = {}
    together: dict[tuple[Any, ...], Chain] = {}
    kind = task_class(task)
    for spec in grid(task, profile, range(seeds), rounds=rounds, source=source):
        dataset = spec.overrides.get("dataset")
        if dataset not in updates:  # which reads the data
            asked = {} if dataset is None else {"dataset": dataset}
            updates[dataset] = Spec(task, "id", profile, source, overrides=asked).plan.updates
        own = resolve(kind.schema, kind.profiles, profile, spec.method, spec.overrides)
        key = spec.method, spec.seed, dataset, own.smoothing
        before = together.get(key, Chain(task, spec.method, 0, 0))
        more = updates[dataset] * own.stretch
        together[key] = before._replace(runs=before.runs + 1, updates=before.updates + more)
    return list(together.values())


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Seconds until all is done, the longest first, each on the worker that is free first.

    >>> makespan([3, 3, 2, 2, 2], 2)
    7.0
    """
    free = [0.0] * workers
    for each in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def needed(
    work: Sequence[Chain], measured: Mapping[str, Rate], gpus: Sequence[int]
) -> pd.DataFrame:
    """For each task the GPU hours of its grid, and the hours that it takes on so many GPUs.

    More GPUs than chains shorten nothing: a student waits for its teacher. The last row is all
    tasks together that have a rate.
    """
    rows = {}
    timed: dict[str, list[float]] = {}
    for task in dict.fromkeys(chain.task for chain in work):
        own = [chain for chain in work if chain.task == task]
        rows[task] = {
            "runs": f"{sum(chain.runs for chain in own):,}",
            "chains": f"{len(own):,}",
            "updates": f"{sum(chain.updates for chain in own):,}",
        }
        if task in measured:
            rate = measured[task].seconds
            timed[task] = [chain.updates * rate[chain.method] for chain in own]
            for method in ("baseline", "id"):
                rows[task][f"s an update, {METHOD_NAMES[method]}"] = f"{rate[method]:.3g}"
            rows[task] |= _hours(timed[task], gpus)
    if timed:
        rows["together"] = _hours([each for own in timed.values() for each in own], gpus)
    return pd.DataFrame.from_dict(rows, orient="index").fillna(NOTHING).rename_axis("task")


def sentence(measured: Mapping[str, Rate], profile: str) -> str:
    """Where the rates come from, and which tasks have none, in Markdown."""
    if not measured:
        return (
            "No GPU rates yet: `idlib bench` on a machine with a GPU measures them, with "
            f"`--out {COMMITTED_COSTS}/NAME.json`. Until then only runs and updates are shown."
        )
    told = [f"{task} by `{rate.case}` on {rate.device}" for task, rate in measured.items()]
    without = [task for task in TASKS if task not in measured]
    missing = f" Not measured at profile {profile}: {', '.join(without)}." if without else ""
    return f"Rates: {'; '.join(told)}.{missing}"


def _task_of(case: CaseCosts, profile: str) -> str | None:
    """The task whose updates at a profile a case of the benchmark measures."""
    about = case.about
    if case.suite == "tasks":
        return str(about["task"]) if about["profile"] == profile else None
    if case.suite == "step":
        kind = task_class("translation")
        paper = resolve(kind.schema, kind.profiles, profile, "id").model_dump()
        names = ("layers", "width", "ffn", "vocabulary", "passes")
        same = all(about[name] == paper[name] for name in names)
        tokens = int(about["sentences"]) * int(about["tokens"])
        return "translation" if same and tokens == paper["batch_tokens"] else None
    return None


def _hours(seconds: Sequence[float], gpus: Sequence[int]) -> dict[str, str]:
    spread = {f"hours on {count} GPUs": makespan(seconds, count) / 3600 for count in gpus}
    figures = {"GPU hours": sum(seconds) / 3600, **spread, "longest chain": max(seconds) / 3600}
    return {name: f"{value:,.1f}" for name, value in figures.items()}
