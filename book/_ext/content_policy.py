"""A Content-Security-Policy in every page: scripts, styles, fonts and images of this site alone.

Of the scripts inside pages, which the theme writes, exactly those that stand there are allowed, by
their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re

from finished_pages import change_pages
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


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    change_pages(app, with_policy)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
