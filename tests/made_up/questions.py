"""Small questions in the schema of SQuAD, tokenizers of two kinds, and a tiny encoder."""

from __future__ import annotations

import random
from pathlib import Path

from made_up.tables import write_table
from made_up.tokenizers import as_fast, write_bert
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from idlib.data import answering

COUNTS = {"train": 30, "validation": 8, "test": 10}
WORDS = {
    "en": "open the file menu choose edit page view insert table format cell then save".split(),
    "de": "öffne das Menü Datei wähle Seite Ansicht einfügen Tabelle Format und Zelle".split(),
    "ja": list("開くファイル挿入ページ表示形式選択保存"),
}
LIMITS = {"max_length": 32, "stride": 8}
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def question(name: str, context: str, answer: str, asked: str = "where is it?", **more) -> dict:
    """A row; the answer is looked for in the context."""
    answers = {"text": [answer], "answer_start": [context.index(answer)]}
    return {"id": name, "context": context, "question": asked, "answers": answers, **more}


def made_up(language: str, count: int, seed: int, prefix: str) -> list[dict]:
    """Rows of two to five lines of made-up words, one to three of which are the answer."""
    draw = random.Random(f"{language}/{seed}")
    space = "" if language == "ja" else " "
    rows = []
    for i in range(count):
        lines = [
            draw.choices(WORDS[language], k=draw.randint(3, 9)) for _ in range(draw.randint(2, 5))
        ]
        line = draw.choice(lines)
        first = draw.randrange(len(line))
        answer = space.join(line[first : first + draw.randint(1, 3)])
        context = "\n".join(space.join(words) for words in lines)
        rows.append(question(f"{prefix}{i}", context, answer, f"{line[0]}?"))
    return rows


def every_row() -> dict[str, list[dict]]:
    """Rows by file, ``en/train`` and so on; four test questions are in all three languages."""
    rows = {
        f"en/{name}": made_up("en", n, i, f"{name}-") for i, (name, n) in enumerate(COUNTS.items())
    }
    for language in ("de", "ja"):
        rows[f"{language}/test"] = made_up(language, 8, 9, "test-")
    for place, row in enumerate(rows["ja/test"][4:]):
        row["id"] = f"ja-{place}"
    return rows


def write(root: Path, rows: dict[str, list[dict]], suffix: str = ".parquet") -> Path:
    for name, table in rows.items():
        write_table(root / f"{name}{suffix}", table)
    return root


def load(root: Path, tokenizer, source: str = "path", **more) -> answering.AnsweringData:
    return answering.load(source, tokenizer, root=root, **{**LIMITS, **more})


def texts() -> list[str]:
    return [
        text
        for table in every_row().values()
        for row in table
        for text in (row["context"], row["question"])
    ]


def word_pieces(corpus: list[str] | None = None, **normal):
    """As BERT's: token types, words split at punctuation; ``normal`` may strip accents and case."""
    normal = {"lowercase": False, "strip_accents": False, **normal}
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(handle_chinese_chars=True, **normal)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=list(SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(corpus or texts(), trainer)
    return as_fast(tokenizer, SPECIAL)


def sentence_pieces(corpus: list[str] | None = None):
    """As XLM-R's: no token types, two separators between texts, NFKC, tokens that begin with ▁."""
    tokenizer = Tokenizer(models.Unigram())
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=list(SPECIAL), unk_token="[UNK]", show_progress=False
    )
    tokenizer.train_from_iterator(corpus or texts(), trainer)
    return as_fast(tokenizer, SPECIAL, "{cls} $A {sep} {sep} $B {sep}", types=False)


def write_encoder(folder: Path) -> str:
    """A random BERT of two layers and its tokenizer, as transformers saves them."""
    tokenizer = word_pieces()
    tokenizer.model_max_length = 64
    return str(write_bert(folder, tokenizer, inner=24))
