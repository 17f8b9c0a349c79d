"""The data page: what ships with the project, how much there is, and what is wrong with it."""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from torch import Tensor, nn

from idlib.data.duplicates import nearest
from idlib.data.folding import fold
from idlib.data.images import ImageData
from idlib.data.languages import ENGLISH
from idlib.data.sources import SPLITS
from idlib.explain.style import closed, white_grid
from idlib.models import embedded_encoder, encoders
from idlib.report.figures.style import FONT_SCALE, WIDTH

ACROSS_LANGUAGES = ("tagging", "answering")
TWICE = 2  # as many characters on one side of a pair as on the other, or more: counted

Row = dict[str, Any]

# By table and column: the text of a row whose likeness to training is counted.
COMPARED: dict[tuple[str, str], Callable[[Row], str]] = {
    ("translation", "de"): lambda row: row["translation"]["de"],
    ("translation", "en"): lambda row: row["translation"]["en"],
    ("tagging/en", "tokens"): lambda row: " ".join(row["tokens"]),
    ("answering/en", "context"): lambda row: row["context"],
    ("classification/application", "sentence"): lambda row: row["sentence"],
    ("classification/heading", "sentence2"): lambda row: row["sentence2"],
}


@dataclass(frozen=True)
class Corpus:
    """The tables of the embedded text.

    Attributes:
        rows: of each table by its name, such as ``tagging/en/train``.
        features: what each table says of its columns, in the form of Hugging Face's ``datasets``.
    """

    rows: Mapping[str, Sequence[Row]]
    features: Mapping[str, dict[str, Any]]

    @property
    def languages(self) -> list[str]:
        """The languages with tagged text, English first."""
        found = {name.split("/")[1] for name in self.rows if name.startswith("tagging/")}
        return sorted(found, key=lambda language: (language != ENGLISH, language))

    @property
    def tags(self) -> list[str]:
        """The names of the tags by their numbers: ``O``, ``B-MENU``, ``I-MENU`` and so on."""
        return list(self.features["tagging/en/test"]["ner_tags"]["feature"]["names"])

    def pairs(self, split: str) -> list[dict[str, str]]:
        """The sentence pairs of translation, by language."""
        return [row["translation"] for row in self.rows[f"translation/{split}"]]


def read(root: Path) -> Corpus:
    """All parquet tables below a folder."""
    import pyarrow.parquet as pq

    paths = sorted(root.rglob("*.parquet"))
    tables = {p.relative_to(root).with_suffix("").as_posix(): pq.read_table(p) for p in paths}
    features = {
        name: json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        for name, table in tables.items()
    }
    return Corpus({name: table.to_pylist() for name, table in tables.items()}, features)


# --- source and sizes ------------------------------------------------------------------------


def provenance(root: Path) -> str:
    """The packages that a folder's ``SOURCE.md`` lists, and the titles of its licences."""
    lines = (root / "SOURCE.md").read_text(encoding="utf-8").splitlines()
    packages = [line.split()[1:3] for line in lines if line.startswith("- `libre")]
    version = Counter(version for _, version in packages).most_common(1)[0][0]
    names = ", ".join(name for name, _ in packages)
    licences = [f"{_title(path)} (`{path.name}`)" for path in sorted(root.glob("LICENSE*"))]
    return (
        f"{len(packages)} packages of version `{version}`: {names}. Licence: {'; '.join(licences)}."
    )


def split_sizes(corpus: Corpus) -> pd.DataFrame:
    """Rows by split of each task that has training data, in English."""
    tasks = ["translation", "tagging/en", "answering/en"]
    tasks += [f"classification/{name}" for name in data_sets(corpus)]
    sizes = pd.DataFrame(
        {split: [len(corpus.rows[f"{task}/{split}"]) for task in tasks] for split in SPLITS}
    )
    names = [task.replace("/en", " (English)").removeprefix("classification/") for task in tasks]
    return sizes.set_axis(pd.Index(names))


def data_sets(corpus: Corpus) -> list[str]:
    """The data sets of classification."""
    names = [name.split("/") for name in corpus.rows]
    return sorted({parts[1] for parts in names if parts[0] == "classification"})


