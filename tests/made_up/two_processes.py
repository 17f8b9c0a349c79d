"""Run by torchrun in test_training: the toy task on two processes."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from made_up.toy import ToySettings, ToyTask, interrupt_at
from safetensors.torch import load_file

from idlib.metrics.names import LAST
from idlib.training.loop import train

if __name__ == "__main__":
    folder, settings = Path(sys.argv[1]), ToySettings.model_validate_json(sys.argv[2])
    task = ToyTask(settings.batch_size)

    def go(name: str, dropout: float, progress=None):
        where = folder / name
        return train(task.model(dropout), task, settings, seed=1, folder=where, progress=progress)

    trained = go(".", 0.0)
    whole = go("whole", 0.5)
    seeds = gather_object([torch.initial_seed()])
    with suppress(KeyboardInterrupt):
        go("part", 0.5, interrupt_at(4))
    resumed = go("part", 0.5)
    if PartialState().is_main_process:
        results = {
            "processes": PartialState().num_processes,
            "task": trained.curves["train/task"],
            "dropout": seeds,
            "whole": [t.tolist() for t in load_file(whole.weights(LAST)).values()],
            "resumed": [t.tolist() for t in load_file(resumed.weights(LAST)).values()],
        }
        (folder / "results.json").write_text(json.dumps(results))
