"""Which runs a page of the book rests on, and their committed records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from idlib.experiments.sources import locate
from idlib.experiments.specs import Spec
from idlib.records import COMMITTED_STORE, Record, Store
from idlib.tasks import task_class
from idlib.training.settings import SettingsError, distinct

OWN = {  # the settings that a grid varies, and what to do instead of naming them
    "smoothing": "give smoothing (--smoothing)",
    "round": "give rounds (--rounds)",
}


def grid(
    task: str,
    profile: str,
    seeds: Iterable[int],
    *,
    rounds: int = 1,
    smoothing: Iterable[float] | None = None,
    controls: bool = True,
    sweep: bool = False,
    datasets: Iterable[str] | None = None,
    source: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> list[Spec]:
    """The runs that the claims are judged by.

    For each seed {baseline, id} × {s of ``smoothing``} × {round 0 … ``rounds``}; with one round
    the image task's are the earlier report's eight models. ``controls`` adds, at the first s and
    round 0, K passes with α = 0 and the baseline with K times the updates. ``sweep`` adds, there
    too, {baseline, id} at each of the task's ``sweep`` of settings. A task with several data sets
    has all of this for each.

    Args:
        task: a name of :data:`idlib.tasks.TASKS`.
        profile: as for :class:`idlib.experiments.specs.Spec`, as are ``source``, ``overrides`` and
            ``device``.
        seeds: one integer a repetition.
        rounds: rounds of self-distillation after the teacher.
        smoothing: amounts of label smoothing; by default the task's own.
        controls: whether to add the controls.
        sweep: whether to add the sweep.
        datasets: names of data sets; by default that of ``overrides``, or all of the source's.

    Raises:
        idlib.training.settings.SettingsError: a list is empty or names something twice, or
            ``overrides`` has what the grid varies.

    Example:
        >>> len(grid("images", "smoke", [1])), len(grid("images", "smoke", [1, 2], rounds=2))
        (10, 28)
    """
    overrides = {k: v for k, v in (overrides or {}).items() if v is not None}
    swept = {name for varied in task_class(task).sweep for name in varied} if sweep else ()
    for setting, instead in {**OWN, **dict.fromkeys(swept, "leave out sweep (--sweep)")}.items():
        if setting in overrides:
            raise SettingsError(
                f"setting {setting} = {overrides[setting]!r}: the grid varies it itself; {instead}"
            )
    if rounds < 0:
        raise SettingsError(f"rounds = {rounds}: give 0, for teachers alone, or more")
    seeds = distinct("seeds", seeds)
    amounts = task_class(task).smoothing if smoothing is None else distinct("smoothing", smoothing)
    pair = ("baseline", "id")
    cells = [(m, s, number, {}) for m in pair for s in amounts for number in range(rounds + 1)]
    if controls:
        cells += [(method, amounts[0], 0, {}) for method in ("passes", "compute")]
    if sweep:
        cells += [(m, amounts[0], 0, varied) for varied in task_class(task).sweep for m in pair]
    there = task_class(task).datasets_of(*locate(source, task, profile))
    named = _datasets(there, datasets, overrides)
    specs = []
    for seed, dataset, (method, s, number, varied) in product(seeds, named, cells):
        settings = {**overrides, **varied, **dataset, "smoothing": s, "round": number}
        specs.append(Spec(task, method, profile, source, seed, settings, device))
    return specs


def _datasets(
    several: Sequence[str], asked: Iterable[str] | None, overrides: Mapping[str, Any]
) -> list[dict[str, str]]:
    """For each data set the setting that names it; an empty one where none needs naming."""
    if asked is None and (not several or overrides.get("dataset") is not None):
        return [{}]
    return [{"dataset": name} for name in (several if asked is None else asked)]


def recorded(
    task: str,
    profile: str,
    folder: Path = COMMITTED_STORE,
    sweep: bool = False,
    source: str = "embedded",
) -> list[Record]:
    """The records in ``folder`` that answer to today's settings of a profile and a source.

    Records of other settings, of an older revision or of other data are left out: they answer
    another question. With ``sweep`` those of the task's sweep are there too.
    """
    variants = ({}, *(task_class(task).sweep if sweep else ()))
    several = task_class(task).datasets.get(source, ())
    names = ("smoothing", "round", *(["dataset"] if several else ()))
    found = []
    for record, _ in Store(folder, also=()).all():
        asked = record.asked
        if (asked.task, asked.profile, asked.source) != (task, profile, source):
            continue
        if several and asked.settings.get("dataset") not in several:
            continue
        settings = {name: asked.settings.get(name) for name in names}
        device = asked.device_type
        same = (
            Spec(task, asked.method, profile, source, asked.seed, {**varied, **settings}, device)
            for varied in variants
        )
        if any(record.signature in spec.plan.asked.signatures for spec in same):
            found.append(record)
    return found
