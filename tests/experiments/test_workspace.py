"""Whether records and checkpoints can be written is known before anything is trained."""

import pytest

from idlib.experiments.runs import load_model
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace, check_writable
from idlib.records import Store
from idlib.training.settings import SettingsError


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_that_can_be_written_to_is_left_as_it_was(tmp_path):
    (tmp_path / "there").mkdir()
    before = everything(tmp_path)
    for name in ("there", "there/not/yet", "."):
        check_writable(tmp_path / name, "a folder", "somehow")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["file", "file/below/it", "dangling", "dangling/below"])
def test_what_cannot_be_a_folder_is_named_with_the_option(tmp_path, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before, bad, good = everything(tmp_path), tmp_path / name, tmp_path / "good"
    for store, checkpoints, option in ((bad, good, "--records"), (good, bad, "--checkpoints")):
        with pytest.raises(SettingsError, match=f"{bad} cannot be written to.*{option}"):
            Workspace(Store(store), checkpoints).check()
    assert everything(tmp_path) == before


def test_a_model_is_not_trained_where_its_checkpoints_cannot_lie(tmp_path):
    (tmp_path / "file").write_text("")
    workspace = Workspace(Store(tmp_path / "file"), tmp_path / "file")  # of which one is asked
    with pytest.raises(SettingsError, match="--checkpoints"):
        load_model(Spec("images", "id", "smoke"), workspace=workspace)
