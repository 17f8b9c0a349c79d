"""Earlier records by the cells of a study, by what each says it was asked."""

from __future__ import annotations

from collections.abc import Iterable

from idlib.protocol import Protocol, Study
from idlib.records import Record
from idlib.report.decisions import values_of
from idlib.report.paired import Cells
from idlib.report.tasks import report_of

REGISTERED, EARLIER = "registered runs", "earlier evidence"  # what records of a study are
DOSE = "divergence_reduction"  # the setting that no earlier run has but as printed


def cells_of(study: Study, records: Iterable[Record], printed: bool = False) -> Cells:
    """The records that agree with each cell in all that the cell names, by cell and seed.

    A cell that names no round or smoothing is of base models at the task's first smoothing.

    Args:
        study: whose cells they are.
        records: of its task, of one profile.
        printed: take runs at α as printed for cells with the scripts' sum.
    """
    first = report_of(study.task).smoothings[0]
    given = list(records)
    found: dict[str, dict[int, Record]] = {}
    for name, cell in study.cells.items():
        settings = {"round": 0, "smoothing": first, **cell.settings}
        if printed:
            settings.pop(DOSE, None)
        found[name] = {
            record.asked.seed: record
            for record in given
            if record.asked.method == cell.method
            and all(record.asked.settings.get(key) == value for key, value in settings.items())
        }
    return found


def whole_or_earlier(
    protocol: Protocol, study: str, evidence: Cells, earlier: Iterable[Record]
) -> tuple[Cells, str]:
    """The registered records of a study once there are enough of them, else earlier ones.

    Returns:
        The records, and what they are, in words.
    """
    if enough(protocol, study, evidence):
        return evidence, REGISTERED
    return cells_of(protocol.studies[study], earlier, printed=True), EARLIER


def enough(protocol: Protocol, study: str, records: Cells) -> bool:
    """Whether every line of a study has as many seeds as a judgement needs.

    But for those that ask for the cause of another line's gain: their controls may be made later,
    and till then have no figures.
    """
    lines = [one for one in protocol.lines.values() if one.study == study and one.needs is None]
    counts = [len(values_of(line, records).by_seed) for line in lines]
    return bool(counts) and min(counts) >= protocol.rules.fewest_seeds
