"""The answers at the head of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from idlib.report.association import BALANCE, Association, associate, qualities, runs_of
from idlib.report.balance import CV, REST, STD, interval_of, paired, ratio
from idlib.report.board import Board
from idlib.report.kinds import NORM
from idlib.report.pages.balance.sensitivity import mean_shares, of_study
from idlib.report.pages.balance.words import difference, rho, times, with_seeds
from idlib.report.paired import Cells, Studies
from idlib.report.pruning import RANKS
from idlib.report.statistics import Interval
from idlib.report.text import literal

ALWAYS = ("images", "translation")  # C4 is judged on these


def answer(board: Board, studies: Studies) -> str:
    """What was found, in Markdown: a paragraph for each of the page's three questions.

    Args:
        board: of all studies, since lines are corrected for each other.
        studies: those of the page, with their figures.
    """
    fewest = board.protocol.rules.fewest_seeds
    paragraphs = {
        "Balance": [balance(name, cells, board) for name, cells in studies.items()],
        "Pruning": [pruning(cells, fewest) for cells in studies.values()],
        "Generalisation": [goes_with(cells, fewest) for cells in studies.values()],
    }
    return "\n\n".join(
        f"**{title}**\n\n{of_each(dict(zip(studies, said, strict=True)))}"
        for title, said in paragraphs.items()
    )


def studies_of(board: Board) -> list[str]:
    """The studies whose models are pruned and that have records of both arms.

    Images and translation stand in any case, so that an empty page says what it waits for.
    """

    def is_made(name: str) -> bool:
        cells = board.records.get(name, {})
        return bool(cells.get("id") and cells.get("baseline"))

    return [
        name
        for name, study in board.protocol.studies.items()
        if "pruned" in study.settings and (name in ALWAYS or is_made(name))
    ]


def of_each(said: Mapping[str, str]) -> str:
    """What is said of each study, as a list in Markdown."""
    return "\n".join(
        f"- *{literal(study)}*: {text[:1].upper()}{text[1:]}" for study, text in said.items()
    )


def balance(study: str, cells: Cells, board: Board) -> str:
    """C4's outcome, what norms hold of the variance, and the ratio without scale."""
    lines = of_study(board, study).values()
    found = next((d for d in lines if set(d.line.contrast) == {"id", "baseline"}), None)
    of_all = ratio(cells, STD, "id", "baseline")
    if of_all is None:
        return "no seed has both a baseline and intra-distillation."
    outcome = "" if found is None else f" (C4: {found.outcome})"
    said = f"std of sensitivity is {times(of_all)} times the baseline's{outcome}."
    held = mean_shares(cells, "baseline").get(NORM)
    rest = ratio(cells, f"kinds/std/{REST}", "id", "baseline")
    if held is not None and rest is not None:
        said += (
            f" Of the baseline's variance {held[1]:.0%} lies in its norms, which are "
            f"{held[0]:.1%} of its parameters; without them the ratio is {times(rest)}."
        )
    scale_free = ratio(cells, CV, "id", "baseline")
    if scale_free is not None:
        said += (
            " Std over mean, which stays where all sensitivities shrink together, is "
            f"{times(scale_free)} times the baseline's."
        )
    return said


def pruning(cells: Cells, fewest: int) -> str:
    """Whether intra-distillation loses more by pruning, and whether the thesis predicts that.

    The thesis is about balance: the more balanced of two models should lose more. Which one that is
    follows from std, as in C4.
    """
    balanced = ratio(cells, STD, "id", "baseline")
    sentences = []
    for rank, weights in zip(RANKS, ("least sensitive weights", "smallest weights"), strict=True):
        found = interval_of(paired(cells, f"pruned/{rank}/added", "id", "baseline"))
        if found is None:
            continue
        if found.n < fewest or not found.bounded:
            verdict = f"cannot be told from the baseline with fewer than {fewest} seeds"
            thesis = ""
        else:
            more, less = found.low > 0, found.high < 0
            verdict = LOSES[more, less]
            thesis = _predicted(balanced, more, less)
        sentences.append(
            f"without its {weights} intra-distillation {verdict}{thesis}: "
            f"{difference(found)} in what is added to the NLL."
        )
    if not sentences:
        return "no seed has a curve of pruning of both."
    passes = interval_of(paired(cells, f"pruned/{RANKS[0]}/added", "passes", "baseline"))
    if passes is not None and passes.n >= fewest and passes.bounded:
        sentences.append(
            f"by sensitivity K passes without the divergence add {difference(passes)} over the "
            "baseline."
        )
    light = interval_of(paired(cells, f"pruned/{RANKS[0]}/added_light", "id", "baseline"))
    if light is not None and light.n >= fewest and light.bounded:
        sentences.append(f"of light pruning alone the difference is {difference(light)}.")
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


LOSES = {  # by whether the interval lies above zero, and below
    (True, False): "loses more than the baseline",
    (False, True): "loses less than the baseline",
    (False, False): "loses neither clearly more nor clearly less than the baseline",
}


def _predicted(balanced: Interval | None, more: bool, less: bool) -> str:
    """What the thesis predicts of the model that is more or less balanced by std, if either is."""
    if balanced is None or balanced.low <= 1 <= balanced.high:
        return ""
    evener = balanced.high < 1
    which = f"the {'more' if evener else 'less'} balanced by std"
    if (more, less) == (evener, not evener):
        return f", as the thesis predicts of {which}"
    return f", where the thesis predicts {'more' if evener else 'less'} of {which}"


def goes_with(cells: Cells, fewest: int) -> str:
    """Whether more even sensitivity goes with a better model, by each figure of balance.

    Of the seeds of one way to train; means of methods differ in more than their balance.
    """
    sentences = []
    for quality in qualities(cells):
        runs = with_seeds(runs_of(cells, *quality.asked), fewest)
        name = literal(quality.metric.name)
        if runs.empty:
            sentences.append(
                f"no way to train has {fewest} seeds yet to set its balance beside {name}."
            )
            continue
        found = {
            words: associate(runs, figure, "worse", within=True)
            for figure, words in BALANCE.items()
        }
        each = ", ".join(f"{words} {rho(one)}" for words, one in found.items())
        sentences.append(
            f"over the seeds of a method {verdict([*found.values()])} in {name} (rank "
            f"correlations: {each}; {len(runs)} runs)."
        )
    if not sentences:
        return "no run has both figures."
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def verdict(found: Sequence[Association]) -> str:
    """What figures of balance that may disagree say together."""
    known = [one for one in found if not math.isnan(one.low)]
    better, worse = (
        any(one.low > 0 for one in known),
        any(one.high < 0 for one in known),
    )
    if not known:
        return "nothing can be told"
    if better and worse:
        return "figures of balance contradict each other"
    if not (better or worse):
        return "no association is clear"
    which = "better" if better else "worse"
    agreeing = sum(one.low > 0 or one.high < 0 for one in known)
    by = "" if agreeing == len(known) else f", but only by {agreeing} of {len(known)} figures"
    return f"more even runs are the {which} ones{by},"
