"""How a notebook's page is shown: its code behind one switch, its parameters as a table.

Without scripts the code stays hidden, and the notebook that holds it can be downloaded from the
top of the page.
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from idlib.tasks import TASKS

FOLDER = "_executed/"  # of the notebooks that papermill has run
COLUMNS = ("parameter", "what it is", "type", "default", "here")


class Parameter(NamedTuple):
    """A parameter of a notebook, as its cell states it."""

    name: str
    kind: str
    default: str
    comment: str


def parameters_of(source: str) -> list[Parameter]:
    """The typed assignments of a parameters cell, each with the comment at its end.

    Comments on lines of their own, which are about all that follow, have a row without a name.
    """
    comments = {
        token.start[0]: (
            token.string.lstrip("# ").strip(),
            not token.line[: token.start[1]].strip(),
        )
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    rows: dict[int, Parameter] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            rows[node.lineno] = Parameter(
                node.target.id,
                ast.unparse(node.annotation),
                "" if node.value is None else ast.unparse(node.value),
                comments.get(node.end_lineno or node.lineno, ("", False))[0],
            )
    for line, (text, alone) in sorted(comments.items()):
        if not alone:
            continue
        above = rows.get(line - 1)
        if above is not None and not above.name:  # the same remark goes on
            text = f"{rows.pop(line - 1).comment} {text}"
        rows[line] = Parameter("", "", "", text)
    return [rows[line] for line in sorted(rows)]


def values_of(source: str) -> dict[str, str]:
    """The plain assignments of a cell that papermill has put in."""
    return {
        target.id: ast.unparse(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


class ParametersAsTable(SphinxTransform):
    """Put a table in the place of the parameters cell and of papermill's."""

    default_priority = 400

    def apply(self, **kwargs: object) -> None:
        """Replace the cells."""
        cells = [*self.document.findall(nodes.container)]
        stated = [cell for cell in cells if "tag_parameters" in cell["classes"]]
        given = [cell for cell in cells if "tag_injected-parameters" in cell["classes"]]
        here: dict[str, str] = {}
        for cell in given:
            here |= values_of(_source(cell))
            cell.parent.remove(cell)
        for cell in stated:
            cell.replace_self(_table(parameters_of(_source(cell)), here))


def _source(cell: nodes.Element) -> str:
    return "\n".join(block.astext() for block in cell.findall(nodes.literal_block))


def _table(parameters: list[Parameter], here: dict[str, str]) -> nodes.Element:
    table = nodes.table(classes=["parameters"])
    group = nodes.tgroup(cols=len(COLUMNS))
    group += [nodes.colspec(colwidth=1) for _ in COLUMNS]
    head, body = nodes.thead(), nodes.tbody()
    head += _row([nodes.Text(name) for name in COLUMNS])
    for name, kind, default, comment in parameters:
        code = [nodes.literal(text=text) for text in (name, kind, default, here.get(name, default))]
        if not name:
            code = [nodes.Text("") for _ in code]
        body += _row([code[0], nodes.Text(comment), *code[1:]])
    group += [head, body]
    table += group
    text = "Parameters of this page, their defaults, and what they were in this build"
    summary = nodes.raw("", f"<details class='parameters'><summary>{text}</summary>", format="html")
    return nodes.container("", summary, table, nodes.raw("", "</details>", format="html"))


def _row(cells: list[nodes.Node]) -> nodes.row:
    row = nodes.row()
    row += [nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells]
    return row


def add_tools(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Below a title: links to the notebook and its records, and a switch, dead without scripts."""
    if not docname.startswith(FOLDER) or app.builder.name != "html":
        return
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is None:
        return
    up, name = "../" * docname.count("/"), docname.removeprefix(FOLDER)
    records = f'<a href="records:?show={name}">records</a>' if name in TASKS else ""
    tools = (
        '<p class="page-tools">'
        f'<a href="{up}_sources/{docname}.ipynb" download>notebook</a>{records}'
        '<button type="button" class="code-switch" aria-pressed="false" hidden>Show code</button>'
        "</p>"
    )
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", tools, format="html"))


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    app.add_transform(ParametersAsTable)
    app.connect("doctree-resolved", add_tools)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
