"""Reads a page of the help: its paragraphs with their ids and the authors' own markup."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import lxml.html

BLOCKS = {"p", "h", "h1", "h2", "h3", "h4", "h5", "h6"}
HEADINGS = BLOCKS - {"p"}
MARKS = {  # the class of a span: the kind of what it marks
    "menuitem": "MENU",
    "emph": "UI",
    "widget": "UI",
    "keycode": "KEY",
    "literal": "CODE",
    "input": "CODE",
    "code": "CODE",
    "productname": "PRODUCT",
}
# Program text, and paragraphs that only frame the pages.
NOT_PROSE = {"code", "codeintable", "smathcode", "sqlcode", "bascode", "pycode"}
NOT_PROSE |= {"howtogetheader", "related", "youtube_consent", "finalcutpro"}
SPACE = re.compile(r"\s+")
INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")  # soft hyphen, zero-width space and joiner


@dataclass(frozen=True)
class Paragraph:
    """One paragraph, heading, list item or table cell.

    Attributes:
        id: the element's id, the same in all languages; it may occur several times in a page.
        tag: ``p`` or the level of the heading.
        text: NFC, one space between words; None where no reading of it is fit for use.
        marks: (start, end, kind) in code points of ``text``, ascending, apart from one another.
        access: whether it stands in the section that says how to reach the command.
    """

    id: str
    tag: str
    text: str | None
    marks: tuple[tuple[int, int, str], ...] = field(default=())
    access: bool = False


def read_page(path: Path) -> list[Paragraph]:
    """The paragraphs of a page that have an id, in the page's order."""
    root = lxml.html.document_fromstring(path.read_bytes(), parser=_parser())
    area = root.get_element_by_id("DisplayArea", None)
    return [] if area is None else list(_paragraphs(area, usable=True, access=False))


def _parser() -> lxml.html.HTMLParser:
    return lxml.html.HTMLParser(encoding="utf-8")


def _paragraphs(element, usable: bool, access: bool):
    """Walks the page; ``usable`` is false below the branches of a switch that are not kept."""
    for child in element:
        if not isinstance(child.tag, str) or child.tag in ("script", "pre", "code"):
            continue
        if child.tag in BLOCKS:
            name = child.get("id") or (_variable(child) if access else None)
            if name:
                yield _paragraph(name, child, usable, access)
            continue
        kept = usable and not (_is_branch(child) and not _is_default(child))
        inside = access or "howtogetbody" in _classes(child)
        yield from _paragraphs(child, kept, inside)


def _variable(element) -> str | None:
    """A stand-in for the id of a paragraph that the page takes from another: its anchor's name."""
    name = element.xpath("string(.//a/@name)")
    return f"variable/{name}" if name else None


def _paragraph(name: str, element, usable: bool, access: bool) -> Paragraph:
    tag = element.tag
    if not usable or NOT_PROSE & set(_classes(element)):
        return Paragraph(name, tag, None, access=access)
    pieces: list[tuple[str, str | None]] = []
    if not _collect(element, None, pieces):
        return Paragraph(name, tag, None, access=access)
    text, marks = _join(pieces)
    return Paragraph(name, tag, text or None, marks, access)


def _collect(element, kind: str | None, pieces: list[tuple[str, str | None]]) -> bool:
    """Adds the pieces of text below an element; False if the paragraph is not fit for use."""
    if element.text:
        pieces.append((element.text, kind))
    for child in element:
        if isinstance(child.tag, str):
            classes = _classes(child)
            if child.tag in ("sup", "sub", "pre", "code"):
                return False  # raised and lowered signs mean something else once they are flat
            if "switchinline" in classes or "switch" in classes:
                defaults = [branch for branch in child if _is_default(branch)]
                if not defaults:
                    return False
                for branch in defaults:
                    if not _collect(branch, kind, pieces):
                        return False
            elif child.tag == "br":
                pieces.append((" ", None))
            elif child.tag not in ("img", "script"):
                inner = next((MARKS[name] for name in classes if name in MARKS), kind)
                if not _collect(child, inner, pieces):
                    return False
        if child.tail:
            pieces.append((child.tail, kind))
    return True


def _join(pieces: list[tuple[str, str | None]]) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """The text with single spaces, and where the marked pieces stand in it."""
    text, marks = "", []
    for raw, kind in pieces:
        piece = SPACE.sub(" ", INVISIBLE.sub("", unicodedata.normalize("NFC", raw)))
        if text.endswith(" ") or not text:
            piece = piece.removeprefix(" ")
        start = len(text)
        text += piece
        if kind and piece.strip():
            end = start + len(piece.rstrip())
            start += len(piece) - len(piece.lstrip())
            if marks and marks[-1][2] == kind and not text[marks[-1][1] : start].strip():
                start = marks.pop()[0]  # one name, marked in two pieces
            marks.append((start, end, kind))
    return text.rstrip(), tuple(marks)


def _classes(element) -> list[str]:
    return (element.get("class") or "").split()


def _is_branch(element) -> bool:
    parent = element.getparent()
    return parent is not None and bool({"switch", "switchinline"} & set(_classes(parent)))


def _is_default(element) -> bool:
    return isinstance(element.tag, str) and (element.get("id") or "").startswith("default")
