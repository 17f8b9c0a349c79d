"""A Content-Security-Policy in every page: scripts, styles, fonts and images of this site alone.

Of the scripts inside pages, which the theme writes, exactly those that stand there are allowed, by
their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from sphinx.application import Sphinx

INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
META = re.compile(r'\s*<meta http-equiv="Content-Security-Policy"[^>]*>')
POLICY = (
    "default-src 'none'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'"
)


def with_policy(page: str) -> str:
    """A page with the policy that allows its own scripts, in the place of an earlier one."""
    page = META.sub("", page)
    hashes = dict.fromkeys(_hash(script) for script in INLINE.findall(page))
    content = POLICY.format(hashes="".join(f" '{one}'" for one in hashes))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{content}">'
    return page.replace("<head>", f"<head>\n    {meta}", 1)


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def write_policies(app: Sphinx, error: Exception | None) -> None:
    """Once all pages are written."""
    if error is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        changed = with_policy(page)
        if changed != page:
            path.write_text(changed, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    app.connect("build-finished", write_policies)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
