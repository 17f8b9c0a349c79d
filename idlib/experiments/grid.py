"""Which runs a page of the book rests on, and their committed records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any

from idlib.earlier import earlier, manifest
from idlib.experiments.sources import locate
from idlib.experiments.specs import Spec
from idlib.records import COMMITTED_STORE, Record, paths, read
from idlib.tasks import task_class
from idlib.training.settings import SettingsError, distinct

VARIED = {  # the settings that every grid varies, and what to do instead of naming them
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
        rounds: rounds of self-distillation after the base model.
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
    task_type = task_class(task)
    overrides = {k: v for k, v in (overrides or {}).items() if v is not None}
    swept = task_type.sweep if sweep else ()
    instead = {**VARIED, **dict.fromkeys(chain(*swept), "leave out sweep (--sweep)")}
    for setting, value in overrides.items():
        if setting in instead:
            raise SettingsError(
                f"setting {setting} = {value!r}: the grid varies it itself; {instead[setting]}"
            )
    if rounds < 0:
        raise SettingsError(f"rounds = {rounds}: give 0, for base models alone, or more")
    seeds = distinct("seeds", seeds)
    amounts = task_type.smoothing if smoothing is None else distinct("smoothing", smoothing)
    pair, first = ("baseline", "id"), {"smoothing": amounts[0], "round": 0}
    cells: list[tuple[str, dict[str, Any]]] = [
        (method, {"smoothing": amount, "round": number})
        for method, amount, number in product(pair, amounts, range(rounds + 1))
    ]
    if controls:
        cells += [(method, first) for method in ("passes", "compute")]
    cells += [(method, {**changes, **first}) for changes in swept for method in pair]
    there = task_type.datasets_of(*locate(source, task, profile))
    named = _datasets(there, datasets, overrides)
    return [
        Spec(task, method, profile, source, seed, {**overrides, **dataset, **settings}, device)
        for seed, dataset, (method, settings) in product(seeds, named, cells)
    ]


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
    """The records in ``folder`` of a profile and a source, of today or else the earlier ones.

    Those of today answer to the profile's present settings; records of other settings, of an
    earlier revision or of other data answer another question. Where there is none of today, those
    of the embedded data that the folder's manifest lists stand in, by what each says was asked.
    With ``sweep`` those of the task's sweep are there too.
    """
    todays = _todays(task, profile, folder, sweep, source)
    return todays or ([*earlier(task, profile, folder, sweep)] if source == "embedded" else [])


def _todays(task: str, profile: str, folder: Path, sweep: bool, source: str) -> list[Record]:
    task_type = task_class(task)
    variants = ({}, *(task_type.sweep if sweep else ()))
    datasets = task_type.datasets.get(source, ())
    names = [*VARIED, "dataset"] if datasets else [*VARIED]
    records = []
    before = manifest(folder).signatures
    for path in paths(folder):
        if path.stem.rpartition("-")[2] in before:
            continue
        record = read(path)
        asked = record.asked
        if (asked.task, asked.profile, asked.source) != (task, profile, source):
            continue
        if datasets and asked.settings.get("dataset") not in datasets:
            continue
        own = {name: asked.settings.get(name) for name in names}
        todays = (
            Spec(
                task=task,
                method=asked.method,
                profile=profile,
                source=source,
                seed=asked.seed,
                overrides={**changes, **own},
                device=asked.device_type,
            )
            for changes in variants
        )
        if any(record.signature == spec.signature for spec in todays):
            records.append(record)
    return records
