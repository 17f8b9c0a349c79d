"""Run by torchrun in test_cached: gradients of two processes in ``loop`` and ``cached``."""

import json
import sys
from contextlib import nullcontext

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from idlib.method.objective import IntraDistillation
from idlib.method.projection import Projected
from idlib.method.targets import Target

CLASSES, WIDTH, LENGTH, UPDATES = 7, 6, 4, 2


class Body(nn.Module):
    """A table of tokens, which may be the projection too, and batch norm where asked for."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(CLASSES, WIDTH)
        self.layer, self.dropout = nn.Linear(WIDTH, WIDTH), nn.Dropout(0.3)
        self.norm = nn.BatchNorm1d(LENGTH) if norm else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, tokens: torch.Tensor, logits: bool) -> torch.Tensor:
        states = self.dropout(torch.tanh(self.layer(self.norm(self.table(tokens)))))
        return states @ self.table.weight.T + self.bias if logits else states


def gradients_of(mode: str, norm: bool, projected: bool, rank: int) -> list[list[float]]:
    """After each update, those of all parameters; two micro-batches, of which the last syncs."""
    torch.manual_seed(0)
    body = Body(norm)
    model = DistributedDataParallel(body)
    torch.manual_seed(rank)

    def forward(tokens: torch.Tensor):
        out = model(tokens, not projected)
        return Projected(out, body.table.weight, body.bias) if projected else out

    found = []
    for update in range(UPDATES):
        model.zero_grad()
        for part in range(2):
            seed = 10 * update + 2 * part + rank
            tokens = torch.randint(
                CLASSES, (5, LENGTH), generator=torch.Generator().manual_seed(seed)
            )
            with model.no_sync() if part == 0 else nullcontext():
                IntraDistillation(mode=mode)(
                    forward, lambda tokens: Target(tokens), tokens, 80, 100
                ).total.backward()
        found.append([n for p in model.parameters() for n in p.grad.flatten().tolist()])
        found[-1] += [float(n) for b in model.buffers() for n in b.flatten().tolist()]
    return found


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    kinds = {}
    for norm in (False, True):
        for projected in (False, True):
            modes = [gradients_of(mode, norm, projected, rank) for mode in ("loop", "cached")]
            updates = [
                dict(zip(("loop", "cached"), pair, strict=True))
                for pair in zip(*modes, strict=True)
            ]
            ranks = [None, None]
            distributed.all_gather_object(ranks, updates)
            kinds[f"norm {norm}, projected {projected}"] = ranks
    if rank == 0:
        with open(sys.argv[1], "w") as file:
            gradients = sum(parameter.numel() for parameter in Body(False).parameters())
            found = {"processes": distributed.get_world_size(), "kinds": kinds}
            json.dump({**found, "gradients": gradients}, file)
    distributed.destroy_process_group()
