"""Run by torchrun in test_training: the toy task on two processes."""

import json
import sys
from pathlib import Path

from accelerate import PartialState
from toy import ToySettings, ToyTask

from idlib.training import train

if __name__ == "__main__":
    folder, settings = Path(sys.argv[1]), ToySettings.model_validate_json(sys.argv[2])
    task = ToyTask(settings.batch_size)
    trained = train(task.model(0.0), task, settings, seed=1, folder=folder)
    if PartialState().is_main_process:
        told = {"processes": PartialState().num_processes, "task": trained.curves["train/task"]}
        (folder / "told.json").write_text(json.dumps(told))
