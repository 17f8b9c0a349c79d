"""Run the notebooks for the book.

``execute`` runs one notebook, ``execute_all`` all of them in the order that they need, into the
folder that the book reads. A notebook whose inputs have not changed is not run again. Notebooks
check what they were given by ``check_parameters(globals())``, the cell after their parameters.

    python -m idlib.book --profile small --source embedded --only images

This module knows papermill (imported where it is needed) and no task, model or figure.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from idlib.book.parameters import (
    SOURCES,
    ParameterError,
    check_choice,
    check_parameters,
    declared_types,
    notebook_parameters,
)
from idlib.files import replacing
from idlib.training.settings import default_source

__all__ = ["NotebookError", "ParameterError", "check_parameters", "execute", "execute_all"]

FIRST = ("images", "translation", "tagging", "answering", "classification")  # train on all cores
LAST = ("status",)  # reports on the others
SIDE_BY_SIDE = 2  # notebooks at a time: most of each runs on one core
# A change of version runs the notebooks again.
PACKAGES = ("torch", "torchvision", "transformers", "sentencepiece", "sacrebleu")


class NotebookError(RuntimeError):
    """A notebook that stopped; the message names the cell, the exception and the file kept."""


def execute(
    notebook: str | Path,
    out: str | Path,
    parameters: dict[str, Any] | None = None,
    note: dict[str, Any] | None = None,
    progress_bar: bool = True,
) -> float:
    """Run one notebook into ``out``; return its wall time in seconds.

    ``out`` is replaced only by a notebook that ran to its end. One that failed is kept beside it
    as ``NAME.failed.ipynb``. ``note`` is stored in the executed notebook's metadata.

    Raises:
        ParameterError: a parameter that the notebook does not declare, or of another type.
        NotebookError: a missing notebook, or a cell that raised.
    """
    import nbformat
    import papermill

    notebook, out, parameters = Path(notebook), Path(out), dict(parameters or {})
    if not notebook.is_file():
        raise NotebookError(f"{notebook}: no such notebook")
    check_parameters(notebook_parameters(notebook) | parameters)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.stem}.{os.getpid()}.ipynb")
    failed = out.with_name(f"{out.stem}.failed.ipynb")
    start = time.perf_counter()
    try:
        with _quiet("papermill"):
            executed = papermill.execute_notebook(
                *(notebook, partial, parameters),
                kernel_name="python3",
                language="python",
                progress_bar=progress_bar,
                extra_arguments=["--log-level=ERROR"],  # the kernel's own remarks on its transport
            )
        seconds = time.perf_counter() - start
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        executed.metadata["idlib"] = {**(note or {}), "seconds": round(seconds, 2), "created": now}
        nbformat.write(executed, partial)
        os.replace(partial, out)
    except papermill.PapermillExecutionError as error:
        os.replace(partial, failed)
        cell = f"cell {error.exec_count} raised {error.ename}: {error.evalue}"
        raise NotebookError(f"{notebook}: {cell} (kept as {failed})") from None
    finally:
        partial.unlink(missing_ok=True)
    failed.unlink(missing_ok=True)
    return seconds


def execute_all(
    profile: str,
    source: str | None = None,
    only: str | None = None,
    folder: str | Path = "notebooks",
    out: str | Path = "book/_executed",
    records: str | Path = "records",
) -> list[str]:
    """Run the notebooks of a folder for the book; return the names of those that ran.

    Each notebook gets those of ``profile``, ``source`` and ``executed`` (the folder ``out``) that
    it declares. A notebook that was run before with the same parameters, source, ``idlib``,
    records and versions is left as it is. The first trains; those that depend on nothing else run
    side by side; the last reports. ``build.json`` in ``out`` says
    ``profile, source, created, notebooks: {name: seconds}``.

    Args:
        only: the name of one notebook; others stay as they are if they have ever been run, and
            must then have been run at the same profile and source, since a book has one of each.

    Raises:
        ParameterError: an unknown profile, source or notebook.
        NotebookError: a notebook that stopped; those beside it are finished, those after it wait.
    """
    folder, out = Path(folder), Path(out)
    check_choice("profile", profile, None)
    given = {"profile": profile, "source": default_source(profile) if source is None else source}
    check_choice("source", given["source"], None)
    names = sorted(path.stem for path in folder.glob("*.ipynb"))
    if not names:
        raise ParameterError(f"folder {str(folder)!r} has no notebooks: name one that has")
    if only is not None:
        _check_only(only, names, given, out)
    else:
        _remove_leftovers(out, names)
    common = _digest_of_inputs(given["source"], Path(records))
    ran: list[str] = []
    for stage in _stages(names):
        due: list[tuple[Path, Path, dict[str, Any], dict[str, Any]]] = []
        for name in stage:
            notebook, target = folder / f"{name}.ipynb", out / f"{name}.ipynb"
            if only not in (None, name) and name not in LAST and _note(target):
                continue
            offered = {**given, "executed": str(out)}
            declared = declared_types(notebook_parameters(notebook))
            parameters = {key: value for key, value in offered.items() if key in declared}
            digest = _hash(common, notebook.read_bytes(), json.dumps(parameters))
            if _note(target).get("digest") == digest and not (ran and name in LAST):
                print(f"{name}: unchanged")
                continue
            due.append((notebook, target, parameters, {"digest": digest, "given": parameters}))
        _write_summary(out, names, given)  # the status notebook reads it
        ran += _side_by_side(due)
    _write_summary(out, names, given)
    return ran


def _side_by_side(due: list[tuple[Path, Path, dict[str, Any], dict[str, Any]]]) -> list[str]:
    """Execute notebooks, two at a time; raise the first failure once all have ended."""
    names, failures = [notebook.stem for notebook, *_ in due], []
    if due:
        print(f"running {', '.join(names)}", flush=True)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        alone = len(due) == 1
        runs = {pool.submit(_in_own_loop, *one, progress_bar=alone): one[0].stem for one in due}
        for done in tqdm(as_completed(runs), "notebooks", len(runs), disable=len(due) < 2):
            if error := done.exception():
                failures.append(error)
            else:
                tqdm.write(f"{runs[done]}: {done.result():.1f} s")
    if failures:
        raise failures[0]
    return names


def _in_own_loop(*arguments: Any, **options: Any) -> float:
    """Execute with an event loop of this thread's own, and close it: nobody else would."""
    from jupyter_core.utils import ensure_event_loop

    with contextlib.closing(ensure_event_loop()):
        return execute(*arguments, **options)


