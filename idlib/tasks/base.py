"""What a task is: its settings and profiles, its data, a model, targets, and metrics.

The training loop needs what :class:`~idlib.training.trainable.Trainable` lists; runs and their
records (``idlib.experiments``) need the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn
from tqdm.auto import tqdm

from idlib.data.errors import TooFewItems
from idlib.data.loaded import LoadedData
from idlib.method.losses import full_precision
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Forward, Target
from idlib.training.devices import to_device
from idlib.training.settings import Profiles, Settings
from idlib.training.trainable import Batch, Selection

if TYPE_CHECKING:
    from typing_extensions import Self

Metrics = dict[str, float]
Curves = dict[str, list[float]]

_CROSS_ENTROPY = IntraDistillation(passes=1, alpha=0.0)


class TaskSettings(Settings):
    """Settings of every task that say how much of its data is used.

    ``examples`` draws a sample from a split, ``{"train": 60}``; a split that it does not name is
    taken whole. Sensitivity is measured on the first ``sensitivity_examples`` training examples
    (``None``: on all), in batches of ``sensitivity_batch``. ``pruned`` are the shares of the
    weights without which the test loss is measured.
    """

    examples: dict[str, int] = Field(default_factory=dict)
    sensitivity_examples: int | None = Field(None, ge=1)
    pruned: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None


S = TypeVar("S", bound=TaskSettings)
D = TypeVar("D", bound=LoadedData[Any])


class Task(ABC, Generic[S, D]):
    """One task at given settings on given data.

    Args:
        settings: of the task's ``schema``.
        source: ``embedded``, ``hub`` or ``path``.
        root: folder of the data where the source needs one.

    Attributes:
        name: by which the task is asked for.
        revision: raised whenever the task's numbers change.
        schema: class of the settings; its defaults are the paper's.
        profiles: for each profile the settings that differ from the schema's defaults.
        load: the data module's function; it takes source, root, sizes, and ``loaded_by``.
        loaded_by: settings that decide what is loaded, beside ``examples``.
        limits: settings that decide which items of the data are left out.
        selection: the validation metric that selects the best checkpoint.
        costly_every: evaluations from one with the costly metrics to the next.
        smoothing: amounts of label smoothing in the grid.
        sweep: changes of settings that the gain of intra-distillation is shown against.
        datasets: names of data sets by source, where a task has several.
    """

    name: ClassVar[str]
    revision: ClassVar[int]
    schema: ClassVar[type[TaskSettings]]
    profiles: ClassVar[Profiles]
    load: ClassVar[Callable[..., Any]]
    loaded_by: ClassVar[tuple[str, ...]]
    limits: ClassVar[tuple[str, ...]] = ()
    selection: ClassVar[Selection] = Selection("nll")
    costly_every: int = 1
    smoothing: ClassVar[tuple[float, ...]] = (0.0,)
    sweep: ClassVar[tuple[dict[str, Any], ...]] = ()
    datasets: ClassVar[dict[str, tuple[str, ...]]] = {}

    settings: S

    def __init__(self, settings: S, source: str, root: Path | None = None) -> None:
        self.settings, self.source, self.root = settings, source, root

    # ---- settings that source and data decide

    @classmethod
    def adapt(cls, settings: S, source: str) -> S:
        """The settings that a source allows (weights that it cannot bring, updates it caps)."""
        return settings

    def fitted(self, named: Collection[str]) -> Self:
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
        task = self._with({k: v for k, v in self.of_folder().items() if k not in named})
        while "examples" not in named:
            try:
                task.data  # noqa: B018  (it is loaded here)
            except TooFewItems as few:
                task = task._with(
                    {"examples": {**task.settings.examples, few.split: few.available}}
                )
            else:
                break
        return task

    def _with(self, changes: Mapping[str, Any]) -> Self:
        return type(self)(self.settings.model_copy(update=changes), self.source, self.root)

    def of_folder(self) -> dict[str, Any]:
        """Settings that a folder decides: its languages, its only data set."""
        return {}

    @classmethod
    def datasets_of(cls, source: str, root: Path | None) -> tuple[str, ...]:
        """The data sets of a source, where a task has several."""
        return cls.datasets.get(source, ())

    def check(self) -> None:
        """Refuse settings that fit neither each other nor the data, before any training.

        Raises:
            SettingsError: naming the setting and what it can be.
        """
        return None

    # ---- data

    @property
    def data(self) -> D:
        """The loaded data, in memory once for all tasks of equal settings."""
        options = tuple((name, getattr(self.settings, name)) for name in self.loaded_by)
        sizes = tuple(sorted(self.settings.examples.items()))
        data: D = _loaded(type(self), self.source, self.root, sizes, options)
        return data

    @classmethod
    def loaded(cls, source: str, **options: Any) -> D:
        """The data of a source, by ``load``."""
        data: D = cls.load(source, **options)
        return data

    @property
    def checksums(self) -> dict[str, str]:
        """Sha256 of each data file or split; identifies the data in the record."""
        return self.data.checksums

    @property
    def report(self) -> list[str]:
        """Lines of text on what was left out of the data, with the places of the first items."""
        return self.data.report

    @abstractmethod
    def epoch(self, generator: torch.Generator) -> list[list[int]]:
        """One epoch: for each update the indices of its training examples."""

    def batches(self, indices: list[list[int]], split: str = "train") -> Iterator[Batch]:
        """The batches of these indices of ``split``, in this order."""
        return map(self.data.splits[split].batch, indices)

    def sensitivity_batches(self) -> Iterable[Batch]:
        """The training batches on which sensitivity is measured: the first ones, in order."""
        s, count = self.settings, len(self.data.splits["train"])
        if s.sensitivity_examples is not None:
            count = min(count, s.sensitivity_examples)
        return self.batches(in_order(count, s.sensitivity_batch))

    @abstractmethod
    def evaluation_batches(self, split: str) -> list[list[int]]:
        """The indices of all examples of a split, in batches for evaluation."""

    # ---- model

    @abstractmethod
    def model(self) -> nn.Module:
        """A model, initialised from torch's global generator or from published weights."""

    @abstractmethod
    def forward(self, model: nn.Module) -> Callable[[Batch], Any]:
        """From a model to its function from batch to logits."""

    def unprojected(self, model: nn.Module) -> Forward:
        """As ``forward``, but of hidden states and their projection, where a task names it."""
        return self.forward(model)

    @abstractmethod
    def targets(self, batch: Batch) -> Target | dict[str, Target]:
        """The targets of a batch."""

    def is_head(self, parameter: str) -> bool:
        """Whether a parameter belongs to a new head, whose learning rate is ``lr_head``."""
        return False

    def layer(self, parameter: str) -> str:
        """The layer that the sensitivity of a parameter of this name is reported under."""
        return parameter.split(".")[0]

    def never_seen(self, model: nn.Module) -> Mapping[str, Tensor]:
        """Entries that the sensitivity batches cannot touch: parameter name -> bool mask.

        They are counted apart from the statistics of sensitivity.
        """
        return {}

    # ---- evaluation

    @abstractmethod
    def evaluate(self, model: nn.Module, split: str) -> Metrics:
        """Metrics of a model in evaluation mode on a split, by one pass; ``nll`` is among them."""

    def costly(self, model: nn.Module, split: str) -> Metrics:
        """Metrics that take more than a pass, if there are any."""
        return {}

    @abstractmethod
    def test(self, model: nn.Module) -> tuple[Metrics, Curves]:
        """Final metrics and curves by ``split/name``, at a checkpoint of a finished run."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Plain cross-entropy of one pass, in nats: the loss that sensitivity is measured of."""
        batch = _on_device_of(model, batch)
        forward = self.forward(model)
        return _CROSS_ENTROPY(forward, self.targets, batch, step=0, total_steps=1).total

    @torch.no_grad()
    def predictions(
        self, model: nn.Module, split: str, progress: bool = False
    ) -> Iterator[tuple[list[int], Batch, Any]]:
        """Indices, batch and logits of every example of a split, in the evaluation batches.

        Batch and logits are on the model's device.
        """
        parts, forward = self.evaluation_batches(split), self.forward(model)
        bar = tqdm(parts, desc=split, unit="batch", leave=False, disable=not progress)
        for part, batch in zip(bar, self.batches(parts, split), strict=True):
            batch = _on_device_of(model, batch)
            logits = forward(batch)
            yield part, batch, _in_full_precision(logits)


def in_order(count: int, size: int) -> list[list[int]]:
    """Indices from 0 to ``count`` − 1 in batches of ``size``; the last one may be smaller."""
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def _in_full_precision(logits: Any) -> Any:
    if isinstance(logits, Mapping):
        return {name: full_precision(z) for name, z in logits.items()}
    return full_precision(logits)


def _on_device_of(model: nn.Module, batch: Batch) -> Batch:
    return to_device(batch, next(model.parameters()).device)


@lru_cache(maxsize=16)  # the grid, its sweep and this build, of several data sets
def _loaded(
    task: type[Task[Any, Any]],
    source: str,
    root: Path | None,
    sizes: tuple[tuple[str, int], ...],
    options: tuple[tuple[str, Any], ...],
) -> Any:
    return task.loaded(source, root=root, sizes=dict(sizes), **dict(options))
