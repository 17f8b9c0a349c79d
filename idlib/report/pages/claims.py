"""What the page of claims says first, and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean

import pandas as pd
from pandas.io.formats.style import Styler

from idlib.metrics.names import LOSS, RULES, SELECTIONS
from idlib.protocol import Line
from idlib.report.board import Board, in_words
from idlib.report.claims import CLAIMS, PAPER, REPORT
from idlib.report.decisions import DECIDED, Decision, Outcome
from idlib.report.designs import tasks_of
from idlib.report.pages.regime.room import underfits
from idlib.report.paired import StudyRecords
from idlib.report.tables import unbroken
from idlib.report.text import NOTHING, counted, joined

KEYS = ("answer_help", "answer_where", "answer_price", "answer_use")  # for other pages
BEFORE, AFTER = "C6", "C6 at the best temperature"
COUNTED, EXCLUDED = "sensitivity/parameters", "sensitivity/excluded"  # of a model's parameters
FULL_SIZE = "paper"  # the profile with the paper's models; the embedded encoder is smaller
GAINS = ("C1", "C2", "C3", "C6", "C7")  # the claims that a score gets better


def answers(board: Board, price: str) -> dict[str, str]:
    """Does it help, where, at what price, and should one use it: HTML by question.

    Args:
        board: of all tasks.
        price: what an update costs, as a sentence.
    """
    lines = {name: one for name, one in board.primary.items() if one.line.claim in GAINS}
    return {
        "Does it help?": f"{helps_of([*lines.values()])}.{_sizes(board, lines)}",
        "Where?": f"{'. '.join(_where(board, lines))}.",
        "At what price?": escape(price),
        "Should I use it?": _advice(board, [*lines.values()]),
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
    if any(one.outcome == "supported" and one.size != "smaller than δ" for one in decided):
        return f"Yes, in some of what has been measured: {found}"
    return f"Hardly: {found}. Each gain is smaller than δ, the smallest effect of interest"


def _where(board: Board, lines: Mapping[str, Decision]) -> list[str]:
    """What is said of each study that is judged, and which ones are not, in HTML."""
    sentences, found = [], StudyRecords(board.protocol, board.records)
    judged = {one.line.study for one in lines.values() if one.outcome != "not judged"}
    studies = dict.fromkeys(one.line.study for one in lines.values())
    for study in filter(judged.__contains__, studies):
        of_study = {name: one for name, one in lines.items() if one.line.study == study}
        parts = [
            f"{words} {joined(_with_effect(board, name) for name in named)}"
            for outcome, words in WHERE.items()
            if (named := [name for name, one in of_study.items() if one.outcome == outcome])
        ]
        sentences.append(f"<strong>{escape(study.capitalize())}</strong>: {', '.join(parts)}")
        sentences += [_otherwise(board, name) for name in of_study if board.otherwise(name)]
        sentences += filter(None, (underfits(found, study), _calibrated(board, study)))
    if waiting := [study for study in studies if study not in judged]:
        sentences.append(f"Not judged yet: {escape(joined(waiting))}")
    return sentences


def _sizes(board: Board, lines: Mapping[str, Decision]) -> str:
    """How large the models behind the outcomes are, and whether any is the paper's."""
    judged = (one.line.study for one in lines.values() if one.outcome != "not judged")
    studies = dict.fromkeys(judged)
    sizes: dict[str, list[str]] = {}
    for study in studies:
        record = next(iter(board.records[study]["baseline"].values()))
        metrics, settings = record.measured.metrics, record.asked.settings
        if COUNTED not in metrics:
            continue
        parameters = metrics[COUNTED] + metrics.get(EXCLUDED, 0.0)
        items = settings.get("examples", {}).get("train")
        size = f"{parameters / 1e6:.1f} million parameters"
        size += f" trained on {items:,} items" if items else ""
        sizes.setdefault(size, []).append(escape(study))
    if not sizes:
        return ""
    profiles = {board.protocol.studies[study].profile for study in studies}
    smaller = "" if FULL_SIZE in profiles else " None is of the paper's size."
    told = [
        f"{joined(alike)}, {size}{' each' if len(alike) > 1 else ''}"
        for size, alike in sizes.items()
    ]
    return f" The models: {'; '.join(told)}.{smaller}"


