"""What the page of the protocol shows: what is judged, by which rules, and how often they err."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from idlib.earlier import earlier
from idlib.metrics.names import RULES
from idlib.protocol import Protocol, sha256
from idlib.records import Record
from idlib.report.board import Board
from idlib.report.cells import DOSE, cells_of
from idlib.report.decisions import Values, measured, seeds_for, values_of
from idlib.report.figures.style import panels
from idlib.report.paired import Studies
from idlib.report.simulation import (
    BOARDS,
    Assumed,
    at_least_one,
    draw,
    larger,
    looked_at,
    outcomes_of,
    shares,
)
from idlib.report.text import NOTHING, bullets, counted, joined, ranges

NO_DIFFERENCE = "a difference where there is none"  # errors, by how they are told
AS_DELTA = "no effect where it is δ"
BEYOND = "larger than δ where it is δ"
EFFECTS = np.linspace(0.0, 3.0, 13)  # true effects of the power curves, in units of δ


# ---- what is judged


def rules(protocol: Protocol) -> str:
    """The rules in words, as a list in Markdown."""
    r = protocol.rules
    lines = [
        f"A line has one value a seed. It is judged where at least {r.fewest_seeds} seeds have "
        "all its cells, made on one kind of processor.",
        "It is supported or contradicted where the mean differs from zero: Student's t test, by "
        f"Holm's procedure over the primary lines at {r.family:g}. The interval shown is at "
        f"{r.level:.0%}.",
        "It has no effect where the mean is shown to lie within ±δ: two one-sided t tests, by "
        f"Holm's procedure over the primary lines at {r.family:g}; alone, that is a "
        f"{r.equivalence:.0%} interval within ±δ. Where both hold, the difference is told, and "
        "that it is smaller than δ.",
        "A difference is larger than δ where a one-sided t test says so, by Holm's procedure "
        f"over the primary lines at {r.family:g}.",
        "A line that is not judged yet takes part in each of these with p = 1.",
        "A line that needs another one is not applicable where that one has no effect or is "
        "contradicted: there is no gain whose cause could be asked for.",
        f"A record counts if it holds the SHA-256 of this protocol, {sha256()[:16]}…, or of a "
        "version that an amendment names.",
    ]
    return bullets(lines)


def lines(protocol: Protocol, claim: str) -> pd.DataFrame:
    """The lines of a claim: what is compared, in which metric, by how much, and on what."""
    board = Board(protocol=protocol)
    rows = []
    for name, line in protocol.lines.items():
        if line.claim != claim:
            continue
        study = protocol.studies[line.study]
        rows.append(
            {
                "line": name if line.primary else f"{name} (secondary)",
                "compared": line.words,
                "checkpoint": RULES[line.selection],
                "better": line.better,
                "δ": f"{board.delta(line)}: {line.why}",
                "study": f"{line.study}, {study.profile}",
                "seeds": str(registered(protocol, name)),
                "needs": line.needs or NOTHING,
            }
        )
    return pd.DataFrame(rows)


def studies(protocol: Protocol, evidence: Studies) -> pd.DataFrame:
    """The studies: what each is for, where its runs are made, how many are, and their hours."""
    rows = []
    for name, study in protocol.studies.items():
        runs = sum(len(study.seeds_of(cell)) for cell in study.cells)
        made = [one for by_seed in evidence.get(name, {}).values() for one in by_seed.values()]
        hours = sum(record.cost.seconds for record in made) / 3600
        rows.append(
            {
                "study": name,
                "purpose": study.purpose,
                "task": study.task,
                "profile": study.profile,
                "device": study.device,
                "seeds": ranges(study.seeds),
                "runs made": f"{len(made)} of {runs}",
                "hours": f"{hours:.1f}",
            }
        )
    return pd.DataFrame(rows)


def cells(protocol: Protocol) -> pd.DataFrame:
    """Every cell: method, settings laid over its study's, and seeds."""
    rows = []
    for name, study in protocol.studies.items():
        for cell, one in study.cells.items():
            told = ", ".join(f"{key} {value}" for key, value in one.settings.items())
            seeds = ranges(study.seeds_of(cell))
            row = (name, cell, one.method, told or NOTHING, seeds)
            rows.append(row)
    return pd.DataFrame(rows, columns=["study", "cell", "method", "settings", "seeds"])


def pilots(protocol: Protocol) -> str:
    """The pilots, as a list in Markdown."""
    return bullets(
        f"{one.study}, seeds {ranges(one.seeds)}: {' '.join(one.what.split())}"
        for one in protocol.pilots
    )


def amendments(protocol: Protocol) -> str:
    """The amendments, as a list in Markdown."""
    if not protocol.amendments:
        return "None: this is the first version."
    return bullets(
        f"{one.date}: {' '.join(one.what.split())} (before it {one.before[:16]}…)"
        for one in protocol.amendments
    )


