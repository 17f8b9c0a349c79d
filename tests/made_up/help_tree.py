"""A made-up help, in the form of LibreOffice's pages, for the tests of the corpus' tool."""

from __future__ import annotations

import html
from pathlib import Path

PAGES = 120
LANGUAGES = ("en", "de", "ja")
FOLDERS = {"en": "en-US"}

_WORDS = {  # what the sentences are made of, by language
    "choose": {"en": "Choose {}.", "de": "Wählen Sie {}.", "ja": "{}を選択します。"},
    "menu": {"en": "Format - {}", "de": "Ansicht – {}", "ja": "書式 → {}"},
    "first": {
        "en": "Press the {} button of your printer to begin.",
        "de": "Drücken Sie zu Beginn die Taste {} am Drucker.",
        "ja": "プリンターの{}ボタンを押して開始します。",
    },
    "second": {
        "en": "The colour {} is shown in a window on the left.",
        "de": "Links wird in einem Fenster die Farbe {} gezeigt.",
        "ja": "左側のウィンドウに色{}が表示されます。",
    },
    "shared": {
        "en": "Confirm the dialog by pressing the red key.",
        "de": "Bestätigen Sie den Dialog mit der roten Taste.",
        "ja": "赤いキーでダイアログを確定します。",
    },
    "title": {"en": "Tool {}", "de": "Werkzeug {}", "ja": "道具{}"},
}


def name_of(number: int, language: str) -> str:
    """A made-up word of letters alone, since digits do not tell texts apart."""
    letters = "".join("bdfgklmnprst"[number // 12**i % 12] + "aeiou"[number % 5] for i in range(3))
    return {"en": letters, "de": letters + "ung", "ja": letters + "機"}[language].capitalize()


def element(tag: str, number: int | str, content: str) -> str:
    """An element with an id, as the help's converter writes them."""
    return f'<{tag} id="par_id{number}" class="paragraph" dir="auto">{content}</{tag}>'


def page(body: str) -> str:
    """A whole page, with the frame that the help puts around all of them."""
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><title>Help</title></head><body>'
        '<header><a class="logo" href="x"><p dir="auto">LibreOffice Help</p></a></header>'
        f'<div id="DisplayArea">{body}</div>'
        '<footer><p id="bm_module" dir="auto">not of the page</p></footer></body></html>'
    )


def switch(kind: str, tag: str = "span", **branches: str) -> str:
    """Passages that differ by application or system; the branch ``default`` is for all others."""
    inner = ""
    for name, text in branches.items():
        own = "" if name == "default" else f' class="{name}"'
        inner += f'<span hidden="true" id="{name}1"{own}>{text}</span>'
    return f'<{tag} id="sw1" class="{kind}">{inner}</{tag}>'


def write_tree(root: Path, languages: tuple[str, ...] = LANGUAGES) -> None:
    """Pages in all languages, half of them with the same paragraph, under ``<language>/text``."""
    for language in languages:
        for number in range(PAGES):
            path = root / FOLDERS.get(language, language) / "text" / _place(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page(_body(number, language)), encoding="utf-8")


def _place(number: int) -> str:
    folder = ("swriter", "scalc", "simpress", "smath", "sdatabase", "sbasic")[number % 6]
    return f"{folder}/01/{number:04}.html"


def _body(number: int, language: str) -> str:
    word = {key: forms[language] for key, forms in _WORDS.items()}
    name = html.escape(name_of(number, language))
    menu = f'<span class="menuitem">{word["menu"].format(name)}</span>'
    button = f'<span class="emph">{name}</span>'
    access = element("p", f"{number}1", word["choose"].format(menu))
    told = f"{word['first'].format(button)} {word['second'].format(name)}"
    parts = [
        element("h1", f"{number}0", word["title"].format(name)),
        f'<div class="howtoget"><div class="howtogetbody">{access}</div></div>',
        element("h2", f"{number}2", f"{name} {name}"),
        element("p", f"{number}3", told),
    ]
    if number % 2:
        parts.append(element("p", "shared", word["shared"]))
    return "\n".join(parts)
