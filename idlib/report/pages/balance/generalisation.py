"""Whether balance goes with generalisation."""

from __future__ import annotations

import math

import pandas as pd

from idlib.report.association import BALANCE, across_means, associate, qualities, runs_of
from idlib.report.conditions import cell_name
from idlib.report.pages.balance.words import (
    Rows,
    rho,
    signed_number,
    table,
    with_seeds,
)
from idlib.report.paired import Studies
from idlib.report.text import NOTHING


def correlations(studies: Studies, fewest: int) -> pd.DataFrame:
    """Rank correlations of balance with quality, positive where more even runs are better.

    Args:
        studies: records by study, cell and seed.
        fewest: seeds of a cell that takes part within.
    """
    rows: Rows = {}
    for study, cells in studies.items():
        for quality in qualities(cells):
            runs = runs_of(cells, *quality.asked)
            inside = with_seeds(runs, fewest)
            for figure, words in BALANCE.items():
                within = associate(inside, figure, "worse", within=True) if len(inside) else None
                total = associate(runs, figure, "worse", within=False)
                rows[study, quality.metric.name, words] = {
                    "within ways to train": rho(within),
                    "runs": NOTHING if within is None else f"{within.n} of {within.groups} ways",
                    "their means": signed_number(across_means(runs, figure, "worse")),
                    "all runs": f"{signed_number(total.rho)} (n = {total.n})",
                }
    return table(rows, "study", "score", "balance by")


def by_method(studies: Studies, fewest: int) -> pd.DataFrame:
    """The rank correlation of std with each score over the seeds of every way to train."""
    rows: Rows = {}
    for study, cells in studies.items():
        for quality in qualities(cells):
            for cell, runs in runs_of(cells, *quality.asked).groupby("group", sort=False):
                if len(runs) >= fewest:
                    found = associate(runs, "std", "worse", within=True)
                    rows[study, quality.metric.name, cell_name(str(cell))] = {
                        "rank correlation": rho(found),
                        "p": NOTHING if math.isnan(found.p) else f"{found.p:.2g}",
                        "seeds": str(found.n),
                    }
    return table(rows, "study", "score", "way to train")