def registered(protocol: Protocol, name: str) -> int:
    """How many seeds all cells of a line have."""
    line = protocol.lines[name]
    study = protocol.studies[line.study]
    return len(set.intersection(*(set(study.seeds_of(cell)) for cell in line.contrast)))


# ---- what was seen before


def earlier_records(protocol: Protocol, folder: str) -> dict[str, list[Record]]:
    """Earlier records of each study's task, by study: of its profile, or else of medium.

    Args:
        protocol: the studies.
        folder: of the committed records.
    """
    return {
        name: [
            *(
                earlier(study.task, study.profile, Path(folder))
                or earlier(study.task, "medium", Path(folder))
            )
        ]
        for name, study in protocol.studies.items()
    }


def earlier_values(protocol: Protocol, name: str, records: Iterable[Record]) -> tuple[Values, str]:
    """A line's values in earlier records, by what each says it was asked, and a remark.

    Args:
        protocol: whose line it is.
        name: of the line.
        records: earlier ones, of its study's task and profile.

    Returns:
        The values, and how the cells of the earlier records differ, in words; empty if not.
    """
    line, given = protocol.lines[name], list(records)
    study = protocol.studies[line.study]
    own = values_of(line, cells_of(study, given))
    if own.by_seed or not any(DOSE in study.cells[cell].settings for cell in line.contrast):
        return own, ""
    return values_of(line, cells_of(study, given, printed=True)), "at α as printed"


def assumed(
    protocol: Protocol, earlier: Mapping[str, Sequence[Record]]
) -> tuple[dict[str, Assumed], dict[str, str]]:
    """What each line's simulation rests on, and a remark where that is not its own contrast.

    Args:
        protocol: the lines.
        earlier: earlier records by study. Where they give a line fewer than two values, its spread
            is taken to be δ.
    """
    found, remarks = {}, {}
    for name, line in protocol.lines.items():
        values, remarks[name] = earlier_values(protocol, name, earlier.get(line.study, ()))
        seen = len(values.by_seed)
        spread = float(np.std([*values.by_seed.values()], ddof=1)) / line.delta if seen > 1 else 1.0
        found[name] = Assumed(registered(protocol, name), spread, seen if seen > 1 else 0)
    return found, remarks


def spreads(
    protocol: Protocol, earlier: Mapping[str, Sequence[Record]], evidence: Studies
) -> pd.DataFrame:
    """Each line in the earlier evidence, which confirms nothing, and its spread then and now."""
    board = Board(evidence, protocol)
    simulated, remarks = assumed(protocol, earlier)
    rows = []
    for name, line in protocol.lines.items():
        values, _ = earlier_values(protocol, name, earlier.get(line.study, ()))
        before = measured(line, values.by_seed, protocol.rules)
        effect, _, interval = board.effect(before).partition(" (95 % interval ")
        now = [*values_of(line, evidence.get(line.study, {})).by_seed.values()]
        seeds = f"{len(values.by_seed)}{', ' + remarks[name] if remarks[name] else ''}"
        rows.append(
            {
                "line": name,
                "seeds before": seeds,
                "effect before": f"{effect}<br>{interval.rstrip(')')}" if interval else effect,
                "spread before": (
                    f"{simulated[name].spread:.2f} δ" if simulated[name].seen else NOTHING
                ),
                "seeds now": str(len(now)),
                "spread now": f"{np.std(now, ddof=1) / line.delta:.2f} δ" if now[1:] else NOTHING,
            }
        )
    return pd.DataFrame(rows)


# ---- how often the rules err


def errors(protocol: Protocol, lines_: Mapping[str, Assumed]) -> pd.DataFrame:
    """How often the rules err, of a board and of each claim, by simulation.

    Every line is decided as if one that it needs held: an error cannot hide behind another line.
    """
    none = outcomes_of(np.zeros(len(lines_)), lines_, protocol, gates=False)
    sides = [np.full(len(lines_), side) for side in (1.0, -1.0)]
    sizes = [outcomes_of(side, lines_, protocol, gates=False) for side in sides]
    beyond = [larger(draw(side, lines_, protocol), protocol.rules) for side in sides]
    primary = {
        place: protocol.lines[name].claim
        for place, name in enumerate(lines_)
        if protocol.lines[name].primary
    }
    groups = {f"the board, {counted(len(primary), 'primary line')}": [*primary]}
    for claim in dict.fromkeys(primary.values()):
        own = [place for place, other in primary.items() if other == claim]
        groups[f"{claim}, {counted(len(own), 'line')}"] = own
    return pd.DataFrame(
        {
            "of": of,
            NO_DIFFERENCE: _percent(at_least_one(none[:, own], "supported", "contradicted")),
            AS_DELTA: _percent(max(at_least_one(one[:, own], "no effect") for one in sizes)),
            BEYOND: _percent(max(float(one[:, own].any(axis=1).mean()) for one in beyond)),
        }
        for of, own in groups.items()
    )


