"""What the published comparison mixes with label smoothing, and repeats (A1, A2)."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from idlib.audit.bugs import smoothing_confound
from idlib.audit.findings import Derived, repeated_pairs
from idlib.records import Record
from idlib.report.conditions import role
from idlib.report.metrics import NLL, STD, STD_NORMALIZED
from idlib.report.tasks.images import IMAGES
from idlib.report.text import signed


def confound(records: Iterable[Record]) -> pd.DataFrame:
    """The comparisons of :func:`idlib.audit.bugs.smoothing_confound`, a row for each role."""
    table = pd.DataFrame(smoothing_confound(records))
    table["model"] = table.pop("round").map(role)
    return table.set_index("model")


def written_gains(table: pd.DataFrame) -> pd.DataFrame:
    """The gains of :func:`confound` with their signs."""
    gains = table.drop(columns="seeds").map(lambda gain: signed(gain, "+.3f"))
    return gains.assign(seeds=table["seeds"])


def confound_sentence(table: pd.DataFrame) -> str:
    """What the comparison as published gives ID, and what the matched ones do."""
    row = table.loc[role(0)]
    ours = {name: signed(row[name], "+.3f") for name in row.index if name != "seeds"}
    return (
        "For our base models the comparison as published gives ID a gain of "
        f"{ours['as compared']} nats. Matched, it is {ours['matched, s = 0']} at s = 0 and "
        f"{ours['matched, s = 0.1']} at s = 0.1. Smoothing alone gives the baseline "
        f"{ours['smoothing alone']}. Seeds in these means: {row['seeds']:.0f}. "
        f"Whether a gain is more than chance is judged on {{doc}}`images`."
    )


def repeats() -> pd.DataFrame:
    """The report's figures of the models that its code trains alike, in the units of the tables."""
    columns = {}
    for metric in (NLL, STD, STD_NORMALIZED):
        pairs = repeated_pairs(IMAGES.earlier_report[metric.key])
        for place, run in enumerate(("one run", "the other")):
            columns[metric.title, run] = {
                model: metric.scale * pair[place] for model, pair in pairs.items()
            }
    return pd.DataFrame(columns)


def repeats_sentence(printed: Iterable[Derived]) -> str:
    """How far such models lie apart, beside the report's mean gain of ID."""
    gain = next(figure.computed for figure in printed if "mean gain" in figure.what)
    losses = repeated_pairs(IMAGES.earlier_report[NLL.key])
    apart = {model: abs(one - other) for model, (one, other) in losses.items()}
    stds = repeated_pairs(IMAGES.earlier_report[STD.key])
    ratios = {model: max(pair) / min(pair) for model, pair in stds.items()}
    farthest, largest = max(apart, key=apart.__getitem__), max(ratios, key=ratios.__getitem__)
    return (
        f"The two runs of the {farthest} lie {apart[farthest]:.3f} nats apart, where the mean gain "
        f"of ID is {gain:.3f}. The raw std of sensitivity differs between two such runs by a "
        f"factor of up to {ratios[largest]:.1f} ({largest}). With one seed for each model such "
        "differences cannot be told from an effect."
    )
