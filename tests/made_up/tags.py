"""Small tokenizers and tagged text in three languages, in the forms that the loader reads."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from made_up.tables import write_table
from made_up.tokenizers import as_fast, write_bert
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from idlib.data.tagged_subwords import TaggedSubwords
from idlib.metrics import spans

KINDS = ("PER", "LOC")
NAMES = spans.tags_of(KINDS)
LANGUAGES = ("en", "de", "ja")
COUNTS = {"train": 48, "validation": 24, "test": 20}
WORDS = [("see", "siehe", "見る"), ("then", "danach", "次に"), ("with", "mit", "と")]
NAMED = [
    ("PER", ("Anna Lee", "Anna Lee", "安名")),
    ("PER", ("Ben", "Ben", "便")),
    ("LOC", ("Rome", "Rom", "羅馬")),
    ("LOC", ("New York", "New York", "紐育")),
]
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
# As a trained vocabulary has them: some begin a word, some run over several characters.
SUBWORDS = "▁see ▁then ▁with ▁An na ▁Lee ▁Ben ▁Rom e ▁New ▁York ▁siehe ▁dan ach ▁mit".split()
SUBWORDS += "見る 次に 羅馬 紐育 安名 弁と ▁便".split()


CHARACTERS = {character for subword in SUBWORDS for character in subword}


def unigram() -> PreTrainedTokenizerFast:
    """Subwords over any characters between spaces; NFKC, and zero-width spaces are taken away."""
    characters = sorted(CHARACTERS | set('▁.,()abxé"…'))
    scored = [(subword, -1.0) for subword in SUBWORDS] + [(one, -9.0) for one in characters]
    vocabulary = [(name, 0.0) for name in SPECIAL] + list(dict(scored[::-1]).items())
    made = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIAL.index("<unk>")))
    made.normalizer = normalizers.Sequence([normalizers.Replace("\u200b", ""), normalizers.NFKC()])
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return as_fast(made, SPECIAL, max_length=128)


def wordpiece() -> PreTrainedTokenizerFast:
    """Subwords as multilingual BERT's: never over a space, a Chinese character or punctuation."""
    characters = sorted(CHARACTERS | set(".,()abx"))
    whole = [subword.removeprefix("▁") for subword in SUBWORDS]
    inner = [f"##{one}" for one in characters]
    every = [*SPECIAL, *dict.fromkeys([*characters, *whole]), *inner]
    vocabulary = {subword: number for number, subword in enumerate(every)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=False)
    made.pre_tokenizer, made.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    return as_fast(made, SPECIAL, max_length=128)


def item(name: str, chunks: list[tuple[str, tuple[str, ...]]], language: str) -> dict[str, Any]:
    """One tagged item: kinds (empty: none) and words in all languages, as tokens of one."""
    tokens, spaces, tags = [], [], []
    for kind, words in chunks:
        word = words[LANGUAGES.index(language)]
        own = list(word) if language == "ja" else word.split()
        tokens += own
        spaces += [language != "ja"] * len(own)
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(own) - 1)] if kind else ["O"] * len(own)
    spaces[-1] = False
    return {
        "id": name,
        "tokens": [*tokens, "."],
        "ner_tags": [*tags, "O"],
        "spaces": [*spaces, False],
    }


def made_up(split: str, language: str) -> list[dict[str, Any]]:
    """The items of a split; those of other languages are the same ones, translated."""
    random_, found = random.Random(split), []
    for number in range(COUNTS[split]):
        chunks = []
        for _ in range(random_.randint(1, 3)):
            chunks += [("", random_.choice(WORDS)), random_.choice(NAMED)]
        found.append(item(f"{split}-{number:02}", chunks, language))
    return found


def write(path: Path, rows: list[dict[str, Any]], names: tuple[str, ...] | None = NAMES) -> None:
    """A table: ``.jsonl`` with tags as text, or ``.parquet`` with numbers and their names."""
    if names and path.suffix == ".parquet":
        numbers = [[names.index(t) if t in names else t for t in row["ner_tags"]] for row in rows]
        rows = [{**row, "ner_tags": own} for row, own in zip(rows, numbers, strict=True)]
    write_table(path, rows, {"ner_tags": names} if names else None)


def write_folder(root: Path, suffix: str = ".parquet") -> Path:
    """All languages and splits as ``<language>/<split>``."""
    for language in LANGUAGES:
        for split in COUNTS if language == "en" else ("test",):
            write(root / language / f"{split}{suffix}", made_up(split, language))
    return root


def write_hub(root: Path) -> Path:
    """The same laid out as WikiANN: no ids, no spaces, all splits of all languages."""
    for language in LANGUAGES:
        for split in COUNTS:
            rows = [
                {name: row[name] for name in ("tokens", "ner_tags")}
                for row in made_up(split, language)
            ]
            path = root / language / f"{split}-00000-of-00001.parquet"
            write(path, rows, ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"))
    return root


def attained(split: TaggedSubwords) -> float:
    """F1 of a prediction that is right at every labelled subword and ``O`` at the others."""
    counts = []
    for index, gold in enumerate(split.tags):
        (tags,) = split.decode([index], split.batch([index])["labels"])
        counts.append(spans.count(gold, tags))
    return spans.f1(counts)


def tiny_encoder(folder: Path, tokenizer: PreTrainedTokenizerFast, layers: int = 2) -> Path:
    """A folder with a small BERT of random weights, always the same, and its tokenizer."""
    return write_bert(folder, tokenizer, width=24, layers=layers)
