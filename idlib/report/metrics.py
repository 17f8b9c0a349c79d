"""Metrics: how each is named and written, and how a test set's items make it up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from idlib.metrics.items import RATIO, ItemScore
from idlib.metrics.names import IN_WORDS, at
from idlib.report.text import signed


@dataclass(frozen=True)
class Metric:
    """A number of a record, and how it is written: times ``scale``, as ``form`` says, in ``unit``.

    Args:
        key: its name in records, such as ``test/nll``.
        name: its name on a page, without the unit.
        unit: what it is measured in; empty for a ratio.
        scale: what its values are multiplied by to be in that unit.
        form: format of one value.
        items: how it follows from the test items that a record keeps.
    """

    key: str
    name: str
    unit: str = ""
    scale: float = 1.0
    form: str = ".3f"
    items: ItemScore = RATIO

    @property
    def title(self) -> str:
        """Name and unit, for a table's or a figure's label: ``test NLL (nats)``."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def at(self, selection: str) -> Metric:
        """The same of the checkpoint that another rule chose.

        >>> NLL.at("last").key, NLL.at("last").title
        ('test/nll@last', 'test NLL, last update (nats)')
        """
        return replace(self, key=at(self.key, selection), name=f"{self.name}{IN_WORDS[selection]}")

    def written(self, value: float) -> str:
        """A value as text, without the unit."""
        return f"{self.scale * value:{self.form}}"

    def bounds(self, low: float, high: float) -> str:
        """The ends of a difference's interval, without the unit: ``−0.060 to +0.020``."""
        return f"{self.difference(low)} to {self.difference(high)}"

    def difference(self, value: float, unit: bool = False) -> str:
        """A difference of two values with its sign.

        >>> NLL.difference(-0.0451, unit=True)
        '−0.045 nats'
        """
        text = signed(self.scale * value, f"+{self.form}")
        return f"{text} {self.unit}".strip() if unit else text


def percentage(key: str, name: str) -> Metric:
    """A score between 0 and 1, written in points of 100."""
    return Metric(key, name, "points", 100.0, ".2f")


NLL = Metric("test/nll", "test NLL", "nats")
STD = Metric("sensitivity/std", "std of sensitivity", "× 10⁻³", 1000.0, "#.3g")
CV = Metric("sensitivity/cv", "std/mean of sensitivity", form=".2f")
GINI = Metric("sensitivity/gini", "Gini coefficient of sensitivity")
STD_NORMALIZED = Metric(
    "sensitivity/std_normalized", "std of normalised sensitivity", "× 10⁻³", 1000.0, "#.3g"
)
SENSITIVITY = (STD, CV, STD_NORMALIZED, GINI)  # the paper's measure of balance, and others
COMMON = (  # what the records of every task have
    NLL,
    Metric("validation/nll", "validation NLL", "nats"),
    Metric("train/nll", "training NLL", "nats"),
    *SENSITIVITY,
)
