"""Transformers' own script for GLUE, with one line more: its Trainer is ours.

The script is not ours to copy: ``nox -s examples -- FOLDER`` says where its repository's
``examples/pytorch`` lies, of the version that is installed or one that it still runs.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = "IDLIB_TRANSFORMERS_EXAMPLES"
AFTER = "from transformers.trainer_utils import get_last_checkpoint\n"
LINE = "from idlib.integrations.transformers import IntraDistillationTrainer as Trainer\n"
# In the place of the hub's module of that name, which evaluate would run.
ACCURACY = """
import datasets
import evaluate

class Accuracy(evaluate.Metric):
    def _info(self):
        labels = {name: datasets.Value("int32") for name in ("predictions", "references")}
        features = datasets.Features(labels)
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"accuracy": sum(p == r for p, r in zip(predictions, references)) / len(references)}
"""


def small_bert(folder: Path, words: list[str]) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(1)
    config = BertConfig(vocab_size=len(tokens), intermediate_size=64, **size)
    BertForSequenceClassification(config).save_pretrained(folder)


def sentences(path: Path, words: list[str], number: int, draw: random.Random) -> None:
    """Sentences whose words are of one half or the other, four times out of five."""
    half = len(words) // 2
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sentence1", "label"])
        for _ in range(number):
            label = draw.randrange(2)
            ours = [draw.random() < 0.8 for _ in range(8)]
            halves = [words[:half] if (label == 1) == own else words[half:] for own in ours]
            rows.writerow([" ".join(map(draw.choice, halves)), label])


@pytest.mark.slow
def test_one_line_more_trains_with_intra_distillation(tmp_path: Path) -> None:
    if FOLDER not in os.environ:
        pytest.skip("transformers' examples are not installed with it: nox -s examples -- FOLDER")
    pytest.importorskip("evaluate", reason="the script needs it, idlib does not")
    script = Path(os.environ[FOLDER]) / "text-classification/run_glue.py"
    text = script.read_text(encoding="utf-8")
    assert text.count(AFTER) == 1
    words, draw = [f"w{number}" for number in range(40)], random.Random(1)
    small_bert(tmp_path / "bert", words)
    for name, number in {"train": 400, "validation": 100}.items():
        sentences(tmp_path / f"{name}.csv", words, number, draw)
    (tmp_path / "accuracy").mkdir()
    (tmp_path / "accuracy/accuracy.py").write_text(ACCURACY)
    found = {}
    for name, line in {"theirs": "", "ours": LINE}.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text.replace(AFTER, AFTER + line), encoding="utf-8")
        options = ["--model_name_or_path=bert", "--train_file=train.csv", "--report_to=none"]
        options += ["--validation_file=validation.csv", "--do_train", "--do_eval"]
        options += ["--max_seq_length=16", "--num_train_epochs=3", "--learning_rate=1e-3"]
        options += ["--logging_steps=50", f"--output_dir=out-{name}"]
        command = [sys.executable, str(path), *options]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        out = tmp_path / f"out-{name}"
        found[name] = json.loads((out / "all_results.json").read_text())
        logged = json.loads((out / "trainer_state.json").read_text())["log_history"]
        steps = [row for row in logged if "loss" in row]
        assert len(steps) == 3
        for row in steps:
            assert ("divergence" in row) == (name == "ours")
            if name == "ours":
                whole = row["task_loss"] + row["alpha"] * row["divergence"]
                assert row["divergence"] > 0 and row["loss"] == pytest.approx(whole, abs=1e-3)
    assert all(result["eval_accuracy"] > 0.9 for result in found.values())
    assert found["ours"]["eval_loss"] != found["theirs"]["eval_loss"]
