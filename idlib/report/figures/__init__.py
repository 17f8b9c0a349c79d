"""The report's figures. They read only records, so a book rebuilds without training.

Every figure comes back closed: nothing is shown or kept open, and a notebook displays what its
cell returns. Colours are safe for colour-blind readers, and the same for a method everywhere; line
style or marker says the method too.
"""

from idlib.report.figures.board import board
from idlib.report.figures.comparisons import compared, gain_by_setting
from idlib.report.figures.curves import training_parts, validation_curves
from idlib.report.figures.models import by_language, by_model
from idlib.report.figures.sensitivity import sensitivity_by_layer, sensitivity_distribution
from idlib.report.figures.style import embedded

__all__ = [
    "embedded",
    "board",
    "by_language",
    "by_model",
    "compared",
    "gain_by_setting",
    "sensitivity_by_layer",
    "sensitivity_distribution",
    "training_parts",
    "validation_curves",
]
