"""Changes of whole pages, with what the theme writes around them, once all are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sphinx.application import Sphinx


def change_pages(app: Sphinx, change: Callable[[str], str]) -> None:
    """Have every HTML page of a build that succeeds changed at its end.

    Args:
        app: Sphinx.
        change: from a page's text to what it should be; of its own result it leaves all as it is.
    """

    def write(app: Sphinx, error: Exception | None) -> None:
        if error is not None or app.builder.format != "html":
            return
        for path in Path(app.outdir).rglob("*.html"):
            page = path.read_text(encoding="utf-8")
            changed = change(page)
            if changed != page:
                path.write_text(changed, encoding="utf-8")

    app.connect("build-finished", write)
