"""What the page of translation says beside its tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from idlib.metrics import bleu
from idlib.metrics.names import LOSS, at, steps_of
from idlib.records import Record
from idlib.report.conditions import METHOD_NAMES
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
        ahead = f"ahead on average at {len(part) - len(behind)} of {len(part)} setting(s)"
        named = f"; not ahead at {', '.join(lost)}" if lost else ""
        lines.append(f"- {TRANSLATION.metric(str(key)).title}: {ahead}{named}")
    return "\n".join(["ID against its baseline:", "", *lines])


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
