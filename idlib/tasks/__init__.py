"""The tasks by name. A new task is a module here and a line in :data:`TASKS`."""

from __future__ import annotations

from idlib.tasks.answering import AnsweringTask
from idlib.tasks.base import Task
from idlib.tasks.classification import ClassificationTask
from idlib.tasks.images import ImageTask
from idlib.tasks.tagging import TaggingTask
from idlib.tasks.translation import TranslationTask
from idlib.training.settings import SettingsError, check_choice

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (ImageTask, TranslationTask, TaggingTask, AnsweringTask, ClassificationTask)
}


def task_class(name: str) -> type[Task]:
    """The task of this name.

    Raises:
        SettingsError: there is none; the message names the choices.
    """
    check_choice("task", name, tuple(TASKS))
    return TASKS[name]


__all__ = ["TASKS", "SettingsError", "Task", "task_class"]
