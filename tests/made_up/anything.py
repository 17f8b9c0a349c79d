"""Values that nobody should write into a file, and values that somebody might."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

# Where text is taken apart: ends of lines of all kinds, marks, half a character, nothing at all.
ODD_TEXTS = (
    "", " ", "\t", "\x00", "a\x00b", "\ufeff", "\u200b", "\u2028", "\x85", "\r", "a\rb", "\x0c",
    "e\u0301", "\ud800", "\U0001f600", "𝔘", "ﬁ", "\u0600", "١٢", "nan", "null", "'", '"', "\\",
    "../x", "x" * 300,
)  # fmt: skip

texts = st.one_of(st.text(max_size=20), st.sampled_from(ODD_TEXTS))
whole_texts = st.text(st.characters(codec="utf-8"), max_size=20)  # that any file can hold

numbers = st.one_of(
    st.integers(-3, 30),
    st.integers(),
    st.floats(),
    st.sampled_from([2**31, 2**63, -(2**63), 10**30, 10**400, 1e300, 5e-324, -0.0]),
)

scalars = st.one_of(st.none(), st.booleans(), numbers, texts)

json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder of one case: a fixture's would be that of all cases of a test."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