def _stages(names: Iterable[str]) -> list[list[str]]:
    """FIRST one by one, then all others together, then LAST."""
    found = sorted(names)
    first, last = ([name for name in stage if name in found] for stage in (FIRST, LAST))
    others = [name for name in found if name not in (*FIRST, *LAST)]
    return [*([name] for name in first), others, last]


def _remove_leftovers(out: Path, names: list[str]) -> None:
    """Remove what a failed or killed run left, and pages of notebooks that are gone."""
    for path in out.glob("*.ipynb"):
        if path.stem not in names:
            path.unlink()


def _check_only(only: str, names: list[str], given: dict[str, str], out: Path) -> None:
    if only not in names:
        raise ParameterError(f"unknown notebook {only!r}: choose one of {', '.join(names)}")
    for name in names:
        if name == only or name in LAST:
            continue
        there = _note(out / f"{name}.ipynb").get("given", {})
        if any(there.get(key, value) != value for key, value in given.items()):
            there = ", ".join(f"{key} {value}" for key, value in there.items())
            raise ParameterError(f"{name} was run at {there}: use the same, or leave out --only")


def _write_summary(out: Path, names: list[str], given: dict[str, str]) -> None:
    notes = {name: _note(out / f"{name}.ipynb") for name in names}
    seconds = {name: note["seconds"] for name, note in notes.items() if note}
    created = max((note["created"] for note in notes.values() if "created" in note), default=None)
    summary = {**given, "created": created, "notebooks": seconds}
    text = json.dumps(summary, indent=2) + "\n"
    path = out / "build.json"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")


def _note(executed: Path) -> dict[str, Any]:
    """What ``execute`` stored in a notebook; empty if there is none that can be read."""
    try:
        return json.loads(executed.read_text(encoding="utf-8"))["metadata"].get("idlib", {})
    except (OSError, ValueError, KeyError):
        return {}


def _digest_of_inputs(source: str, records: Path) -> str:
    """Hash of what every notebook depends on: idlib with its data, records, folder, versions."""
    package = Path(__file__).parents[1]
    parts = [_version_of(name) for name in PACKAGES]
    for folder in (package, records):
        for path in _files(folder):
            parts += [str(path.relative_to(folder)), _hash(path.read_bytes())]
    if source not in SOURCES:  # a folder may be large: names, sizes and times stand for it
        parts += [
            f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in _files(source)
        ]
    return _hash(*parts)


def _files(folder: str | Path) -> list[Path]:
    paths = sorted(Path(folder).rglob("*"))
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


@contextlib.contextmanager
def _quiet(logger: str):
    """Errors only: papermill warns of parameters whose annotation it cannot read."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks for the book; return the exit code (2: a wrong argument, 1: a failure)."""
    parser = argparse.ArgumentParser(prog="python -m idlib.book", description=main.__doc__)
    parser.add_argument("--profile", default="small", help="smoke, small, medium or paper")
    parser.add_argument("--source", help="embedded, hub or a folder (default: the profile's)")
    parser.add_argument("--only", metavar="NOTEBOOK", help="run this one, leave the others")
    parser.add_argument("--folder", default="notebooks", help="folder of the notebooks")
    parser.add_argument("--out", default="book/_executed", help="folder of the executed ones")
    try:
        execute_all(**vars(parser.parse_args(arguments)))
    except (ParameterError, NotebookError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, NotebookError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
