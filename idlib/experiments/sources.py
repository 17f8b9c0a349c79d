"""Where a run's data come from: a source that every task knows, or a folder of the user's own."""

from __future__ import annotations

from pathlib import Path

from idlib.training.settings import SOURCES, SettingsError, default_source


def check_source(name: str) -> None:
    """Raise :class:`~idlib.training.settings.SettingsError` unless ``name`` is one of
    ``SOURCES`` or a folder.
    """
    if name not in SOURCES and not (name and Path(name).is_dir()):
        raise SettingsError(
            f"unknown source {name!r}: choose one of {', '.join(SOURCES)}, or give the path of a "
            "folder that exists"
        )


def locate(name: str | None, task: str, profile: str) -> tuple[str, Path | None]:
    """The kind of a source, ``embedded``, ``hub`` or ``path``, and of the last the task's folder.

    That is the folder ``name``, or the folder in it that has the task's name. Without a name the
    source is the profile's.

    Raises:
        SettingsError: there is no such source.
    """
    name = default_source(profile) if name is None else name
    check_source(name)
    if name in SOURCES:
        return name, None
    root = Path(name)
    # Oxford-IIIT Pet keeps its pictures in a folder "images", beside "annotations".
    by_task = (root / task).is_dir() and not (root / "annotations").is_dir()
    return "path", root / task if by_task else root
