"""Run the notebooks for the book.

``execute`` runs one notebook, ``execute_all`` all of them in the order that they need, into the
folder that the book reads. A notebook whose inputs have not changed is not run again. Notebooks
check what they were given by ``check_parameters(globals())``, the cell after their parameters.

This module knows papermill (imported where it is needed) and no model or figure.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from idlib.book import notes
from idlib.book.failure import failed_name, say_why
from idlib.book.parameters import check_parameters, declared_types, notebook_parameters
from idlib.experiments.sources import check_source
from idlib.files import replacing
from idlib.tasks import TASKS
from idlib.training.settings import (
    PROFILES,
    SOURCES,
    SettingsError,
    check_choice,
    default_source,
)

NOTEBOOKS = Path("notebooks")
EXECUTED = Path("book/_executed")
TRAINING = tuple(TASKS)  # these pages train, and come before all others
LAST = ("records", "status")  # report on the others
SUMMARY = "build.json"  # what a build was, in the folder of its executed notebooks
SIDE_BY_SIDE = 2  # notebooks at a time, which share the cores: most of each runs on one
# A change of version runs the notebooks again.
PACKAGES = ("torch", "torchvision", "transformers", "sentencepiece", "sacrebleu")


class NotebookError(RuntimeError):
    """A notebook that stopped; the message names the cell, the exception and the file kept."""


class PagesFailed(NotebookError):
    """Some notebooks of a book stopped; their pages say why, and the others are there."""


class Job(NamedTuple):
    """A notebook to run, where to, with which parameters, and the note kept in its metadata."""

    notebook: Path
    out: Path
    parameters: dict[str, Any]
    note: dict[str, Any]


def execute(
    notebook: Path,
    out: Path,
    parameters: dict[str, Any] | None = None,
    note: dict[str, Any] | None = None,
    progress_bar: bool = True,
) -> float:
    """Run one notebook into ``out``; return its wall time in seconds.

    ``out`` is replaced only by a notebook that ran to its end. One that failed is kept beside it
    as ``NAME.failed.ipynb``. ``note`` is stored in the executed notebook's metadata, as
    :mod:`idlib.book.notes` keeps it.

    Raises:
        SettingsError: a parameter that the notebook does not declare, or of another type.
        NotebookError: a missing notebook, or a cell that raised.
        OSError: ``out`` cannot be written, or the disk is full.
    """
    import nbformat
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of types it cannot read
    warnings.filterwarnings("ignore", "The specified file .* does not end in one of")  # temporary
    parameters = parameters or {}
    if not notebook.is_file():
        raise NotebookError(f"{notebook}: no such notebook")
    check_parameters(notebook_parameters(notebook) | parameters)
    failed = failed_name(out)
    start = time.perf_counter()
    with replacing(out) as partial:
        try:
            executed = papermill.execute_notebook(
                *(notebook, partial, parameters),
                kernel_name="python3",
                language="python",
                progress_bar=progress_bar,
                # Without the kernel's own remarks on its transport; figures as vectors.
                extra_arguments=["--log-level=ERROR", "--InlineBackend.figure_format=svg"],
            )
        except papermill.PapermillExecutionError as error:
            shutil.copyfile(partial, failed)
            cell = f"cell {error.exec_count} raised {error.ename}: {error.evalue}"
            raise NotebookError(f"{notebook}: {cell} (kept as {failed})") from None
        seconds = time.perf_counter() - start
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        executed.metadata.papermill["output_path"] = str(out)
        made = {**(note or {}), "seconds": round(seconds, 2), "created": now}
        notes.write(partial, json.loads(nbformat.writes(executed)), made)
    failed.unlink(missing_ok=True)
    return seconds


def execute_all(
    profile: str,
    source: str | None = None,
    only: Collection[str] = (),
    folder: Path = NOTEBOOKS,
    out: Path = EXECUTED,
    records: Path = Path("records"),
) -> list[str]:
    """Run the notebooks of a folder for the book; return the names of those that ran.

    Each notebook gets those of ``profile``, ``source`` and ``executed`` (the folder ``out``) that
    it declares. A notebook that was run before with the same parameters, source, ``idlib``, records
    and versions is left as it is, unless the executed one was changed since. Those that train run
    first, on a GPU one by one; then those that depend on nothing else; the last ones report. One
    that stops does not keep the others from running: its page says why. ``build.json`` in ``out``
    says ``profile, source, created, notebooks: {name: seconds}, failed: [name]``.

    Args:
        profile: of the build.
        source: of the build; by default the profile's.
        only: names of notebooks; others stay as they are if they have ever been run, and must
            then have been run at the same profile and source, since a book has one of each.
        folder: of the notebooks.
        out: folder of the executed ones.
        records: folder of the committed records.

    Raises:
        SettingsError: an unknown profile, source or notebook.
        PagesFailed: notebooks that stopped, once all others have been run.
    """
    check_choice("profile", profile, PROFILES)
    given = {"profile": profile, "source": default_source(profile) if source is None else source}
    check_source(given["source"])
    names = sorted(path.stem for path in folder.glob("*.ipynb"))
    if not names:
        raise SettingsError(f"folder {str(folder)!r} has no notebooks: name one that has")
    for name in only:
        check_choice("notebook", name, tuple(names))
    if only:
        _check_others(only, names, given, out)
    else:
        _remove_leftovers(out, names)
    inputs = _digest_of_inputs(given["source"], records)
    for name in sorted(notes.uncommitted(folder) or ()):
        print(f"{name}: {folder / name}.ipynb is not as committed")
    ran: list[str] = []
    failures: list[NotebookError] = []
    for stage in _stages(names):
        due: list[Job] = []
        for name in stage:
            notebook, target = folder / f"{name}.ipynb", out / f"{name}.ipynb"
            note = notes.read(target)
            if only and name not in (*only, *LAST) and note:
                continue
            declared = declared_types(notebook_parameters(notebook))
            offered: dict[str, Any] = {**given, "executed": str(out)}
            if len(stage) > 1 and name in TRAINING:
                offered["workers"] = max(1, (os.cpu_count() or 1) // SIDE_BY_SIDE)
            parameters = {key: value for key, value in offered.items() if key in declared}
            changing = {key: value for key, value in parameters.items() if key != "workers"}
            digest = _hash(inputs, notebook.read_bytes(), json.dumps(changing))
            anew = name in LAST and (ran or failures)
            if note.get("digest") == digest and not anew:
                print(f"{name}: unchanged")
                continue
            if target.exists() and not note:
                print(f"{name}: {target} is not what was written, and is made again")
            due.append(Job(notebook, target, parameters, {"digest": digest, "given": changing}))
        _write_summary(out, names, given)  # the status notebook reads it
        for job, error in _run_side_by_side(due):
            if error is None:
                ran.append(job.notebook.stem)
            else:
                say_why(job.notebook, job.out, str(error), {"given": job.note["given"]})
                failures.append(error)
    _write_summary(out, names, given)
    if failures:
        raise PagesFailed("; ".join(map(str, failures)))
    return ran


def _stages(names: Sequence[str]) -> list[list[str]]:
    """Those that train, then all others, then the last; a GPU's memory is for one that trains."""
    import torch

    train = [name for name in TRAINING if name in names]
    first = [[name] for name in train] if torch.cuda.is_available() else [train]
    others = [name for name in names if name not in (*TRAINING, *LAST)]
    return [*first, others, [name for name in LAST if name in names]]