def test_sizes(corpus: Corpus) -> pd.DataFrame:
    """Test items by language: all of them, and those that every language has."""
    columns = {}
    for task in ACROSS_LANGUAGES:
        tests = [corpus.rows[f"{task}/{language}/test"] for language in corpus.languages]
        columns[task, "test"] = [len(rows) for rows in tests]
        columns[task, "parallel"] = [sum(row["parallel"] for row in rows) for rows in tests]
    return pd.DataFrame(columns, index=corpus.languages)


def entity_counts(corpus: Corpus) -> pd.DataFrame:
    """Entities by kind: a row for each split of English, and for each other language's test set."""
    tags = corpus.tags
    kinds = [tag.removeprefix("B-") for tag in tags if tag.startswith("B-")]
    tables = [(split, ENGLISH) for split in SPLITS]
    tables += [("test", language) for language in corpus.languages if language != ENGLISH]
    counts = {
        (split, language): _begun(corpus.rows[f"tagging/{language}/{split}"], tags)
        for split, language in tables
    }
    return pd.DataFrame(counts).reindex(kinds).fillna(0).astype(int).T


# --- lengths ---------------------------------------------------------------------------------


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


# --- examples --------------------------------------------------------------------------------


def tagged_examples(corpus: Corpus, number: int, languages: Sequence[str]) -> str:
    """The first tagged paragraphs that every language has, as an HTML table of marked text."""
    english = corpus.rows["tagging/en/test"]
    chosen = [row["id"] for row in english if row["parallel"] and any(row["ner_tags"])][:number]
    lines = []
    for item in chosen:
        for language in languages:
            row = _with_id(corpus.rows[f"tagging/{language}/test"], item)
            lines.append(
                f"<tr><td>{html.escape(language)}</td><td>{marked(row, corpus.tags)}</td></tr>"
            )
    return f"<table>{''.join(lines)}</table>"


def marked(row: Row, tags: Sequence[str]) -> str:
    """The text of a tagged row as HTML: each entity in bold, its kind before it.

    Args:
        row: with its ``tokens``, the numbers of their tags ``ner_tags``, and ``spaces``, whether a
            space follows each token.
        tags: names of the tags by number.

    >>> row = {"tokens": ["Press", "Ctrl"], "ner_tags": [0, 1], "spaces": [True, False]}
    >>> marked(row, ["O", "B-KEY", "I-KEY"])
    'Press <sub>KEY</sub><b>Ctrl</b>'
    """
    text, inside = "", False
    for token, tag, space in zip(row["tokens"], row["ner_tags"], row["spaces"], strict=True):
        place, _, kind = tags[tag].partition("-")
        if inside and place != "I":
            text += "</b>"
        if place == "B":
            text += f"<sub>{html.escape(kind)}</sub><b>"
        text += html.escape(token) + (" " if space else "")
        inside = place != "O"
    return text + ("</b>" if inside else "")


def question_examples(corpus: Corpus, number: int, languages: Sequence[str]) -> Styler:
    """The first questions that every language has, with their contexts and answers."""
    english = corpus.rows["answering/en/test"]
    rows = []
    for item in [row["id"] for row in english if row["parallel"]][:number]:
        for language in languages:
            row = _with_id(corpus.rows[f"answering/{language}/test"], item)
            answers = " / ".join(row["answers"]["text"])
            rows.append((language, row["question"], row["context"], answers))
    table = pd.DataFrame(rows, columns=["language", "question", "context", "answers"])
    lines = {"white-space": "pre-line"}
    return table.style.hide(axis="index").set_properties(subset=["context"], **lines)


def classified_examples(corpus: Corpus, name: str, number: int) -> Styler:
    """The first test items of a data set of classification, with the names of their labels."""
    table = f"classification/{name}/test"
    labels = corpus.features[table]["label"]["names"]
    shown = pd.DataFrame(corpus.rows[table]).drop(columns="idx")[:number]
    shown["label"] = [labels[label] for label in shown["label"]]
    return shown.style.hide(axis="index")


# --- faults ----------------------------------------------------------------------------------


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


# --- the encoder -----------------------------------------------------------------------------


