"""A small parallel corpus, in the three forms that the loaders read."""

from __future__ import annotations

import random
from pathlib import Path

from made_up.tables import write_table

from idlib.data import translation
from idlib.data.translation import Pairs

COUNTS = {"train": 60, "validation": 12, "test": 15}
TOKENS = 80  # of the vocabulary
WORDS = [
    ("Klicken", "click"), ("Sie", "you"), ("auf", "on"), ("die", "the"), ("Zelle", "cell"),
    ("Tabelle", "table"), ("und", "and"), ("wählen", "select"), ("Menü", "menu"), ("mit", "with"),
    ("Schaltfläche", "button"), ("öffnen", "open"), ("Datei", "file"), ("Text", "text"),
]  # fmt: skip


def made_up(count: int, seed: int) -> list[tuple[str, str]]:
    """Pairs of 2 to 12 words, translated word by word; no two are the same."""
    random_ = random.Random(seed)
    found: dict[tuple[str, str], None] = {}
    while len(found) < count:
        words = random_.choices(WORDS, k=random_.randint(2, 12))
        found[tuple(" ".join(side) + "." for side in zip(*words, strict=True))] = None
    return list(found)


PAIRS = {name: made_up(count, seed) for seed, (name, count) in enumerate(COUNTS.items())}


def write_text(root: Path, name: str, pairs) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for language, texts in zip(("de", "en"), zip(*pairs, strict=True), strict=True):
        (root / f"{name}.{language}").write_bytes("".join(f"{t}\n" for t in texts).encode())


def write_splits(root: Path) -> Path:
    """All of :data:`PAIRS` as aligned text files in ``root``."""
    for name, pairs in PAIRS.items():
        write_text(root, name, pairs)
    return root


def write_parquet(path: Path, pairs) -> None:
    write_table(path, [{"translation": {"de": de, "en": en}} for de, en in pairs])


def load(root: Path, cache: Path, source: str = "path", **limits):
    asked = {"vocabulary": TOKENS, "max_tokens": None, "max_ratio": None, **limits}
    return translation.load(source, root=root, cache=cache, **asked)


def texts(pairs: Pairs) -> list[tuple[str, str]]:
    return list(zip(pairs.sources, pairs.targets, strict=True))


def change(path: Path, number: int, line: str | bytes) -> None:
    """Put another line in the place of line ``number``, counted from 1."""
    lines = path.read_bytes().split(b"\n")
    lines[number - 1] = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(b"\n".join(lines))
