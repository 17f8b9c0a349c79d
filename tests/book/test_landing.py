"""What is typed into the pages that tell what came out: words, and no number that was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile(r"\b[ACK]\d+\b|\bF1\b|\bfloat64\b|\b(?:95|90) %")  # and levels of intervals
TAKEN = re.compile(r"\{[\w:.]+\}`[^`]*`|```.*?```|`[^`]*`", re.DOTALL)  # roles, code


def prose(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


@pytest.mark.parametrize("name", ["book/index.md", "notebooks/claims.ipynb"])
def test_no_number_is_typed_into_what_came_out(name: str) -> None:
    text = NAMES.sub("", TAKEN.sub("", prose(ROOT / name)))
    assert len(text) > 1000 and re.findall(r"\S*\d\S*", text) == []


def test_levels_of_intervals_are_the_protocols() -> None:
    from idlib.protocol import read

    rules = read().rules
    assert (rules.level, rules.equivalence) == (0.95, 0.90)
