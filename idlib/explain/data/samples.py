"""Rows of the embedded text as a reader sees them."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from idlib.explain.data.tables import Corpus, Row


def tagged_examples(corpus: Corpus, number: int, languages: Sequence[str]) -> str:
    """The first tagged paragraphs that every language has, as an HTML table of marked text."""
    english = corpus.rows["tagging/en/test"]
    chosen = [row["id"] for row in english if row["parallel"] and any(row["ner_tags"])][:number]
    lines = []
    for item in chosen:
        for language in languages:
            row = _with_id(corpus.rows[f"tagging/{language}/test"], item)
            lines.append(
                f"<tr><td>{html.escape(language)}</td><td>{marked(row, corpus.tags)}</td></tr>"
            )
    return f"<table>{''.join(lines)}</table>"


def marked(row: Row, tags: Sequence[str]) -> str:
    """The text of a tagged row as HTML: each entity in bold, its kind before it.

    Args:
        row: with its ``tokens``, the numbers of their tags ``ner_tags``, and ``spaces``, whether a
            space follows each token.
        tags: names of the tags by number.

    >>> row = {"tokens": ["Press", "Ctrl"], "ner_tags": [0, 1], "spaces": [True, False]}
    >>> marked(row, ["O", "B-KEY", "I-KEY"])
    'Press <sub>KEY</sub><b>Ctrl</b>'
    """
    text, inside = "", False
    for token, tag, space in zip(row["tokens"], row["ner_tags"], row["spaces"], strict=True):
        place, _, kind = tags[tag].partition("-")
        if inside and place != "I":
            text += "</b>"
        if place == "B":
            text += f"<sub>{html.escape(kind)}</sub><b>"
        text += html.escape(token) + (" " if space else "")
        inside = place != "O"
    return text + ("</b>" if inside else "")


def question_examples(corpus: Corpus, number: int, languages: Sequence[str]) -> Styler:
    """The first questions that every language has, with their contexts and answers."""
    english = corpus.rows["answering/en/test"]
    rows = []
    for item in [row["id"] for row in english if row["parallel"]][:number]:
        for language in languages:
            row = _with_id(corpus.rows[f"answering/{language}/test"], item)
            answers = " / ".join(row["answers"]["text"])
            rows.append((language, row["question"], row["context"], answers))
    table = pd.DataFrame(rows, columns=["language", "question", "context", "answers"])
    lines = {"white-space": "pre-line"}
    return table.style.hide(axis="index").set_properties(subset=["context"], **lines)


def classified_examples(corpus: Corpus, name: str, number: int) -> Styler:
    """The first test items of a data set of classification, with the names of their labels."""
    table = f"classification/{name}/test"
    labels = corpus.features[table]["label"]["names"]
    shown = pd.DataFrame(corpus.rows[table]).drop(columns="idx")[:number]
    shown["label"] = [labels[label] for label in shown["label"]]
    return shown.style.hide(axis="index")


def _with_id(rows: Sequence[Row], item: object) -> Row:
    return next(row for row in rows if row["id"] == item)