def errors_sentence(table: pd.DataFrame, lines_: Mapping[str, Assumed]) -> str:
    """How often a board errs, and what the simulation rests on."""
    whole = table.iloc[0]
    guessed = [name for name, one in lines_.items() if not one.seen]
    return (
        "The *board* is all lines with their outcomes. Where no line has an effect, some line is "
        f"called supported or contradicted on {whole[NO_DIFFERENCE]} of {BOARDS:,} drawn boards; "
        "where every effect is exactly δ, some line is called without effect on "
        f"{whole[AS_DELTA]}, and some larger than δ on {whole[BEYOND]}. The spread over seeds is "
        f"that of earlier records for {len(lines_) - len(guessed)} lines, and assumed to be δ for "
        f"the other {len(guessed)}."
    )


def looks_sentence(protocol: Protocol, lines_: Mapping[str, Assumed]) -> str:
    """How often an interim outcome errs, where a board is looked at while its seeds are made."""
    fewest = protocol.rules.fewest_seeds
    most = max(one.seeds for one in lines_.values())
    looks = sorted({*range(fewest, min(most, 10) + 1), *range(10, most, 10), most})
    share = looked_at(lines_, protocol, looks)[-1]
    return (
        "Looking at a board while its seeds are made costs certainty: where no line has an effect "
        f"and the first difference at {joined([str(look) for look in looks])} seeds were believed, "
        f"some line would be called supported or contradicted on {_percent(float(share))} of "
        "boards. That is why an outcome is *interim* until its seeds are made."
    )


def power_figure(protocol: Protocol, lines_: Mapping[str, Assumed]) -> Figure:
    """How often each primary line is supported, or without effect, by the true effect in δ.

    A panel for each claim. The effect is the same in all lines of a board; a line that needs
    another one is decided as if that one held.
    """
    names = [*lines_]
    found = [
        outcomes_of(np.full(len(names), e), lines_, protocol, boards=1000, gates=False)
        for e in EFFECTS
    ]
    supported = np.array([shares(one, "supported") for one in found])
    nothing = np.array([shares(one, "no effect") for one in found])
    claims = [
        claim
        for claim in dict.fromkeys(line.claim for line in protocol.lines.values())
        if any(protocol.lines[n].primary and protocol.lines[n].claim == claim for n in names)
    ]
    rows = math.ceil(len(claims) / 2)
    with panels(rows, 2, size=(3.7, 2.2), sharex=True, sharey=True) as (figure, axes):
        for ax in axes.flat[len(claims) :]:
            ax.set_visible(False)
        for ax, claim in zip(axes.flat, claims, strict=False):
            own = [
                place
                for place, name in enumerate(names)
                if protocol.lines[name].claim == claim and protocol.lines[name].primary
            ]
            for place in own:
                ax.plot(EFFECTS, supported[:, place], color="#0072B2", linewidth=1.3)
                ax.plot(EFFECTS, nothing[:, place], color="#007A5A", linewidth=1.3, dashes=(3, 1.5))
            ax.axvline(1.0, color="black", linewidth=0.8)
            ax.set_title(f"{claim}, {counted(len(own), 'line')}")
        for ax in axes[-1]:
            ax.set_xlabel("true effect in units of δ")
        for ax in axes[:, 0]:
            ax.set_ylabel("share of boards")
        first = axes[0, 0]
        first.plot([], [], color="#0072B2", label="supported")
        first.plot([], [], color="#007A5A", dashes=(3, 1.5), label="no effect")
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def power(protocol: Protocol, lines_: Mapping[str, Assumed]) -> pd.DataFrame:
    """For each primary line: how often it is decided at a true effect of 0, δ and 2 δ."""
    names = [*lines_]
    at = {
        e: outcomes_of(np.full(len(names), e), lines_, protocol, gates=False)
        for e in (0.0, 1.0, 2.0)
    }
    table = {
        "no effect at 0": shares(at[0.0], "no effect"),
        "supported at δ": shares(at[1.0], "supported"),
        "supported at 2 δ": shares(at[2.0], "supported"),
    }
    rows = []
    for place, name in enumerate(names):
        if not protocol.lines[name].primary:
            continue
        one = lines_[name]
        spread = f"{one.spread:.2f} δ" if one.seen else "δ (assumed)"
        wanted = seeds_for(one.spread, 1.0, protocol.rules.level)
        row = {
            "line": name,
            "seeds": str(one.seeds),
            "for a half-width of δ": str(wanted) if wanted else NOTHING,
            "spread": spread,
        }
        rows.append({**row, **{key: _percent(values[place]) for key, values in table.items()}})
    return pd.DataFrame(rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
