"""What the audit amounts to: findings that move a comparison of ours, in words and in a figure.

A gain is above zero where the first of two ways to train is better, seed by seed.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from idlib.audit.findings import AUDIT
from idlib.explain.audit.ranking import one_seed, order_of_report, values
from idlib.explain.audit.sources import Sources, since_lowest_loss
from idlib.metrics.names import BEST, LAST, LOSS
from idlib.protocol import Protocol
from idlib.report.conditions import cell_name
from idlib.report.figures.forest import Group, Row, forest
from idlib.report.paired import Cells, Gain, Measure, StudyRecords, gain

IN_FIGURE = {BEST: "best BLEU", LOSS: "lowest loss", LAST: "last update"}
IN_SENTENCE = {
    BEST: "by the best validation SacreBLEU",
    LOSS: "by the lowest validation loss",
    LAST: "at the last update",
}


def measures(protocol: Protocol) -> tuple[Measure, Measure]:
    """Test NLL of images and SacreBLEU of translation, each with the protocol's δ."""
    found = StudyRecords(protocol, {})
    return found.measure("C6"), found.measure("C1")


def of_last(cells: Cells, measure: Measure, cell: str) -> Gain:
    """The gain of a run's last update over its lowest validation loss, of the same runs."""
    changes = since_lowest_loss(cells, cell, measure.metric.key)
    moved = {seed: measure.sign * change for seed, change in changes.items()}
    return Gain(measure, moved, "" if moved else f"no record of {cell_name(cell)}")


def overview(sources: Sources, protocol: Protocol) -> Figure:
    """Each finding that moves a comparison: the gain as published beside the gain without it."""
    nll, bleu = measures(protocol)
    images, translation = sources.images, sources.translation
    pictured = [
        Row("A1, A2: ID over baseline, as compared", gain(images, nll, "id smoothed")),
        Row("both without smoothing", gain(images, nll, "id")),
        Row("both with smoothing", gain(images, nll, "id smoothed", "baseline smoothed")),
        Row("A1: the smoothing left out", gain(images, nll, "baseline smoothed")),
        Row("A7: teacher of the last epoch", of_last(images, nll, "baseline")),
        Row("Not told: ID over baseline student", gain(images, nll, "id", "baseline student")),
        Row(
            "the same, smoothed",
            gain(images, nll, "id smoothed", "baseline smoothed student"),
        ),
    ]
    translated = [
        Row(f"A22: ID over baseline, {words}", gain(translation, bleu, "id", selection=rule))
        for rule, words in IN_FIGURE.items()
        if rule in sources.rules
    ]
    rule = LOSS if BEST not in sources.rules else BEST
    translated += [
        Row(label, gain(translation, bleu, cell, against, rule))
        for label, cell, against in (
            ("A19: a real teacher", "baseline student", "baseline"),
            ("Not told: ID over baseline student", "id", "baseline student"),
        )
    ]
    return forest(
        [
            Group("Images, test NLL", pictured, nll.title),
            Group("Translation, SacreBLEU", translated, bleu.title),
        ],
        left=2.9,
    )


def answer(sources: Sources, protocol: Protocol) -> str:
    """What the audit amounts to, as a list in Markdown."""
    nll, bleu = measures(protocol)
    images, translation = sources.images, sources.translation
    smoothed = gain(images, nll, "id smoothed", "baseline smoothed")
    confounded = (
        "- **What was compared.** The report compares ID with label smoothing to a baseline "
        "without it (A1, A2). On our image models that comparison gives ID "
        f"{gain(images, nll, 'id smoothed').words}. With neither smoothed it gains "
        f"{gain(images, nll, 'id').words}, with both {smoothed.words}. A gain is a fall in test "
        "NLL."
    )
    by_rule = _by_rule(sources, bleu)
    chosen = (
        "- **Which checkpoint was told.** The published scripts keep the checkpoint of lowest "
        f"validation loss and tell its BLEU (A22). The gain of ID in SacreBLEU is {by_rule}."
        + ("" if BEST in sources.rules else " The earlier records have no other rule.")
    )
    pairs = order_of_report(images)
    ordered = (
        "- **The order of the models.** By one run each, the report has every ID model before "
        f"every baseline model, in {sum(pairs.values())} pairs. Of these, ours have ID better in "
        f"{pairs['better']} and worse in {pairs['worse']}; in {pairs['open']} the interval holds "
        f"zero{_unknown(pairs['unknown'])}. {one_seed(values(images))}"
    )
    plain = gain(images, nll, "id", "baseline student")
    both = gain(images, nll, "id smoothed", "baseline smoothed student")
    told = gain(
        translation, bleu, "id", "baseline student", BEST if BEST in sources.rules else LOSS
    )
    untold = (
        "- **What was not told.** A base model with ID, one training, against a self-distilled "
        f"student of the baseline, two: it gains {plain.words} on images, {both.words} with both "
        f"smoothed, and {told.words} in translation."
    )
    return "\n".join([confounded, chosen, ordered, untold])


def _by_rule(sources: Sources, bleu: Measure) -> str:
    return "; ".join(
        f"{IN_SENTENCE[rule]} {gain(sources.translation, bleu, 'id', selection=rule).words}"
        for rule in sources.rules
    )


def direction(sources: Sources, protocol: Protocol) -> str:
    """What stands of the report's translation result, beside the rule that it was told by."""
    _, bleu = measures(protocol)
    signs = {gain(sources.translation, bleu, "id", selection=r).sign for r in sources.rules}
    said = (
        "The direction of the report's translation result stands as an observation, with one run "
        "for each model at the checkpoint that such scripts keep (A22). In our runs the gain in "
        f"SacreBLEU is {_by_rule(sources, bleu)}"
    )
    if {"better", "worse"} <= signs:
        return f"{said}: the direction is that of a rule of selection as much as of the method."
    return f"{said}."


def _unknown(number: int) -> str:
    return f", and {number} have no interval yet" if number else ""


def standing(sources_kinds: dict[str, str], found: StudyRecords) -> str:
    """What the records are, and which registered runs are missing and how to make them."""
    kinds = "; ".join(f"{study}: {kind}" for study, kind in sources_kinds.items())
    told = (
        f"Mean over seeds and 95 % interval over them. Records by study: {kinds}. Registered runs "
        "take the place of earlier evidence, which has other seeds and settings and confirms "
        f"nothing, once every line of a study has {found.protocol.rules.fewest_seeds} of them."
    )
    missing = found.missing(list(sources_kinds))
    return f"{told} Of the registered ones:\n\n{missing}" if missing else told


def pilots(protocol: Protocol, study: str = "translation") -> str:
    """What the pilots of a study showed, as the protocol has it, as a quotation in Markdown."""
    return "\n>\n".join(
        f"> {pilot.what.strip()}" for pilot in protocol.pilots if pilot.study == study
    )


def findings_table() -> str:
    """The findings A1–A22 as a table in Markdown."""
    rows = [
        {
            "": f"**{finding.id}**",
            "where": finding.where,
            "the text says": finding.text,
            "the code does": finding.code,
            "consequence": finding.consequence,
        }
        for finding in AUDIT
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False))
