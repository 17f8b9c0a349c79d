"""Run by torchrun in test_transformers: the trainer on two processes."""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from made_up.trainers import arguments, collate, examples, model_of

from idlib import IntraDistillation
from idlib.integrations.transformers import IntraDistillationTrainer

if __name__ == "__main__":
    folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    used = {}
    for unused in (True, False):
        trainer = IntraDistillationTrainer(
            model=model_of("seq2seq"),
            args=arguments(folder, **settings, ddp_find_unused_parameters=unused),
            train_dataset=examples("seq2seq"),
            data_collator=partial(collate, "seq2seq"),
            objective=IntraDistillation(passes=2),
        )
        trainer.train()
        used[str(unused)] = trainer.uses_projection
    if trainer.is_world_process_zero():
        values = torch.cat([v.flatten() for v in trainer.model.state_dict().values()])
        results = {
            "processes": trainer.accelerator.num_processes,
            "loss": [log["loss"] for log in trainer.state.log_history if "loss" in log],
            "weights": values.tolist(),
            "uses_projection": used,
        }
        (folder / "both.json").write_text(json.dumps(results))