def _run_side_by_side(jobs: list[Job]) -> list[tuple[Job, NotebookError | None]]:
    """Run notebooks, two at a time; return in their order what stopped each, or nothing."""
    if jobs:
        print(f"running {', '.join(job.notebook.stem for job in jobs)}", flush=True)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        runs = {pool.submit(_run_in_own_loop, job, len(jobs) == 1): job for job in jobs}
        try:
            for done in tqdm(as_completed(runs), "notebooks", len(runs), disable=len(runs) < 2):
                took = "failed" if done.exception() else f"{done.result():.1f} s"
                tqdm.write(f"{runs[done].notebook.stem}: {took}")
        except KeyboardInterrupt:  # which kernels do not see: they would run to their end
            pool.shutdown(wait=False, cancel_futures=True)
            _end_kernels()
            raise
    return [(job, _stopped(run)) for run, job in runs.items()]


def _stopped(run: Future[float]) -> NotebookError | None:
    error = run.exception()
    if error is None or isinstance(error, NotebookError):
        return error
    raise error


def _run_in_own_loop(job: Job, progress_bar: bool) -> float:
    """Execute with an event loop of this thread's own, and close it: nobody else would."""
    from jupyter_core.utils import ensure_event_loop

    with contextlib.closing(ensure_event_loop()):
        return execute(*job, progress_bar=progress_bar)


def _end_kernels() -> None:
    import psutil

    for process in psutil.Process().children():
        process.terminate()


def _remove_leftovers(out: Path, names: Sequence[str]) -> None:
    """Remove what a failed or killed run left, and pages of notebooks that are gone."""
    for path in out.glob("*.ipynb"):
        if path.stem not in names:
            path.unlink()


def _check_others(
    only: Collection[str], names: Sequence[str], given: dict[str, str], out: Path
) -> None:
    """Refuse to run some notebooks otherwise than the other ones have been run."""
    for name in names:
        if name in (*only, *LAST):
            continue
        there = notes.read(out / f"{name}.ipynb").get("given", {})
        if any(there.get(key, value) != value for key, value in given.items()):
            there = ", ".join(f"{key} {value}" for key, value in there.items())
            raise SettingsError(f"{name} was run at {there}: use the same, or leave out --only")


def _write_summary(out: Path, names: Sequence[str], given: dict[str, str]) -> None:
    kept = {name: notes.read(out / f"{name}.ipynb") for name in names}
    seconds = {name: note["seconds"] for name, note in kept.items() if "seconds" in note}
    failed = [name for name, note in kept.items() if "failed" in note]
    created = max((note["created"] for note in kept.values() if "created" in note), default=None)
    summary = {**given, "created": created, "notebooks": seconds, "failed": failed}
    with replacing(out / SUMMARY) as partial:
        partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _digest_of_inputs(source: str, records: Path) -> str:
    """Hash of what every notebook depends on: idlib with its data, records, folder, versions."""
    parts = [_version_of(name) for name in PACKAGES]
    for folder in (Path(__file__).parents[1], records):
        for path in _files(folder):
            parts += [str(path.relative_to(folder)), _hash(path.read_bytes())]
    if source not in SOURCES:  # a folder may be large: names, sizes and times stand for it
        parts += [
            f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}"
            for path in _files(Path(source))
        ]
    return _hash(*parts)


def _files(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob("*"))
    return [path for path in paths if path.is_file() and "__pycache__" not in path.parts]


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(str(len(data)).encode() + b":" + data)
    return digest.hexdigest()
