"""How long the embedded texts are."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from idlib.explain.data.tables import Corpus
from idlib.explain.style import closed, white_grid
from idlib.report.figures.style import FONT_SCALE, WIDTH


def text_lengths(corpus: Corpus) -> pd.DataFrame:
    """The length of each training text, in the unit that its name tells."""
    pairs = corpus.pairs("train")
    lengths = {
        "German (words)": [len(pair["de"].split()) for pair in pairs],
        "English (words)": [len(pair["en"].split()) for pair in pairs],
        "tagged (tokens)": [len(row["tokens"]) for row in corpus.rows["tagging/en/train"]],
        "contexts (characters)": [len(row["context"]) for row in corpus.rows["answering/en/train"]],
    }
    parts = [pd.DataFrame({"length": found, "text": text}) for text, found in lengths.items()]
    return pd.concat(parts, ignore_index=True)


def lengths_figure(lengths: pd.DataFrame) -> Figure:
    """Histograms of :func:`text_lengths`, a panel for each kind of text."""
    with white_grid(FONT_SCALE):
        grid = sns.displot(
            lengths,
            x="length",
            col="text",
            col_wrap=2,
            bins=30,
            common_bins=False,
            height=2.4,
            aspect=WIDTH / 2 / 2.4,
            color="#0072B2",
            facet_kws={"sharex": False, "sharey": False},
        )
        grid.set_titles("{col_name}").set_axis_labels("", "rows")
        return closed(grid.figure)


def parallel_lengths(corpus: Corpus) -> pd.DataFrame:
    """Tokens of the tagged test paragraphs that every language has, by language."""
    return pd.DataFrame(
        {"language": language, "tokens": len(row["tokens"])}
        for language in corpus.languages
        for row in corpus.rows[f"tagging/{language}/test"]
        if row["parallel"]
    )


def parallel_lengths_figure(lengths: pd.DataFrame) -> Figure:
    """Box plots of :func:`parallel_lengths`, one for each language."""
    look = {"color": "#56B4E9", "linewidth": 0.8, "fliersize": 2}
    with white_grid(FONT_SCALE):
        figure, axes = plt.subplots(figsize=(WIDTH, 3))
        sns.boxplot(lengths, x="language", y="tokens", ax=axes, **look)
        axes.set(xlabel="", ylabel="tokens")
        return closed(figure)
