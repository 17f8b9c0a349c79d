"""The toy task with what a run needs of one: a sixth task, once it is in the registry."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from made_up.toy import EXAMPLES, INPUTS, ToySettings, ToyTask, network
from torch import nn

from idlib.tasks.base import Task
from idlib.training.settings import PROFILES


class ToyRunTask(ToyTask, Task):
    """The toy task with what a run needs, to be put into the registry under its name.

    Its splits differ, and one input is 0 in all of training: the weights from it are never seen.
    ``threads`` are those that it was last evaluated with.
    """

    name, revision, schema = "toy", 1, ToySettings
    profiles = {profile: {} for profile in PROFILES}
    checksums = {"train": "made up"}
    data = SimpleNamespace(dropped={"train": {"empty": 0}}, report=[])

    evaluation_batches = None  # not asked for

    def __init__(self, settings, source, root=None) -> None:
        Task.__init__(self, settings, source, root)
        ToyTask.__init__(self, settings.batch_size)
        self.x[:, -1] = 0
        generator = torch.Generator().manual_seed(4)
        self.splits = {
            split: torch.randn(EXAMPLES, INPUTS, generator=generator)
            for split in ("validation", "test")
        }

    def model(self) -> nn.Module:
        return network(self.settings.dropout)

    @torch.no_grad()
    def losses(self, model, split):
        return nn.functional.cross_entropy(model(self.splits[split]), self.y, reduction="none")

    def evaluate(self, model, split):
        self.threads = torch.get_num_threads()
        assert not model.training
        return {"nll": self.losses(model, split).mean().item()}

    def test(self, model):
        metrics = {f"test/{name}": value for name, value in self.evaluate(model, "test").items()}
        return metrics, {"test/nll/items": self.losses(model, "test").tolist()}

    def sensitivity_batches(self):
        return [{"x": x, "y": y} for x, y in zip(self.x.split(4), self.y.split(4), strict=True)]

    def never_seen(self, model):
        mask = torch.zeros(8, INPUTS, dtype=torch.bool)
        mask[:, -1] = True
        return {"0.weight": mask}
