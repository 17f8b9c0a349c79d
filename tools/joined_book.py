"""The pages of the built book as one HTML document, for printing.

Sphinx's own builder of a single page keeps the identifiers of each page as they are. As many pages
have a section of the same name, and every page's first citation has the same identifier, links
would then lead to another chapter; here each identifier carries the name of its page.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from lxml import html

# What a reader of paper cannot use: buttons, links to files beside the book, code that the page
# keeps behind its switch, parameters.
USELESS = (
    *("page-tools", "headerlink", "above-input-button", "viewcode-link", "csv"),
    *("records-filter", "prev-next-footer", "parameters"),
)
HIDDEN_CODE = (
    ".//*[contains(@class, 'tag_hide-')]//*[contains(@class, 'cell_input')]"
    " | .//details//*[contains(@class, 'cell_input')]"
)
FORMULAS = "mathjax"  # in the scripts that set them, whatever its case
REFERRING = ("for", "aria-labelledby", "aria-describedby", "headers")  # attributes with identifiers


class Chapter(NamedTuple):
    """A page of the book, as its table of contents names it."""

    part: str  # "" before the first
    title: str
    path: str  # below the folder of the built book

    @property
    def stem(self) -> str:
        """Its name without folders."""
        return Path(self.path).stem

    @property
    def name(self) -> str:
        """What the identifiers of the page begin with."""
        return re.sub(r"\W+", "-", self.path.removesuffix(".html")).strip("-")


def chapters_of(folder: Path) -> list[Chapter]:
    """The pages in the order of the table of contents.

    Args:
        folder: of the built book.
    """
    (contents,) = _parsed(folder / "index.html").xpath("//nav[contains(@class, 'bd-docs-nav')]")
    part, chapters = "", []
    for element in contents.iter("p", "a"):
        text = " ".join(element.text_content().split())
        if element.tag == "p":
            part = text
        else:
            path = element.get("href").partition("#")[0] or "index.html"
            chapters.append(Chapter(part, text, path))
    return chapters


def joined(folder: Path, version: str, without: Collection[str] = ()) -> str:
    """One document with a title page, a table of contents and every page of the book.

    Args:
        folder: of the built book; addresses in the document are relative to it.
        version: for the first page, beside the day on which the pages were built.
        without: names of pages that are left out; links to them are none then.

    Raises:
        ValueError: if a page has no article, or there is none of a name that is left out.
    """
    index, chapters = _parsed(folder / "index.html"), chapters_of(folder)
    if unknown := {*without} - {chapter.stem for chapter in chapters}:
        raise ValueError(f"no page {', '.join(sorted(unknown))} to leave out")
    chapters = [chapter for chapter in chapters if chapter.stem not in without]
    title = index.findtext("head/title").rpartition(" — ")[2].strip()
    document = html.document_fromstring("<!DOCTYPE html><html><head></head><body></body></html>")
    document.attrib.update({"lang": index.get("lang", "en"), "data-theme": "light"})
    document.set("data-mode", "light")
    head, body = document.find("head"), document.find("body")
    head.append(_element("meta", None))
    head[0].set("charset", "utf-8")
    for element in _styles_and_formulas(folder, chapters):
        head.append(element)
    head.append(_element("title", title))
    head.append(_element("style", running_heads(chapters)))
    body.set("class", "printed")
    body.append(_front(index, title, version, chapters))
    names = {chapter.path: chapter.name for chapter in chapters}
    for chapter in chapters:
        body.append(_chapter(folder, chapter, names))
    return html.tostring(document, encoding="unicode", doctype="<!DOCTYPE html>")


def _styles_and_formulas(folder: Path, chapters: list[Chapter]) -> Iterator[html.HtmlElement]:
    """Style sheets and MathJax, which stands only on pages with formulas, each once."""
    seen = set()
    for chapter in chapters:
        for element in _parsed(folder / chapter.path).xpath("head/link | head/script"):
            for attribute in {"href", "src"} & {*element.attrib}:
                element.set(attribute, _below_root(chapter.path, element.get(attribute)))
            text = html.tostring(element, encoding="unicode", with_tail=False)
            styles = element.get("rel") == "stylesheet"
            if text not in seen and (
                styles or (element.tag == "script" and FORMULAS in text.lower())
            ):
                seen.add(text)
                yield deepcopy(element)


def running_heads(chapters: list[Chapter]) -> str:
    """Style sheet that begins each chapter on a new page and writes its title above its pages."""
    rules = []
    for chapter in chapters:
        title = chapter.title.replace("\\", "\\\\").replace('"', '\\"').replace("<", "\\3c ")
        rules.append(f".chapter-{chapter.name} {{ page: {chapter.name}; }}")
        rules.append(f'@page {chapter.name} {{ @top-right {{ content: "{title}"; }} }}')
    return "\n".join(rules)


def _front(
    index: html.HtmlElement, title: str, version: str, chapters: list[Chapter]
) -> html.HtmlElement:
    front = _element("header", None, "title-page")
    # Not a heading: the outline of the PDF holds the chapters.
    front.append(_element("p", title, "book-title"))
    author = index.xpath("string(//p[contains(@class, 'component-author')])")
    front.append(_element("p", " ".join(author.split()), "book-author"))
    built = index.xpath("string(//meta[@name='docbuild:last-update']/@content)")
    front.append(_element("p", f"Version {version}, built on {built}", "book-version"))
    for banner in index.xpath("//div[@class='bd-header-announcement__content']")[:1]:
        front.append(deepcopy(banner))
    contents, part = _element("nav", None, "book-contents"), None
    for chapter in chapters:
        if chapter.part != part:
            part = chapter.part
            contents.append(_element("p", part, "book-part"))
        entry, link = _element("p", None, "book-entry"), _element("a", chapter.title)
        link.set("href", f"#{chapter.name}")
        entry.append(link)
        entry.append(_element("span", "0", "book-page"))  # known once it has been printed
        contents.append(entry)
    front.append(contents)
    return front


def _chapter(folder: Path, chapter: Chapter, names: dict[str, str]) -> html.HtmlElement:
    """The article of a page, its addresses and identifiers made those of the one document."""
    found = _parsed(folder / chapter.path).xpath("//article[contains(@class, 'bd-article')]")
    if not found:
        raise ValueError(f"{chapter.path}: no article, so not a page of the book")
    article = found[0]
    for element in list(article.iter("button", "script")):
        element.drop_tree()
    useless = [one for one in article.iter() if {*_classes(one)} & {*USELESS}]
    for element in [*useless, *article.xpath(HIDDEN_CODE)]:
        if element.getparent() is not None:
            element.drop_tree()
    _unfold(article)
    known = {element.get("id") for element in article.iter() if element.get("id")}
    for element in article.iter():
        if not isinstance(element.tag, str):
            continue
        if element.get("id"):
            element.set("id", f"{chapter.name}--{element.get('id')}")
        for attribute in REFERRING:
            if element.get(attribute):
                ids = element.get(attribute).split()
                element.set(attribute, " ".join(f"{chapter.name}--{one}" for one in ids))
        if element.get("src"):
            element.set("src", _below_root(chapter.path, element.get("src")))
        if element.tag == "a" and element.get("href"):
            _lead(element, chapter, names, known)
    whole = _element("div", None, f"bd-article-container chapter chapter-{chapter.name}")
    whole.set("id", chapter.name)
    whole.append(article)
    return whole


def _unfold(article: html.HtmlElement) -> None:
    """Show what is folded away, below the words that it was folded behind."""
    for details in list(article.iter("details")):
        summary = details.find("summary")
        if len(details) == (summary is not None):  # it held code alone
            details.drop_tree()
            continue
        if summary is not None:
            shown = summary.xpath(".//*[contains(@class, 'collapsed')]") or [summary]
            text = " ".join(shown[0].text_content().split()).removeprefix("Show ")
            label = _element("p", text[:1].upper() + text[1:], "unfolded-title")
            details.replace(summary, label)
            if text.startswith("code cell"):  # nobody has named it
                label.drop_tree()
        details.tag = "div"
        details.set("class", "unfolded")


def _lead(link: html.HtmlElement, chapter: Chapter, names: dict[str, str], known: set[str]) -> None:
    """Make a link lead to its place in the document; one to a file beside the book is none."""
    href = urlsplit(link.get("href"))
    if href.scheme or href.netloc:
        return
    path = posixpath.normpath(posixpath.join(posixpath.dirname(chapter.path), href.path))
    path = path if href.path else chapter.path
    if path not in names or (path == chapter.path and href.fragment and href.fragment not in known):
        del link.attrib["href"]
    elif href.fragment:
        link.set("href", f"#{names[path]}--{href.fragment}")
    else:
        link.set("href", f"#{names[path]}")


def _below_root(page: str, address: str) -> str:
    if urlsplit(address).scheme:
        return address
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), address))


def _classes(element: html.HtmlElement) -> list[str]:
    return element.get("class", "").split() if isinstance(element.tag, str) else []


def _element(tag: str, text: str | None, kind: str | None = None) -> html.HtmlElement:
    made = html.Element(tag)
    made.text = text
    if kind:
        made.set("class", kind)
    return made


def _parsed(path: Path) -> html.HtmlElement:
    return html.document_fromstring(path.read_text(encoding="utf-8"))