def _advice(board: Board, lines: Sequence[Decision]) -> str:
    """What the outcomes mean for somebody who might use it, and what costs less."""
    decided = [one for one in lines if one.outcome in DECIDED]
    if not decided:
        return "Nothing can be said yet."
    worth = [one for one in decided if one.outcome == "supported" and one.size != "smaller than δ"]
    said = (
        f"On {escape(joined(dict.fromkeys(one.line.study for one in worth)))}, it may pay."
        if worth
        else "Not for these scores, on what has been measured."
    )
    found = StudyRecords(board.protocol, board.records)
    longer = [study for study in board.protocol.studies if underfits(found, study)]
    calibrated = [study for study in board.protocol.studies if _calibrated(board, study)]
    cheaper = [f"longer training (more than δ on {joined(longer)})"] if longer else []
    if calibrated:
        cheaper.append(
            f"a temperature fitted on validation (as low an NLL on {joined(calibrated)})"
        )
    first = f" Before it try {escape(' and '.join(cheaper))}." if cheaper else ""
    return f"{said}{first} Choose the checkpoint by the score that you report."


def _otherwise(board: Board, name: str) -> str:
    """What other choices of the checkpoint make of a line."""
    rule = f"{RULES[LOSS]}, which the published scripts keep"
    others = escape(board.otherwise(name).replace(RULES[LOSS], rule))
    return f"By another choice of the checkpoint {board.linked(name, name)} is {others}"


def _calibrated(board: Board, study: str) -> str:
    """That a gain in NLL is had by a temperature, too, where one of NLL after it is not there."""
    pair = {BEFORE, AFTER} & board.decisions.keys()
    if len(pair) < 2 or board.decisions[BEFORE].line.study != study:
        return ""
    before, after = board.decisions[BEFORE], board.decisions[AFTER]
    if before.outcome != "supported" or after.outcome not in ("no effect", "contradicted"):
        return ""
    cells = board.records[study]
    values = [
        fmean(cells[cell][seed].measured.metrics[key] for seed in before.seeds)
        for cell, key in (("baseline", after.line.metric), ("id", before.line.metric))
    ]
    baseline, ours = map(board.metric(before.line).written, values)
    return (
        "The gain in NLL is one of calibration: a temperature fitted on validation, which costs "
        f"no training, brings the baseline to {baseline}, where intra-distillation without one "
        f"has {ours}"
    )


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
        stated, caveat = dict(board.published(name)), board.caveat(name)
        report = f"{REPORT}, {caveat}" if caveat else REPORT
        published = [
            f"{board.written(one.line, stated[source])}<br><small>{said}</small>"
            for source, said in ((PAPER, PAPER), (REPORT, report))
            if source in stated
        ]
        words = escape(_in_words(board, one.line))
        others = board.otherwise(name)
        others = f'<small class="words">{escape(others)}</small>' if others else ""
        seeds = f"{len(one.seeds)} of {one.registered} seeds{', interim' if one.interim else ''}"
        rows.append(
            {
                "line": f'<strong>{name}</strong><small class="words">{words}</small>',
                "outcome": f"{one.told}<br><small>{seeds}</small>{others}",
                "ours": board.cell(name),
                "δ": board.delta(one.line),
                "published": "<br>".join(published) or NOTHING,
            }
        )
    return unbroken(pd.DataFrame(rows), "ours", "δ", "published")


def _in_words(board: Board, line: Line) -> str:
    study = board.protocol.studies[line.study]
    return f"{in_words(line)}; {line.study}, {study.profile}"


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
            own = board.decisions[name].line.selection == rule
            found = board.decisions[name] if own else rules[rule]
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
