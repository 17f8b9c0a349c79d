"""What the book needs beyond Jupyter Book: the banner, the outcomes' badges, and local assets only.

Loaded through ``local_extensions`` in ``_config.yml``. The profile of the build is read from
``_executed/build.json``, which ``idlib book`` writes when it has executed the notebooks.
"""

from __future__ import annotations

import json
import sys
from _collections import _tuplegetter
from pathlib import Path

from docutils import nodes
from myst_nb.ext.glue.utils import PendingGlueReference
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)

BANNERS = {
    "smoke": (
        "<strong>Built at profile <code>smoke</code>:</strong> the numbers of what this build "
        "trained mean nothing: it was run far too small, only to see that it runs. Outcomes rest "
        "on committed records."
    ),
}
OUTCOMES = (
    *("supported", "contradicted", "no effect"),
    *("undecided", "not applicable", "not judged"),
)


def read_profile(source: Path) -> str | None:
    """The profile named in ``_executed/build.json``, or None where the file is missing."""
    path = source / "_executed" / "build.json"
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["profile"])
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("%s: cannot read the profile of this build: %r", path, error)
        return None


def configure(app: Sphinx, config: Config) -> None:
    """Set the banner, and keep every request of a page on the page's own site."""
    banner = BANNERS.get(read_profile(Path(app.srcdir)) or "")
    if banner:
        config.html_theme_options["announcement"] = banner
    # Jupyter Book adds every script under _static to every page. MathJax is added by
    # sphinx.ext.mathjax, after its configuration and only where there is a formula.
    config.html_js_files = [
        entry for entry in config.html_js_files if not str(entry).startswith("mathjax/")
    ]


def drop_thebe(app: Sphinx) -> None:
    """Disconnect sphinx-thebe, which writes the address of a remote script into every page."""
    for event, listeners in app.events.listeners.items():
        app.events.listeners[event] = [
            listener
            for listener in listeners
            if not getattr(listener.handler, "__module__", "").startswith("sphinx_thebe")
        ]
    app.registry.css_files[:] = [
        entry for entry in app.registry.css_files if entry[0] != "sphinx-thebe.css"
    ]


def depend_on_glued_notebooks(app: Sphinx, doctree: nodes.document) -> None:
    """Rebuild a page when a notebook from which it takes a number has changed."""
    for reference in doctree.findall(PendingGlueReference):
        app.env.note_dependency(app.env.doc2path(reference.refdoc))


class OutputsAsTheyAre(SphinxTransform):
    """Keep what a cell shows from typographic quotes and dashes: it may name a folder."""

    default_priority = 740  # before Sphinx's own, at 750

    def apply(self, **kwargs: object) -> None:
        """Mark the outputs of cells."""
        for node in self.document.findall(nodes.container):
            if "cell_output" in node["classes"]:
                node["support_smartquotes"] = False


def badge_outcomes(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn a glued text that is nothing but an outcome into a badge."""
    for node in doctree.findall(nodes.inline):
        outcome = node.astext()
        if "pasted-text" in node["classes"] and outcome in OUTCOMES:
            node["classes"] += ["verdict", "verdict-" + outcome.replace(" ", "-")]


def skip_member(app: Sphinx, what: str, name: str, member: object, skip: bool, options) -> bool:
    """Leave out what pydantic and NamedTuple add to a class and nobody wrote."""
    return skip or name == "model_config" or isinstance(member, _tuplegetter)


def keep_first_line(app: Sphinx, what: str, name: str, obj: object, options, lines) -> None:
    """Write "a: b" as "a – b" in the first line of data and properties.

    Napoleon would take what stands before the colon for a type.
    """
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(": ", " – ")


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    root = str(Path(app.srcdir).parent)
    if root not in sys.path:  # autodoc imports idlib also where it is not installed
        sys.path.insert(0, root)
    app.add_transform(OutputsAsTheyAre)
    app.connect("config-inited", configure)
    app.connect("config-inited", lambda app, config: drop_thebe(app), priority=900)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)
    app.connect("doctree-read", depend_on_glued_notebooks)
    app.connect("doctree-resolved", badge_outcomes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
