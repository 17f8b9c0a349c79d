"""Small data sets in GLUE's schema, and a tiny tokenizer and encoder for them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from made_up.tables import write_table
from made_up.tokenizers import as_fast, write_bert
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

WORDS = "the a cell table menu file text button open close select insert row column page".split()
GOOD, BAD = ("fine", "nice", "great"), ("poor", "bad", "awful")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Different sentences of 2 to 9 words; those of class 1 have a good word, the others a bad."""
    random_ = random.Random(seed)
    found: dict[str, int] = {}
    while len(found) < count:
        label = len(found) % 2
        words = random_.choices(WORDS, k=random_.randint(1, 8))
        words.insert(random_.randrange(len(words) + 1), random_.choice(GOOD if label else BAD))
        found[" ".join(words)] = label
    return [{"sentence": text, "label": label} for text, label in found.items()]


def pairs(count: int, seed: int) -> list[dict[str, Any]]:
    """Pairs of sentences and their similarity, 0 to 5: the share of common words, in fifths."""
    random_ = random.Random(seed)
    found = []
    for _ in range(count):
        first = random_.choices(WORDS, k=random_.randint(2, 8))
        second = [random_.choice((word, random_.choice(WORDS))) for word in first]
        same = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
        texts = {"sentence1": " ".join(first), "sentence2": " ".join(second)}
        found.append({**texts, "label": round(25 * same) / 5})
    return found


COUNTS = {"train": 48, "validation": 16, "test": 20}


def splits(make=sentences) -> dict[str, list[dict[str, Any]]]:
    return {name: make(count, seed) for seed, (name, count) in enumerate(COUNTS.items())}


def write_parquet(
    path: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None
) -> None:
    """A table, whose labels may have names."""
    write_table(path, rows, {"label": names} if names else None)


def write_dataset(root: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """A folder of one table of lines a split."""
    for name, rows in tables.items():
        write_table(root / f"{name}.jsonl", rows)
    return root


GLUE = {  # columns of each data set, and the names of its classes
    "cola": (("sentence",), ("unacceptable", "acceptable")),
    "sst2": (("sentence",), ("negative", "positive")),
    "mrpc": (("sentence1", "sentence2"), ("not_equivalent", "equivalent")),
    "stsb": (("sentence1", "sentence2"), None),
    "qqp": (("question1", "question2"), ("not_duplicate", "duplicate")),
    "mnli": (("premise", "hypothesis"), ("entailment", "neutral", "contradiction")),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment")),
    "rte": (("sentence1", "sentence2"), ("entailment", "not_entailment")),
}
GLUE_TRAINING, GLUE_VALIDATION = 80, 12


def glue_rows(dataset: str, count: int, seed: int) -> list[dict[str, Any]]:
    columns, names = GLUE[dataset]
    found = []
    for index, row in enumerate(pairs(count, seed)):
        texts = dict(zip(columns, (row["sentence1"], row["sentence2"]), strict=False))
        label = row["label"] if names is None else index % len(names)
        found.append({**texts, "label": label, "idx": index})
    return found


def write_glue(root: Path, dataset: str, changed=lambda split, rows: rows) -> Path:
    """One data set as it lies on the hub, the labels of its test splits hidden.

    The training split is ``glue_rows(dataset, GLUE_TRAINING, 0)``, validation (of MNLI the matched
    one) ``glue_rows(dataset, GLUE_VALIDATION, 1)``.
    """
    kinds = ("_matched", "_mismatched") if dataset == "mnli" else ("",)
    counts = {"train": GLUE_TRAINING, **{f"validation{k}": GLUE_VALIDATION for k in kinds}}
    counts |= {f"test{kind}": 10 for kind in kinds}
    for seed, (split, count) in enumerate(counts.items()):
        rows = glue_rows(dataset, count, seed)
        if split.startswith("test"):
            rows = [{**row, "label": -1.0 if dataset == "stsb" else -1} for row in rows]
        path = root / dataset / f"{split}-00000-of-00001.parquet"
        write_parquet(path, changed(split, rows), GLUE[dataset][1])
    return root


def tokenizer(types: bool = True, letters: bool = False) -> Any:
    """A fast tokenizer of whole words with BERT's special tokens.

    With ``types`` it has token types; with ``letters`` a token is one printable ASCII character
    (all others fold to one of them), so that it knows any English text.
    """
    known = [chr(i) for i in range(33, 127)] if letters else [*WORDS, *GOOD, *BAD]
    tokens = {token: number for number, token in enumerate([*SPECIAL, *known])}
    model = Tokenizer(models.WordLevel(tokens, unk_token="[UNK]"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    if letters:
        model.normalizer = normalizers.Replace(Regex(r"[^\x20-\x7e]"), "~")
        each = pre_tokenizers.Split(Regex("."), "isolated")
        model.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), each])
    return as_fast(model, SPECIAL, types=types, max_length=64)


def write_encoder(folder: Path, letters: bool = False) -> Path:
    """A BERT of two layers of width 16 with random weights, and its tokenizer."""
    return write_bert(folder, tokenizer(letters=letters), pooler=True)
