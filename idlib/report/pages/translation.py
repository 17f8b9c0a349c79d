"""What the page of translation says beside its tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from idlib.metrics import bleu
from idlib.metrics.names import BEST, LAST, LOSS, RULES, SELECTIONS, at, one_checkpoint, steps_of
from idlib.records import Record
from idlib.report.balance import ratio
from idlib.report.board import Board
from idlib.report.conditions import METHOD_NAMES, Condition, role
from idlib.report.designs import selection_of
from idlib.report.metrics import NLL, STD
from idlib.report.pages.regime.room import NOT_KNOWN, more_updates, reading, underfits
from idlib.report.paired import StudyRecords
from idlib.report.regime import turn
from idlib.report.results import Results
from idlib.report.tables import gains, of_build, size
from idlib.report.tasks.translation import (
    CARD_GB,
    EPOCHS,
    SCORING_SECONDS,
    SMOOTHED_BITS,
    TRANSLATION,
    UPDATES,
)
from idlib.report.text import NOT_STATED, NOTHING, bullets, counted, span


def signature() -> str:
    """SacreBLEU's signature of our scores, and of the others'."""
    return f"Signature of our scores: `{bleu.signature()}`. That of the others: {NOT_STATED}."


def gain_in_each_metric(results: Results) -> str:
    """C1's differences, and whether each mean is for the better, as a list in Markdown."""
    lines = []
    for c in results.compared["C1"].comparisons:
        if c.interval is not None:
            mean = c.interval.mean
            better = mean > 0 if c.better == "above" else mean < 0
            said = "for the better" if better else "not for the better"
            lines.append(f"- {c.metric.name}: {c.in_words()}, {said}")
    head = f"ID against its baseline, the mean over seeds ({results.label}):"
    return "\n".join([head, "", *lines])


def chosen_by(results: Results) -> str:
    """The rule behind the metrics without one in their names: of earlier evidence the loss."""
    same = all(one_checkpoint(r.measured.metrics, BEST, LOSS) for r in results.judged)
    return LOSS if same else BEST


def left_to_distillation(results: Results) -> str:
    """What a round of self-distillation changes after the baseline and after intra-distillation.

    C5 is judged by half of the first, so that its outcome does not say what is left.
    """
    rule = selection_of(results.task, "C5")
    found = {
        (c.label.partition(",")[0], c.metric.key): c.in_words()
        for c in results.compared["C5"].comparisons
        if f", {role(1)} − " in c.label and c.interval is not None and not c.main
    }
    told = []
    for key, name, by in (
        (at(NLL.key, rule), "test NLL", rule),
        ("test/bleu", "test SacreBLEU", chosen_by(results)),
    ):
        ours, baseline = (found.get((METHOD_NAMES[m], key)) for m in ("id", "baseline"))
        if ours and baseline:
            told.append(
                f"- {name}, {RULES[by]}: {ours} after intra-distillation, {baseline} after the "
                "baseline"
            )
    if not told:
        return "There are no students whose change could be told."
    head = (
        "C5 asks whether less than half of what a round of self-distillation takes off the "
        "baseline's NLL is left after intra-distillation, and not whether anything is. What a "
        f"round changes ({results.label}):"
    )
    return "\n".join([head, "", *told])


def std_at_each_checkpoint(results: Results) -> str:
    """The std of sensitivity of intra-distillation over the baseline's by each rule.

    The records keep the distribution of one checkpoint alone.
    """
    judged, plain = selection_of(results.task, "C4"), chosen_by(results)
    smoothing = results.report.smoothings[0]
    cells = {
        method: results.by_condition.get(Condition(method, 0, smoothing), {})
        for method in ("id", "baseline")
    }
    told = []
    for rule in SELECTIONS if plain == BEST else (LOSS, LAST):
        if found := ratio(cells, STD.key, "id", "baseline", rule):
            here = ", where C4 is judged" if rule == judged else ""
            told.append(f"× {found.mean:.2f} at the {RULES[rule]}{here}")
    said = f"The distribution is that at the {RULES[plain]}, which alone the records keep."
    if not told:
        return said
    return (
        f"{said} The std of sensitivity of intra-distillation over the baseline's, the geometric "
        f"mean over seeds: {'; '.join(told)} ({results.label})."
    )


