"""The committed tables of the corpus, read once, and their texts as they are compared."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from idlib.data.folding import fold

EMBEDDED = Path(__file__).parents[2] / "idlib" / "data" / "embedded"
ROOT = EMBEDDED / "libreoffice_help"
LANGUAGES = "en de es fr it nl pl ru el tr fi hu vi ja ko zh-CN".split()
OTHERS = LANGUAGES[1:]
SPLITS = ("train", "validation", "test")
CLASSIFICATION = ("application", "heading")
FILES = [f"translation/{split}" for split in SPLITS]
FILES += [f"{task}/en/{split}" for task in ("tagging", "answering") for split in SPLITS]
FILES += [f"{task}/{name}/test" for task in ("tagging", "answering") for name in OTHERS]
FILES += [f"classification/{name}/{split}" for name in CLASSIFICATION for split in SPLITS]


@cache
def rows(name: str) -> list[dict]:
    return pq.read_table(ROOT / f"{name}.parquet").to_pylist()


@cache
def features(name: str) -> dict:
    metadata = pq.read_schema(ROOT / f"{name}.parquet").metadata
    return json.loads(metadata[b"huggingface"])["info"]["features"]


def text_of(row: dict) -> str:
    """The text of a tagged paragraph, as it stood in the page."""
    spaces = (" " if space else "" for space in row["spaces"])
    return "".join(token + space for token, space in zip(row["tokens"], spaces, strict=True))


@cache
def texts(task: str, language: str, split: str) -> frozenset[str]:
    """All texts of a table, folded, none of them empty."""
    if task == "translation":
        found = [row["translation"][language] for row in rows(f"translation/{split}")]
    elif task == "tagging":
        found = [text_of(row) for row in rows(f"tagging/{language}/{split}")]
    elif task == "answering":
        every = rows(f"answering/{language}/{split}")
        found = [line for row in every for line in row["context"].split("\n")]
    else:
        columns = [name for name in features(f"{task}/{split}") if name.startswith("sentence")]
        found = [row[name] for row in rows(f"{task}/{split}") for name in columns]
    folded = frozenset(map(fold, found))
    assert "" not in folded
    return folded


def english(split: str) -> frozenset[str]:
    """All English texts of a split, in whatever task."""
    tasks = ["translation", "tagging", "answering"]
    tasks += [f"classification/{name}" for name in CLASSIFICATION]
    return frozenset().union(*(texts(task, "en", split) for task in tasks))
