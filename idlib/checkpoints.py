"""Checkpoints of one run in one folder, each written whole or not at all.

While it trains: ``state.pt`` (all that a resume needs) and ``best-<update>.safetensors``, the
selected weights so far, which the state names. When it has finished: ``best.safetensors``,
``last.safetensors`` and ``finished.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from idlib.files import replacing

STATE, BEST, LAST, FINISHED = "state.pt", "best.safetensors", "last.safetensors", "finished.json"


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read."""


def save(folder: Path, best_weights: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Save ``state``, and before it the selected weights where they are new (else empty)."""
    kept = _best_so_far(folder, state["selected_step"])
    if best_weights:
        write_weights(kept, best_weights)
    with replacing(folder / STATE) as temporary:
        torch.save(state, temporary)
    for old in folder.glob("best-*.safetensors"):
        if old != kept:
            old.unlink()


def load(folder: Path) -> dict[str, Any] | None:
    """The state to go on from, or ``None`` where there is none.

    Raises:
        CheckpointError: the file is truncated or otherwise unreadable, or the selected weights
            that it names are missing.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        complete = _best_so_far(folder, state["selected_step"]).exists()
    except Exception as error:  # torch raises many kinds for a damaged file
        raise _unreadable(path, error) from error
    if not complete:
        raise _unreadable(path, f"best-{state['selected_step']}.safetensors is missing beside it")
    return state


def finish(
    folder: Path, selected_step: int, last: dict[str, Tensor], finished: dict[str, Any]
) -> None:
    """Leave the two sets of weights and the account of the training; drop what resumes it."""
    write_weights(folder / LAST, last)
    kept = _best_so_far(folder, selected_step)
    with replacing(folder / BEST) as temporary:
        temporary.write_bytes(kept.read_bytes())
    with replacing(folder / FINISHED) as temporary:
        temporary.write_text(json.dumps(finished))
    (folder / STATE).unlink()
    kept.unlink()


def read_finished(folder: Path) -> dict[str, Any] | None:
    """The account of a finished training, or ``None`` where it has not finished."""
    path = folder / FINISHED
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def write_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a state dict as safetensors."""
    with replacing(path) as temporary:
        save_file({name: value.cpu().contiguous() for name, value in weights.items()}, temporary)


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """Load safetensors into ``model`` and return it.

    Raises:
        CheckpointError: the file is missing, truncated, or of another architecture.
    """
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    return model


def _best_so_far(folder: Path, selected_step: int) -> Path:
    return folder / f"best-{selected_step}.safetensors"


def _unreadable(path: Path, reason: object) -> CheckpointError:
    first_line = str(reason).strip().splitlines()[0] if str(reason).strip() else repr(reason)
    return CheckpointError(
        f"{path} cannot be read ({first_line}). Delete the folder {path.parent} to train this run "
        "afresh; no other run is affected."
    )
