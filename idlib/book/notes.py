"""The note in an executed notebook: what it was made from, and a digest of the whole file.

A number that was changed in an executed notebook would go into the book as it stands. So a notebook
counts as executed only while it is what was written: else it has no note, and is run again.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idlib.files import digest_of

KEY = "idlib"  # of the note in the notebook's metadata
WHOLE = "whole"  # of the digest in the note


def write(path: Path, notebook: Mapping[str, Any], note: Mapping[str, Any]) -> None:
    """Write a notebook with its note, and in that the digest of all the rest of the file."""
    content = {**notebook, "metadata": {**notebook["metadata"], KEY: dict(note)}}
    content["metadata"][KEY][WHOLE] = digest_of(content)
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """What :func:`write` kept in a notebook; empty where there is none, or it was changed since."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        note: dict[str, Any] = content["metadata"][KEY]
        digest = note.pop(WHOLE)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return note if digest == digest_of(content) else {}


def uncommitted(folder: Path) -> set[str] | None:
    """The notebooks of a folder, by name, that are not as committed; ``None`` outside of git.

    Their content is compared, not their times: a byte that flips on the disk leaves those alone.
    """
    names = sorted(path.name for path in folder.glob("*.ipynb"))
    try:
        hashes = _git(folder, "hash-object", "--", *names).split()
        listed = _git(folder, "ls-tree", "-z", "HEAD", "--", *names).split("\0")
    except (OSError, subprocess.CalledProcessError):
        return None
    committed = {
        name: about.split()[2] for about, _, name in (row.partition("\t") for row in listed if row)
    }
    found = zip(names, hashes, strict=True)
    return {Path(name).stem for name, hashed in found if committed.get(name) != hashed}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True).stdout
