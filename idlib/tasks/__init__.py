"""The tasks by name. A new task is a module here and a line in :data:`TASKS`."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from idlib.training.settings import check_choice

if TYPE_CHECKING:
    from idlib.tasks.base import Task

# Where each class stands: it is imported when it is asked for, since torch takes seconds to import.
TASKS = {
    "images": "idlib.tasks.images:ImageTask",
    "translation": "idlib.tasks.translation:TranslationTask",
    "tagging": "idlib.tasks.tagging:TaggingTask",
    "answering": "idlib.tasks.answering:AnsweringTask",
    "classification": "idlib.tasks.classification:ClassificationTask",
}


def task_class(name: str) -> type[Task[Any, Any]]:
    """The task of this name.

    Raises:
        SettingsError: there is none; the message names the choices.
    """
    check_choice("task", name, tuple(TASKS))
    task: type[Task[Any, Any]] = resolve_name(TASKS[name])
    return task
