"""What the book's own extension does to a page."""

from __future__ import annotations

import idbook
import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx.util.nodes import is_smartquotable


@pytest.mark.slow
def test_what_a_cell_shows_keeps_its_quotes_and_dashes() -> None:
    document = new_document("page")
    document.settings.language_code = "en"
    shown, prose = nodes.Text("it's data--v2"), nodes.Text("it's ours")
    output = nodes.container("", nodes.paragraph("", "", shown), classes=["cell_output"])
    document += [output, nodes.paragraph("", "", prose)]
    idbook.OutputsAsTheyAre(document).apply()
    assert not is_smartquotable(shown) and is_smartquotable(prose)
    assert idbook.OutputsAsTheyAre.default_priority < 750  # Sphinx's own, which asks
