"""Flipped bytes and lost ends of every kind of file that is read: an error, or the same result.

Forty places of each kind of file are drawn for a flipped bit, and forty for an end that is lost.
What is read then must be what the whole file gives, or there is an error that names the file.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from made_up.pictures import write_image

from idlib import protocol, records
from idlib.book import notes
from idlib.book.parameters import notebook_parameters
from idlib.costs import CostsError
from idlib.costs import read as read_costs
from idlib.data import images, sources, vocabulary
from idlib.data.checksums import verified
from idlib.data.errors import DataError
from idlib.data.image_files import verified_images
from idlib.earlier import earlier, manifest
from idlib.experiments import registered
from idlib.experiments.registered import signatures_of
from idlib.experiments.runs import load_model, run
from idlib.experiments.specs import Spec
from idlib.experiments.workspace import Workspace
from idlib.models import embedded_encoder
from idlib.records import COMMITTED_STORE, EVIDENCE_STORE, MANIFEST, RecordError, Store, paths
from idlib.tasks import base
from idlib.training import checkpoints
from idlib.training.checkpoints import CheckpointError

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / "idlib/data/embedded"
NOTEBOOKS = ROOT / "notebooks"
COMMITTER = ("-c", "user.name=faults", "-c", "user.email=faults@localhost")
PLACES = 40
NAMED, SAME, WRONG = "errors that name the file", "the same result", "wrong"

# What may be raised, each of them one line to a user of the command line.
ERRORS = (DataError, RecordError, CheckpointError, CostsError, protocol.ProtocolError)


def beside(path: Path, folder: Path, copied: str = "") -> Path:
    """A copy of a file, and of its folder where others of it are read too."""
    if not copied:
        target = folder / path.name
        folder.mkdir(parents=True)
        shutil.copy(path, target)
        return target
    root = next(parent for parent in path.parents if parent.name == copied)
    shutil.copytree(root, folder / copied)
    return folder / path.relative_to(root.parent)


def damaged(content: bytes, how: str, draw: random.Random) -> bytes:
    """The content with one bit flipped, or without its end."""
    place = draw.randrange(len(content))
    if how == "truncations":
        return content[:place]
    flipped = content[place] ^ (1 << draw.randrange(8))
    return content[:place] + bytes([flipped]) + content[place + 1 :]


def tried(path: Path, read: Callable[[Path], Any], of: str, how: str, tally) -> None:
    """Damage a file in forty places, one at a time, and read it each time."""
    whole, content, draw = read(path), path.read_bytes(), random.Random(f"{of} {how}")
    for _ in range(PLACES):
        path.write_bytes(damaged(content, how, draw))
        try:
            found = read(path)
        except ERRORS as error:
            assert path.name in str(error), f"{of}: {error}"
            tally(how, of, NAMED)
        else:
            if found != whole:
                tally(how, of, WRONG)
                pytest.fail(f"{of}: another result, and no error")
            tally(how, of, SAME)
    path.write_bytes(content)
    assert read(path) == whole


def of_images(path: Path) -> Any:
    data = images.load("embedded", root=path.parent, image_size=28)
    return data.checksums, data.splits["train"].batch([0])["image"].tolist()


def first(folder: str, shape: str) -> Path:
    return sorted((EMBEDDED / folder).rglob(shape))[0]


HOW = ["flips", "truncations"]


@pytest.mark.parametrize("how", HOW)
def test_records(how: str, tmp_path: Path, tally) -> None:
    path = beside(sorted((ROOT / EVIDENCE_STORE).glob("images-*.json"))[0], tmp_path / "copy")
    tried(path, records.read, "records", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_costs(how: str, tmp_path: Path, tally) -> None:
    path = beside(sorted((ROOT / "records/bench").glob("*.json"))[0], tmp_path / "copy")
    tried(path, read_costs, "results of the benchmark", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_the_protocol(how: str, tmp_path: Path, tally, monkeypatch) -> None:
    path = beside(ROOT / protocol.NAME, tmp_path / "copy")
    listed = shutil.copy(ROOT / protocol.CHECKSUM, path.parent)
    monkeypatch.setattr(protocol, "_PLACES", (path,))

    def read(_: Path) -> Any:
        return protocol.read.__wrapped__(), protocol.sha256()

    tried(path, read, "the protocol", how, tally)
    tried(Path(listed), read, "the protocol's checksum", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_images(how: str, tmp_path: Path, tally) -> None:
    path = beside(first("fashion_mnist", "*.parquet"), tmp_path / "copy", "fashion_mnist")
    tried(path, of_images, "data of images", how, tally)


TEXTS = {
    "translation": "translation/*.parquet",
    "tagging": "tagging/en/*.parquet",
    "answering": "answering/en/*.parquet",
    "classification": "classification/**/*.parquet",
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("task", TEXTS)
def test_texts(task: str, how: str, tmp_path: Path, tally) -> None:
    """By the checksum of the file that is read: it is looked at before anything is parsed."""
    shape = TEXTS[task]
    path = beside(first("libreoffice_help", shape), tmp_path / "copy", "libreoffice_help")
    root = tmp_path / "copy/libreoffice_help"

    def read(path: Path) -> Any:
        return verified(root, str(path.relative_to(root)))[1]

    tried(path, read, f"data of {task}", how, tally)


@pytest.mark.parametrize("task", TEXTS)
def test_a_run_reads_texts_so(task: str, tmp_path: Path, monkeypatch) -> None:
    """One flip each in every file of a task, through the task itself."""
    path = beside(first("libreoffice_help", TEXTS[task]), tmp_path / "copy", "libreoffice_help")
    monkeypatch.setattr(sources, "LIBREOFFICE_HELP", tmp_path / "copy/libreoffice_help")
    draw = random.Random(task)
    for path in sorted((tmp_path / "copy/libreoffice_help").glob(TEXTS[task])):
        path.write_bytes(damaged(path.read_bytes(), "flips", draw))
    base._loaded.cache_clear()
    with pytest.raises(DataError, match=r"\.parquet is not the file that was published"):
        Spec(task, "id", "smoke").plan  # noqa: B018  (the data are read here)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", embedded_encoder.FILES)
def test_the_encoder(name: str, how: str, tmp_path: Path, tally, monkeypatch) -> None:
    path = beside(embedded_encoder.FOLDER / name, tmp_path / "copy", "multilingual_e5_small")
    monkeypatch.setattr(embedded_encoder, "FOLDER", path.parent)

    def read(path: Path) -> Any:
        return embedded_encoder.file(path.name)

    tried(path, read, f"encoder, {name}", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_a_kept_vocabulary(how: str, tmp_path: Path, tally) -> None:
    """A cache: what is not what was written is made again."""
    texts = [f"the {word} of a {word}s" for word in ("window", "cell", "page", "line", "style")]
    vocabulary.cached(texts, 50, tmp_path)
    (path,) = tmp_path.glob("vocabularies/*.model")
    for damaged_file in (path, path.with_name(f"{path.name}.sha256")):
        read = lambda _: vocabulary.cached(texts, 50, tmp_path).model  # noqa: E731
        tried(damaged_file, read, f"vocabulary, {damaged_file.suffix}", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_what_is_known_of_a_folder_of_pictures(how: str, tmp_path: Path, tally) -> None:
    """A cache of checksums: what was changed in it is not believed."""
    folder = tmp_path / "pictures"
    paths = [write_image(folder / f"{seed}.png", seed) for seed in range(4)]
    verified_images(paths, tmp_path)
    read = lambda _: verified_images(paths, tmp_path)  # noqa: E731
    tried(tmp_path / "checksums.json", read, "known pictures", how, tally)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Spec, Workspace]:
    """A run of images that has ended, and one that was stopped in its middle."""
    root = tmp_path_factory.mktemp("trained")
    workspace = Workspace(Store(root / "records", also=()), root / "checkpoints")
    spec = Spec("images", "id", "smoke")
    run(spec, workspace)
    return spec, workspace


@pytest.mark.parametrize("how", HOW)
def test_weights(how: str, trained, tmp_path: Path, tally) -> None:
    spec, workspace = trained
    folder = shutil.copytree(workspace.checkpoints, tmp_path / "checkpoints")
    there = Workspace(workspace.store, folder)
    path = sorted(folder.glob("*/weights-*.safetensors"))[-1]

    def read(path: Path) -> Any:
        model = load_model(spec, "last", there)
        return [tensor.tolist() for tensor in model.state_dict().values()]

    tried(path, read, "weights", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_the_state_of_a_stopped_run(how: str, tmp_path: Path, tally) -> None:
    from made_up.toy import ToySettings, ToyTask, interrupt_at

    from idlib.training.loop import train

    task = ToyTask(4)
    with pytest.raises(KeyboardInterrupt):
        train(
            task.model(0.5),
            task,
            ToySettings(epochs=3),
            seed=1,
            folder=tmp_path / "run",
            progress=interrupt_at(4),
        )
    path = checkpoints.state_path(tmp_path / "run")

    def read(path: Path) -> Any:
        state = checkpoints.load(path.parent)
        return json.dumps(state, default=lambda v: v.tolist() if torch.is_tensor(v) else repr(v))

    tried(path, read, "state of a run", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_the_account_of_a_finished_run(how: str, trained, tmp_path: Path, tally) -> None:
    _, workspace = trained
    folder = shutil.copytree(workspace.checkpoints, tmp_path / "checkpoints")
    path = next(folder.glob(f"*/{checkpoints.FINISHED}"))
    read = lambda path: checkpoints.read_finished(path.parent)  # noqa: E731
    tried(path, read, "account of a run", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_the_manifest_of_earlier_records(how: str, tmp_path: Path, tally) -> None:
    """Which records it lists, and which of their metrics it names; its prose may differ."""
    path = beside(ROOT / COMMITTED_STORE / MANIFEST, tmp_path / "copy")
    for record in paths(ROOT / COMMITTED_STORE):
        shutil.copy(record, path.parent)

    def read(path: Path) -> Any:
        listed = manifest(path.parent)
        groups = {(group.task, group.profile) for group in listed.groups}
        return {
            group: [
                (record.signature, record.measured)
                for record in earlier(*group, path.parent, sweep=True)
            ]
            for group in groups
        }

    tried(path, read, "manifest of earlier records", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_kept_signatures(how: str, tmp_path: Path, tally, monkeypatch) -> None:
    """A cache: what was changed in it is not believed."""
    ours = protocol.read()
    path = tmp_path / "registered.json"
    monkeypatch.setattr(registered, "SIGNATURES", path)
    runs = list(ours.runs("images"))
    planned = {run: f"{number:016x}" for number, run in enumerate(runs)}
    named = {run: SimpleNamespace(signature=name) for run, name in planned.items()}
    monkeypatch.setattr(registered, "specs_of", lambda *_: named)
    signatures_of(ours, "images")
    tried(path, lambda _: signatures_of(ours, "images"), "kept signatures", how, tally)


@pytest.mark.parametrize("how", HOW)
def test_an_executed_notebook(how: str, tmp_path: Path, tally) -> None:
    """Without its note it is run again; with it, it is what was written."""
    path, content = tmp_path / "setup.ipynb", json.loads((NOTEBOOKS / "setup.ipynb").read_text())
    notes.write(path, content, {"digest": "0" * 64, "seconds": 1.0})
    whole, draw = path.read_bytes(), random.Random(f"executed {how}")
    read = json.loads(whole)
    for _ in range(PLACES):
        path.write_bytes(damaged(whole, how, draw))
        if notes.read(path):
            assert json.loads(path.read_bytes()) == read
            tally(how, "executed notebooks", SAME)
        else:
            tally(how, "executed notebooks", "made again")


@pytest.mark.parametrize("how", HOW)
def test_a_notebook(how: str, tmp_path: Path, tally) -> None:
    """A text of its own: it cannot be read, or it has the parameters that it had, or others.

    What it says may be meant: it is run and shown as it is, and a build names it as not committed.
    """
    path = beside(NOTEBOOKS / "setup.ipynb", tmp_path / "copy")
    for command in (["init", "-q"], ["add", "."], [*COMMITTER, "commit", "-qm", "as it was"]):
        subprocess.run(["git", *command], cwd=path.parent, check=True)
    content, draw = path.read_bytes(), random.Random(f"notebook {how}")
    for _ in range(PLACES):
        path.write_bytes(damaged(content, how, draw))
        try:
            notebook_parameters(path)
        except Exception as error:
            assert path.name in str(error), f"{type(error).__name__}: {error}"
            tally(how, "notebooks", NAMED)
        else:
            assert notes.uncommitted(path.parent) == {"setup"}
            tally(how, "notebooks", "run as they stand, and named as not committed")
