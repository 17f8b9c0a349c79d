"""What a task is: a model, its data, its targets and its metrics.

The training loop (:mod:`idlib.training.loop`) needs ``epoch``, ``batches``, ``forward``,
``targets`` and ``evaluate``; a run (:mod:`idlib.experiments.runs`) needs the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from idlib.data.errors import TooFewItems
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Target
from idlib.training.loop import Selection
from idlib.training.settings import Profiles, Settings

Batch = dict[str, Tensor]

_PLAIN = IntraDistillation(passes=1, alpha=0.0)


class Task(ABC):
    """One task at given settings on given data.

    Args:
        settings: of the task's ``schema``.
        source: ``embedded``, ``hub`` or ``path``.
        root: folder of the data where the source needs one.
    """

    name: ClassVar[str]
    revision: ClassVar[int]  # raised whenever the task's numbers change
    schema: ClassVar[type[Settings]]
    profiles: ClassVar[Profiles]
    selection: ClassVar[Selection] = Selection("nll")
    smoothing: ClassVar[tuple[float, ...]] = (0.0,)  # amounts of label smoothing in the grid
    sweep: ClassVar[tuple[dict[str, Any], ...]] = ()  # settings that the gain is shown against
    datasets: ClassVar[dict[str, tuple[str, ...]]] = {}  # by source, where a task has several
    limits: ClassVar[tuple[str, ...]] = ()  # settings that decide which items are left out

    def __init__(self, settings: Settings, source: str, root: Path | None = None) -> None:
        self.settings, self.source, self.root = settings, source, root

    @classmethod
    def adapt(cls, settings: Settings, source: str) -> Settings:
        """The settings that a source allows (weights that it cannot bring, updates it caps)."""
        return settings

    def fitted(self, named: Collection[str]) -> Task:
        """This task with what a profile cannot know of a user's own folder.

        A profile's languages and sizes are those of the embedded data. Where the user named no
        others, all languages of a folder are tested, and a split that has fewer items than
        ``examples`` asks for is taken whole.

        Args:
            named: the settings that the user named.

        Raises:
            idlib.data.DataError: the data cannot be used.
        """
        if self.source != "path":
            return self
        found = {name: value for name, value in self.of_folder().items() if name not in named}
        task = self._with(**found)
        while "examples" not in named:
            try:
                task.data  # noqa: B018  (it is loaded here)
            except TooFewItems as few:
                task = task._with(examples={**task.settings.examples, few.split: few.there})
            else:
                break
        return task

    def of_folder(self) -> dict[str, Any]:
        """Settings that a folder decides: its languages, its only data set."""
        return {}

    @classmethod
    def datasets_of(cls, source: str, root: Path | None) -> tuple[str, ...]:
        """The data sets of a source, where a task has several."""
        return cls.datasets.get(source, ())

    def _with(self, **changes: Any) -> Task:
        return type(self)(self.settings.model_copy(update=changes), self.source, self.root)

    @property
    @abstractmethod
    def data(self) -> Any:
        """The loaded data: ``splits`` by name, and what was left out of them.

        ``dropped`` counts that by split and reason, ``report`` says it in lines of text.
        """

    @property
    def report(self) -> list[str]:
        """Lines of text on what was left out of the data, with the places of the first items."""
        return self.data.report

    def check(self) -> None:
        """Refuse settings that fit neither each other nor the data, before any training.

        Raises:
            SettingsError: naming the setting and what it can be.
        """
        return None

    @property
    @abstractmethod
    def checksums(self) -> dict[str, str]:
        """Sha256 of each data file or split; identifies the data in the record."""

    @abstractmethod
    def model(self) -> nn.Module:
        """A model, initialised from torch's global generator or from published weights."""

    @abstractmethod
    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """One epoch: for each update the indices of its training examples."""

    @abstractmethod
    def batches(self, indices: list[list[int]], split: str = "train") -> Iterator[Batch]:
        """The batches of these indices of ``split``, in this order."""

    @abstractmethod
    def forward(self, model: nn.Module) -> Callable[[Batch], Any]:
        """From a model to its function from batch to logits."""

    @abstractmethod
    def targets(self, batch: Batch) -> Target | dict[str, Target]:
        """The targets of a batch."""

    @abstractmethod
    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Metrics of a model in evaluation mode on a split."""

    @abstractmethod
    def test(self, model: nn.Module) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Final metrics and curves by ``split/name``, at the selected checkpoint; called once."""

    @abstractmethod
    def sensitivity_batches(self) -> Iterable[Batch]:
        """The fixed training batches on which sensitivity is measured."""

    def never_seen(self, model: nn.Module) -> Mapping[str, Tensor]:
        """Entries that the measured batches cannot touch: parameter name -> bool mask.

        They are counted apart from the statistics of sensitivity.
        """
        return {}

    def is_head(self, parameter: str) -> bool:
        """Whether a parameter belongs to a new head, which ``lr_head`` is the rate of."""
        return False

    def layer(self, parameter: str) -> str:
        """The layer that a parameter of this name is reported under."""
        return parameter.split(".")[0]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Plain cross-entropy of one pass, in nats: what sensitivity is measured of."""
        device = next(model.parameters()).device
        batch = {name: value.to(device) for name, value in batch.items()}
        return _PLAIN(self.forward(model), self.targets, batch, step=0, total_steps=1).total