def encoder_facts() -> dict[str, object]:
    """Size of the embedded encoder."""
    config = embedded_encoder.config()
    size = sum(path.stat().st_size for path in embedded_encoder.FOLDER.iterdir())
    return {
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "heads": config.num_attention_heads,
        "feed-forward width": config.intermediate_size,
        "subwords kept": config.vocab_size,
        "longest input, subwords": embedded_encoder.MAX_TOKENS,
        "MB on disk": f"{size / 1e6:.1f}",
    }


def translations_found(
    model: nn.Module, tokenizer: Any, pairs: Sequence[Mapping[str, str]]
) -> float:
    """The share of German sentences to which their own English one is nearest among all of them.

    By cosine of the encoder's mean-pooled last states.
    """
    german, english = (
        _pooled(model, tokenizer, [pair[language] for pair in pairs]) for language in ("de", "en")
    )
    found = (german @ english.T).argmax(1)  # [N]
    return float((found == torch.arange(len(pairs))).double().mean())


def subwords_per_token(corpus: Corpus, tokenizer: Any) -> dict[str, float]:
    """Subwords of the tagging test sets over their tokens, by language."""
    found = {}
    for language in corpus.languages:
        rows = corpus.rows[f"tagging/{language}/test"]
        subwords = tokenizer([_text(row) for row in rows], add_special_tokens=False)["input_ids"]
        found[language] = sum(map(len, subwords)) / sum(len(row["tokens"]) for row in rows)
    return found


# --- the images ------------------------------------------------------------------------------


def class_counts(data: ImageData) -> pd.DataFrame:
    """Images by class and split, and ``all`` of each split."""
    counts = pd.DataFrame(
        {name: Counter(split.labels.tolist()) for name, split in data.splits.items()}
    )
    counts = counts.reindex(range(len(data.classes))).fillna(0).astype(int)
    counts.index = pd.Index(data.classes)
    counts.loc["all"] = counts.sum()
    return counts


def classes_figure(data: ImageData) -> Figure:
    """The first test image of each class."""
    test = data.splits["test"]
    first = [int((test.labels == label).nonzero()[0]) for label in range(len(data.classes))]
    images = test.batch(first)["image"].mean(1)  # [classes, H, W]
    with white_grid(FONT_SCALE):
        columns = min(5, len(first))
        shape = math.ceil(len(first) / columns), columns
        figure, axes = plt.subplots(*shape, figsize=(WIDTH, 1.6 * shape[0]), squeeze=False)
        for axis in axes.flat:
            axis.axis("off")
        for axis, image, name in zip(axes.flat, images, data.classes, strict=False):
            axis.imshow(image.numpy(), cmap="gray_r")
            axis.set_title(name.replace(" / ", "/\n"), fontsize="small")
        return closed(figure)


def seen_in_training(images: Tensor, training: Tensor) -> int:
    """How many images [N, C, H, W] are among those of training [M, C, H, W], pixel by pixel."""
    seen = {image.numpy().tobytes() for image in training}
    return sum(image.numpy().tobytes() in seen for image in images)


# --- helpers ---------------------------------------------------------------------------------


def _title(licence: Path) -> str:
    """The first line of a licence that has words."""
    lines = licence.read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if line.strip())


def _begun(rows: Sequence[Row], tags: Sequence[str]) -> Counter[str]:
    """Entities of tagged rows by kind: an entity begins with a tag B-."""
    names = [tags[tag] for row in rows for tag in row["ner_tags"]]
    return Counter(name.removeprefix("B-") for name in names if name.startswith("B-"))


def _with_id(rows: Sequence[Row], item: object) -> Row:
    return next(row for row in rows if row["id"] == item)


def _text(row: Row) -> str:
    """The text of a tagged row, as it stood in the page."""
    pairs = zip(row["tokens"], row["spaces"], strict=True)
    return "".join(token + (" " if space else "") for token, space in pairs)


def _pooled(model: nn.Module, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Unit vectors [N, width] of texts: the mean of the last states of their subwords."""
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    pooled = encoders.mean_pooled(states, batch["attention_mask"])
    return torch.nn.functional.normalize(pooled, dim=-1)
