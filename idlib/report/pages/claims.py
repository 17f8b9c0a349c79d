"""What the page of claims says first, and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler

from idlib.metrics.names import RULES, SELECTIONS
from idlib.report.board import Board
from idlib.report.claims import CLAIMS, PAPER, REPORT
from idlib.report.decisions import DECIDED, Outcome
from idlib.report.designs import tasks_of
from idlib.report.tables import unbroken
from idlib.report.text import NOTHING, literal

KEYS = ("answer_help", "answer_where", "answer_price")  # of the answers, for other pages
GAINS = ("C1", "C2", "C3", "C6", "C7")  # the claims that a score gets better


def answers(board: Board, price: str) -> dict[str, str]:
    """Does it help, where, and at what price: plain text by question.

    Args:
        board: of all tasks.
        price: what an update costs, as a sentence.
    """
    lines = {name: one for name, one in board.primary.items() if one.line.claim in GAINS}
    by_outcome: dict[Outcome, list[str]] = {}
    for name, one in lines.items():
        by_outcome.setdefault(one.outcome, []).append(name)
    counts = [f"{len(by_outcome[o])} {o}" for o in DECIDED if o in by_outcome]
    decided = sum(len(by_outcome.get(outcome, ())) for outcome in DECIDED)
    helps = (
        f"{len(lines)} primary lines ask whether a score gets better; {decided} of them are decided"
        f"{': ' if counts else ''}{', '.join(counts)}."
    )
    where = [
        f"{WHERE[outcome]}: {', '.join(_with_effect(board, by_outcome[outcome]))}"
        for outcome in DECIDED
        if outcome in by_outcome
    ]
    depends = [name for name in lines if board.otherwise(name)]
    choice = (
        f" Another choice of the checkpoint gives another outcome in {', '.join(depends)}."
        if depends
        else ""
    )
    return {
        "Does it help?": helps,
        "Where?": f"{'. '.join(where) or 'Nothing is decided yet'}.{choice}",
        "At what price?": price,
    }


def answers_list(found: Mapping[str, str]) -> str:
    """The answers as a list in Markdown."""
    return "\n".join(f"- **{question}** {literal(text)}" for question, text in found.items())


WHERE: dict[Outcome, str] = {
    "supported": "Better",
    "contradicted": "Worse",
    "no effect": "No effect as large as δ",
}


def _with_effect(board: Board, names: Sequence[str]) -> list[str]:
    return [
        f"{name} ({board.written(one.line, one.interval.mean)}"
        f"{f', {one.size}' if one.size else ''})"
        for name in names
        if (one := board.decisions[name]).interval is not None
    ]


def by_claim(board: Board) -> Styler:
    """The short table of the landing page: the primary lines and their outcomes."""
    rows = []
    for name, one in board.primary.items():
        effect, _, interval = board.effect(one).partition(" (95 % interval ")
        stated = dict(board.published(name))
        rows.append(
            {
                "line": name,
                "ours": f"{effect}<br>{interval.rstrip(')')}" if interval else effect or NOTHING,
                "δ": board.delta(one.line),
                **{
                    source: board.written(one.line, stated[source]) if source in stated else NOTHING
                    for source in (PAPER, REPORT)
                },
                "outcome": one.told,
                "seeds": f"{len(one.seeds)} of {one.registered}",
            }
        )
    return unbroken(pd.DataFrame(rows), "ours", "δ", "paper", "earlier report", "outcome", "seeds")


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
            row[RULES[rule]] = f"{text} *" if own else text
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
