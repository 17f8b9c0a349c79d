"""Files of others that would run code if they were read as objects, or as code: they are not.

A checkpoint's state is tried in tests/training/test_checkpoints.py, code in an encoder's folder in
tests/experiments/test_plans.py.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from made_up.toy import ToyTask
from safetensors.torch import save_file

from idlib.data.errors import DataError
from idlib.files import sha256
from idlib.models.encoders import EncoderError
from idlib.training import checkpoints
from idlib.training.checkpoints import CheckpointError


class Payload:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """The folder that a payload would make; it is not there at the end."""
    path = tmp_path / "ran"
    pickle.loads(pickle.dumps(Payload(path)))
    assert path.is_dir()  # so does the payload work
    path.rmdir()
    return path


def with_checksum(folder: Path, path: Path) -> None:
    """List a file among the checkpoints, as somebody would who wants it to be read."""
    (folder / checkpoints.CHECKSUMS).write_text(f"{sha256(path)}  {path.name}\n")


def test_weights_are_tensors(tmp_path: Path, ran: Path) -> None:
    path = tmp_path / "weights-1.safetensors"
    torch.save({"weight": Payload(ran)}, path)
    with_checksum(tmp_path, path)
    with pytest.raises(CheckpointError, match=path.name):
        checkpoints.load_weights(ToyTask().model(), path)
    assert not ran.exists()


def encoder(folder: Path) -> Path:
    """A folder with the files of a small BERT."""
    from transformers import BertConfig, BertModel

    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    model = BertModel(BertConfig(**size, intermediate_size=8))
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    model.config.to_json_file(folder / "config.json")
    return folder


def test_weights_of_an_encoder_are_tensors(tmp_path: Path, ran: Path) -> None:
    from idlib.models.encoders import _config, _published

    folder = encoder(tmp_path / "encoder")
    (folder / "model.safetensors").unlink()
    torch.save({"embeddings.word_embeddings.weight": Payload(ran)}, folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"encoder .*encoder' cannot be loaded: its weights"):
        _published(str(folder), _config(str(folder)))
    assert not ran.exists()


def test_code_beside_data_is_not_run(tmp_path: Path, ran: Path) -> None:
    """A script of a data set's name, where datasets looked for one in earlier versions."""
    from idlib.data import translation

    folder = tmp_path / "hub"
    folder.mkdir()
    for name in ("hub.py", "iwslt14-de-en-preprocess.py", "dataset.py"):
        (folder / name).write_text(f"import os\nos.mkdir({str(ran)!r})\n")
    (folder / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError):
        translation.load("hub", root=folder, cache=tmp_path / "cache")
    assert not ran.exists()
