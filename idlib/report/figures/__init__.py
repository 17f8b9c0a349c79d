"""Records as seaborn figures. They read only records, so a book rebuilds without training.

Every figure comes back closed: nothing is shown or kept open, and a notebook displays what its
cell returns. Colours are safe for colour-blind readers, and the same for a method everywhere; line
style or marker says the method too. Records are of one task; what a figure shows follows from it.
"""

from idlib.report.figures.gains import by_model, gain_by_setting, gain_forest
from idlib.report.figures.languages import by_language
from idlib.report.figures.look import COLOURS, DASHES, MARKERS, VERDICTS
from idlib.report.figures.sensitivity import sensitivity_by_layer, sensitivity_distribution
from idlib.report.figures.training import training_parts, validation_curves

__all__ = [
    "COLOURS",
    "DASHES",
    "MARKERS",
    "VERDICTS",
    "by_language",
    "by_model",
    "gain_by_setting",
    "gain_forest",
    "sensitivity_by_layer",
    "sensitivity_distribution",
    "training_parts",
    "validation_curves",
]