def brevity(results: Results) -> pd.DataFrame:
    """How much of the judged base models' SacreBLEU the brevity penalty takes off."""
    rows = {}
    for method, records in results.base_models.items():
        found = pd.DataFrame([record.measured.metrics for record in records])
        ratio = found["test/length_ratio"]
        penalty = ratio.map(bleu.brevity_penalty)
        rows[METHOD_NAMES[method]] = {
            "hypotheses / references": f"{ratio.mean():.3f}",
            "brevity penalty": f"{penalty.mean():.3f}",
            "SacreBLEU": f"{found['test/bleu'].mean():.2f}",
            "without the penalty": f"{(found['test/bleu'] / penalty).mean():.2f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(f"base model, {results.label}")


def where_the_baseline_overfits(results: Results, near: float = 0.03) -> str:
    """Where the baselines' validation NLL is lowest, within ``near`` nats of that, and at the end.

    Of each the least and the most over seeds. The curve tells where it is lowest, and not the
    checkpoint of the record's plain names, which SacreBLEU chose in records of today.
    """
    records = results.base_models.get("baseline", ())
    if not records:
        return "There is no record of a baseline."
    turns = [turn(record) for record in records]
    reached = [_first_within(record, near) for record in records]
    last = steps_of(records[0].measured.curves, "validation/nll")[-1]
    never = sum(one.share == 1 for one in turns)
    text = (
        f"In the baselines ({results.label}) the validation NLL is lowest at update "
        f"{span([one.update for one in turns], ',.0f')} of {last:,.0f}, within {near:g} nats of "
        f"that from update {span(reached, ',.0f')} on, and at the last update "
        f"{span([one.rise for one in turns], '.3f')} nats above it (over seeds, the least and the "
        "most)."
    )
    some = f"With {never} of {counted(len(turns), 'seed')} the lowest is the last: the curve has"
    return f"{text} {some} not turned." if never else text


def _first_within(record: Record, near: float) -> float:
    """The first update at which the validation NLL is within ``near`` nats of its lowest."""
    losses = np.array(record.measured.curves["validation/nll"])
    first = int(np.argmax(losses < losses.min() + near))
    return steps_of(record.measured.curves, "validation/nll")[first]


def more_updates_in_sacrebleu(board: Board) -> str:
    """Whether the baseline underfits by SacreBLEU, which a loss that has turned does not tell."""
    found, study = StudyRecords(board.protocol, board.records), "translation"
    one = more_updates(found)[study]
    if reading(one) == NOT_KNOWN:
        return "Whether the baseline underfits by SacreBLEU is not known yet."
    said = underfits(found, study) or (
        f"The baseline gains {one.words} from K times the updates alone: {reading(one)}, the "
        "smallest effect of interest"
    )
    return f"A loss that has turned does not say that SacreBLEU has. {said}."


def likelihood_in_bits(results: Results) -> str:
    """The earlier report's "cross-entropy" is a smoothed loss in bits; its NLL, and ours.

    Ours at the checkpoint of lowest validation loss, as theirs.
    """
    stated = TRANSLATION.earlier_report["validation/bits"]
    theirs = {condition.method: value for condition, value in stated.items()}
    ours = {}
    for method in theirs:
        records = results.base_models.get(method, ())
        found = [record.measured.metrics.get(at("validation/bits", LOSS)) for record in records]
        values = [value for value in found if value is not None]
        ours[method] = f"{np.mean(values):.3f}" if values else NOTHING
    return (
        f"The earlier report gives a validation cross-entropy of {SMOOTHED_BITS['baseline']} for "
        f"the baseline and {SMOOTHED_BITS['id']} for intra-distillation. That is the "
        "label-smoothed loss in bits; the negative log-likelihood in its logs is "
        f"{theirs['baseline']} and {theirs['id']} bits a token (A16). Here, on other data and at "
        "the lowest validation loss too, it is "
        f"{ours['baseline']} and {ours['id']} bits ({results.label})."
    )


def parameters_measured(results: Results) -> str:
    """How many parameters sensitivity is measured of, and how many are counted apart."""
    metrics = [record.measured.metrics for record in results.judged]
    counted = sorted({found["sensitivity/parameters"] for found in metrics})
    apart = sorted({found.get("sensitivity/excluded", 0) for found in metrics})
    return (
        f"Parameters measured in each model: {' or '.join(f'{n:,.0f}' for n in counted)}; "
        f"counted apart: {' or '.join(f'{n:,.0f}' for n in apart)}."
    )


def gain_by_rule(board: Board) -> str:
    """What the registered runs gain by each rule, for the reader of a gain by one of them."""
    own, told = board.decisions["C1"].line.selection, []
    for rule, one in board.under_each_rule["C1"].items():
        if one.interval is not None:
            judged = ", by which C1 is judged" if rule == own else ""
            told.append(f"{board.effect(one)} at the {RULES[rule]}{judged}")
    if not told:
        return "No registered run shows yet what the rule makes of a gain."
    return (
        "What the rule makes of a gain ({ref}`regime-selection`): that of the registered runs in "
        f"test SacreBLEU is {'; '.join(told)}."
    )


def where_the_gain_is(swept: Sequence[Record]) -> str:
    """At how many settings intra-distillation is ahead on average, as a list in Markdown."""
    found = gains(swept)
    if found.empty:
        return "Nothing was measured."
    means = found.groupby(["metric", "epochs", "train"])["gain"].mean().reset_index()
    lines = []
    for key, part in means.groupby("metric"):
        behind = part[part["gain"] <= 0]
        lost = [
            f"{epochs} epochs of {size(train)} pairs"
            for epochs, train in zip(behind["epochs"], behind["train"], strict=True)
        ]
        ahead = f"ahead on average at {len(part) - len(behind)} of {counted(len(part), 'setting')}"
        named = f"; not ahead at {', '.join(lost)}" if lost else ""
        lines.append(f"- {TRANSLATION.metric(str(key)).title}: {ahead}{named}")
    seeds = counted(found["seed"].nunique(), "seed")
    return "\n".join([f"ID against its baseline, means over {seeds}:", "", *lines])


def gains_by_seed(swept: Sequence[Record]) -> pd.DataFrame:
    """The gain at each setting, a column for each seed."""
    found = gains(swept)
    metrics = [TRANSLATION.metric(key) for key in found["metric"]]
    texts = [m.difference(gain) for m, gain in zip(metrics, found["gain"], strict=True)]
    shown = found.assign(metric=[m.title for m in metrics], gain=texts)
    index = ["metric", "epochs", "train", "seed"]
    table = shown.set_index(index)["gain"].unstack(fill_value=NOTHING)
    return table.rename({np.inf: "all"}, level="train")


def shorter_grid(results: Results, swept: Sequence[Record]) -> str:
    """The same rules on the grid of half the epochs, and where its validation NLL is lowest."""
    settings = results.judged[0].asked.settings
    half = settings["epochs"] // 2
    shorter = [
        record
        for record in swept
        if record.asked.settings["epochs"] == half
        and record.asked.settings["examples"] == settings["examples"]
    ]
    head = f"{half} epochs, {len(shorter)} records:"
    if not shorter:
        return f"{head}\n\nNo records."
    before = Results("translation", results.profile, results.source, shorter)
    lowest = bullets(before.past_lowest(["baseline", "id"]))
    compared = of_build(before).reset_index().to_markdown(index=False)
    return f"{head}\n\n{compared}\n\nIts validation NLL:\n\n{lowest}"


def published_cost() -> str:
    """What the earlier report says of its runs, and what its logs contradict."""
    cost = TRANSLATION.cost
    return (
        f"The earlier report trained {UPDATES:,} updates ({EPOCHS} epochs) on one "
        f"{cost['id'].gpu}, and scored the test set in {SCORING_SECONDS:g} s. It states "
        f"{cost['id'].gpu_gb} GB of GPU memory for intra-distillation and "
        f"{cost['baseline'].gpu_gb} GB for the baseline; its published logs show a card of "
        f"{CARD_GB} GB, with peaks of at most {cost['id'].logged_gb} and "
        f"{cost['baseline'].logged_gb} GB (A15)."
    )
