"""Checkpoints of one run in one folder, each written whole or not at all.

While it trains: ``state-<update>.pt`` (all that a resume needs) and ``best-<update>.safetensors``
(the selected weights so far). When it has finished: ``best.safetensors``, ``last.safetensors`` and
``finished.json``. ``CHECKSUMS`` lists the files that count with their sha256, as ``sha256sum``
does. It is written last, so that a run which is killed at any point has the old files or the new
ones, and whatever is read is first compared with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from idlib.files import replacing, sha256

CHECKSUMS = "CHECKSUMS"
BEST, LAST, FINISHED = "best.safetensors", "last.safetensors", "finished.json"
_STATE, _BEST_SO_FAR = re.compile(r"state-\d+\.pt"), re.compile(r"best-\d+\.safetensors")
_BEFORE = ("state.pt", FINISHED)  # that earlier versions left without checksums


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read, or is not what was written."""


def save(folder: Path, best_weights: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Save ``state``, and before it the selected weights where they are new (else empty)."""
    best, now = f"best-{state['selected_step']}.safetensors", f"state-{state['step']}.pt"
    if best_weights:
        kept = _write_weights(folder / best, best_weights)
    else:
        kept = _listed(folder)[best]
    _commit(folder, {best: kept, now: _write(folder / now, lambda path: torch.save(state, path))})


def load(folder: Path) -> dict[str, Any] | None:
    """The state to go on from, or ``None`` where there is none.

    Raises:
        CheckpointError: the state or the selected weights beside it are missing, or are not what
            was written.
    """
    sums = _listed(folder)
    path = state_path(folder)
    if path is None:
        return None
    for name in sums:
        _verify(folder / name, sums)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, and says to trust the file
        raise _unreadable(path, "it is no state of a training") from error


def state_path(folder: Path) -> Path | None:
    """The file of the state to go on from, or ``None`` where there is none."""
    return next((folder / name for name in _listed(folder) if _STATE.fullmatch(name)), None)


def finish(
    folder: Path, selected_step: int, last: dict[str, Tensor], finished: dict[str, Any]
) -> None:
    """Leave the two sets of weights and the account of the training; drop what resumes it."""
    kept = folder / f"best-{selected_step}.safetensors"
    text = json.dumps(finished)
    _commit(
        folder,
        {
            LAST: _write_weights(folder / LAST, last),
            BEST: _write(folder / BEST, lambda path: path.write_bytes(kept.read_bytes())),
            FINISHED: _write(folder / FINISHED, lambda path: path.write_text(text)),
        },
    )


def read_finished(folder: Path) -> dict[str, Any] | None:
    """The account of a finished training, or ``None`` where it has not finished.

    Raises:
        CheckpointError: it is not what was written.
    """
    sums = _listed(folder)
    if FINISHED not in sums:
        return None
    _verify(folder / FINISHED, sums)
    return json.loads((folder / FINISHED).read_text())


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


def _commit(folder: Path, sums: Mapping[str, str]) -> None:
    """These files count from now on; earlier states and selected weights go."""
    lines = "".join(f"{checksum}  {name}\n" for name, checksum in sums.items())
    with replacing(folder / CHECKSUMS) as temporary:
        temporary.write_text(lines)
    for old in list(folder.iterdir()):
        ours = _STATE.fullmatch(old.name) or _BEST_SO_FAR.fullmatch(old.name)
        if ours and old.name not in sums:
            old.unlink()


def _listed(folder: Path) -> dict[str, str]:
    """The sha256 of each file that counts, by name; empty where nothing was saved yet."""
    path = folder / CHECKSUMS
    if not path.exists():
        if without := [name for name in _BEFORE if (folder / name).exists()]:
            raise _unreadable(folder / without[0], f"there is no {CHECKSUMS} beside it")
        return {}
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        found = {name: checksum for checksum, name in (line.split("  ") for line in lines)}
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    training = [sum(map(bool, map(kind.fullmatch, found))) for kind in (_STATE, _BEST_SO_FAR)]
    if set(found) != {BEST, LAST, FINISHED} and (training != [1, 1] or len(found) != 2):
        raise _unreadable(path, f"it lists {', '.join(found) or 'nothing'}")
    return found


def _verify(path: Path, sums: Mapping[str, str]) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    if found != sums.get(path.name):
        raise _unreadable(path, f"its sha256 is not the one in {CHECKSUMS}")


def _write(path: Path, write: Callable[[Path], Any]) -> str:
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
