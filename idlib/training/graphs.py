"""Whole updates as CUDA graphs: a small model's update is then one launch, and not thousands.

An update of one shape runs as ever the first time, is recorded the second time, and from then on
is replayed with the batch, the counts of positions, the weight of the divergence and the learning
rates of the update. Random numbers go on as they would have: a graph takes its seed and offset
from torch's generator and moves it on, so that a run which resumes draws the same masks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from idlib.method.objective import check_heads
from idlib.method.targets import Target
from idlib.training.devices import to_device
from idlib.training.trainable import Batch

_log = logging.getLogger(__name__)

Shape = tuple[tuple[str, torch.Size], ...]


class Inputs(NamedTuple):
    """What differs from update to update, on the device.

    Attributes:
        batch: of the task.
        counts: the counted positions of the update by head, float64 scalars.
        alpha: the weight of the divergence, a float32 scalar.
    """

    batch: Batch
    counts: dict[str, Tensor]
    alpha: Tensor


# One update, from its inputs and its targets on the host to its losses and its logits.
Step = Callable[[Inputs, Mapping[str, Target]], "tuple[Tensor, dict[str, Tensor]]"]


class Recorded(NamedTuple):
    """An update of one shape.

    Attributes:
        graph: replays it.
        inputs: which it reads; they are written over before.
        losses: which it leaves.
        logits: of its passes by head, on the meta device: their shapes are what is checked.
    """

    graph: torch.cuda.CUDAGraph
    inputs: Inputs
    losses: Tensor
    logits: dict[str, Tensor]


class Graphs:
    """Updates by shape.

    Args:
        step: makes an update. It must launch all its work and wait for none.
        optimizer: fused or foreach, and capturable; its rates become tensors that a graph reads.
        device: a GPU.
    """

    def __init__(self, step: Step, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self._step, self._optimizer, self._device = step, optimizer, device
        self._seen: set[Shape] = set()
        self._recorded: dict[Shape, Recorded] = {}
        self._pool = torch.cuda.graph_pool_handle()  # shared: no update reads another's memory
        self._works = True
        for group in optimizer.param_groups:
            group["capturable"] = True
            group["lr"] = torch.tensor(float(group["lr"]), device=device)

    def update(
        self,
        batch: Batch,
        counts: Mapping[str, Tensor],
        alpha: float,
        at_hand: Mapping[str, Target],
    ) -> Tensor:
        """Make an update and return its losses ``[3]``, which the next one writes over.

        Args:
            batch: on the host.
            counts: float64 scalars by head, on the host.
            alpha: the weight of the divergence.
            at_hand: the targets of the batch by head, on the host.
        """
        shape = tuple((name, value.shape) for name, value in batch.items())
        recorded = self._recorded.get(shape)
        if recorded is None:
            inputs = Inputs(
                to_device(batch, self._device),
                to_device(dict(counts), self._device),
                torch.full((), alpha, device=self._device),
            )
            if shape not in self._seen or not self._works:
                self._seen.add(shape)
                return self._step(inputs, at_hand)[0]
            recorded = self._record(inputs, at_hand)
            if recorded is None:
                return self._step(inputs, at_hand)[0]
            self._recorded[shape] = recorded
        else:
            check_heads(at_hand, recorded.logits)
            for name, value in batch.items():
                recorded.inputs.batch[name].copy_(value.pin_memory(), non_blocking=True)
            for name, count in counts.items():
                recorded.inputs.counts[name].fill_(count.item())
            recorded.inputs.alpha.fill_(alpha)
        recorded.graph.replay()
        return recorded.losses

    def _record(self, inputs: Inputs, at_hand: Mapping[str, Target]) -> Recorded | None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                losses, logits = self._step(inputs, at_hand)
        except RuntimeError as error:
            self._works = False
            self._optimizer.zero_grad()  # what it has of the recording
            reason = str(error).strip().splitlines()[0]
            _log.warning("updates are not recorded as CUDA graphs, which takes longer: %s", reason)
            return None
        return Recorded(graph, inputs, losses, {k: z.to("meta") for k, z in logits.items()})
