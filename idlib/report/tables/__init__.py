"""Records as tables: one tidy frame, and the tables of the report, ours beside the earlier ones.

Tables for reading hold text: a mean with its standard deviation over seeds, or the one number
where there is one seed. The label of a row says how many seeds it has; a cell says so only where
it has fewer. ``evidence`` are committed records of a longer profile, shown beside this build's.
Records are of one task; what a table shows follows from it.
"""

from idlib.report.tables.cells import by_dataset
from idlib.report.tables.evidence import ASKED, frame, gains, size, verdict_table
from idlib.report.tables.languages import gap_table, language_table
from idlib.report.tables.measures import controls_table, cost_table, layer_table
from idlib.report.tables.models import (
    calibration_table,
    nll_table,
    rounds_table,
    score_table,
    sensitivity_table,
)

__all__ = [
    "ASKED",
    "by_dataset",
    "calibration_table",
    "controls_table",
    "cost_table",
    "frame",
    "gains",
    "gap_table",
    "language_table",
    "layer_table",
    "nll_table",
    "rounds_table",
    "score_table",
    "sensitivity_table",
    "size",
    "verdict_table",
]
