"""The task reports, by task: what the report must know of each stands in its file here alone."""

from idlib.report.tasks.answering import ANSWERING
from idlib.report.tasks.base import TaskReport
from idlib.report.tasks.classification import CLASSIFICATION
from idlib.report.tasks.images import IMAGES
from idlib.report.tasks.tagging import TAGGING
from idlib.report.tasks.translation import TRANSLATION

REPORTS = {
    report.task: report for report in (IMAGES, TRANSLATION, TAGGING, ANSWERING, CLASSIFICATION)
}


def report_of(task: str) -> TaskReport:
    """The report of a task.

    Raises:
        ValueError: a task that has none, naming those that have.
    """
    if task not in REPORTS:
        raise ValueError(f"no report of {task!r}; choose one of {', '.join(REPORTS)}")
    return REPORTS[task]
