"""What is compared: cases of work, and in each the arms that do it, as data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from idlib.bench.reference import Objective, Published, RDrop
from idlib.costs import About
from idlib.method.objective import IntraDistillation
from idlib.method.targets import Forward, Target, as_heads
from idlib.training.devices import to_device
from idlib.training.trainable import Batch

SMOOTHING = 0.1  # the paper's in translation
ALPHA = 5.0


class Call(NamedTuple):
    """One measured call, and what is made before each without being measured."""

    run: Callable[[Any], object]
    make: Callable[[], Any] = lambda: None


@dataclass(frozen=True)
class Arm:
    """One way of doing a case's work.

    Attributes:
        name: by which it is named in options, files and on the page.
        title: the same in words.
        prepare: from what the case set up to the call.
        factor: what the time of a call counts (a floor is worked out from a measured part).
        flops: of a call's model in floating-point operations, where utilisation is asked for.
    """

    name: str
    title: str
    prepare: Callable[[Any], Call]
    factor: float = 1.0
    flops: float | None = None


class Case(ABC):
    """One piece of work. Its fields decide all of its sizes.

    Attributes:
        suite: that it is of.
        references: arms that ratios are quoted against.
        ceiling: the arm whose FLOPs a second utilisation is a part of.
    """

    suite: ClassVar[str]
    references: ClassVar[tuple[str, ...]]
    ceiling: ClassVar[str] = "ceiling"
    memory_kept: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the case in its suite."""

    @property
    @abstractmethod
    def about(self) -> About:
        """Sizes, for the file of results."""

    @abstractmethod
    def set_up(self, device: torch.device) -> Any:
        """What all arms share: data, a model's weights."""

    @abstractmethod
    def arms(self, setup: Any) -> list[Arm]:
        """The arms of this case on what was set up."""


Method = Callable[[IntraDistillation], Objective]
"""From a case's intra-distillation to another objective with its settings."""


def changed(**changes: Any) -> Method:
    """The case's own intra-distillation with some arguments changed."""
    return lambda of_case: replace(of_case, **changes)


def published(of_case: IntraDistillation) -> Objective:
    """The published procedure at the case's K, α and smoothing."""
    return Published(
        of_case.passes, of_case.alpha, of_case.p, of_case.q, smoothing=of_case.smoothing
    )


def rdrop(of_case: IntraDistillation) -> Objective:
    """R-Drop at the case's α and smoothing; K is 2."""
    return RDrop(of_case.alpha, of_case.smoothing)


baseline = changed(passes=1, alpha=0.0)


def total_of(
    objective: Objective,
    forward: Forward,
    targets: Callable[[Batch], Target | Mapping[str, Target]],
    batch: Batch,
    device: torch.device,
) -> Tensor:
    """The loss of a batch that lies in the host's memory, at the end of a run, where α is whole.

    Ours gets what a training gives it, so that nothing waits for a GPU: labels as they lie on the
    host, and the counts of what counts. The references read nothing of the GPU's either.
    """
    there = to_device(batch, device)
    if not isinstance(objective, IntraDistillation):
        return objective(forward, targets, there, 1, 1).total
    at_hand = as_heads(targets(batch))
    counts = to_device({name: target.count for name, target in at_hand.items()}, device)
    return objective(forward, targets, there, 1, 1, counts=counts, at_hand=at_hand).total


TITLES: Mapping[str, str] = {
    "baseline": "baseline, one pass",
    "published": "published procedure",
    "rdrop": "R-Drop, K = 2",
    "id-plain": "ID, losses by autograd",
    "id": "ID",
    "kernel": "the kernel alone",
    "id-loop": "ID, passes in turn",
    "id-cached": "ID, one pass at a time in memory",
    "baseline-projection": "baseline, projection and loss together",
    "baseline-bits": "baseline, quicker dropout masks",
    "id-bits": "ID, quicker dropout masks",
    "baseline-compiled": "baseline, body compiled",
    "id-compiled": "ID, body compiled",
    "baseline-graphs": "baseline, body compiled, CUDA graphs",
    "id-graphs": "ID, body compiled, CUDA graphs",
    "id-projection": "ID, projection and loss together",
    "id-cached-projection": "ID, one pass at a time in memory, projection and loss together",
    "floor": "floor",
    "ceiling": "a product of large matrices",
    "backward": "the backward passes alone",
    "sensitivity": "parameter_sensitivity",
}
