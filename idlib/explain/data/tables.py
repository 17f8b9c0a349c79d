"""The tables of the embedded text: where they come from, and how much there is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from idlib.data.languages import ENGLISH
from idlib.data.sources import SPLITS

ACROSS_LANGUAGES = ("tagging", "answering")
Row = dict[str, Any]


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


def _title(licence: Path) -> str:
    """The first line of a licence that has words."""
    lines = licence.read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if line.strip())


def _begun(rows: Sequence[Row], tags: Sequence[str]) -> Counter[str]:
    """Entities of tagged rows by kind: an entity begins with a tag B-."""
    names = [tags[tag] for row in rows for tag in row["ner_tags"]]
    return Counter(name.removeprefix("B-") for name in names if name.startswith("B-"))
