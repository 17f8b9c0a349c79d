"""Checkpoints of one run in one folder, each written whole or not at all.

While it trains: ``state-<update>.pt`` (all that a resume needs) and the weights selected so far,
``weights-<update>.safetensors``. When it has finished: the weights of its selections, and
``finished.json``, which says whose update is whose. Selections of one update share a file.
``CHECKSUMS`` lists the files that count with their sha256, as ``sha256sum`` does. It is written
last, so that a run which is killed at any point has the old files or the new ones, and whatever is
read is first compared with it. ``origin.json``, by whom the training was begun, is not listed, so
that earlier versions go on with the folder; it has a digest of its own, and no run is lost for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from idlib.files import digest_of, replacing, sha256

CHECKSUMS = "CHECKSUMS"
FINISHED = "finished.json"
ORIGIN = "origin.json"
_STATE, _WEIGHTS = re.compile(r"state-\d+\.pt"), re.compile(r"weights-\d+\.safetensors")
_WITHOUT_CHECKSUMS = ("state.pt", FINISHED)  # files of earlier versions


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, or is not what was written."""


def save(folder: Path, weights: Mapping[str, Tensor], state: dict[str, Any]) -> None:
    """Save ``state``, and before it the weights of its update where a selection took them.

    Args:
        folder: of the run.
        weights: at ``state["step"]``.
        state: all that a resume needs; ``selected`` has the update of each selection so far.
    """
    kept = _keep(folder, state["selected"].values(), state["step"], weights)
    name = f"state-{state['step']}.pt"
    written = _write(folder / name, lambda path: torch.save(state, path))
    _commit(folder, {**kept, name: written})


def load(folder: Path) -> dict[str, Any] | None:
    """The state to go on from, or ``None`` where there is none.

    Raises:
        CheckpointError: the state or the selected weights beside it are missing, or are not what
            was written.
    """
    checksums, path = _listed(folder), state_path(folder)
    if path is None:
        return None
    for name in checksums:
        _verify(folder / name, checksums)
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, and says to trust the file
        raise _unreadable(path, "it is no state of a training") from error
    return state


def state_path(folder: Path) -> Path | None:
    """The file of the state to go on from, or ``None`` where there is none."""
    return next((folder / name for name in _listed(folder) if _STATE.fullmatch(name)), None)


def finish(
    folder: Path, step: int, weights: Mapping[str, Tensor], finished: dict[str, Any]
) -> None:
    """Leave the selected weights and the account of the training; drop what resumes it.

    Args:
        folder: of the run.
        step: the last update.
        weights: after it.
        finished: the account; ``selected`` has the update of each selection.
    """
    text = json.dumps(finished)
    kept = _keep(folder, finished["selected"].values(), step, weights)
    written = _write(folder / FINISHED, lambda path: path.write_text(text))
    _commit(folder, {**kept, FINISHED: written})


def weights_path(folder: Path, step: int) -> Path:
    """The file of the weights after update ``step``, if a selection took them."""
    return folder / f"weights-{step}.safetensors"


def read_finished(folder: Path) -> dict[str, Any] | None:
    """The account of a finished training, or ``None`` where it has not finished.

    Raises:
        CheckpointError: it is not what was written.
    """
    checksums = _listed(folder)
    if FINISHED not in checksums:
        return None
    _verify(folder / FINISHED, checksums)
    finished: dict[str, Any] = json.loads((folder / FINISHED).read_text())
    return finished


def save_origin(folder: Path, origin: Mapping[str, Any]) -> None:
    """Keep by whom the training is begun, as can be written as JSON."""
    text = json.dumps({"digest": digest_of(origin), "origin": origin})
    _write(folder / ORIGIN, lambda path: path.write_text(text))


def read_origin(folder: Path) -> dict[str, Any] | None:
    """By whom the training was begun; ``None`` where that was not kept, or is not as written."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        origin: dict[str, Any] = kept["origin"]
        return origin if kept["digest"] == digest_of(origin) else None
    return None


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """Load safetensors into ``model`` and return it.

    Raises:
        CheckpointError: the file is missing, not what was written, or of another architecture.
    """
    _verify(path, _listed(path.parent))
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    return model


def _keep(
    folder: Path, steps: Iterable[int], now: int, weights: Mapping[str, Tensor]
) -> dict[str, str]:
    """Checksums by name of the weights of these updates; those of ``now`` are written if new."""
    listed, kept = _listed(folder), {}
    for path in [weights_path(folder, step) for step in sorted(set(steps))]:
        if path.name not in listed and path == weights_path(folder, now):
            kept[path.name] = _write_weights(path, weights)
        else:
            kept[path.name] = listed[path.name]
    return kept


def _commit(folder: Path, checksums: Mapping[str, str]) -> None:
    """These files count from now on; earlier states and selected weights go."""
    lines = "".join(f"{checksum}  {name}\n" for name, checksum in checksums.items())
    with replacing(folder / CHECKSUMS) as temporary:
        temporary.write_text(lines)
    for old in list(folder.iterdir()):
        ours = _STATE.fullmatch(old.name) or _WEIGHTS.fullmatch(old.name)
        if ours and old.name not in checksums:
            old.unlink()


def _listed(folder: Path) -> dict[str, str]:
    """The sha256 of each file that counts, by name; empty where nothing was saved yet."""
    path = folder / CHECKSUMS
    if not path.exists():
        for name in _WITHOUT_CHECKSUMS:
            if (folder / name).exists():
                raise _unreadable(folder / name, f"there is no {CHECKSUMS} beside it")
        return {}
    try:
        lines = path.read_text(encoding="ascii").split("\n")[:-1]
        checksums = {name: checksum for checksum, name in (line.split("  ") for line in lines)}
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    weights = [name for name in checksums if _WEIGHTS.fullmatch(name)]
    others = [name for name in checksums if name not in weights]
    known = len(others) == 1 and (_STATE.fullmatch(others[0]) or others == [FINISHED])
    if not weights or not known or len(checksums) < len(lines):
        raise _unreadable(path, f"it lists {', '.join(sorted(checksums)) or 'nothing'}")
    return checksums


def _verify(path: Path, checksums: Mapping[str, str]) -> None:
    try:
        checksum = sha256(path)
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    if checksum != checksums.get(path.name):
        raise _unreadable(path, f"its sha256 is not the one in {CHECKSUMS}")


def _write(path: Path, write: Callable[[Path], object]) -> str:
    """Write a file and return its sha256."""
    with replacing(path) as temporary:
        write(temporary)
        return sha256(temporary)


def _write_weights(path: Path, weights: Mapping[str, Tensor]) -> str:
    plain = {name: value.cpu().contiguous() for name, value in weights.items()}
    return _write(path, lambda temporary: save_file(plain, temporary))


def _unreadable(path: Path, reason: object) -> CheckpointError:
    first_line = str(reason).strip().splitlines()[0] if str(reason).strip() else repr(reason)
    return CheckpointError(
        f"{path} cannot be read ({first_line}). Delete the folder {path.parent} to train this run "
        "afresh; no other run is affected."
    )
