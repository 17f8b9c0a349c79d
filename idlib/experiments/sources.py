"""Where a run's data come from: a source that tasks know, or a folder of the user's own."""

from __future__ import annotations

from pathlib import Path

from idlib.training.settings import SettingsError, default_source


def located(name: str | None, task: str, profile: str) -> tuple[str, Path | None]:
    """``embedded`` or ``hub``, or ``path`` and the folder of a task's data.

    It is the folder of that name, or in it the one that has the task's name; ``None`` is the
    source of the profile.

    Raises:
        SettingsError: there is no such folder.
    """
    name = default_source(profile) if name is None else name
    if name in ("embedded", "hub"):
        return name, None
    root = Path(name)
    if not name or not root.is_dir():
        raise SettingsError(
            f"source {name!r} is neither embedded nor hub, nor is there a folder of that name"
        )
    # Oxford-IIIT Pet keeps its pictures in a folder "images", beside "annotations".
    by_task = (root / task).is_dir() and not (root / "annotations").is_dir()
    return "path", root / task if by_task else root
