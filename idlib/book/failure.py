"""The page of a notebook that stopped: as far as it came, and why it came no further."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from idlib.book import notes
from idlib.files import replacing
from idlib.report.text import literal

OF_PAPERMILL = "papermill-error-cell-tag"  # its own remarks, which stand above the title


def failed_name(out: Path) -> Path:
    """Where a notebook that stopped is kept, beside the one that it should have become."""
    return out.with_name(f"{out.stem}.failed.ipynb")


def say_why(notebook: Path, out: Path, why: str, note: dict[str, Any]) -> None:
    """Put a notebook that stopped in the place of its page, with a remark below the title.

    Args:
        notebook: as it stands in its folder; shown where nothing was kept of the run.
        out: the executed notebook that it should have become.
        why: the error.
        note: kept in its metadata, with the error as ``failed``.
    """
    import nbformat

    kept = failed_name(out)
    content = json.loads((kept if kept.is_file() else notebook).read_text(encoding="utf-8"))
    cells = [
        cell
        for cell in content["cells"]
        if OF_PAPERMILL not in cell.get("metadata", {}).get("tags", [])
    ]
    remark = nbformat.v4.new_markdown_cell(
        f":::{{admonition}} This page is not finished\n:class: danger\n{literal(why)}\n\n"
        "It stands here as far as it came. Mend what is named, then "
        f"`nox -s build-book -- --only {notebook.stem}`.\n:::"
    )
    content["cells"] = [*cells[:1], dict(remark), *cells[1:]]
    with replacing(out) as partial:
        notes.write(partial, content, {**note, "failed": why})
