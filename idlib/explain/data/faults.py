"""What is wrong with the embedded text: near-duplicates, easy questions, uneven pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from idlib.data.duplicates import nearest
from idlib.data.folding import fold
from idlib.data.sources import SPLITS
from idlib.explain.data.tables import Corpus, Row

TWICE = 2  # as many characters on one side of a pair as on the other, or more: counted

# By table and column: the text of a row whose likeness to training is counted.
COMPARED: dict[tuple[str, str], Callable[[Row], str]] = {
    ("translation", "de"): lambda row: row["translation"]["de"],
    ("translation", "en"): lambda row: row["translation"]["en"],
    ("tagging/en", "tokens"): lambda row: " ".join(row["tokens"]),
    ("answering/en", "context"): lambda row: row["context"],
    ("classification/application", "sentence"): lambda row: row["sentence"],
    ("classification/heading", "sentence2"): lambda row: row["sentence2"],
}


def likeness_to_training(corpus: Corpus) -> dict[tuple[str, str], np.ndarray]:
    """The likeness of each test text to the training text nearest to it, by task and column.

    It is ``idlib.data.duplicates.nearest``'s, in 0..1.
    """
    return {
        (task, column): nearest(
            [read_text(row) for row in corpus.rows[f"{task}/test"]],
            [read_text(row) for row in corpus.rows[f"{task}/train"]],
        )
        for (task, column), read_text in COMPARED.items()
    }


def duplicates(likeness: Mapping[tuple[str, str], np.ndarray], threshold: float) -> pd.DataFrame:
    """How many test texts come as near to training as a threshold, and how many are the same."""
    return pd.DataFrame(
        {
            "task": task,
            "text": column,
            "test items": len(index),
            f"at {threshold:g} or above": (index >= threshold).sum(),
            "share": (index >= threshold).mean(),
            "the same": (index == 1).sum(),
            "median index": np.median(index),
        }
        for (task, column), index in likeness.items()
    )


def closest_pair(corpus: Corpus, likeness: np.ndarray) -> pd.DataFrame:
    """The English test sentence of translation that is most like a training sentence, and that one.

    Args:
        corpus: the tables.
        likeness: of the English test sentences, of :func:`likeness_to_training`.
    """
    test = corpus.pairs("test")[likeness.argmax()]["en"]
    training = [pair["en"] for pair in corpus.pairs("train")]
    found = training[nearest(training, [test]).argmax()]
    return pd.DataFrame({"test": [test], "training": [found], "index": [likeness.max()]})


def named_in_answer(corpus: Corpus) -> dict[str, float]:
    """The share of English questions whose command stands in the answer word for word, by split."""
    template = corpus.rows["answering/en/test"][0]["question"].split("“")[0]
    shares = {}
    for split in SPLITS:
        rows = corpus.rows[f"answering/en/{split}"]
        found = [
            fold(row["question"].removeprefix(template)) in fold(row["answers"]["text"][0])
            for row in rows
        ]
        shares[split] = sum(found) / len(found)
    return shares


def listed(shares: Mapping[str, float]) -> str:
    """Shares by name, as percentages in one line.

    >>> listed({"train": 0.5, "test": 0.25})
    'train 50%, test 25%.'
    """
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) + "."


def length_ratios(pairs: Sequence[Mapping[str, str]]) -> pd.Series[float]:
    """The length of the longer side of each pair over that of the shorter, in characters."""
    lengths = [sorted(len(text) for text in pair.values()) for pair in pairs]
    return pd.Series([longer / shorter for shorter, longer in lengths])


def uneven(ratios: pd.Series[float]) -> str:
    """The share of ratios above two, and the largest, in words."""
    share = (ratios > TWICE).mean()
    return f"{share:.1%} of {len(ratios):,} pairs; the largest ratio is {ratios.max():.1f}."
