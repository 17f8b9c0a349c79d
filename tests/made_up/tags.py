"""Small tokenizers and tagged text in three languages, in the forms that the loader reads."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

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
# Pieces as a trained vocabulary has them: some begin a word, some run over several signs.
PIECES = "▁see ▁then ▁with ▁An na ▁Lee ▁Ben ▁Rom e ▁New ▁York ▁siehe ▁dan ach ▁mit".split()
PIECES += "見る 次に 羅馬 紐育 安名 弁と ▁便".split()


def _wrapped(
    model: Any, normalizer: Any, pre_tokenizer: Any, decoder: Any
) -> PreTrainedTokenizerFast:
    made = Tokenizer(model)
    made.normalizer, made.pre_tokenizer, made.decoder = normalizer, pre_tokenizer, decoder
    special = [(name, SPECIAL.index(name)) for name in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=special
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=128, **names)


def unigram() -> PreTrainedTokenizerFast:
    """Pieces over any signs between spaces; NFKC, and zero-width spaces are taken away."""
    signs = sorted({sign for piece in PIECES for sign in piece} | set('▁.,()abxé"…'))
    scored = [(piece, -1.0) for piece in PIECES] + [(sign, -9.0) for sign in signs]
    vocabulary = [(name, 0.0) for name in SPECIAL] + list(dict(scored[::-1]).items())
    normalizer = normalizers.Sequence([normalizers.Replace("\u200b", ""), normalizers.NFKC()])
    model = models.Unigram(vocabulary, unk_id=SPECIAL.index("<unk>"))
    return _wrapped(model, normalizer, pre_tokenizers.Metaspace(), decoders.Metaspace())


def wordpiece() -> PreTrainedTokenizerFast:
    """Pieces as multilingual BERT's: never over a space, a Chinese sign or punctuation."""
    signs = sorted({sign for piece in PIECES for sign in piece} | set(".,()abx"))
    whole = [piece.removeprefix("▁") for piece in PIECES]
    every = [*SPECIAL, *dict.fromkeys([*signs, *whole]), *(f"##{sign}" for sign in signs)]
    vocabulary = {piece: number for number, piece in enumerate(every)}
    model = models.WordPiece(vocabulary, unk_token="<unk>")
    normalizer = normalizers.BertNormalizer(lowercase=False)
    return _wrapped(model, normalizer, pre_tokenizers.BertPreTokenizer(), decoders.WordPiece())


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
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8")
        return
    if names:
        numbers = [[names.index(t) if t in names else t for t in row["ner_tags"]] for row in rows]
        rows = [{**row, "ner_tags": own} for row, own in zip(rows, numbers, strict=True)]
    table = pa.Table.from_pylist(rows)
    if names:
        tags = {"feature": {"names": list(names), "_type": "ClassLabel"}, "_type": "List"}
        text = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
        features = {"tokens": text, "ner_tags": tags}
        features |= {"id": {"dtype": "string", "_type": "Value"}} if "id" in rows[0] else {}
        if "spaces" in rows[0]:
            features["spaces"] = {"feature": {"dtype": "bool", "_type": "Value"}, "_type": "List"}
        metadata = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, path)


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
    """F1 of a prediction that is right at every labelled piece and ``O`` at the others."""
    counts = []
    for index, gold in enumerate(split.tags):
        (tags,) = split.decode([index], split.batch([index])["labels"])
        counts.append(spans.count(gold, tags))
    return spans.f1(counts)


def tiny_encoder(folder: Path, tokenizer: PreTrainedTokenizerFast, layers: int = 2) -> Path:
    """A folder with a small BERT of random weights, always the same, and its tokenizer."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
