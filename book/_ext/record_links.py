"""Links to records: of numbers to the page of all records, and of its rows to the files.

Text made from records links to an address of a scheme of its own (``idlib.report.links``), since
it does not know on which page it will stand.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

PAGE = "_executed/records"
ADDRESS = re.compile(r'(<a\b[^>]*\bhref=")records:')
FILE = re.compile(r'href="records/([0-9a-f]+)\.json"')
FOLDERS = (".idlib/records", "records", "records/evidence")  # of records, from the project's root


def link_records(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Turn addresses of records into those of their page."""
    if "body" in context:
        there = f"{'../' * page.count('/')}{PAGE}.html"
        context["body"] = ADDRESS.sub(rf"\g<1>{there}", context["body"])


def copy_records(app: Sphinx, error: Exception | None) -> None:
    """Put the files beside the page that lists them, once it is written."""
    page = Path(app.outdir) / f"{PAGE}.html"
    if error is not None or not page.is_file():
        return
    root, into = Path(app.srcdir).parent, page.with_suffix("")
    into.mkdir(exist_ok=True)
    for signature in FILE.findall(page.read_text(encoding="utf-8")):
        found = [p for folder in FOLDERS for p in (root / folder).glob(f"*{signature}.json")]
        if found:
            shutil.copyfile(found[0], into / f"{signature}.json")
        else:
            logger.warning("%s lists the record %s, which is gone", PAGE, signature)


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    app.connect("html-page-context", link_records)
    app.connect("build-finished", copy_records)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
