"""Whether all is there that the project needs: versions, device, files, records, room.

Nothing here asks the network for anything, and nothing is trained.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import Requirement

from idlib import protocol
from idlib.data import checksums
from idlib.experiments.workspace import CHECKPOINTS, Workspace
from idlib.models import embedded_encoder
from idlib.records import Store
from idlib.training.settings import SettingsError

EMBEDDED = Path(__file__).parent / "data/embedded"
EXTRAS = {
    "report": "builds the book",
    "test": "runs the tests",
    "cluster": "spreads a grid over machines",
}
ROOM = 5  # GiB, for checkpoints of a build at profile small, environments and the book
MEMORY = 4  # GiB, of a training at profile small beside a page that is built


class Finding(NamedTuple):
    """What was found of one thing.

    Attributes:
        what: the thing.
        state: ``ok``; ``note`` where something can do without; ``fault`` where nothing can.
        found: in words.
        remedy: what to do, where it is not ok.
    """

    what: str
    state: Literal["ok", "note", "fault"]
    found: str
    remedy: str = ""


def findings() -> Iterator[Finding]:
    """Everything that is looked at, one after the other."""
    for check in CHECKS:
        yield from check()


def _versions() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield Finding("idlib", "ok", f"{metadata.version('idlib')}, {Path(__file__).parent}")
    required = [Requirement(text) for text in metadata.requires("idlib") or []]
    here = [one for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [text for one in here if (text := _amiss(one))]
    if wrong:
        remedy = "pip install -e . -c requirements/constraints.txt, or pip install idlib"
        yield Finding("packages", "fault", "; ".join(wrong), remedy)
    else:
        yield Finding("packages", "ok", f"all {len(here)} that it requires, in their ranges")
    for extra, use in EXTRAS.items():
        of_extra = [
            one
            for one in required
            if one.marker is not None
            and one.marker.evaluate({"extra": extra})
            and not one.marker.evaluate({"extra": ""})
        ]
        if missing := [one.name for one in of_extra if _amiss(one)]:
            told = f"not whole ({', '.join(missing)}); it {use}"
            remedy = f"pip install 'idlib[{extra}]', if that is wanted; nox does it by itself"
            yield Finding(f"extra {extra}", "note", told, remedy)
        else:
            yield Finding(f"extra {extra}", "ok", f"whole; it {use}")


def _amiss(required: Requirement) -> str:
    """What is wrong with a package, or nothing."""
    try:
        version = metadata.version(required.name)
    except metadata.PackageNotFoundError:
        return f"{required.name} is missing"
    if required.specifier.contains(version, prereleases=True):
        return ""
    return f"{required.name} is {version} and not {required.specifier}"


def _device() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # a library that does not load raises several kinds
        yield Finding("torch", "fault", _first_line(error), "install torch again")
        return
    kind = torch.backends.cpu.get_cpu_capability()
    yield Finding("torch", "ok", f"{torch.__version__}, {os.cpu_count()} cores, {kind}")
    try:
        import_module("torchvision")
    except Exception as error:  # two builds that do not fit raise several kinds
        remedy = "install torch and torchvision of one build: pip install torch torchvision"
        yield Finding("torchvision", "fault", _first_line(error), remedy)
    else:
        yield Finding("torchvision", "ok", metadata.version("torchvision"))
    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory / 2**30
        yield Finding("GPU", "ok", f"{torch.cuda.get_device_name(0)}, {total:.0f} GiB")
    else:
        remedy = "the profiles up to medium need none; large and paper take days without one"
        yield Finding("GPU", "note", "torch finds none", remedy)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _files() -> Iterator[Finding]:
    for folder in sorted(path.parent for path in EMBEDDED.rglob("CHECKSUMS")):
        what = "encoder" if folder == embedded_encoder.FOLDER else "data"
        name = f"{what} {folder.relative_to(EMBEDDED)}"
        yield _attempt(name, lambda folder=folder: _verified(folder))  # type: ignore[misc]
    yield _attempt("protocol", lambda: f"{len(list(protocol.read().runs()))} registered runs")
    stored, damaged = Store().readable()
    if damaged:
        told = "; ".join(map(str, damaged.values()))
        yield Finding("records", "fault", told, "git checkout records, or move the files away")
    else:
        yield Finding("records", "ok", f"{len(stored)} can be read and are as they were written")


def _verified(folder: Path) -> str:
    names = checksums.published(folder)
    for name in names:
        checksums.verified(folder, name)
    return f"{len(names)} files as they were published"


def _room() -> Iterator[Finding]:
    yield _attempt("folders", _writable, "nox and idlib write below the folder they are run in")
    free = shutil.disk_usage(".").free / 2**30
    remedy = "remove .idlib/checkpoints (records stay), or run in another folder"
    yield Finding("disk", *_enough(free, ROOM, remedy))
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, OSError, ValueError):  # not every system tells
        return
    remedy = "--workers 1, or --set micro_batch=N, which makes an update in slices"
    yield Finding("memory", *_enough(memory, MEMORY, remedy))


def _enough(there: float, wanted: float, remedy: str) -> tuple[Literal["ok", "note"], str, str]:
    told = f"{there:.0f} GiB"
    return ("ok", told, "") if there >= wanted else ("note", f"{told} of {wanted:.0f}", remedy)


def _writable() -> str:
    Workspace().check()
    return f"{CHECKPOINTS.parent.absolute()} can be written to"


def _programs() -> Iterator[Finding]:
    for names, use in (
        ((os.environ.get("CHROMIUM") or "chromium",), "tests of the built book, and its PDF"),
        ((os.environ.get("CXX") or "g++", "clang++"), "setting compile on a processor"),
        (("git",), "the commit in a record's origin"),
    ):
        there = next(filter(None, map(shutil.which, names)), None)
        if there:
            yield Finding(names[0], "ok", there)
        else:
            yield Finding(
                names[0], "note", f"not there; for {use}", "install it, if that is wanted"
            )


def _attempt(what: str, check: Callable[[], str], remedy: str = "") -> Finding:
    try:
        return Finding(what, "ok", check())
    except (OSError, SettingsError, ValueError) as error:
        return Finding(what, "fault", str(error), remedy)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_versions, _device, _files, _room, _programs)
