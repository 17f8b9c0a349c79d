"""The answers at the head of the page, and how many of its runs are made."""

from __future__ import annotations

from idlib.report.pages.regime import dose, overfitting, selection
from idlib.report.paired import StudyRecords
from idlib.report.regime import ENCODER, IMAGES, PAIRS
from idlib.report.text import counted

SIZES, ON_ENCODER = tuple(PAIRS), tuple(ENCODER)
STUDIES = (*SIZES, *IMAGES, *ON_ENCODER)


def standing(found: StudyRecords) -> str:
    """How many of the runs behind the page are made."""
    registered = [run for run in found.protocol.runs(*STUDIES) if run.cell in _cells(found)]
    made = sum(run.seed in found.cells(run.study).get(run.cell, {}) for run in registered)
    head = f"{made:,} of the {counted(len(registered), 'run')} behind this page are made"
    return f"{head}." if made == len(registered) else f"{head}. What is missing may change it."


def missing(found: StudyRecords, *studies: str) -> str:
    """Which runs of some studies are not made, and how to make them."""
    return found.missing(studies, _cells(found)) or "All of these runs are made."


def _cells(found: StudyRecords) -> set[str]:
    """The cells that the page reads: base models alone."""
    cells = {cell for study in STUDIES for cell in found.protocol.studies[study].cells}
    return {cell for cell in cells if not cell.endswith("student")}


def answers(found: StudyRecords) -> str:
    """The three answers of the page, as a list in Markdown."""
    return "\n".join(
        [
            f"- **Selection.** {selection.answer(found)}",
            f"- **Dose.** {dose.answer(found)}",
            f"- **Regime.** {overfitting.answer(found)}",
        ]
    )
