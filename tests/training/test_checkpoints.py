"""Checkpoints: what was written is what is read, or an error names the file and the remedy."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from idlib import files
from idlib.training import checkpoints
from idlib.training.checkpoints import CHECKSUMS, FINISHED, CheckpointError, weights_path

SELECTED = {"best": 3, "loss": 2}  # their updates, while it trains
ACCOUNT = {"curves": {"validation/nll": [0.5, 0.25]}, "selected": {**SELECTED, "last": 6}}


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def training(folder: Path) -> Path:
    """The folder of a run after evaluations at updates 1 to 4, of which two were selected."""
    for step, selected in enumerate(({"loss": 1}, {"loss": 2}, SELECTED, SELECTED), start=1):
        weights = model(step).state_dict()
        checkpoints.save(folder, weights, {"step": step, "selected": selected, "model": weights})
    return folder


def finished(folder: Path) -> Path:
    checkpoints.finish(training(folder), 6, model(6).state_dict(), ACCOUNT)
    return folder


def everything(folder: Path) -> tuple:
    """All that a later run reads of a folder."""
    state, account = checkpoints.load(folder), checkpoints.read_finished(folder)
    steps = () if account is None else account["selected"].values()
    paths = [weights_path(folder, step) for step in steps]
    weights = [checkpoints.load_weights(model(9), path).weight.tolist() for path in paths]
    return None if state is None else state["model"]["weight"].tolist(), account, weights


def test_while_it_trains_the_state_and_the_selected_weights_are_there(tmp_path):
    training(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"state-4.pt", "weights-2.safetensors", "weights-3.safetensors", CHECKSUMS}
    assert checkpoints.load(tmp_path)["step"] == 4 and checkpoints.read_finished(tmp_path) is None
    assert checkpoints.state_path(tmp_path) == tmp_path / "state-4.pt"


def test_when_it_has_finished_all_weights_and_the_account_are_there(tmp_path):
    finished(tmp_path)
    paths = {step: weights_path(tmp_path, step) for step in (2, 3, 6)}
    assert set(tmp_path.iterdir()) == {
        *paths.values(),
        tmp_path / FINISHED,
        tmp_path / CHECKSUMS,
    }
    assert checkpoints.read_finished(tmp_path) == ACCOUNT and checkpoints.load(tmp_path) is None
    for step, path in paths.items():
        assert torch.equal(checkpoints.load_weights(model(9), path).weight, model(step).weight)


def test_selections_of_one_update_share_a_file(tmp_path):
    weights = model(6).state_dict()
    account = {"selected": {"best": 6, "loss": 6, "last": 6}}
    checkpoints.save(tmp_path, weights, {"step": 6, "selected": {"best": 6, "loss": 6}})
    checkpoints.finish(tmp_path, 6, weights, account)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"weights-6.safetensors", FINISHED, CHECKSUMS}


def test_the_checksums_are_those_that_sha256sum_reads(tmp_path):
    for line in (finished(tmp_path) / CHECKSUMS).read_text().splitlines():
        checksum, name = line.split("  ")
        assert checksum == files.sha256(tmp_path / name)


def test_a_folder_in_which_nothing_was_saved_has_no_state(tmp_path):
    assert everything(tmp_path) == (None, None, [])


@pytest.mark.parametrize("stage", [training, finished])
def test_a_flipped_bit_is_found_wherever_it_is(tmp_path, stage):
    """Of every file of a run: either an error that names it, or what was written."""
    folder = stage(tmp_path)
    whole = everything(folder)
    generator = torch.Generator().manual_seed(0)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for bit in torch.randint(8 * len(content), (40,), generator=generator).tolist():
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with pytest.raises(CheckpointError, match=f"Delete the folder {folder} to train"):
                everything(folder)
            assert path.read_bytes() == flipped, "what is damaged is left alone"
        path.write_bytes(content)
    assert everything(folder) == whole


@pytest.mark.parametrize("name", ["state-4.pt", "weights-3.safetensors", CHECKSUMS])
@pytest.mark.parametrize("cut", [20, None], ids=["truncated", "empty"])
def test_a_truncated_file_is_named(tmp_path, name, cut):
    path = training(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-cut] if cut else b"")
    with pytest.raises(CheckpointError, match=f"{name} cannot be read.*Delete the folder"):
        checkpoints.load(tmp_path)


def test_selected_weights_that_are_gone_are_missed(tmp_path):
    (training(tmp_path) / "weights-3.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights-3.safetensors .*\(No such file"):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("name", ["state.pt", FINISHED])
def test_files_of_earlier_versions_are_not_trained_over(tmp_path, name):
    (tmp_path / name).write_text(json.dumps(ACCOUNT))
    with pytest.raises(CheckpointError, match=f"{name} cannot be read.*no {CHECKSUMS} beside it"):
        everything(tmp_path)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-checkpoint",)


def test_a_state_that_would_run_code_is_refused_without_bad_advice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = training(tmp_path / "run") / "state-4.pt"
    path.write_bytes(pickle.dumps(Malicious()))
    lines = (path.parent / CHECKSUMS).read_text().splitlines()
    lines[-1] = f"{files.sha256(path)}  {path.name}"
    (path.parent / CHECKSUMS).write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckpointError, match="it is no state of a training") as raised:
        checkpoints.load(path.parent)
    assert "weights_only" not in str(raised.value) and not Path("made-by-a-checkpoint").exists()


def test_weights_of_another_architecture_are_refused(tmp_path):
    path = weights_path(finished(tmp_path), 3)
    with pytest.raises(CheckpointError, match=path.name):
        checkpoints.load_weights(nn.Linear(2, 2), path)
