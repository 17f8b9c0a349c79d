"""What the page of claims says first, and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from pandas.io.formats.style import Styler

from idlib.metrics.names import RULES, SELECTIONS
from idlib.protocol import Line
from idlib.report.board import Board
from idlib.report.claims import CLAIMS, PAPER, REPORT
from idlib.report.decisions import DECIDED, Decision, Outcome
from idlib.report.designs import tasks_of
from idlib.report.tables import unbroken
from idlib.report.text import NOTHING, counted, joined

KEYS = ("answer_help", "answer_where", "answer_price")  # of the answers, for other pages
GAINS = ("C1", "C2", "C3", "C6", "C7")  # the claims that a score gets better


def answers(board: Board, price: str) -> dict[str, str]:
    """Does it help, where, and at what price: HTML by question.

    Args:
        board: of all tasks.
        price: what an update costs, as a sentence.
    """
    lines = {name: one for name, one in board.primary.items() if one.line.claim in GAINS}
    return {
        "Does it help?": f"{helps_of([*lines.values()])}.",
        "Where?": f"{'. '.join(_where(board, lines))}.",
        "At what price?": escape(price),
    }


def answers_list(found: Mapping[str, str]) -> str:
    """The answers as a list in HTML."""
    items = [f"<li><strong>{question}</strong> {text}</li>" for question, text in found.items()]
    return f"<ul>{''.join(items)}</ul>"


def helps_of(lines: Sequence[Decision]) -> str:
    """Whether a score gets better, by the outcomes: a sentence or two without their full stop.

    Args:
        lines: those that ask it.
    """
    decided = [one for one in lines if one.outcome in DECIDED]
    counts = [
        f"{number} {outcome}"
        for outcome in DECIDED
        if (number := sum(one.outcome == outcome for one in decided))
    ]
    of_all = f"of {counted(len(lines), 'question')} whether a score gets better"
    if not decided:
        return f"Not known yet: {of_all} none is decided"
    verb = "is" if len(decided) == 1 else "are"
    interim = sum(one.interim for one in decided)
    some = f" ({interim} on part of the seeds)" if interim else ""
    found = f"{of_all} {len(decided)} {verb} decided{some}: {', '.join(counts)}"
    if not any(one.outcome == "supported" for one in decided):
        return f"Not where it has been measured: {found}"
    if any(one.outcome == "supported" and one.size != "below δ" for one in decided):
        return f"Yes, in some of what has been measured: {found}"
    return f"Hardly: {found}. Each gain is smaller than δ, the smallest effect of interest"


def _where(board: Board, lines: Mapping[str, Decision]) -> list[str]:
    """A sentence for each study that is decided, and one of those that are not, in HTML."""
    sentences = []
    decided = {one.line.study for one in lines.values() if one.outcome in DECIDED}
    studies = dict.fromkeys(one.line.study for one in lines.values())
    for study in filter(decided.__contains__, studies):
        of_study = {name: one for name, one in lines.items() if one.line.study == study}
        parts = [
            f"{words} {joined(_with_effect(board, name) for name in named)}"
            for outcome, words in WHERE.items()
            if (named := [name for name, one in of_study.items() if one.outcome == outcome])
        ]
        sentences.append(f"<strong>{escape(study.capitalize())}</strong>: {', '.join(parts)}")
    if waiting := [study for study in studies if study not in decided]:
        sentences.append(f"Not decided yet: {escape(joined(waiting))}")
    if depends := [name for name in lines if board.otherwise(name)]:
        where = joined(board.linked(name, name) for name in depends)
        sentences.append(f"Another choice of the checkpoint gives another outcome in {where}")
    return sentences


WHERE: dict[Outcome, str] = {
    "supported": "better in",
    "contradicted": "worse in",
    "no effect": "no effect as large as δ in",
    "undecided": "undecided in",
}


def _with_effect(board: Board, name: str) -> str:
    """What a line asks about, linked to its records, and its effect if it has one."""
    one = board.decisions[name]
    told = board.linked(name, asked(one.line))
    if one.outcome == "no effect" or one.interval is None:
        return told
    effect = board.written(one.line, one.interval.mean)
    return f"{told} ({effect}{', interim' if one.interim else ''})"


def asked(line: Line) -> str:
    """The score that a line asks about, from its words: what is compared, condition, score."""
    _, *condition, score = line.words.split(", ")
    return f"{score} ({', '.join(condition)})" if condition else score


def by_claim(board: Board) -> Styler:
    """The short table of the landing page: the primary lines, in words, and their outcomes."""
    rows = []
    for name, one in board.primary.items():
        stated = dict(board.published(name))
        published = [
            f"{board.written(one.line, stated[source])}<br><small>{source}</small>"
            for source in (PAPER, REPORT)
            if source in stated
        ]
        words = escape(_in_words(board, one.line))
        seeds = f"{len(one.seeds)} of {one.registered} seeds{', interim' if one.interim else ''}"
        rows.append(
            {
                "line": f'<strong>{name}</strong><small class="words">{words}</small>',
                "ours": board.cell(name),
                "δ": board.delta(one.line),
                "published": "<br>".join(published) or NOTHING,
                "outcome": f"{one.told}<br><small>{seeds}</small>",
            }
        )
    return unbroken(pd.DataFrame(rows), "ours", "δ", "published", "outcome")


def _in_words(board: Board, line: Line) -> str:
    study = board.protocol.studies[line.study]
    return f"{line.words}; {line.study}, {study.profile}"


def over_items(board: Board) -> pd.DataFrame:
    """Where records keep test items: the interval over seeds, and that over seeds and items."""
    columns = ["line", "mean", "over seeds", "over seeds and items", "items"]
    rows = []
    for name, one in board.primary.items():
        crossed, interval = board.over_items(name), one.interval
        if crossed is None or interval is None or not interval.bounded:
            continue
        metric = board.metric(one.line)
        mean, own = board.written(one.line, interval.mean), metric.bounds(*interval[1:3])
        rows.append((name, mean, own, metric.bounds(*crossed[1:3]), f"{crossed.n:,}"))
    return pd.DataFrame(rows, columns=columns)


def under_each_rule(board: Board) -> pd.DataFrame:
    """Effect and outcome of each primary line at each choice of the checkpoint, where measured.

    A star marks the choice that the protocol makes.
    """
    rows = []
    for name in board.primary:
        rules = board.under_each_rule[name]
        if all(found.interval is None for found in rules.values()):
            continue
        row = {"line": name}
        for rule in SELECTIONS:
            found, own = rules[rule], board.decisions[name].line.selection == rule
            effect = board.effect(found).partition(" (")[0]
            text = f"{effect}, {found.outcome}" if effect else found.outcome
            row[RULES[rule]] = f"{text}\N{NO-BREAK SPACE}*" if own else text
        rows.append(row)
    return pd.DataFrame(rows, columns=["line", *RULES.values()])


def published(claims: Sequence[str]) -> pd.DataFrame:
    """What the paper and the earlier report say of each claim, in Markdown."""
    return pd.DataFrame(
        {
            "": f"**{name}**",
            "claim": CLAIMS[name].statement,
            "the paper": CLAIMS[name].paper,
            "the earlier report": CLAIMS[name].report,
            "tested on": ", ".join(f"{{doc}}`{task}`" for task in tasks_of(name)),
        }
        for name in claims
    )
