"""Run by torchrun in test_processes: loss curves of a model whose masks no process decides."""

import json
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from made_up.toy import CLASSES, EXAMPLES, INPUTS, ToySettings, ToyTask
from torch import Tensor, nn

from idlib.method.targets import Target
from idlib.training.loop import Trained, train
from idlib.training.order import Order

UPDATES, RATE = 20, 0.3
WIDTH = 8


class MaskedByExample(nn.Module):
    """A network whose dropout masks depend on the update, the example and the pass alone.

    The one number that a forward draws is the same in every process, where the generator is; a
    copy of an example in a stacked batch has another mask than the one before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(INPUTS, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor, example: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        if not self.training:
            return self.second(hidden)
        draw, seen = int(torch.randint(2**31, ())), [0] * EXAMPLES
        masks = []
        for number in example.tolist():
            generator = torch.Generator().manual_seed(draw * 1000 + number * 10 + seen[number])
            masks.append(torch.rand(WIDTH, generator=generator) > RATE)
            seen[number] += 1
        return self.second(hidden * torch.stack(masks) / (1 - RATE))


class Masked(ToyTask):
    """The toy task for it, of whose labels some do not count."""

    def model(self, dropout: float = RATE) -> nn.Module:
        torch.manual_seed(5)
        return MaskedByExample()

    def batches(self, indices):
        for rows, batch in zip(indices, super().batches(indices), strict=True):
            yield {**batch, "example": torch.tensor(rows)}

    def forward(self, model):
        return lambda batch: model(batch["x"], batch["example"])

    def targets(self, batch):
        return Target(batch["y"], mask=counted(batch["example"]))

    def evaluate(self, model, split):
        loss = nn.functional.cross_entropy(model(self.x, torch.arange(EXAMPLES)), self.y)
        return {"nll": loss.item()}


def counted(example: Tensor) -> Tensor:
    return example % 2 == 0


def curves(folder: Path, settings: ToySettings) -> Trained:
    """Train with masks that are drawn anew at every update, in each process the same."""
    made = []

    def same_masks(updates: int) -> None:
        made.append(updates)
        torch.manual_seed(100 + sum(made))

    task = Masked(settings.batch_size)
    return train(task.model(), task, settings, seed=1, folder=folder, progress=same_masks)


def uncounted_shares(settings: ToySettings, processes: int) -> int:
    """Of how many updates some process has no counted position."""
    task, found = Masked(settings.batch_size), 0
    for indices, _ in Order(task, settings, 1, 0, 1).updates_after(0):
        shares = [indices[rank::processes] for rank in range(processes)]
        found += any(not counted(torch.tensor(share)).any() for share in shares)
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, settings in json.loads(sys.argv[2]).items():
        trained = curves(folder / name, ToySettings.model_validate(settings))
        state = PartialState()
        if state.is_main_process:
            result = {"processes": state.num_processes, "curves": trained.curves}
            (folder / f"{name}.json").write_text(json.dumps(result))
